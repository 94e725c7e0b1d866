//! Whether others want what a process holds: the wish of a signal, and the need that a supervisor publishes.
//!
//! Handlers only read it, through [`Host::is_wanted`](crate::Host::is_wanted) and [`Host::is_leaving`](crate::Host::is_leaving). Nobody is cut off by it: a connection ends
//! at the next boundary between requests, and the answer before says so.

use core::sync::atomic::{AtomicU8, Ordering};

/// What idles is ended too. (The handlers' executables write this number themselves, in `start/kernel.rs`.)
const DRAIN: u8 = 1;
/// What idles may still ask for something.
const RETIRE: u8 = 2;
/// The connection is wanted, and the process stays.
const ASK: u8 = 4;

/// Whether a process is wanted back: one byte of its own, raised when a signal arrives.
pub struct Pressure(AtomicU8);

impl Pressure {
    /// No pressure: keep-alive connections may idle.
    #[must_use]
    pub const fn new() -> Self {
        Pressure(AtomicU8::new(0))
    }

    /// For a signal handler: from now on this process finishes what it does and leaves.
    pub fn drain(&self) {
        self.0.fetch_or(DRAIN, Ordering::Release);
    }

    /// For a signal handler: this process takes no further connection. The one that it has, if it idles, is not ended
    /// under the hands of its client, who may be about to ask: the next answer says that it is the last one.
    pub fn retire(&self) {
        self.0.fetch_or(RETIRE, Ordering::Release);
    }

    /// For a supervisor, which hears the same signal and stays: its children begin without it.
    pub fn stay(&self) {
        self.0.fetch_and(!RETIRE, Ordering::Release);
    }

    /// For a signal handler: this process finishes the connection that it serves, and takes the next.
    pub fn ask(&self) {
        self.0.fetch_or(ASK, Ordering::Release);
    }

    /// For a process that takes its next connection: what was asked was asked for the one before.
    pub fn take_another(&self) {
        if self.is_asked() {
            self.0.fetch_and(!ASK, Ordering::Release);
        }
    }

    /// For children: end this connection at the next boundary between requests, and leave.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.0.load(Ordering::Acquire) & DRAIN != 0
    }

    /// For children: end this connection at the next boundary between requests.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.0.load(Ordering::Acquire) & ASK != 0
    }

    /// For children: the next answer on this connection is the last one.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.0.load(Ordering::Acquire) != 0
    }

    /// For children: nothing more is to be accepted, whatever is queued.
    #[must_use]
    pub fn is_retired(&self) -> bool {
        self.0.load(Ordering::Acquire) & RETIRE != 0
    }
}

impl Default for Pressure {
    fn default() -> Self {
        Self::new()
    }
}

/// How much a service lacks children.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Need {
    /// Whoever comes is served.
    #[default]
    None = 0,
    /// Clients wait for a child, and not enough connections idle to be asked for: kept ones end with their next answer.
    Tight = 1,
    /// They still wait.
    Starving = 2,
}

/// The need of the service, as the supervisor publishes it: a byte that children can only read.
#[derive(Debug, Default)]
pub struct Demand(AtomicU8);

impl Demand {
    /// For the supervisor.
    pub fn publish(&self, need: Need) {
        self.0.store(need as u8, Ordering::Release);
    }

    /// For children.
    #[must_use]
    pub fn need(&self) -> Need {
        match self.0.load(Ordering::Acquire) {
            0 => Need::None,
            1 => Need::Tight,
            _ => Need::Starving,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_is_asked_of_one_connection_and_leaving_is_for_good() {
        let pressure = Pressure::new();
        pressure.ask();
        assert!(pressure.is_asked() && pressure.is_leaving() && !pressure.is_draining());
        pressure.take_another();
        assert!(!pressure.is_leaving());
        pressure.ask();
        pressure.drain();
        pressure.take_another();
        assert!(!pressure.is_asked() && pressure.is_draining());
    }

    #[test]
    fn the_need_is_what_was_published() {
        let demand = Demand::default();
        assert_eq!(demand.need(), Need::None);
        for need in [Need::Tight, Need::Starving, Need::None] {
            demand.publish(need);
            assert_eq!(demand.need(), need);
        }
    }
}
