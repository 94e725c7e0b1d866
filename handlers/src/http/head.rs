//! The syntax of a request head (RFC 9112 sections 2 to 5), which httparse takes apart.
//!
//! Two programs that read one head differently are how a request is smuggled past the first of them, so whatever is
//! doubtful is no head: a bare CR, a NUL or another control character, white space before a colon, a folded line, a name
//! that is not a token. httparse refuses all of that, each at the byte that is wrong; what it leaves to us is which
//! versions there are.

use core::mem::MaybeUninit;

use httparse::{EMPTY_HEADER, Error, Header, Request, Status as Read};

use super::status::Status;

/// A head with more fields than this is too large. A frame that holds them is still less than a page.
pub(crate) const MOST: usize = 120;

/// What bytes are that are no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoRequest {
    /// The beginning of a head.
    Partial,
    /// Nothing that can be understood.
    Malformed(Status),
}

/// There is a byte that cannot be there, or something is missing.
const BAD: NoRequest = NoRequest::Malformed(Status::BadRequest);

/// A head, taken apart.
pub(crate) struct Head<'h, 'b> {
    /// Its length in bytes.
    pub(crate) len: usize,
    /// The request line without its end.
    pub(crate) line: &'b [u8],
    pub(crate) method: &'b [u8],
    pub(crate) target: &'b [u8],
    /// 0 for HTTP/1.0, 1 for HTTP/1.1 and what is answered like it.
    pub(crate) minor: u8,
    /// In their order; values without the white space around them.
    pub(crate) fields: &'h [Header<'b>],
}

/// Reads a head from the beginning of `bytes`, and has it taken over: the space for its fields is gone afterwards.
///
/// # Errors
/// See [`NoRequest`]; what is malformed is so before its line has ended, and an empty line in front is malformed.
#[inline(never)]
pub(crate) fn read<'b>(bytes: &'b [u8], take: &mut dyn FnMut(Head<'_, 'b>)) -> Result<(), NoRequest> {
    // httparse would skip them.
    if matches!(bytes, [b'\n', ..] | [b'\r', b'\n', ..]) {
        return Err(BAD);
    }
    let mut space = [const { MaybeUninit::uninit() }; MOST];
    let mut request = Request::new(&mut []);
    let end = request.parse_with_uninit_headers(bytes, &mut space);
    let method = request.method.unwrap_or_default().as_bytes();
    let target = request.path.unwrap_or_default().as_bytes();
    match end {
        Ok(Read::Complete(len)) => {
            // One space behind each: httparse allows no other.
            let line = bytes.get(..method.len() + target.len() + 2 + VERSION).unwrap_or_default();
            let minor = request.version.unwrap_or_default();
            take(Head { len, line, method, target, minor, fields: request.headers });
            Ok(())
        }
        Err(Error::Version) => read_later(bytes, method, target, take),
        Ok(Read::Partial) => Err(NoRequest::Partial),
        Err(error) => Err(fault(error)),
    }
}

/// The length of a version: `HTTP/1.1`.
const VERSION: usize = 8;

/// Reads what httparse knows no version of: HTTP/1.2 and its like are answered as HTTP/1.1 (RFC 9110 section 2.5).
#[inline(never)]
fn read_later<'b>(
    bytes: &'b [u8],
    method: &'b [u8],
    target: &'b [u8],
    take: &mut dyn FnMut(Head<'_, 'b>),
) -> Result<(), NoRequest> {
    let at = method.len() + target.len() + 2;
    let rest = bytes.get(at..).unwrap_or_default();
    let Some(end) = rest.iter().take(VERSION + 2).position(|&byte| byte == b'\n') else {
        return Err(if rest.len() < VERSION + 2 { NoRequest::Partial } else { BAD });
    };
    let (version, behind) = rest.split_at_checked(end + 1).unwrap_or_default();
    let version = version.strip_suffix(b"\n").unwrap_or_default();
    match version.strip_suffix(b"\r").unwrap_or(version).strip_prefix(b"HTTP/") {
        Some([b'1', b'.', b'2'..=b'9']) => {}
        Some([b'0' | b'2'..=b'9'] | [b'0' | b'2'..=b'9', b'.', b'0'..=b'9']) => {
            return Err(NoRequest::Malformed(Status::VersionNotSupported));
        }
        _ => return Err(BAD),
    }
    let mut space = [EMPTY_HEADER; MOST];
    match httparse::parse_headers(behind, &mut space) {
        Ok(Read::Complete((len, fields))) => {
            let line = bytes.get(..at + VERSION).unwrap_or_default();
            take(Head { len: at + end + 1 + len, line, method, target, minor: 1, fields });
            Ok(())
        }
        Ok(Read::Partial) => Err(NoRequest::Partial),
        Err(error) => Err(fault(error)),
    }
}

fn fault(error: Error) -> NoRequest {
    if error == Error::TooManyHeaders { NoRequest::Malformed(Status::HeadTooLarge) } else { BAD }
}

/// Name and value of a field's line; the value without the white space around it.
#[inline(never)]
pub(crate) fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|byte| !is_token(byte))?;
    let (name, rest) = line.split_at_checked(colon)?;
    let value = rest.strip_prefix(b":")?;
    (colon > 0).then_some((name, value.trim_ascii()))
}

/// The bytes of a token (RFC 9110 section 5.6.2).
fn is_token(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    fn read_whole(bytes: &[u8]) -> Result<usize, NoRequest> {
        let mut found = 0;
        read(bytes, &mut |head| found = head.len).map(|()| found)
    }

    /// A byte that a part may not have is found at each place in it, at once and not when its line ends; no other is.
    #[test]
    fn bytes_that_cannot_be_there_are_found_at_each_place() {
        /// What stands before a part, what may stand in it, and what ends it.
        type Part = (&'static [u8], fn(u8) -> bool, &'static [u8]);
        let parts: [Part; 3] = [
            (b"", |byte| is_token(&byte), b" "),
            (b"GET / HTTP/1.1\r\n", |byte| is_token(&byte), b":"),
            (b"GET / HTTP/1.1\r\nX:", |byte| matches!(byte, b'\t' | b' '..=b'~' | 0x80..), b"\r\n"),
        ];
        for (before, allowed, ends) in parts {
            for byte in 0..=255u8 {
                for place in 0..20 {
                    // What ends a part ends no empty one.
                    if ends.contains(&byte) && (place > 0 || ends == b"\r\n") {
                        continue;
                    }
                    let mut text = before.to_vec();
                    text.resize(before.len() + place, b'a');
                    text.extend([byte]);
                    // A line feed ends an empty line in front, and the head instead of a name.
                    if place == 0 && matches!(byte, b'\r' | b'\n') {
                        continue;
                    }
                    let expect = if allowed(byte) { NoRequest::Partial } else { BAD };
                    assert_eq!(read_whole(&text), Err(expect), "{byte} at {place} behind {before:?}");
                }
            }
        }
    }

    #[test]
    fn versions_that_come_later_are_read_alike() {
        for line in ["GET / HTTP/1.1\r\n", "GET / HTTP/1.2\r\n", "GET / HTTP/1.9\n"] {
            let text = std::format!("{line}A: b\r\nC:\td \n\r\nbehind");
            let mut seen = 0;
            let read = read(text.as_bytes(), &mut |head| {
                seen += 1;
                assert_eq!((head.len, head.line, head.minor), (text.len() - 6, line.trim_ascii_end().as_bytes(), 1));
                assert_eq!((head.method, head.target), (&b"GET"[..], &b"/"[..]));
                let fields: std::vec::Vec<(&str, &[u8])> = head.fields.iter().map(|f| (f.name, f.value)).collect();
                assert_eq!(fields, [("A", &b"b"[..]), ("C", b"d")]);
            });
            assert_eq!((read, seen), (Ok(()), 1));
            for len in 0..text.len() - 6 {
                assert_eq!(read_whole(&text.as_bytes()[..len]), Err(NoRequest::Partial), "{len} of {text:?}");
            }
        }
    }

    #[test]
    fn there_are_so_many_fields_and_no_more() {
        for version in ["HTTP/1.1", "HTTP/1.2"] {
            let head = |count| std::format!("GET / {version}\r\n{}\r\n", "a:\n".repeat(count));
            assert_eq!(read_whole(head(MOST).as_bytes()), Ok(head(MOST).len()));
            let many = Err(NoRequest::Malformed(Status::HeadTooLarge));
            assert_eq!(read_whole(head(MOST + 1).as_bytes()), many);
        }
    }

    #[test]
    fn tokens() {
        for byte in 0..=255u8 {
            let expect = byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            assert_eq!(is_token(&byte), expect, "{byte}");
        }
    }

    #[test]
    fn fields() {
        for (line, expect) in [
            (&b"a: b"[..], Some((&b"a"[..], &b"b"[..]))),
            (b"a:\t b c \t", Some((b"a", b"b c"))),
            (b"a:", Some((b"a", b""))),
            (b"a:b:c", Some((b"a", b"b:c"))),
            (b"a", None),
            (b"", None),
            (b":", None),
            (b" a: b", None),
            (b"a : b", None),
            (b"a b: c", None),
            (b"a\xff: b", None),
        ] {
            assert_eq!(field(line), expect);
        }
    }
}
