//! Response heads.

use super::mime;
use super::range::Part;
use super::status::Status;
use crate::{Settings, Text};

/// Long enough for the head of any response but a redirect.
pub(crate) const HEAD: usize = 640;
/// Long enough for the page of any status.
pub(crate) const PAGE: usize = 192;

/// Whether the connection goes on behind the response.
#[derive(Clone, Copy)]
pub(crate) struct Persistence {
    /// It goes on.
    pub(crate) keep: bool,
    /// The request's minor version: HTTP/1.0 wants to be told that it goes on, HTTP/1.1 that it does not.
    pub(crate) minor: u8,
}

/// What browsers are to refuse: to take a file for what it is not said to be, to show it inside the page of another site,
/// and to tell other sites more than this one's name.
const SECURITY: &str = "X-Content-Type-Options: nosniff\r\nX-Frame-Options: SAMEORIGIN\r\nReferrer-Policy: \
strict-origin-when-cross-origin\r\n";

/// Begins a head: status (code and reason), date, persistence, and what every response is to have. The version is always ours (RFC
/// 9110 section 6.2).
#[inline(never)]
pub(crate) fn begin(
    head: &mut Text<'_>,
    status: &[u8],
    date: &[u8],
    persistence: Persistence,
    settings: &Settings<'_>,
) {
    head.clear();
    head.str("HTTP/1.1 ").bytes(status).str("\r\nDate: ").bytes(date);
    head.str(match persistence {
        Persistence { keep: false, .. } => "\r\nConnection: close\r\n",
        Persistence { keep: true, minor: 0 } => "\r\nConnection: keep-alive\r\n",
        Persistence { keep: true, .. } => "\r\n",
    });
    for header in settings.headers.iter().filter(|header| !header.is_empty()) {
        head.bytes(header).str("\r\n");
    }
    if settings.security_headers {
        head.str(SECURITY);
    }
}

/// Writes the field `Content-Range` for a part of `size` bytes.
#[inline(never)]
pub(crate) fn content_range(head: &mut Text<'_>, part: Part, size: u64) {
    head.str("Content-Range: bytes ").decimal(part.first).str("-").decimal(part.first + part.len - 1);
    head.str("/").decimal(size).str("\r\n");
}

/// Writes what stands before a part of several, or behind the last one.
pub(crate) fn part(head: &mut Text<'_>, boundary: &[u8], kind: &[u8], part: Option<Part>, size: u64) {
    head.clear();
    head.str("\r\n--").bytes(boundary);
    if let Some(part) = part {
        head.str("\r\nContent-Type: ").bytes(kind).str(mime::charset(kind)).str("\r\n");
        content_range(head, part, size);
        head.str("\r\n");
    } else {
        head.str("--\r\n");
    }
}

/// Ends a head that announces a body.
pub(crate) fn end(head: &mut Text<'_>, kind: &[u8], len: u64) {
    head.str("Content-Type: ")
        .bytes(kind)
        .str(mime::charset(kind))
        .str("\r\nContent-Length: ")
        .decimal(len)
        .str("\r\n\r\n");
}

/// Ends a head with a small page that tells people the status, and writes the page.
pub(crate) fn end_with_page(head: &mut Text<'_>, page: &mut Text<'_>, status: Status) {
    page.str("<!DOCTYPE html>\n<title>").bytes(status.line());
    page.str("</title>\n<h1>").bytes(status.line()).str("</h1>\n");
    end(head, b"text/html", page.as_bytes().len() as u64);
}

/// The field `Location`, of these parts of a URI.
pub(crate) fn location(head: &mut Text<'_>, parts: &[&[u8]]) {
    head.str("Location: ");
    parts.iter().for_each(|part| escape(head, part));
    head.str("\r\n");
}

/// Where a directory is that was asked for without its slash.
///
/// It is relative to the target, so that a proxy in front may have changed scheme, host and prefix; and it begins with
/// `./`, so that neither `//host` nor `scheme:` can come of it whatever the target was.
pub(crate) fn with_slash<'p>(path: &'p [u8], query: &'p [u8]) -> [&'p [u8]; 4] {
    let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or(&[]);
    [b"./", name, b"/", query]
}

/// Escapes what a URI cannot hold, and leaves escapes as they are.
fn escape(head: &mut Text<'_>, text: &[u8]) {
    for &byte in text {
        if byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{'..=b'}') {
            head.bytes(&[byte]);
        } else {
            head.str("%").digits(byte.into(), 16, 2);
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    #[test]
    fn locations_stay_on_the_host() {
        for (path, query, expect) in [
            ("/sub", "", "./sub/"),
            ("/sub", "?a=b&c", "./sub/?a=b&c"),
            ("/a/sub", "?", "./sub/?"),
            ("//evil.example", "", "./evil.example/"),
            ("/x//evil.example", "", "./evil.example/"),
            ("/javascript:x", "", "./javascript:x/"),
            ("/a%2f%0d", "", "./a%2f%0d/"),
            ("/\\evil", "?\"<é", "./%5cevil/?%22%3c%c3%a9"),
        ] {
            let mut space = [0; 128];
            let mut head = Text::new(&mut space);
            location(&mut head, &with_slash(path.as_bytes(), query.as_bytes()));
            assert_eq!(head.as_bytes(), std::format!("Location: {expect}\r\n").as_bytes());
        }
    }

    #[test]
    fn every_page_fits() {
        let (mut head, mut page) = ([0; HEAD], [0; PAGE]);
        let (mut head, mut page) = (Text::new(&mut head), Text::new(&mut page));
        begin(
            &mut head,
            Status::HeadTooLarge.line(),
            &[b'x'; 29],
            Persistence { keep: true, minor: 0 },
            &Settings::default(),
        );
        end_with_page(&mut head, &mut page, Status::HeadTooLarge);
        assert!(!page.is_cut() && !head.is_cut());
    }
}
