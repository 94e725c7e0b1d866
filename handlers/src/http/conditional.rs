//! Validators and conditional requests (RFC 9110 sections 8.8 and 13).
//!
//! The conditions are looked at in the order of section 13.2.2.

use super::file::Meta;
use super::request::{Field, Request};
use super::status::Status;
use crate::Text;
use crate::date::{self, Date, IMF};

/// A file younger than this many seconds may change again without its time changing: its tag is weak.
const GRAIN: i64 = 2;

/// No file that is published was written before: what says so has the time of an archive without times (1980-01-01), or
/// of a build that set all times to 0 or 1.
const EPOCH: i64 = 315_619_200;

/// Space for a tag: three numbers in hexadecimal digits, a coding, dashes, quotes.
pub(crate) type Space = [u8; 52];

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
    /// file would be taken for the same. Nor does a time that has not come yet. `coding` tells the file in a content coding
    /// from the one without.
    pub(crate) fn new(space: &'s mut Space, meta: &Meta, coding: &str, now: i64) -> Option<Validators<'s>> {
        if meta.modified < EPOCH || meta.modified > now {
            return None;
        }
        let mut tag = Text::new(space);
        tag.str("\"").digits(meta.modified as u64, 16, 1).str("-").digits(meta.nanoseconds.into(), 16, 1);
        tag.str("-").digits(meta.size, 16, 1);
        if !coding.is_empty() {
            tag.str("-").str(coding);
        }
        tag.str("\"");
        Some(Validators { tag, strong: meta.modified <= now - GRAIN, modified: meta.modified })
    }

    /// Writes the fields `Last-Modified` and `ETag`.
    pub(crate) fn write(&self, head: &mut Text<'_>) {
        head.str("Last-Modified: ");
        Date::from_unix(self.modified).write(head, &IMF);
        head.str(if self.strong { "\r\nETag: " } else { "\r\nETag: W/" }).bytes(self.tag.as_bytes()).str("\r\n");
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

    /// Whether a list of tags has ours, or is `*`. Strong comparison finds it only where both tags are strong.
    fn in_list(&self, list: &[u8], strongly: bool) -> bool {
        let mut rest = list.trim_ascii();
        if rest == b"*" {
            return true;
        }
        while !rest.is_empty() {
            let weak = rest.strip_prefix(b"W/");
            rest = weak.unwrap_or(rest);
            let mut quotes = rest.iter().enumerate().filter(|&(_, &byte)| byte == b'"').map(|(i, _)| i);
            let (Some(0), Some(end)) = (quotes.next(), quotes.next()) else { return false };
            let Some((tag, behind)) = rest.split_at_checked(end + 1) else { return false };
            if tag == self.tag.as_bytes() && !(strongly && (weak.is_some() || !self.strong)) {
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

/// What the conditions of a request for a file make of it; `None` is the answer without conditions.
#[inline(never)]
pub(crate) fn evaluate(validators: Option<&Validators<'_>>, request: &Request<'_>, now: i64) -> Option<Status> {
    let named = |field, strongly| {
        let mut lists = request.values(field);
        // A file without validators is still one that exists.
        lists.any(|list| validators.map_or(list == b"*", |validators| validators.in_list(list, strongly)))
    };
    let since = |field| {
        let since = request.value(field).and_then(|since| date::parse(since, now))?;
        Some(validators?.modified <= since)
    };
    let holds = match request.value(Field::IfMatch) {
        Some(_) => named(Field::IfMatch, true),
        None => since(Field::IfUnmodifiedSince) != Some(false),
    };
    if !holds {
        return Some(Status::PreconditionFailed);
    }
    let same = match request.value(Field::IfNoneMatch) {
        Some(_) => named(Field::IfNoneMatch, false),
        None => since(Field::IfModifiedSince) == Some(true),
    };
    same.then_some(Status::NotModified)
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
        let validators = Validators::new(&mut space, &file, "", NOW).unwrap();
        with(fields, |request| {
            let status = evaluate(Some(&validators), request, NOW);
            (status == Some(Status::NotModified), validators.range_counts(request, NOW))
        })
    }

    #[test]
    fn fields() {
        let mut space = [0; 256];
        let mut head = Text::new(&mut space);
        let mut tag = [0; _];
        Validators::new(&mut tag, &FILE, "", NOW).unwrap().write(&mut head);
        let expect = "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\nETag: \"2ebc98a1-ab-200\"\r\n";
        assert_eq!(String::from_utf8_lossy(head.as_bytes()), expect);
        head.clear();
        Validators::new(&mut tag, &FILE, "gzip", NOW).unwrap().write(&mut head);
        assert!(String::from_utf8_lossy(head.as_bytes()).contains("ETag: \"2ebc98a1-ab-200-gzip\""));
        for (modified, weak, date) in [(NOW - 2, false, "06"), (NOW - 1, true, "07"), (NOW, true, "08")] {
            head.clear();
            Validators::new(&mut tag, &Meta { modified, ..FILE }, "", NOW).unwrap().write(&mut head);
            let text = String::from_utf8_lossy(head.as_bytes());
            assert_eq!(text.contains("ETag: W/"), weak);
            assert!(text.contains(&std::format!("20:31:{date}")), "{text}");
        }
        for modified in [i64::MIN, -1, 0, 1, 315_532_800, NOW + 1, i64::MAX] {
            assert!(Validators::new(&mut tag, &Meta { modified, ..FILE }, "", NOW).is_none(), "{modified}");
        }
        let largest = Meta { size: u64::MAX, modified: i64::MAX, nanoseconds: u32::MAX };
        assert!(!Validators::new(&mut tag, &largest, "gzip", i64::MAX).unwrap().tag.is_cut());
    }

    /// RFC 9110 section 13.2.2, step by step.
    #[test]
    fn conditions_are_evaluated_in_order() {
        let (fresh, stale) = ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:36 GMT");
        let own = "\"2ebc98a1-ab-200\"";
        let (failed, same) = (Some(Status::PreconditionFailed), Some(Status::NotModified));
        for (fields, expect, without) in [
            (std::format!("If-Match: {own}"), None, failed),
            (std::format!("If-Match: \"x\", {own}"), None, failed),
            (std::format!("If-Match: \"x\"\r\nIf-Match: {own}"), None, failed),
            ("If-Match: *".into(), None, None),
            ("If-Match: \"x\"".into(), failed, failed),
            ("If-Match:".into(), failed, failed),
            (std::format!("If-Match: W/{own}"), failed, failed),
            (std::format!("If-Match: \"x\"\r\nIf-None-Match: {own}"), failed, failed),
            (std::format!("If-Match: {own}\r\nIf-None-Match: {own}"), same, failed),
            (std::format!("If-Match: {own}\r\nIf-Unmodified-Since: {stale}"), None, failed),
            (std::format!("If-Unmodified-Since: {fresh}"), None, None),
            (std::format!("If-Unmodified-Since: {stale}"), failed, None),
            ("If-Unmodified-Since: x".into(), None, None),
            (std::format!("If-Unmodified-Since: {stale}\r\nIf-None-Match: {own}"), failed, None),
            (std::format!("If-Unmodified-Since: {fresh}\r\nIf-Modified-Since: {fresh}"), same, None),
            (std::format!("If-None-Match: \"x\"\r\nIf-Modified-Since: {fresh}"), None, None),
            ("If-None-Match: *".into(), same, same),
        ] {
            let mut space = [0; _];
            let validators = Validators::new(&mut space, &FILE, "", NOW);
            with(&fields, |request| {
                assert_eq!(evaluate(validators.as_ref(), request, NOW), expect, "{fields}");
                assert_eq!(evaluate(None, request, NOW), without, "{fields}, without validators");
            });
        }
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
