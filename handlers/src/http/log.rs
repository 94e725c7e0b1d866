//! Access lines: one for each answer, in one write, in the form that the reader of the log wants.

use connection::Connection;

use super::request::Request;
use crate::date::{CLF, Date, RFC_3339};
use crate::options::{Invalid, Opt};
use crate::text::same;
use crate::{Text, lines};

/// The form of access lines.
pub(crate) const LOG_FORMAT: Opt =
    Opt::new("log-format|FORMAT|common|Of access lines: common (and the seconds it took), combined, fnord or json");

/// Longest line in the common form, and in any other. Below PIPE_BUF, so that the lines of many processes do not mix.
const SHORT: usize = 1024;
const LONG: usize = 2560;
/// What of a line is not the request, at most.
const REST: usize = 160;

/// A form of access lines: each letter behind a `%` stands for a part, see [`part`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogFormat {
    line: &'static str,
    escape: Escape,
}

/// How bytes are written that could be mistaken for what they are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Escape {
    /// `\x22`, as Apache does.
    Hex,
    /// `_`, as fnord does: a space ends a field.
    Underscore,
    /// `\u0022`.
    Json,
}

/// The common log format, with the seconds that the answer took behind it.
const COMMON: LogFormat = LogFormat { line: "%h - %u [%t] \"%r\" %s %b %d\n", escape: Escape::Hex };
/// The same with the fields that name the page before and the program, and no seconds.
const COMBINED: LogFormat = LogFormat { line: "%h - %u [%t] \"%r\" %s %b \"%R\" \"%A\"\n", escape: Escape::Hex };
/// `ip code size host agent referer url`.
const FNORD: LogFormat = LogFormat { line: "%h %s %b %H %A %R %U\n", escape: Escape::Underscore };
/// One object for each line.
const JSON: LogFormat = LogFormat {
    line: "{\"time\":\"%T\",\"client\":\"%h\",\"user\":\"%u\",\"host\":\"%H\",\"request\":\"%r\",\"status\":%s,\
\"bytes\":%b,\"seconds\":%d,\"referer\":\"%R\",\"agent\":\"%A\"}\n",
    escape: Escape::Json,
};

impl Default for LogFormat {
    fn default() -> Self {
        COMMON
    }
}

impl LogFormat {
    /// The form of that name.
    pub(crate) fn parse(name: &[u8]) -> Result<LogFormat, Invalid> {
        match name {
            b"common" => Ok(COMMON),
            b"combined" => Ok(COMBINED),
            b"fnord" => Ok(FNORD),
            b"json" => Ok(JSON),
            _ => Err(Invalid { reason: "must be common, combined, fnord or json" }),
        }
    }
}

/// One response, after the fact.
pub(crate) struct Entry<'a> {
    /// What was asked; `None` when what came was no request.
    pub(crate) request: Option<&'a Request<'a>>,
    /// Who the client has proved to be; empty for nobody.
    pub(crate) user: &'a [u8],
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
pub(crate) fn access(connection: &Connection<'_>, form: LogFormat, entry: &Entry<'_>) {
    if connection.log.is_none() {
        return;
    }
    if form == COMMON {
        write::<SHORT>(connection, form, entry);
    } else {
        write::<LONG>(connection, form, entry);
    }
}

// A frame for each length: a process that writes short lines does not touch the pages of long ones.
#[inline(never)]
fn write<const LINE: usize>(connection: &Connection<'_>, form: LogFormat, entry: &Entry<'_>) {
    let mut space = [0; LINE];
    let mut line = Text::new(&mut space);
    format(&mut line, form, connection.peer.ip(), entry);
    lines::log(connection, line.as_bytes());
}

/// Says what went wrong on our side, and with which file.
#[cold]
pub(crate) fn warn(connection: &Connection<'_>, what: &[u8], path: &[u8]) {
    if connection.log.is_some() {
        let mut space = [0; SHORT];
        let mut line = Text::new(&mut space);
        line.str("http: warning: ").bytes(what).str(": ");
        clean(&mut line, Escape::Hex, path, SHORT - REST);
        line.str("\n");
        lines::log(connection, line.as_bytes());
    }
}

fn format(line: &mut Text<'_>, form: LogFormat, ip: &[u8], entry: &Entry<'_>) {
    let mut pieces = form.line.as_bytes().split(|&byte| byte == b'%');
    line.bytes(pieces.next().unwrap_or_default());
    for (letter, behind) in pieces.filter_map(<[u8]>::split_first) {
        part(line, form.escape, *letter, ip, entry);
        line.bytes(behind);
    }
}

/// Writes what a letter stands for.
#[inline(never)]
fn part(line: &mut Text<'_>, escape: Escape, letter: u8, ip: &[u8], entry: &Entry<'_>) {
    let field = |name: &[u8]| {
        let found = entry.request.and_then(|request| request.fields().find(|(other, _)| same(other, name)));
        found.map_or(&b""[..], |(_, value)| value)
    };
    let date = Date::from_unix(entry.now);
    let (text, most) = match letter {
        b's' | b'b' => {
            line.decimal(if letter == b's' { entry.status.into() } else { entry.bytes });
            return;
        }
        b'd' => {
            line.decimal(entry.micros / 1_000_000).str(".").digits(entry.micros % 1_000_000, 10, 6);
            return;
        }
        b't' => return date.write(line, &CLF),
        b'T' => return date.write(line, &RFC_3339),
        b'h' => (ip, 64),
        b'u' => (entry.user, 64),
        b'H' => (entry.request.map_or(&b""[..], |request| request.host), 200),
        b'R' => (field(b"referer"), 400),
        b'A' => (field(b"user-agent"), 400),
        b'U' => (entry.request.map_or(&b""[..], Request::target), SHORT - REST),
        _ => (entry.request.map_or(&b""[..], |request| request.line), SHORT - REST),
    };
    clean(line, escape, if text.is_empty() { b"-" } else { text }, most);
}

/// What came from the wire: control characters, what is not ASCII, quotes and backslashes escaped; at most so many bytes.
fn clean(line: &mut Text<'_>, escape: Escape, text: &[u8], most: usize) {
    let is_plain = |byte: u8| matches!(byte, b'!'..=b'~') && byte != b'"' && byte != b'\\';
    let is_plain = |byte: u8| is_plain(byte) || byte == b' ' && escape != Escape::Underscore;
    let end = line.room().saturating_sub(most);
    for run in text.chunk_by(|&byte, &next| is_plain(byte) && is_plain(next)) {
        let room = line.room().saturating_sub(end);
        match (escape, run) {
            (_, [byte]) if !is_plain(*byte) && room < 6 => return,
            (Escape::Hex, [byte]) if !is_plain(*byte) => line.str("\\x").digits((*byte).into(), 16, 2),
            (Escape::Json, [byte]) if !is_plain(*byte) => line.str("\\u").digits((*byte).into(), 16, 4),
            (Escape::Underscore, [byte]) if !is_plain(*byte) => line.str("_"),
            _ => line.bytes(run.get(..room).unwrap_or(run)),
        };
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::http::request;
    use std::string::String;
    use std::vec::Vec;

    fn line(form: LogFormat, target: &[u8], fields: &[u8]) -> String {
        let head = [&b"GET "[..], target, b" HTTP/1.1\r\nHost: h\r\n", fields, b"\r\n"].concat();
        let Ok(request) = request::parse(&head) else { panic!("{}", String::from_utf8_lossy(&head)) };
        let entry = Entry {
            request: Some(&request),
            user: b"",
            status: 200,
            bytes: 512,
            micros: 1_000_123,
            now: 1_795_293_068,
        };
        text(form, &entry)
    }

    fn text(form: LogFormat, entry: &Entry<'_>) -> String {
        let mut space = [0; LONG];
        let len = if form == COMMON { SHORT } else { LONG };
        let mut line = Text::new(&mut space[..len]);
        format(&mut line, form, b"192.0.2.1", entry);
        assert!(!line.is_cut());
        String::from_utf8(line.as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn lines() {
        const DATE: &str = "21/Nov/2026:20:31:08 +0000";
        let fields = b"Referer: http://a/ \"\r\nUser-Agent: b c\\\xff\r\n";
        for (form, expect) in [
            ("common", std::format!("192.0.2.1 - - [{DATE}] \"GET /\\x22x HTTP/1.1\" 200 512 1.000123\n")),
            (
                "combined",
                std::format!(
                    "192.0.2.1 - - [{DATE}] \"GET /\\x22x HTTP/1.1\" 200 512 \"http://a/ \\x22\" \"b c\\x5c\\xff\"\n"
                ),
            ),
            ("fnord", "192.0.2.1 200 512 h b_c__ http://a/__ /_x\n".into()),
            (
                "json",
                "{\"time\":\"2026-11-21T20:31:08Z\",\"client\":\"192.0.2.1\",\"user\":\"-\",\"host\":\"h\",\
                 \"request\":\"GET /\\u0022x HTTP/1.1\",\"status\":200,\"bytes\":512,\"seconds\":1.000123,\
                 \"referer\":\"http://a/ \\u0022\",\"agent\":\"b c\\u005c\\u00ff\"}\n"
                    .into(),
            ),
        ] {
            let form = LogFormat::parse(form.as_bytes()).unwrap();
            assert_eq!(line(form, b"/\"x", fields), expect);
        }
        let entry = Entry { request: None, user: b"me", status: 400, bytes: 0, micros: 0, now: 0 };
        assert!(text(COMBINED, &entry).ends_with("\"-\" 400 0 \"-\" \"-\"\n"));
        assert!(text(COMMON, &entry).starts_with("192.0.2.1 - me ["));
        assert!(LogFormat::parse(b"x").is_err());
    }

    /// Whatever comes, and however long: one line, its end intact.
    #[test]
    fn long_requests_are_cut() {
        for (form, end, quotes) in
            [(COMMON, "\" 200 512 1.000123\n", 2), (COMBINED, "\"\n", 6), (FNORD, "\n", 0), (JSON, "\"}\n", 34)]
        {
            for byte in [b'a', 0xff, b'"', b'\\'] {
                for len in (1..64).chain(350..420).chain(840..900).chain([3000]) {
                    let long: Vec<u8> = std::vec![byte; len];
                    let fields = [&b"Referer: "[..], &long, b"\r\nUser-Agent: ", &long, b"\r\n"].concat();
                    // A target is text, if not ASCII.
                    let target = std::format!("/{}", String::from_utf8(long).unwrap_or_else(|_| "\u{ff}".repeat(len)));
                    let line = line(form, target.as_bytes(), &fields);
                    assert!(line.ends_with(end), "{len} {line:?}");
                    assert_eq!(line.matches('\n').count(), 1);
                    assert_eq!(line.matches('"').count(), quotes, "{line}");
                }
            }
        }
    }
}
