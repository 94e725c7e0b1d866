//! Echo: what comes is sent back (RFC 862).

use connection::{Connection, Handler, Outcome};

use crate::io::{Read, Stream, after};
use crate::options::{IDLE_TIMEOUT, WRITE_TIMEOUT};
use crate::{Open, OpenError, Protocol, Settings};

/// `echo`, as the command line shows it.
pub const PROTOCOL: Protocol = Protocol {
    name: "echo",
    about: "Sends back what it receives (RFC 862)",
    client_speaks_first: true,
    has_root: false,
    options: &[IDLE_TIMEOUT, WRITE_TIMEOUT],
};

/// The handler.
#[derive(Clone, Copy, Debug)]
pub struct Echo<'a> {
    settings: Settings<'a>,
}

impl<'a> Open<'a> for Echo<'a> {
    const PROTOCOL: &'static Protocol = &PROTOCOL;

    fn open(settings: &Settings<'a>) -> Result<Self, OpenError<'a>> {
        Ok(Echo { settings: *settings })
    }
}

impl Handler for Echo<'_> {
    fn serve(&mut self, connection: &Connection<'_>) -> Outcome {
        let stream = Stream::new(connection, &self.settings);
        let mut buffer = [0; 4096];
        loop {
            let now = stream.now();
            stream.allow(now, &self.settings);
            match stream.read(&mut buffer, after(now, self.settings.idle_timeout)) {
                Read::Bytes(len) => {
                    if stream.send(buffer.get(..len).unwrap_or(&[]), &[], false).end.is_err() {
                        return Outcome::Served;
                    }
                }
                Read::Interrupted if !connection.host.pressure.is_draining() => {}
                _ => return Outcome::Served,
            }
        }
    }
}
