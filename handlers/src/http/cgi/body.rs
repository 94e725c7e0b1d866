//! The body of a request, for a script: what came with the head, and what is still to come.

use rustix::fd::OwnedFd;
use rustix::fs::MemfdFlags;

use crate::http::request::{Field, Request};
use crate::http::status::Status;
use crate::io::{Read, Stream};
use crate::options::decimal;

/// The longest body without a length: it is gathered in memory, because a script is told the length before it begins.
const MOST: u64 = 16 << 20;

/// Go on: of no consequence to who does already.
pub(super) const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// A body, as far as it was not taken yet.
pub(crate) struct Body<'r> {
    /// Received and not taken.
    held: &'r [u8],
    /// How much was taken of what had been received with the head.
    pub(crate) taken: usize,
    /// How many bytes are to be taken still.
    pub(crate) left: u64,
    /// Its length; `None` when there is no body.
    pub(crate) len: Option<u64>,
    /// The client waits to be told that we want it (RFC 9110 section 10.1.1).
    expected: bool,
    /// Where the next request begins is known.
    pub(crate) framed: bool,
}

impl<'r> Body<'r> {
    /// The body of `request`.
    pub(crate) fn of(request: &Request<'r>) -> Body<'r> {
        let len = request.value(Field::ContentLength).and_then(decimal);
        let expected = request.minor == 1 && request.value(Field::Expect).is_some();
        Body { held: request.behind, taken: 0, left: len.unwrap_or(0), len, expected, framed: true }
    }

    /// Bytes that are there already.
    pub(crate) fn held(&self) -> &'r [u8] {
        let len = (self.held.len() as u64).min(self.left) as usize;
        self.held.get(..len).unwrap_or_default()
    }

    /// So many of [`Body::held`] were taken.
    pub(crate) fn took(&mut self, len: usize) {
        self.held = self.held.get(len..).unwrap_or_default();
        self.taken += len;
        self.left -= len as u64;
    }

    /// All of it was received: where the next request begins is known, whether the script takes the rest or not.
    pub(crate) fn is_in_hand(&self) -> bool {
        self.framed && self.left == self.held().len() as u64
    }

    /// How much of what had been received with the head was this body, now that the script has ended.
    pub(crate) fn consumed(&self) -> usize {
        self.taken + if self.is_in_hand() { self.held().len() } else { 0 }
    }

    /// Tells the client to go on, if it waits for that.
    pub(crate) fn invite(&mut self, stream: &Stream<'_>) {
        if self.expected && self.held.is_empty() {
            let _ = stream.send(CONTINUE, &[], false);
        }
        self.expected = false;
    }

    /// Reads all of a chunked body into memory that is a file, at its beginning.
    #[cold]
    #[inline(never)]
    pub(crate) fn gather(&mut self, stream: &Stream<'_>, silence: u32) -> Result<OwnedFd, Status> {
        let file = rustix::fs::memfd_create(c"body", MemfdFlags::CLOEXEC).map_err(|_| Status::ServiceUnavailable)?;
        let mut space = [0; 4096];
        let (mut chunks, mut len) = (Chunks::new(), 0);
        self.invite(stream);
        let (mut received, mut with_head) = (0, true);
        let mut end;
        loop {
            let mut rest = if with_head { self.held } else { space.get(..received).unwrap_or_default() };
            while let Some(data) = chunks.next(&mut rest) {
                if len + data.len() as u64 > MOST {
                    return Err(Status::ContentTooLarge);
                }
                if rustix::io::pwrite(&file, data, len) != Ok(data.len()) {
                    return Err(Status::ServiceUnavailable);
                }
                len += data.len() as u64;
            }
            if with_head {
                self.taken = self.held.len() - rest.len();
            }
            end = rest.is_empty();
            match chunks.state {
                State::End => break,
                State::Bad => return Err(Status::BadRequest),
                _ => {}
            }
            stream.host.alarm.allow(silence);
            match stream.read(&mut space, stream.in_seconds(silence)) {
                Read::Bytes(more) => (received, with_head) = (more, false),
                Read::Interrupted => (received, with_head) = (0, false),
                Read::TimedOut => return Err(Status::RequestTimeout),
                Read::End | Read::Broken => return Err(Status::BadRequest),
            }
        }
        // What was read here and lies behind the end would be lost.
        self.framed = with_head || end;
        self.len = Some(len);
        Ok(file)
    }
}

/// Where a chunked body stands (RFC 9112 section 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In the digits of a size; whether there was one.
    Size(u64, bool),
    /// Behind them, up to the line's end.
    Extension(u64),
    /// The line's CR was there.
    SizeEnd(u64),
    /// So many bytes of data are to come.
    Data(u64),
    /// The CR behind them, or the LF.
    DataEnd(u8),
    /// In a line behind the last chunk, of which so many bytes were seen.
    Trailer(u32),
    /// All was read.
    End,
    /// This is no chunked body.
    Bad,
}

/// A chunked body, taken apart.
struct Chunks {
    state: State,
    /// Bytes that are not data: they must not go on for ever.
    overhead: u32,
}

impl Chunks {
    fn new() -> Chunks {
        Chunks { state: State::Size(0, false), overhead: 0 }
    }

    /// The next piece of data in `input`, which begins behind it then.
    fn next<'i>(&mut self, input: &mut &'i [u8]) -> Option<&'i [u8]> {
        loop {
            if let State::Data(left) = self.state {
                let len = left.min(input.len() as u64) as usize;
                let (data, rest) = input.split_at_checked(len)?;
                *input = rest;
                self.state = if left == len as u64 { State::DataEnd(b'\r') } else { State::Data(left - len as u64) };
                return (len > 0).then_some(data);
            }
            if matches!(self.state, State::End | State::Bad) {
                return None;
            }
            let (&byte, rest) = input.split_first()?;
            *input = rest;
            self.overhead += 1;
            self.state = if self.overhead > 1 << 20 { State::Bad } else { self.state.behind(byte) };
        }
    }
}

impl State {
    /// Each byte but data: strict about line ends, because another reader of the same bytes may be.
    fn behind(self, byte: u8) -> State {
        let digit = char::from(byte).to_digit(16).map(u64::from);
        match (self, byte, digit) {
            (State::Size(size, _), _, Some(digit)) if size < 1 << 56 => State::Size(size << 4 | digit, true),
            (State::Size(size, true) | State::Extension(size), b'\r', _) => State::SizeEnd(size),
            (State::Size(size, true), b';' | b' ' | b'\t', _) => State::Extension(size),
            (State::Extension(size), b' '..=b'~' | b'\t' | 0x80.., _) => State::Extension(size),
            (State::SizeEnd(0), b'\n', _) => State::Trailer(0),
            (State::SizeEnd(size), b'\n', _) => State::Data(size),
            (State::DataEnd(b'\r'), b'\r', _) => State::DataEnd(b'\n'),
            (State::DataEnd(b'\n'), b'\n', _) => State::Size(0, false),
            (State::Trailer(0 | u32::MAX), b'\n', _) if self == State::Trailer(u32::MAX) => State::End,
            (State::Trailer(0), b'\r', _) => State::Trailer(u32::MAX),
            (State::Trailer(u32::MAX), ..) => State::Bad,
            (State::Trailer(1..), b'\n', _) => State::Trailer(0),
            (State::Trailer(_), b' '..=b'~' | b'\t' | b'\r' | 0x80.., _) => State::Trailer(1),
            _ => State::Bad,
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::String;
    use std::vec::Vec;

    /// The data of a body that comes in pieces of that length, and what lies behind it; `None` when it is none, or goes on.
    fn taken(body: &[u8], piece: usize) -> Option<(String, usize)> {
        let (mut chunks, mut data, mut behind) = (Chunks::new(), Vec::new(), body.len());
        for mut input in body.chunks(piece) {
            behind -= input.len();
            while let Some(some) = chunks.next(&mut input) {
                data.extend_from_slice(some);
            }
            match chunks.state {
                State::End => return Some((String::from_utf8(data).unwrap(), behind + input.len())),
                State::Bad => return None,
                _ => {}
            }
        }
        None
    }

    #[test]
    fn chunks() {
        for (body, expect) in [
            ("0\r\n\r\n", Some(("", 0))),
            ("5\r\nhello\r\n0\r\n\r\nGET", Some(("hello", 3))),
            ("1\r\na\r\n01\r\nb\r\n000\r\n\r\n", Some(("ab", 0))),
            ("a\r\n0123456789\r\n0\r\n\r\n", Some(("0123456789", 0))),
            ("A;x=\"y\"; z\r\n0123456789\r\n0;q\r\n\r\n", Some(("0123456789", 0))),
            ("2 \r\n\r\n\r\n0\r\nX: y\r\nZ: \r\n\r\n", Some(("\r\n", 0))),
            ("", None),
            ("\r\n", None),
            ("0\r\n", None),
            ("0\n\n", None),
            ("0\r\n\n", None),
            ("5\nhello\r\n0\r\n\r\n", None),
            ("5\r\nhello0\r\n\r\n", None),
            ("5\r\nhello\n0\r\n\r\n", None),
            ("5\r\nhell\r\n0\r\n\r\n", None),
            ("-1\r\n\r\n", None),
            ("0x1\r\na\r\n0\r\n\r\n", None),
            (";x\r\n\r\n", None),
            (" 0\r\n\r\n", None),
            ("fffffffffffffffff\r\n", None),
            ("0\r\nX: \u{1}\r\n\r\n", None),
        ] {
            for piece in [1, 2, 3, 1000] {
                let found = taken(body.as_bytes(), piece);
                let expect = expect.map(|(data, behind)| (String::from(data), behind));
                assert_eq!(found, expect, "{body:?} in pieces of {piece}");
            }
        }
    }

    /// What is not data must end some day.
    #[test]
    fn endless_extensions_and_trailers() {
        for start in ["1;", "0\r\nX: "] {
            let body = [start.as_bytes(), &std::vec![b'x'; 2 << 20]].concat();
            let (mut chunks, mut input) = (Chunks::new(), &body[..]);
            while chunks.next(&mut input).is_some() {}
            assert_eq!(chunks.state, State::Bad);
        }
    }
}
