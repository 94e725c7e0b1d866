//! Discard: what comes is thrown away (RFC 863).

use connection::{Connection, Handler, Outcome};

use crate::io::{Read, Stream, after};
use crate::options::IDLE_TIMEOUT;
use crate::{Open, OpenError, Protocol, Settings};

/// `discard`, as the command line shows it.
pub const PROTOCOL: Protocol = Protocol {
    name: "discard",
    about: "Throws away what it receives (RFC 863)",
    client_speaks_first: true,
    has_root: false,
    options: &[IDLE_TIMEOUT],
};

/// The handler.
#[derive(Clone, Copy, Debug)]
pub struct Discard<'a> {
    settings: Settings<'a>,
}

impl<'a> Open<'a> for Discard<'a> {
    const PROTOCOL: &'static Protocol = &PROTOCOL;

    fn open(settings: &Settings<'a>) -> Result<Self, OpenError<'a>> {
        Ok(Discard { settings: *settings })
    }
}

impl Handler for Discard<'_> {
    fn serve(&mut self, connection: &Connection<'_>) -> Outcome {
        let stream = Stream::new(connection, &self.settings);
        let mut buffer = [0; 4096];
        loop {
            let now = stream.now();
            stream.allow(now, &self.settings);
            match stream.read(&mut buffer, after(now, self.settings.idle_timeout)) {
                Read::Bytes(_) => {}
                Read::Interrupted if !connection.host.pressure.is_draining() => {}
                _ => return Outcome::Served,
            }
        }
    }
}
