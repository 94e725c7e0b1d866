//! Daytime: the date and the time, for people (RFC 867).

use connection::{Clock, Connection, Handler, Outcome};

use crate::date::{ASCTIME, Date};
use crate::io::{Stream, outcome};
use crate::options::WRITE_TIMEOUT;
use crate::{Open, OpenError, Protocol, Settings, Text};

/// `daytime`, as the command line shows it.
pub const PROTOCOL: Protocol = Protocol {
    name: "daytime",
    about: "Tells date and time in UTC as text (RFC 867)",
    client_speaks_first: false,
    has_root: false,
    options: &[WRITE_TIMEOUT],
};

/// The handler.
#[derive(Clone, Copy, Debug)]
pub struct Daytime<'a> {
    settings: Settings<'a>,
}

impl<'a> Open<'a> for Daytime<'a> {
    const PROTOCOL: &'static Protocol = &PROTOCOL;

    fn open(settings: &Settings<'a>) -> Result<Self, OpenError<'a>> {
        Ok(Daytime { settings: *settings })
    }
}

impl Handler for Daytime<'_> {
    /// One line in the form that every inetd answers: RFC 867 prescribes none.
    fn serve(&mut self, connection: &Connection<'_>) -> Outcome {
        let stream = Stream::new(connection, &self.settings);
        stream.allow(stream.now(), &self.settings);
        let mut space = [0; 32];
        let mut line = Text::new(&mut space);
        Date::from_unix((connection.host.now)(Clock::Wall).seconds).write(&mut line, &ASCTIME);
        line.str("\r\n");
        outcome(&stream.send(line.as_bytes(), &[], false))
    }
}
