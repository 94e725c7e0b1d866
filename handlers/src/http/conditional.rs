//! Validators and conditional requests (RFC 9110 sections 8.8 and 13).
//!
//! The conditions are looked at in the order of section 13.2.2.

use super::file::Meta;
use super::request::{Field, Request};
use crate::Text;
use crate::date::{self, Date, IMF};

/// A file younger than this many seconds may change again without its time changing: its tag is weak.
const GRAIN: i64 = 2;

/// Space for a tag: three numbers in hexadecimal digits, two dashes, two quotes.
pub(crate) type Space = [u8; 44];

/// What tells one state of a file from another.
pub(crate) struct Validators<'s> {
    /// In its quotes, without `W/`.
    tag: Text<'s>,
    /// A strong tag promises equality byte for byte.
    strong: bool,
    /// Seconds since 1970; never later than now.
    modified: i64,
}

impl<'s> Validators<'s> {
    /// `None` when the file's time says nothing: package managers and image builders set it to 0 or 1, and then a changed
    /// file would be taken for the same.
    pub(crate) fn new(space: &'s mut Space, meta: &Meta, now: i64) -> Option<Validators<'s>> {
        if meta.modified <= 1 {
            return None;
        }
        let mut tag = Text::new(space);
        tag.str("\"").digits(meta.modified as u64, 16, 1).str("-").digits(meta.nanoseconds.into(), 16, 1);
        tag.str("-").digits(meta.size, 16, 1).str("\"");
        Some(Validators { tag, strong: meta.modified <= now - GRAIN, modified: meta.modified })
    }

    /// Writes the fields `Last-Modified` and `ETag`. A date in the future is not told (section 8.8.2.1).
    pub(crate) fn write(&self, head: &mut Text<'_>, now: i64) {
        head.str("Last-Modified: ");
        Date::from_unix(self.modified.min(now)).write(head, &IMF);
        head.str(if self.strong { "\r\nETag: " } else { "\r\nETag: W/" }).bytes(self.tag.as_bytes()).str("\r\n");
    }

    /// The client has this state already.
    #[inline(never)]
    pub(crate) fn not_modified(&self, request: &Request<'_>, now: i64) -> bool {
        if request.value(Field::IfNoneMatch).is_some() {
            return request.values(Field::IfNoneMatch).any(|list| self.in_list(list));
        }
        let since = request.value(Field::IfModifiedSince).and_then(|since| date::parse(since, now));
        since.is_some_and(|since| self.modified <= since)
    }

    /// Whether a Range field counts: without If-Range always, else when it names this very state.
    pub(crate) fn range_counts(&self, request: &Request<'_>, now: i64) -> bool {
        let Some(condition) = request.value(Field::IfRange) else { return true };
        if condition.starts_with(b"\"") || condition.starts_with(b"W/") {
            return self.strong && condition == self.tag.as_bytes();
        }
        // A date is a strong validator when it is the very one, and is old enough (section 8.8.2.2).
        self.strong && date::parse(condition, now) == Some(self.modified)
    }

    /// Weak comparison with a list of tags, or `*`.
    fn in_list(&self, list: &[u8]) -> bool {
        let mut rest = list.trim_ascii();
        if rest == b"*" {
            return true;
        }
        while !rest.is_empty() {
            rest = rest.strip_prefix(b"W/").unwrap_or(rest);
            // The second quote ends the tag; the first must stand at its beginning.
            let mut quotes = rest.iter().enumerate().filter(|&(_, &byte)| byte == b'"').map(|(i, _)| i);
            let (Some(0), Some(end)) = (quotes.next(), quotes.next()) else { return false };
            let Some((tag, behind)) = rest.split_at_checked(end + 1) else { return false };
            if tag == self.tag.as_bytes() {
                return true;
            }
            rest = behind.trim_ascii_start();
            while let Some(more) = rest.strip_prefix(b",") {
                rest = more.trim_ascii_start();
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::super::request::with;
    use super::*;
    use std::string::String;

    const NOW: i64 = 1_795_293_068;
    const FILE: Meta = Meta { size: 0x200, modified: 784_111_777, nanoseconds: 0xab };

    fn check(file: Meta, fields: &str) -> (bool, bool) {
        let mut space = [0; _];
        let validators = Validators::new(&mut space, &file, NOW).unwrap();
        with(fields, |request| (validators.not_modified(request, NOW), validators.range_counts(request, NOW)))
    }

    #[test]
    fn fields() {
        let mut space = [0; 256];
        let mut head = Text::new(&mut space);
        let mut tag = [0; _];
        Validators::new(&mut tag, &FILE, NOW).unwrap().write(&mut head, NOW);
        let expect = "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\nETag: \"2ebc98a1-ab-200\"\r\n";
        assert_eq!(String::from_utf8_lossy(head.as_bytes()), expect);
        let at = [(NOW - 2, false, "06"), (NOW - 1, true, "07"), (NOW + 9, true, "08"), (i64::MAX, true, "08")];
        for (modified, weak, date) in at {
            head.clear();
            Validators::new(&mut tag, &Meta { modified, ..FILE }, NOW).unwrap().write(&mut head, NOW);
            let text = String::from_utf8_lossy(head.as_bytes());
            assert_eq!(text.contains("ETag: W/"), weak);
            assert!(text.contains(&std::format!("20:31:{date}")), "{text}");
        }
        assert!(Validators::new(&mut tag, &Meta { modified: 0, ..FILE }, NOW).is_none());
        assert!(Validators::new(&mut tag, &Meta { modified: 1, ..FILE }, NOW).is_none());
    }

    #[test]
    fn not_modified() {
        for (fields, expect) in [
            ("", false),
            ("If-None-Match: \"2ebc98a1-ab-200\"", true),
            ("If-None-Match: W/\"2ebc98a1-ab-200\"", true),
            ("If-None-Match: *", true),
            ("If-None-Match: \"a\", \"2ebc98a1-ab-200\"", true),
            ("If-None-Match: \"a\",W/\"b,c\" , , \"2ebc98a1-ab-200\"", true),
            ("If-None-Match: \"a\"\r\nIf-None-Match: \"2ebc98a1-ab-200\"", true),
            ("If-None-Match: \"2ebc98a1-ab-201\"", false),
            ("If-None-Match: \"x2ebc98a1-ab-200\"", false),
            ("If-None-Match: 2ebc98a1-ab-200", false),
            ("If-None-Match: \"2ebc98a1-ab-200", false),
            ("If-None-Match:", false),
            ("If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT", true),
            ("If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT", true),
            ("If-Modified-Since: Sun Nov  6 08:49:37 1994", true),
            ("If-Modified-Since: Mon, 07 Nov 1994 08:49:37 GMT", true),
            ("If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT", false),
            ("If-Modified-Since: tomorrow", false),
            ("If-None-Match: \"x\"\r\nIf-Modified-Since: Mon, 07 Nov 1994 08:49:37 GMT", false),
            ("If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT\r\nIf-None-Match: \"2ebc98a1-ab-200\"", true),
        ] {
            assert_eq!(check(FILE, fields).0, expect, "{fields}");
        }
    }

    #[test]
    fn if_range() {
        let young = Meta { modified: NOW - 1, ..FILE };
        for (file, fields, expect) in [
            (FILE, "", true),
            (FILE, "If-Range: \"2ebc98a1-ab-200\"", true),
            (FILE, "If-Range: W/\"2ebc98a1-ab-200\"", false),
            (FILE, "If-Range: \"other\"", false),
            (FILE, "If-Range: \"", false),
            (FILE, "If-Range: Sun, 06 Nov 1994 08:49:37 GMT", true),
            (FILE, "If-Range: Sun, 06 Nov 1994 08:49:38 GMT", false),
            (FILE, "If-Range: soon", false),
            (young, "", true),
            (young, "If-Range: \"6b01ff8b-ab-200\"", false),
            (young, "If-Range: Sat, 21 Nov 2026 20:31:07 GMT", false),
        ] {
            assert_eq!(check(file, fields).1, expect, "{fields}");
        }
    }
}
