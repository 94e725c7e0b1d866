//! Dates: UTC arithmetic and the ways to write and read them that protocols ask for (RFC 9110 section 5.6.7).

use core::slice::Chunks;

use crate::options::decimal;
use crate::text::Text;

/// Nine bytes for each.
const DAYS: &[u8] = b"Sunday   Monday   Tuesday  WednesdayThursday Friday   Saturday ";
/// Three bytes for each.
const MONTHS: &[u8] = b"JanFebMarAprMayJunJulAugSepOctNovDec";

const DAY: i64 = 86_400;
/// 9999-12-31T23:59:59Z: the last date that four digits can tell.
const LAST: i64 = 253_402_300_799;

/// A way to write dates, in the letters of strftime(3); it begins with one.
pub(crate) struct Form(pub(crate) &'static str);

/// `Sun, 06 Nov 1994 08:49:37 GMT`: IMF-fixdate, the one form that HTTP may send.
pub(crate) const IMF: Form = Form("%a, %d %b %Y %H:%M:%S GMT");
/// `Sunday, 06-Nov-94 08:49:37 GMT`: what HTTP once sent.
const RFC_850: Form = Form("%A, %d-%b-%y %H:%M:%S GMT");
/// `Sun Nov  6 08:49:37 1994`: asctime(3), what HTTP sent before that, and what daytime servers answer.
pub(crate) const ASCTIME: Form = Form("%a %b %e %H:%M:%S %Y");
/// `06/Nov/1994:08:49:37 +0000`: the Common Log Format.
pub(crate) const CLF: Form = Form("%d/%b/%Y:%H:%M:%S +0000");

/// `1994-11-06T08:49:37Z`: RFC 3339. It is written and not read.
pub(crate) const RFC_3339: Form = Form("%Y-%m-%dT%H:%M:%SZ");

/// A date in UTC, taken apart: see the places of its parts.
#[derive(Default)]
pub(crate) struct Date([u16; 7]);

const YEAR: usize = 0;
/// 0 to 11.
const MONTH: usize = 1;
/// 1 to 31.
const MDAY: usize = 2;
/// 0 is Sunday.
const WDAY: usize = 3;
const HOUR: usize = 4;
const MINUTE: usize = 5;
const SECOND: usize = 6;

/// How a part is written: as a name, or in digits with leading zeroes or spaces.
#[derive(Clone, Copy)]
enum Kind {
    Day,
    Month,
    Zeroes,
    Spaces,
    /// The first is 1, though it is counted as 0.
    Ordinal,
}

/// The letters of strftime(3): which part each stands for, how that is written, and how long at most.
/// Those that are written for each request stand first.
const LETTERS: [(u8, u8, Kind, u8); 11] = [
    (b'd', MDAY as u8, Kind::Zeroes, 2),
    (b'b', MONTH as u8, Kind::Month, 3),
    (b'Y', YEAR as u8, Kind::Zeroes, 4),
    (b'H', HOUR as u8, Kind::Zeroes, 2),
    (b'M', MINUTE as u8, Kind::Zeroes, 2),
    (b'S', SECOND as u8, Kind::Zeroes, 2),
    (b'a', WDAY as u8, Kind::Day, 3),
    (b'e', MDAY as u8, Kind::Spaces, 2),
    (b'A', WDAY as u8, Kind::Day, u8::MAX),
    (b'y', YEAR as u8, Kind::Zeroes, 2),
    (b'm', MONTH as u8, Kind::Ordinal, 2),
];

impl Date {
    /// From seconds since 1970; what lies before 1970 or after 9999 is moved to that end.
    pub(crate) fn from_unix(seconds: i64) -> Date {
        let seconds = seconds.clamp(0, LAST);
        let (days, rest) = ((seconds / DAY) as u32, (seconds % DAY) as u32);
        // The year is made to begin in March, so that the leap day is its last; then months follow a line
        // (H. Hinnant, "chrono-compatible low-level date algorithms", civil_from_days).
        let shifted = days + 719_468;
        let era = shifted / 146_097;
        let of_era = shifted % 146_097;
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * of_year + 2) / 153;
        let month = (from_march + 2) % 12;
        let year = era * 400 + year_of_era + u32::from(month < 2);
        let day = of_year - (153 * from_march + 2) / 5 + 1;
        Date([year, month, day, (days + 4) % 7, rest / 3_600, rest / 60 % 60, rest % 60].map(|part| part as u16))
    }

    /// Seconds since 1970 of a date that exists (a leap second counts as the second after it).
    fn to_unix(&self) -> Option<i64> {
        let [year, month, day, _, hour, minute, second] = self.0.map(i32::from);
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days_in_month = match month {
            1 => 28 + i32::from(leap),
            3 | 5 | 8 | 10 => 30,
            _ => 31,
        };
        let exists = (1..=days_in_month).contains(&day) && year >= 1;
        if !exists || hour >= 24 || minute >= 60 || second > 60 {
            return None;
        }
        let year = year - i32::from(month < 2);
        let from_march = (month + 10) % 12;
        let of_year = (153 * from_march + 2) / 5 + day - 1;
        let days = 365 * year + year / 4 - year / 100 + year / 400 + of_year - 719_468;
        Some(i64::from(days) * DAY + i64::from(hour * 3_600 + minute * 60 + second))
    }

    /// Writes it in that form.
    pub(crate) fn write(&self, text: &mut Text<'_>, form: &Form) {
        for Part { place, kind, len, behind } in form.parts() {
            let part = self.0.get(place).copied().unwrap_or_default();
            match kind.names() {
                Some(mut names) => text.bytes(start(names.nth(part.into()).unwrap_or_default(), len)),
                None if matches!(kind, Kind::Spaces) && part < 10 => text.str(" ").decimal(part.into()),
                None if matches!(kind, Kind::Ordinal) => text.digits(u64::from(part) + 1, 10, len),
                None => text.digits(part.into(), 10, len),
            };
            text.bytes(behind);
        }
    }

    /// Reads what is in that form and nothing else.
    fn read(mut text: &[u8], form: &Form) -> Option<Date> {
        let mut date = Date::default();
        for Part { place, kind, len, behind } in form.parts() {
            let part;
            if let Some(names) = kind.names() {
                let mut known = names.enumerate();
                (part, text) = known.find_map(|(i, name)| Some((i, text.strip_prefix(start(name, len))?)))?;
            } else {
                let (mut digits, rest) = text.split_at_checked(len)?;
                if let (Kind::Spaces, [b' ', digit @ ..]) = (kind, digits) {
                    digits = digit;
                }
                (part, text) = (decimal(digits)? as usize, rest);
            }
            *date.0.get_mut(place)? = part as u16;
            text = text.strip_prefix(behind)?;
        }
        text.is_empty().then_some(date)
    }
}

impl Kind {
    fn names(self) -> Option<Chunks<'static, u8>> {
        match self {
            Kind::Day => Some(DAYS.chunks(9)),
            Kind::Month => Some(MONTHS.chunks(3)),
            Kind::Zeroes | Kind::Spaces | Kind::Ordinal => None,
        }
    }
}

/// So many letters of a name, or all.
fn start(name: &[u8], len: usize) -> &[u8] {
    name.get(..len).unwrap_or(name).trim_ascii_end()
}

/// A letter of a form, looked up, and the text behind it.
struct Part {
    place: usize,
    kind: Kind,
    len: usize,
    behind: &'static [u8],
}

impl Form {
    fn parts(&self) -> impl Iterator<Item = Part> {
        self.0.as_bytes().split(|&byte| byte == b'%').filter_map(|piece| {
            let (&letter, behind) = piece.split_first()?;
            let &(_, place, kind, len) = LETTERS.iter().find(|known| known.0 == letter)?;
            Some(Part { place: place.into(), kind, len: len.into(), behind })
        })
    }
}

/// Reads any of the three forms that HTTP has had; `None` for everything else. The name of the weekday must be one, and
/// is not compared with the date. `now` places the two-digit years of the RFC 850 form.
pub(crate) fn parse(text: &[u8], now: i64) -> Option<i64> {
    if let Some(mut date) = Date::read(text, &RFC_850) {
        let [year, ..] = &mut date.0;
        *year = this_century(*year, now);
        return date.to_unix();
    }
    Date::read(text, &IMF).or_else(|| Date::read(text, &ASCTIME))?.to_unix()
}

/// RFC 9110: a two-digit year that seems more than 50 years ahead lies in the past.
fn this_century(year: u16, now: i64) -> u16 {
    let Date([current, ..]) = Date::from_unix(now);
    let year = current - current % 100 + year;
    if year > current + 50 { year - 100 } else { year }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::String;

    const NOW: i64 = 1_795_293_068; // 21 Nov 2026

    fn imf(seconds: i64) -> String {
        let mut space = [0; 64];
        let mut text = Text::new(&mut space);
        Date::from_unix(seconds).write(&mut text, &IMF);
        String::from_utf8(text.as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn known_dates() {
        for (seconds, text) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_399, "Mon, 28 Feb 2000 23:59:59 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (951_868_800, "Wed, 01 Mar 2000 00:00:00 GMT"),
            (1_709_164_800, "Thu, 29 Feb 2024 00:00:00 GMT"),
            (NOW, "Sat, 21 Nov 2026 20:31:08 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
            (LAST, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            assert_eq!(imf(seconds), text);
            assert_eq!(parse(text.as_bytes(), NOW), Some(seconds), "{text}");
        }
        assert_eq!(imf(-1), imf(0));
        assert_eq!(imf(i64::MAX), imf(LAST));
    }

    /// Every day of more than a cycle of 400 years, and each differs from the day before as a calendar does.
    #[test]
    fn each_day_follows_the_day_before() {
        let mut before = Date::from_unix(0);
        for day in 1..=150_000 {
            let seconds = day * DAY + day % DAY;
            let date = Date::from_unix(seconds);
            assert_eq!(date.0[WDAY], (before.0[WDAY] + 1) % 7);
            let next_month = date.0[MDAY] == 1 && date.0[MONTH] == (before.0[MONTH] + 1) % 12;
            assert!(
                next_month || (date.0[MDAY] == before.0[MDAY] + 1 && date.0[MONTH] == before.0[MONTH]),
                "{}",
                imf(seconds)
            );
            assert_eq!(date.0[YEAR] - before.0[YEAR], u16::from(next_month && date.0[MONTH] == 0));
            assert_eq!(parse(imf(seconds).as_bytes(), NOW), Some(seconds));
            before = date;
        }
    }

    #[test]
    fn the_older_forms() {
        for text in ["Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
            assert_eq!(parse(text.as_bytes(), NOW), Some(784_111_777), "{text}");
        }
        let expect = parse(b"Thu, 01 Jan 2076 00:00:00 GMT", NOW);
        assert_eq!(parse(b"Thursday, 01-Jan-76 00:00:00 GMT", NOW), expect);
        assert_eq!(parse(b"Thursday, 01-Jan-77 00:00:00 GMT", NOW), parse(b"Sat, 01 Jan 1977 00:00:00 GMT", NOW));
        let mut space = [0; 64];
        let mut text = Text::new(&mut space);
        Date::from_unix(784_111_777).write(&mut text, &ASCTIME);
        assert_eq!(text.as_bytes(), b"Sun Nov  6 08:49:37 1994");
        text.clear();
        Date::from_unix(NOW).write(&mut text, &CLF);
        assert_eq!(text.as_bytes(), b"21/Nov/2026:20:31:08 +0000");
    }

    #[test]
    fn what_is_no_date() {
        for text in [
            "",
            "yesterday",
            "Sun, 06 Nov 1994 08:49:37",
            "Sunday, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06-Nov-94 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT ",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Sun, 06 nov 1994 08:49:37 GMT",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 94 08:49:37 GMT",
            "Son, 06 Nov 1994 08:49:37 GMT",
            "Sun, 31 Nov 1994 08:49:37 GMT",
            "Sun, 00 Nov 1994 08:49:37 GMT",
            "Sun, 29 Feb 1900 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:49:37 GMT",
            "Sun, 06 Nov 1994 08:60:37 GMT",
            "Sun, 06 Nov 1994 08:49:61 GMT",
            "Sun, 06 Nov +994 08:49:37 GMT",
            "Sun Nov 6 08:49:37 1994",
            "Sun Nov  6 08:49:37 94",
            "Sunday, 06-Nov-1994 08:49:37 GMT",
        ] {
            assert_eq!(parse(text.as_bytes(), NOW), None, "{text}");
        }
    }
}
