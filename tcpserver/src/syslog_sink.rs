//! The supervisor's lines to syslogd.
//!
//! A line is one datagram, which is taken at once or lost, and counted; see [`crate::sys::Sink`], which also writes
//! those of children. A daemon that stalls or is being restarted holds up nobody.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

use syslog::{Facility, Logger, LoggerBackend, Severity};

use crate::error::Error;
use crate::sys;

/// How often a daemon is looked for that was not there, in microseconds.
const PAUSE: u64 = 1_000_000;

/// Where syslogd listens (syslog(3)).
const PLACE: &str = "/dev/log";

/// Whom to send to, and as what.
#[derive(Clone, Debug)]
pub struct Destination {
    facility: Facility,
    path: PathBuf,
}

impl PartialEq for Destination {
    fn eq(&self, other: &Self) -> bool {
        (self.facility as u8, &self.path) == (other.facility as u8, &other.path)
    }
}

impl Eq for Destination {}

impl Destination {
    /// Reads `syslog`, `syslog:FACILITY` or `syslog:FACILITY:PATH`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = text.splitn(3, ':');
        let wrong = || "expected syslog, syslog:FACILITY or syslog:FACILITY:/PATH/OF/SOCKET".to_owned();
        if parts.next() != Some("syslog") {
            return Err(wrong());
        }
        let facility = match parts.next() {
            None => Facility::LOG_DAEMON,
            Some(name) => name.parse().map_err(|()| format!("{name:?} is no facility: daemon, mail, local0 ..."))?,
        };
        let path = parts.next().unwrap_or(PLACE);
        if path.starts_with('/') { Ok(Destination { facility, path: path.into() }) } else { Err(wrong()) }
    }

    /// What a line of `program` begins with, of things that go wrong and of others. The time is the daemon's to add,
    /// which knows the zone: the crate's own formats send UTC, and daemons take it for local time.
    #[must_use]
    pub fn beginnings(&self, program: &str) -> [Vec<u8>; 2] {
        let pid = std::process::id();
        [Severity::LOG_WARNING, Severity::LOG_INFO]
            .map(|severity| format!("<{}>{program}[{pid}]: ", self.facility as u8 | severity as u8).into_bytes())
    }
}

/// A connection to syslogd.
#[derive(Debug)]
pub struct Syslog {
    path: PathBuf,
    socket: UnixDatagram,
    /// When the daemon may be looked for again.
    retry: u64,
}

impl Syslog {
    /// Connects. That nobody is there is an error at the start alone: later it is waited out.
    pub fn connect(to: &Destination) -> Result<Self, Error> {
        let failed = |error: io::Error| Error::os("log to", to.path.display().to_string(), error);
        let logger = syslog::unix_custom((), &to.path).map_err(|error| failed(cause(error)))?;
        let Logger { backend: LoggerBackend::Unix(socket), .. } = logger else {
            // Part of a line could be sent on a stream, and the rest not.
            return Err(failed(io::Error::other("it takes no datagrams")));
        };
        Ok(Syslog { path: to.path.clone(), socket, retry: 0 })
    }

    /// The socket, whose number stays the same.
    #[must_use]
    pub fn number(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// Looks for the daemon that is there now, but not all the time.
    pub fn reconnect(&mut self) {
        let now = sys::micros();
        if now >= self.retry {
            self.retry = now + PAUSE;
            // If nobody is there, the next line is lost too.
            let _ = self.socket.connect(&self.path);
        }
    }
}

/// The system's error within the crate's.
fn cause(error: syslog::Error) -> io::Error {
    match error {
        syslog::Error::Io(error) | syslog::Error::Write(error) => error,
        syslog::Error::Initialization(error) => match error.downcast::<syslog::Error>() {
            Ok(inner) => cause(*inner),
            Err(error) => io::Error::other(error),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn destinations() {
        let plain = Destination::parse("syslog").unwrap();
        assert_eq!((plain.facility as u8, plain.path.as_path()), (3 << 3, Path::new("/dev/log")));
        let full = Destination::parse("syslog:local0:/run/a:b").unwrap();
        assert_eq!((full.facility as u8, full.path.as_path()), (16 << 3, Path::new("/run/a:b")));
        for wrong in ["", "stderr", "syslog:", "syslog:nonsense", "syslog:mail:", "syslog:mail:relative", "syslogs"] {
            assert!(Destination::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn priorities_are_those_of_syslog() {
        let pid = std::process::id();
        let beginnings = Destination::parse("syslog:mail").unwrap().beginnings("test");
        assert_eq!(beginnings, [format!("<20>test[{pid}]: "), format!("<22>test[{pid}]: ")].map(String::into_bytes));
    }

    #[test]
    fn nobody_there_is_an_error() {
        let to = Destination::parse("syslog:mail:/nonexistent").unwrap();
        let error = Syslog::connect(&to).unwrap_err().to_string();
        assert_eq!(error, "unable to log to /nonexistent: No such file or directory");
    }
}
