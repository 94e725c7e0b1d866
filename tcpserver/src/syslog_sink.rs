//! The supervisor's lines to syslogd, by datagrams that are sent at once or not at all.
//!
//! A daemon that stalls or is being restarted must not hold up the service: what it does not take is counted and told
//! with the next line that it does take.

use std::io;
use std::path::PathBuf;

use syslog::{Facility, LogFormat, Logger, LoggerBackend, Severity};

use crate::error::Error;
use crate::sys;

/// How long nothing is tried after the daemon was not there, in microseconds.
const PAUSE: u64 = 1_000_000;

/// Where syslogd listens (syslog(3)).
const PLACE: &str = "/dev/log";

/// Whom to send to, and as what.
#[derive(Clone, Debug)]
pub struct Destination {
    /// What the lines are about.
    pub facility: Facility,
    /// The daemon's socket.
    pub path: PathBuf,
}

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
}

/// A line as daemons take it. The time is theirs to add, and local: the crate's own formats send UTC, which a daemon
/// takes for local time.
#[derive(Clone)]
struct Line {
    facility: Facility,
    program: &'static str,
    pid: u32,
}

impl LogFormat<&str> for Line {
    fn format<W: io::Write>(&self, to: &mut W, severity: Severity, text: &str) -> syslog::Result<()> {
        let priority = self.facility as u8 | severity as u8;
        write!(to, "<{priority}>{}[{}]: {text}", self.program, self.pid).map_err(syslog::Error::Write)
    }
}

/// A connection to syslogd.
pub struct Syslog {
    destination: Destination,
    line: Line,
    daemon: Option<Logger<LoggerBackend, Line>>,
    /// Lines that were not taken.
    lost: u64,
    /// When the daemon may be looked for again.
    retry: u64,
}

impl Syslog {
    /// Connects. That nobody is there is an error at the start alone: later it is waited out.
    pub fn connect(program: &'static str, destination: Destination) -> Result<Self, Error> {
        let line = Line { facility: destination.facility, program, pid: std::process::id() };
        let daemon = connect(&line, &destination)
            .map_err(|error| Error::os("log to", destination.path.display().to_string(), error))?;
        Ok(Syslog { destination, line, daemon: Some(daemon), lost: 0, retry: 0 })
    }

    /// Sends a line, without an end of line.
    pub fn send(&mut self, severity: Severity, text: &str) {
        if self.daemon.is_none() && sys::micros() >= self.retry {
            self.daemon = connect(&self.line, &self.destination).ok();
            self.retry = sys::micros() + PAUSE;
        }
        if self.lost > 0 && self.daemon.is_some() {
            let lost = format!("warning: {} lines were not taken by syslogd and are lost", self.lost);
            if self.try_send(Severity::LOG_WARNING, &lost) {
                self.lost = 0;
            }
        }
        if !self.try_send(severity, text) {
            self.lost += 1;
        }
    }

    /// Whether the daemon took it.
    fn try_send(&mut self, severity: Severity, text: &str) -> bool {
        let Some(daemon) = &mut self.daemon else { return false };
        match daemon.formatter.format(&mut daemon.backend, severity, text) {
            Ok(()) => true,
            Err(syslog::Error::Write(error) | syslog::Error::Io(error))
                if error.kind() == io::ErrorKind::WouldBlock =>
            {
                false
            }
            Err(_) => {
                self.daemon = None;
                false
            }
        }
    }
}

fn connect(line: &Line, destination: &Destination) -> io::Result<Logger<LoggerBackend, Line>> {
    let logger = syslog::unix_custom(line.clone(), &destination.path).map_err(|error| match error {
        syslog::Error::Io(error) | syslog::Error::Write(error) => error,
        syslog::Error::Initialization(error) => match error.downcast::<syslog::Error>() {
            Ok(inner) => match *inner {
                syslog::Error::Io(error) | syslog::Error::Write(error) => error,
                syslog::Error::Initialization(error) => io::Error::other(error),
            },
            Err(error) => io::Error::other(error),
        },
    })?;
    match &logger.backend {
        LoggerBackend::Unix(socket) => socket.set_nonblocking(true)?,
        // Part of a line could be sent, and the rest not.
        _ => return Err(io::Error::other("it takes no datagrams")),
    }
    Ok(logger)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixDatagram;
    use std::path::Path;

    struct Daemon {
        path: PathBuf,
        socket: UnixDatagram,
    }

    impl Daemon {
        fn start(path: PathBuf) -> Daemon {
            let _ = std::fs::remove_file(&path);
            let socket = UnixDatagram::bind(&path).unwrap();
            socket.set_nonblocking(true).unwrap();
            Daemon { path, socket }
        }

        fn received(&self) -> Vec<String> {
            let mut bytes = [0; 1024];
            let mut line = || self.socket.recv(&mut bytes).map(|len| String::from_utf8_lossy(&bytes[..len]).into());
            std::iter::from_fn(|| line().ok()).collect()
        }
    }

    impl Drop for Daemon {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.path);
        }
    }

    fn place(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("tcpserver-syslog-{name}-{}", std::process::id()))
    }

    fn open(path: &Path) -> Result<Syslog, Error> {
        let destination = Destination::parse(&format!("syslog:mail:{}", path.display())).unwrap();
        Syslog::connect("test", destination)
    }

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
    fn lines_arrive_with_priority_and_name() {
        let daemon = Daemon::start(place("plain"));
        let mut syslog = open(&daemon.path).unwrap();
        syslog.send(Severity::LOG_INFO, "status: 1/40");
        assert_eq!(daemon.received(), [format!("<22>test[{}]: status: 1/40", std::process::id())]);
    }

    #[test]
    fn a_daemon_that_stalls_holds_up_nobody_and_hears_what_it_missed() {
        let daemon = Daemon::start(place("stalls"));
        let mut syslog = open(&daemon.path).unwrap();
        // Far more than a socket holds; a send that waited would never return.
        for line in 0..100_000 {
            syslog.send(Severity::LOG_INFO, &format!("line {line}"));
        }
        let lost = syslog.lost;
        assert!(lost > 0 && lost < 100_000);
        assert_eq!(daemon.received().len() as u64, 100_000 - lost);
        syslog.send(Severity::LOG_INFO, "more");
        let told = daemon.received();
        assert!(told[0].ends_with(&format!("{lost} lines were not taken by syslogd and are lost")), "{told:?}");
        assert!(told[1].ends_with(": more"), "{told:?}");
    }

    #[test]
    fn a_daemon_that_is_restarted_is_found_again() {
        let path = place("restart");
        assert!(open(&path).is_err(), "nobody is there");
        let first = Daemon::start(path.clone());
        let mut syslog = open(&path).unwrap();
        drop(first);
        syslog.send(Severity::LOG_INFO, "lost");
        let second = Daemon::start(path);
        syslog.retry = 0;
        syslog.send(Severity::LOG_INFO, "found");
        let told = second.received();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].contains("1 lines were not taken") && told[1].ends_with(": found"), "{told:?}");
    }
}
