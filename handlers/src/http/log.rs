//! Access lines: the Common Log Format, and the duration in seconds behind it.

use connection::Connection;

use crate::date::{CLF, Date};
use crate::{Text, io};

/// Longest line. Below PIPE_BUF, so that the lines of many processes do not mix.
const LINE: usize = 1024;
/// What is kept free behind the request: status, bytes, duration.
const TAIL: usize = 80;

/// One response, after the fact.
pub(crate) struct Entry<'a> {
    /// The request line as it came; empty when what came was none.
    pub(crate) request: &'a [u8],
    /// The status that was answered.
    pub(crate) status: u16,
    /// Bytes of the body that were really sent.
    pub(crate) bytes: u64,
    /// From the request's first byte to now, in microseconds.
    pub(crate) micros: u64,
    /// The date of the answer, in seconds since 1970.
    pub(crate) now: i64,
}

/// Writes the line, if a log is wanted.
pub(crate) fn access(connection: &Connection<'_>, entry: &Entry<'_>) {
    if let Some(fd) = connection.log {
        let mut space = [0; LINE];
        let mut line = Text::new(&mut space);
        format(&mut line, connection.peer.ip(), entry);
        io::log(fd, line.as_bytes());
    }
}

/// Says what went wrong on our side, and with which file.
#[cold]
pub(crate) fn warn(connection: &Connection<'_>, what: &str, path: &[u8]) {
    if let Some(fd) = connection.log {
        let mut space = [0; LINE];
        let mut line = Text::new(&mut space);
        line.str("http: warning: ").str(what).str(": ");
        clean(&mut line, path, 1);
        line.str("\n");
        io::log(fd, line.as_bytes());
    }
}

fn format(line: &mut Text<'_>, ip: &[u8], entry: &Entry<'_>) {
    line.bytes(if ip.is_empty() { b"-" } else { ip }).str(" - - [");
    Date::from_unix(entry.now).write(line, &CLF);
    line.str("] \"");
    if entry.request.is_empty() {
        line.str("-");
    }
    clean(line, entry.request, TAIL);
    line.str("\" ").decimal(entry.status.into()).str(" ").decimal(entry.bytes).str(" ");
    line.decimal(entry.micros / 1_000_000).str(".").digits(entry.micros % 1_000_000, 10, 6).str("\n");
}

/// What came from the wire: control characters, what is not ASCII, quotes and backslashes escaped, and cut where `keep`
/// bytes must stay free.
fn clean(line: &mut Text<'_>, text: &[u8], keep: usize) {
    for run in text.chunk_by(|&byte, &next| is_plain(byte) && is_plain(next)) {
        let room = line.room().saturating_sub(keep);
        match *run {
            [byte] if !is_plain(byte) && room < 4 => return,
            [byte] if !is_plain(byte) => line.str("\\x").digits(byte.into(), 16, 2),
            _ => line.bytes(run.get(..room).unwrap_or(run)),
        };
    }
}

fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::String;
    use std::vec;

    fn line(request: &[u8]) -> String {
        let entry = Entry { request, status: 200, bytes: 512, micros: 1_000_123, now: 1_795_293_068 };
        let mut space = [0; LINE];
        let mut line = Text::new(&mut space);
        format(&mut line, b"192.0.2.1", &entry);
        String::from_utf8(line.as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn lines() {
        for (request, expect) in [
            ("GET /x HTTP/1.1", "GET /x HTTP/1.1"),
            ("", "-"),
            ("GET /\"\\ HTTP/1.1", "GET /\\x22\\x5c HTTP/1.1"),
            ("GET /\x1b[2Jé\x7f", "GET /\\x1b[2J\\xc3\\xa9\\x7f"),
            ("\r\n", "\\x0d\\x0a"),
        ] {
            let expect = std::format!("192.0.2.1 - - [21/Nov/2026:20:31:08 +0000] \"{expect}\" 200 512 1.000123\n");
            assert_eq!(line(request.as_bytes()), expect);
        }
    }

    /// Whatever comes, and however long: one line, its end intact.
    #[test]
    fn long_requests_are_cut() {
        for byte in [b'a', b'\n', 0xff, b'"'] {
            for len in (0..64).chain(880..1100).chain([8192]) {
                for lead in 0..4 {
                    let mut request = vec![b'x'; lead];
                    request.resize(lead + len, byte);
                    let line = line(&request);
                    assert!(line.len() <= LINE && line.ends_with("\" 200 512 1.000123\n"), "{len} {line:?}");
                    assert_eq!(line.matches('\n').count(), 1);
                    assert_eq!(line.matches('"').count(), 2);
                }
            }
        }
    }
}
