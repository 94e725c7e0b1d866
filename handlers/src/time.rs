//! Time: the time, for machines (RFC 868).

use connection::{Clock, Connection, Handler, Outcome};

use crate::io::{Stream, outcome};
use crate::options::WRITE_TIMEOUT;
use crate::{Open, OpenError, Protocol, Settings};

/// Seconds from 1900 to 1970.
const FROM_1900_TO_1970: i64 = 2_208_988_800;

/// `time`, as the command line shows it.
pub const PROTOCOL: Protocol = Protocol {
    name: "time",
    about: "Tells the seconds since 1900 as four bytes (RFC 868)",
    client_speaks_first: false,
    has_root: false,
    options: &[WRITE_TIMEOUT],
};

/// The handler.
#[derive(Clone, Copy, Debug)]
pub struct Time<'a> {
    settings: Settings<'a>,
}

impl<'a> Open<'a> for Time<'a> {
    const PROTOCOL: &'static Protocol = &PROTOCOL;

    fn open(settings: &Settings<'a>) -> Result<Self, OpenError<'a>> {
        Ok(Time { settings: *settings })
    }
}

impl Handler for Time<'_> {
    /// Four bytes, the most significant first. They wrap in 2036, as RFC 868 has it.
    fn serve(&mut self, connection: &Connection<'_>) -> Outcome {
        let stream = Stream::new(connection, &self.settings);
        stream.allow(stream.now(), &self.settings);
        let seconds = (connection.host.now)(Clock::Wall).seconds + FROM_1900_TO_1970;
        outcome(&stream.send(&(seconds as u32).to_be_bytes(), &[], false))
    }
}
