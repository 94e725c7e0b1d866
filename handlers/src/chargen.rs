//! Character generator: lines without end (RFC 864).

use connection::{Connection, Handler, Outcome};

use crate::io::{Stream, outcome};
use crate::options::WRITE_TIMEOUT;
use crate::{Open, OpenError, Protocol, Settings};

/// The printing characters, space to tilde.
const CHARACTERS: usize = 95;
/// A line: 72 characters and its end.
const LINE: usize = 74;

/// `chargen`, as the command line shows it.
pub const PROTOCOL: Protocol = Protocol {
    name: "chargen",
    about: "Sends lines of text until the client closes (RFC 864)",
    client_speaks_first: false,
    has_root: false,
    options: &[WRITE_TIMEOUT],
};

/// The handler.
#[derive(Clone, Copy, Debug)]
pub struct Chargen<'a> {
    settings: Settings<'a>,
}

impl<'a> Open<'a> for Chargen<'a> {
    const PROTOCOL: &'static Protocol = &PROTOCOL;

    fn open(settings: &Settings<'a>) -> Result<Self, OpenError<'a>> {
        Ok(Chargen { settings: *settings })
    }
}

impl Handler for Chargen<'_> {
    /// The pattern that RFC 864 shows: each line begins one character later than the line before. All 95 lines are sent
    /// at once, after which the pattern begins anew.
    fn serve(&mut self, connection: &Connection<'_>) -> Outcome {
        let stream = Stream::new(connection, &self.settings);
        let pattern = pattern();
        loop {
            stream.allow(stream.now(), &self.settings);
            let sent = stream.send(&pattern, &[], false);
            if sent.end.is_err() || connection.host.pressure.is_draining() {
                return outcome(&sent);
            }
        }
    }
}

fn pattern() -> [u8; CHARACTERS * LINE] {
    let mut pattern = [0; CHARACTERS * LINE];
    for (first, line) in pattern.chunks_exact_mut(LINE).enumerate() {
        for (column, byte) in line.iter_mut().enumerate() {
            *byte = match column {
                72 => b'\r',
                73 => b'\n',
                _ => b' ' + ((first + column) % CHARACTERS) as u8,
            };
        }
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first and the last of the lines that RFC 864 prints.
    #[test]
    fn the_lines_of_the_rfc() {
        let pattern = pattern();
        assert_eq!(
            &pattern[LINE..2 * LINE],
            b"!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefgh\r\n"
        );
        assert!(pattern[94 * LINE..].starts_with(b"~ !\"#"));
        assert!(pattern.ends_with(b"cdef\r\n"));
    }
}
