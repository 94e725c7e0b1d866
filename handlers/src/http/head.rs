//! The syntax of a request head: lines, the request line, fields (RFC 9112 sections 2 to 5).
//!
//! It is as strict as those sections allow. Two programs that read one head differently are how a request is smuggled
//! past the first of them, so whatever is doubtful is no head: a bare CR, a NUL or another control character, white space
//! before a colon, a folded line, a name that is not a token.
//!
//! Own code, because httparse, fast as it is, is a tenth of a freestanding executable. It is the reference in the tests.

use super::status::Status;

/// What bytes are that are no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoRequest {
    /// The beginning of a head.
    Partial,
    /// Nothing that can be understood.
    Malformed(Status),
}

/// There is a byte that cannot be there, or something is missing.
pub(crate) const BAD: NoRequest = NoRequest::Malformed(Status::BadRequest);

/// The bytes of a token (RFC 9110 section 5.6.2), a bit for each byte.
const TOKEN: [u32; 8] = {
    let mut set = [0; 8];
    let mut byte = 0;
    while byte < 128u8 {
        let other = matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~');
        if other || byte.is_ascii_alphanumeric() {
            set[(byte >> 5) as usize] |= 1 << (byte & 31);
        }
        byte += 1;
    }
    set
};

/// Takes the first line off `bytes`; it ends with LF or CRLF, which is left out.
///
/// # Errors
/// See [`NoRequest`]; what is malformed is so before the line has ended.
#[inline(never)]
pub(crate) fn line<'b>(bytes: &mut &'b [u8]) -> Result<&'b [u8], NoRequest> {
    let mut at = 0;
    // Eight bytes at a time while they are plain text, as most are.
    while let Some(eight) = bytes.get(at..).and_then(|rest| rest.first_chunk()).filter(|eight| is_text(**eight)) {
        at += eight.len();
    }
    while let Some(&byte) = bytes.get(at) {
        let behind = bytes.get(at + 1..).unwrap_or_default();
        match byte {
            b'\n' => {
                let line = bytes.get(..at).unwrap_or_default();
                *bytes = behind;
                return Ok(line.strip_suffix(b"\r").unwrap_or(line));
            }
            b'\r' if matches!(behind, [] | [b'\n', ..]) => {}
            b'\t' | b' '..=b'~' | 0x80.. => {}
            _ => return Err(BAD),
        }
        at += 1;
    }
    Err(NoRequest::Partial)
}

/// None of eight bytes is a control character: none is below 0x20, none is 0x7f. Where one of them is beyond ASCII the
/// answer may be no.
fn is_text(eight: [u8; 8]) -> bool {
    const ONES: u64 = u64::MAX / 0xff;
    let bytes = u64::from_le_bytes(eight);
    // A byte's high bit is borrowed if it is below 0x20, and carried into if it is 0x7f.
    (bytes | bytes.wrapping_sub(ONES * 0x20) | bytes.wrapping_add(ONES)) & (ONES * 0x80) == 0
}

/// The three parts of a request line, with one space between each two: method, target and version.
#[inline(never)]
pub(crate) fn request_line(line: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let mut parts = line.split(|&byte| byte == b' ');
    let (method, target, version) = (parts.next()?, parts.next()?, parts.next()?);
    let one_each = parts.next().is_none() && !method.is_empty() && !target.is_empty();
    (one_each && method.iter().all(is_token) && !target.contains(&b'\t')).then_some((method, target, version))
}

/// Name and value of a field; the value without the white space around it.
#[inline(never)]
pub(crate) fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|byte| !is_token(byte))?;
    let (name, rest) = line.split_at_checked(colon)?;
    let value = rest.strip_prefix(b":")?;
    (colon > 0).then_some((name, value.trim_ascii()))
}

#[inline(always)]
fn is_token(byte: &u8) -> bool {
    TOKEN.get(usize::from(byte >> 5)).is_some_and(|bits| bits >> (byte & 31) & 1 == 1)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    fn lines(text: &[u8]) -> std::vec::Vec<Result<&[u8], NoRequest>> {
        let mut rest = text;
        let mut lines = std::vec::Vec::new();
        loop {
            lines.push(line(&mut rest));
            if lines.last().is_some_and(Result::is_err) {
                return lines;
            }
        }
    }

    #[test]
    fn lines_end_with_lf_or_crlf() {
        let partial = Err(NoRequest::Partial);
        assert_eq!(lines(b""), [partial]);
        assert_eq!(lines(b"a\r"), [partial]);
        assert_eq!(lines(b"a\r\n\nb\nc"), [Ok(&b"a"[..]), Ok(b""), Ok(b"b"), partial]);
        assert_eq!(lines("0123456789\t\u{e9}\r\n\r\n".as_bytes())[..2], [Ok("0123456789\t\u{e9}".as_bytes()), Ok(b"")]);
    }

    /// A byte that no line may have is found wherever it stands, and no other.
    #[test]
    fn control_characters_are_found_at_each_place() {
        for byte in 0..=255u8 {
            let allowed = byte == b'\t' || byte == b'\n' || (byte >= b' ' && byte != 0x7f);
            for place in 0..20 {
                for filler in [b'a', 0xff, b' ', b'~'] {
                    let mut text = [filler; 22];
                    text[place] = byte;
                    let found = lines(&text).contains(&Err(BAD));
                    assert_eq!(found, !allowed, "{byte} at {place}");
                }
            }
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
