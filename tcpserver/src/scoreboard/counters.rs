//! What the supervisor counts, from its own knowledge and from reaping.
//!
//! One process writes, so a count is a load and a store. It lies in shared memory, where `tine status` reads it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use connection::Outcome;

use crate::gate::Reason;
use crate::reap::{Ended, Fate};

/// A number that one process changes and others read.
#[repr(transparent)]
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Its value.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    /// Another value.
    pub fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    /// So many more.
    pub fn add(&self, more: u64) {
        self.set(self.get().saturating_add(more));
    }
}

/// Why clients are turned away: the gate's reasons, and a balancer's header that is missing, wrong or late.
pub const REFUSALS: [&str; Reason::COUNT + 1] = {
    let mut names = ["proxy"; Reason::COUNT + 1];
    let mut at = 0;
    while at < Reason::COUNT {
        names[at] = Reason::NAMES[at];
        at += 1;
    }
    names
};

/// Times in buckets, as Prometheus has them.
#[repr(C)]
#[derive(Debug, Default)]
pub struct Histogram {
    /// How many took at most as long as [`Histogram::BOUNDS`] says, each in one bucket; the last holds all others.
    pub buckets: [Count; Histogram::BOUNDS.len() + 1],
    /// All of them together, in microseconds.
    pub sum: Count,
}

impl Histogram {
    /// The upper bounds of the buckets but the last, in microseconds.
    pub const BOUNDS: [u64; 11] = [25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 25_000, 100_000, 1_000_000];

    /// One took so many microseconds.
    pub fn add(&self, micros: u64) {
        let at = Self::BOUNDS.iter().position(|&bound| micros <= bound).unwrap_or(Self::BOUNDS.len());
        self.buckets[at].add(1);
        self.sum.add(micros);
    }
}

/// One more than the highest signal's number.
pub const SIGNALS: usize = 65;

/// Everything that is counted.
#[repr(C)]
#[derive(Debug)]
pub struct Counters {
    /// Connections that the supervisor accepted.
    pub accepted: Count,
    /// Clients that were turned away without a child, in the order of [`REFUSALS`].
    pub refused: [Count; REFUSALS.len()],
    /// Children that were made.
    pub made: Count,
    /// How long making one took.
    pub spawn: Histogram,
    /// Times that something was short and had to be waited for: descriptors, processes, memory.
    pub held_up: Count,
    /// Children that ended by themselves: having served, having turned a client away, and all others.
    pub exits: [Count; 3],
    /// Children that a signal ended, by its number.
    pub signals: [Count; SIGNALS],
    /// For how long the limit was reached, in microseconds, without the present time, and since when it is (0: it is not).
    pub full: Count,
    /// See there.
    pub full_since: Count,
    /// The fewest children of a pool that were idle, or else the fewest that could be made, since that was last asked.
    pub fewest_idle: Count,
    /// Times that files were read anew, and that this failed.
    pub reloads: [Count; 2],
    /// Times that a new program did not come to serve.
    pub upgrades_failed: Count,
    /// What children that have ended said that they did: connections, requests, bytes.
    pub retired: [Count; 3],
}

impl Default for Counters {
    fn default() -> Self {
        Counters {
            accepted: Count::default(),
            refused: Default::default(),
            made: Count::default(),
            spawn: Histogram::default(),
            held_up: Count::default(),
            exits: Default::default(),
            signals: std::array::from_fn(|_| Count::default()),
            full: Count::default(),
            full_since: Count::default(),
            fewest_idle: Count::default(),
            reloads: Default::default(),
            upgrades_failed: Count::default(),
            retired: Default::default(),
        }
    }
}

impl Counters {
    /// Whether the limit is reached at `now`.
    pub(crate) fn level(&self, is_full: bool, now: u64) {
        match (is_full, self.full_since.get()) {
            (true, 0) => self.full_since.set(now),
            (false, since) if since != 0 => {
                self.full.add(now.saturating_sub(since));
                self.full_since.set(0);
            }
            _ => {}
        }
    }

    /// A child was reaped.
    pub(crate) fn ended(&self, ended: &Ended) {
        match ended.fate() {
            Fate::Killed(signal) => {
                let at = usize::try_from(signal).unwrap_or_default();
                self.signals[at.min(SIGNALS - 1)].add(1);
            }
            Fate::Exited(status) if status == Outcome::Served.status() => self.exits[0].add(1),
            Fate::Exited(status) if status == Outcome::Refused.status() => self.exits[1].add(1),
            Fate::Exited(_) => self.exits[2].add(1),
        }
    }

    /// So many children are idle, or could be made, now.
    pub(crate) fn idle(&self, now: u64) {
        if now < self.fewest_idle.get() {
            self.fewest_idle.set(now);
        }
    }

    /// Time spent at the limit until `now`, in microseconds.
    #[must_use]
    pub fn time_full(&self, now: u64) -> u64 {
        let since = self.full_since.get();
        self.full.get().saturating_add(if since == 0 { 0 } else { now.saturating_sub(since) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reap::Usage;

    fn ended(status: i32) -> Ended {
        Ended { pid: 1, status, usage: Usage::default() }
    }

    #[test]
    fn ends_are_told_apart() {
        let counters = Counters::default();
        for status in [0, 0, 100 << 8, 111 << 8, 3 << 8, 11, 128 + 6, 64] {
            counters.ended(&ended(status));
        }
        assert_eq!(counters.exits.each_ref().map(Count::get), [2, 1, 2]);
        assert_eq!((counters.signals[11].get(), counters.signals[6].get(), counters.signals[64].get()), (1, 1, 1));
    }

    #[test]
    fn time_at_the_limit_is_added_up() {
        let counters = Counters::default();
        counters.level(false, 10);
        assert_eq!(counters.time_full(20), 0);
        counters.level(true, 20);
        counters.level(true, 30);
        assert_eq!(counters.time_full(50), 30);
        counters.level(false, 60);
        counters.level(false, 70);
        assert_eq!(counters.time_full(100), 40);
        counters.level(true, 100);
        assert_eq!(counters.time_full(110), 50);
    }

    #[test]
    fn a_time_is_in_one_bucket() {
        let histogram = Histogram::default();
        for micros in [0, 25, 26, 1_000_000, 1_000_001, u64::MAX] {
            histogram.add(micros);
        }
        let counts: Vec<u64> = histogram.buckets.iter().map(Count::get).collect();
        assert_eq!(counts, [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2]);
        assert_eq!(histogram.sum.get(), u64::MAX);
    }
}
