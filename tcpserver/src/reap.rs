//! How a child ended, read from its wait status, and what it used.

use std::fmt;

use connection::Outcome;
use nix::sys::signal::Signal;

pub use crate::sys::Usage;

/// A child that has ended and was waited for: no zombie is left of it.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// Its process number.
    pub pid: i32,
    /// Its raw wait status (wait(2)).
    pub status: i32,
    /// What it used.
    pub usage: Usage,
}

/// A wait status, decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It ended by itself with this exit status.
    Exited(i32),
    /// A signal ended it.
    Killed(i32),
}

impl Ended {
    /// The wait status, decoded (wait(2): the low seven bits are the signal, the next byte the exit status).
    #[must_use]
    pub fn fate(&self) -> Fate {
        match self.status & 0x7f {
            0 => Fate::Exited(self.status >> 8 & 0xff),
            signal => Fate::Killed(signal),
        }
    }

    /// Whether this is an end that nobody should have to ask for: anything but a handler's report that it served the
    /// client or turned it away, or the end that the supervisor itself asked for.
    #[must_use]
    pub fn is_abnormal(&self) -> bool {
        match self.fate() {
            Fate::Exited(status) => status != Outcome::Served.status() && status != Outcome::Refused.status(),
            Fate::Killed(signal) => signal != Signal::SIGTERM as i32,
        }
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Fate::Exited(status) => write!(f, "exit {status}"),
            // The alarm is how a handler's deadline ends it.
            Fate::Killed(signal) if signal == Signal::SIGALRM as i32 => f.write_str("timeout (SIGALRM)"),
            Fate::Killed(number) => {
                let name = Signal::try_from(number).map_or("a real-time signal", Signal::as_str);
                write!(f, "killed by signal {number} ({name})")
            }
        }
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |micros: u64| (micros / 1_000_000, micros % 1_000_000);
        let ((us, uf), (ss, sf)) = (seconds(self.user), seconds(self.system));
        write!(f, "user {us}.{uf:06} s sys {ss}.{sf:06} s rss {} KiB", self.memory)?;
        write!(f, " faults {}/{}", self.minor_faults, self.major_faults)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fate(status: i32) -> String {
        Ended { pid: 1, status, usage: Usage::default() }.fate().to_string()
    }

    #[test]
    fn statuses() {
        assert_eq!(fate(0), "exit 0");
        assert_eq!(fate(28416), "exit 111");
        assert_eq!(fate(11), "killed by signal 11 (SIGSEGV)");
        assert_eq!(fate(128 + 6), "killed by signal 6 (SIGABRT)"); // with a core dump
        assert_eq!(fate(14), "timeout (SIGALRM)");
        assert_eq!(fate(40), "killed by signal 40 (a real-time signal)");
    }
}
