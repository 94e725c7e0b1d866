//! How long a child may live: then SIGTERM, a while later SIGKILL.
//!
//! For programs that never set an alarm, or block and ignore what they like: SIGKILL they cannot. The child alone is
//! signalled, never a process group, which may hold others.

use std::str::FromStr;

use nix::sys::signal::Signal;

use crate::children::Children;
use crate::log::{Log, Peer};
use crate::sys;

/// The table of children is gone through at most once in so many microseconds.
const STEP: u64 = 100_000;

/// How long a child may live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// Seconds until SIGTERM.
    pub allowed: u32,
    /// Seconds from there to SIGKILL.
    pub grace: u32,
}

impl FromStr for Lifetime {
    type Err = String;

    /// `SECONDS[,GRACE]`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (allowed, grace) = text.split_once(',').unwrap_or((text, "5"));
        match (allowed.parse(), grace.parse()) {
            (Ok(allowed @ 1..=31_536_000), Ok(grace @ 0..=31_536_000)) => Ok(Lifetime { allowed, grace }),
            _ => Err("expected SECONDS or SECONDS,GRACE: 1 to 31536000, and 0 to 31536000".into()),
        }
    }
}

/// What a child was told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Told {
    /// Nothing yet.
    #[default]
    Nothing,
    /// SIGTERM.
    End,
    /// SIGKILL.
    Killed,
}

/// Watches the children's ages.
pub(crate) struct Watch {
    lifetime: Lifetime,
    /// When somebody's time may be over.
    next: Option<u64>,
}

impl Watch {
    pub(crate) fn new(lifetime: Lifetime) -> Self {
        Watch { lifetime, next: None }
    }

    /// A child was born at `now`. All have the same time, so those who came before are due before.
    pub(crate) fn born(&mut self, now: u64) {
        self.next.get_or_insert(now + micros(self.lifetime.allowed));
    }

    /// When [`Watch::press_on`] has something to do, in microseconds of the monotonic clock.
    pub(crate) fn next(&self) -> Option<u64> {
        self.next
    }

    /// Tells those to end whose time is over.
    pub(crate) fn press_on(&mut self, children: &mut Children, now: u64, log: &mut Log) {
        if self.next.is_none_or(|next| next > now) {
            return;
        }
        let Lifetime { allowed, grace } = self.lifetime;
        let mut next = None;
        for child in children.iter_mut() {
            if !child.is_serving() {
                continue;
            }
            let end = child.since + micros(allowed);
            let kill = end + micros(grace);
            if child.told == Told::Nothing && end <= now {
                tell(child.pid, Signal::SIGTERM);
                child.told = Told::End;
                let (pid, peer) = (child.pid, Peer(child.peer));
                log.warning(format_args!("lifetime: child {pid}{peer} had its {allowed} s: SIGTERM"));
            }
            if child.told == Told::End && kill <= now {
                tell(child.pid, Signal::SIGKILL);
                child.told = Told::Killed;
                let (pid, peer) = (child.pid, Peer(child.peer));
                log.warning(format_args!("lifetime: child {pid}{peer} had {grace} s more: SIGKILL"));
            }
            let due = match child.told {
                Told::Nothing => end,
                Told::End => kill,
                Told::Killed => continue,
            };
            next = Some(next.map_or(due, |next: u64| next.min(due)));
        }
        self.next = next.map(|next| next.max(now + STEP));
    }
}

fn micros(seconds: u32) -> u64 {
    u64::from(seconds) * 1_000_000
}

/// By a descriptor of the process, opened when the time has come: none is held for children who end by themselves. It is
/// the right process: nobody but the supervisor waits for it, and it has not, so its number is nobody else's yet.
fn tell(pid: i32, signal: Signal) {
    // It may have ended meanwhile, which is what is wanted.
    let _ = sys::signal_process(pid, signal);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes() {
        assert_eq!("60".parse(), Ok(Lifetime { allowed: 60, grace: 5 }));
        assert_eq!("60,0".parse(), Ok(Lifetime { allowed: 60, grace: 0 }));
        for wrong in ["", "0", "60,", ",5", "-1", "60,-1", "60s", "99999999999", "60,5,1"] {
            assert!(wrong.parse::<Lifetime>().is_err(), "{wrong}");
        }
    }
}
