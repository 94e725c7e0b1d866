//! The head of a script's answer (RFC 3875 section 6.3).

use crate::Text;
use crate::options::decimal;
use crate::text::{same, words};

/// Fields that the server decides on: they say how this connection goes on, or stand in the head already. What a script
/// may say once (RFC 3875 section 6.3) stands there once, whatever it wrote: where it is there again, that counts.
const OURS: &[u8] =
    b"status content-length connection keep-alive proxy-connection te trailer transfer-encoding upgrade \
date content-type location";

/// Why there is no head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoHead {
    /// It may be one when more has come.
    Partial,
    /// It is none: what is wrong with it.
    Bad(&'static str),
}

/// What a script says before the body.
#[derive(Debug)]
pub(crate) struct Head<'h> {
    /// Its length with the empty line.
    pub(crate) len: usize,
    /// The status that it asks for.
    pub(crate) code: Option<u16>,
    /// Code and reason as it wrote them.
    pub(crate) line: &'h [u8],
    /// Where the answer is instead; empty if it is here.
    pub(crate) location: &'h [u8],
    /// How long it says that the body is.
    pub(crate) length: Option<u64>,
    /// What kind of body follows; `None` if it does not say.
    pub(crate) kind: Option<&'h [u8]>,
    fields: &'h [u8],
}

impl Head<'_> {
    /// Writes the fields that go to the client.
    pub(crate) fn write(&self, to: &mut Text<'_>) {
        if let Some(kind) = self.kind {
            to.str("Content-Type: ").bytes(kind).str("\r\n");
        }
        if !self.location.is_empty() {
            to.str("Location: ").bytes(self.location).str("\r\n");
        }
        for (name, value) in lines(self.fields).filter_map(field) {
            if !words(OURS).any(|ours| same(ours, name)) {
                to.bytes(name).str(": ").bytes(value).str("\r\n");
            }
        }
    }
}

/// Lines, with or without a CR at their ends.
fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split_inclusive(|&byte| byte == b'\n').map(|line| {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        line.strip_suffix(b"\r").unwrap_or(line)
    })
}

/// A line's name and value; `None` when it is no field.
fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let (name, value) = line.split_at_checked(line.iter().position(|&byte| byte == b':')?)?;
    let value = value.get(1..)?.trim_ascii();
    let is_token = |&byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let is_text = |&byte: &u8| byte >= b' ' && byte != 0x7f || byte == b'\t';
    (!name.is_empty() && name.iter().all(is_token) && value.iter().all(is_text)).then_some((name, value))
}

/// Reads a head from the beginning of what a script wrote.
#[inline(never)]
pub(crate) fn parse(bytes: &[u8]) -> Result<Head<'_>, NoHead> {
    let mut head = Head { len: 0, code: None, line: b"", location: b"", length: None, kind: None, fields: b"" };
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        if !line.ends_with(b"\n") {
            return Err(NoHead::Partial);
        }
        let start = head.len;
        head.len += line.len();
        if line == b"\n" || line == b"\r\n" {
            head.fields = bytes.get(..start).unwrap_or_default();
            let is_head = head.kind.is_some() || head.code.is_some() || !head.location.is_empty();
            return if is_head { Ok(head) } else { Err(NoHead::Bad("no Content-Type, Location or Status")) };
        }
        let (name, value) = lines(line).next().and_then(field).ok_or(NoHead::Bad("a line of its head is no field"))?;
        if same(name, b"status") {
            (head.code, head.line) = (Some(code(value).ok_or(NoHead::Bad("its Status is none"))?), value);
        } else if same(name, b"location") {
            head.location = value;
        } else if same(name, b"content-type") {
            head.kind = Some(value);
        } else if same(name, b"content-length") {
            let length = decimal(value).filter(|&length| head.length.is_none_or(|other| other == length));
            head.length = Some(length.ok_or(NoHead::Bad("its Content-Length is none"))?);
        }
    }
    Err(NoHead::Partial)
}

/// The code of a status: three digits and, behind a space, a reason. One below 200 would not be the answer.
fn code(value: &[u8]) -> Option<u16> {
    let (digits, reason) = value.split_at_checked(3)?;
    let code = decimal(digits).filter(|code| (200..600).contains(code))?;
    (reason.is_empty() || reason.starts_with(b" ")).then_some(code as u16)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::{String, ToString};

    fn summary(text: &str) -> String {
        match parse(text.as_bytes()) {
            Err(NoHead::Partial) => "partial".to_string(),
            Err(NoHead::Bad(_)) => "bad".to_string(),
            Ok(head) => {
                let mut space = [0; 256];
                let mut to = Text::new(&mut space);
                head.write(&mut to);
                std::format!(
                    "{} {} {:?} [{}] {}",
                    head.code.unwrap_or(0),
                    String::from_utf8_lossy(head.location),
                    head.length,
                    String::from_utf8_lossy(to.as_bytes()).replace("\r\n", "|"),
                    head.len
                )
            }
        }
    }

    #[test]
    fn heads() {
        for (text, expect) in [
            ("Content-Type: text/plain\n\nbody", "0  None [Content-Type: text/plain|] 26"),
            ("content-type:a/b\r\n\r\n", "0  None [Content-Type: a/b|] 20"),
            ("Status: 404 Gone fishing\nX-Y: z \n\n", "404  None [X-Y: z|] 34"),
            ("Status: 299\n\n", "299  None [] 13"),
            ("Location: /x?y\n\n", "0 /x?y None [Location: /x?y|] 16"),
            ("Content-Type: a/b\nContent-Length: 3\n\n", "0  Some(3) [Content-Type: a/b|] 37"),
            (
                "Content-Type: a/b\nConnection: close\nDate: now\nTransfer-Encoding: x\n\n",
                "0  None [Content-Type: a/b|] 68",
            ),
            (
                "X: 1\nContent-Type: a/b\nLocation: c\nX: 2\ncontent-type: d\nlocation: e\nStatus: 301\nStatus: 302 F\n\n",
                "302 e None [Content-Type: d|Location: e|X: 1|X: 2|] 95",
            ),
            ("Content-Type: a/b\n", "partial"),
            ("Content-Type", "partial"),
            ("", "partial"),
            ("\n", "bad"),
            ("X: y\n\n", "bad"),
            ("hello\n\n", "bad"),
            ("Content-Type: a\0b\n\n", "bad"),
            ("Content-Type: a\rb\n\n", "bad"),
            ("Content Type: a\n\n", "bad"),
            (": a\n\n", "bad"),
            (" X: a\n\n", "bad"),
            ("Status: 100 Continue\n\n", "bad"),
            ("Status: 2000\n\n", "bad"),
            ("Status: OK\n\n", "bad"),
            ("Status: 20\n\n", "bad"),
            ("Status:\n\n", "bad"),
            ("Content-Type: a\nContent-Length: -1\n\n", "bad"),
            ("Content-Type: a\nContent-Length: 1\nContent-Length: 2\n\n", "bad"),
        ] {
            assert_eq!(summary(text), expect, "{text:?}");
        }
    }
}
