//! What is remembered of a source beyond its connections: bounded, and forgotten in time.
//!
//! A table of small sets: a source has one set in which to stand, so finding it costs the same however many there are.
//! When a set is full, what would be forgotten first makes room. So a flood from ever new addresses can push out what
//! weighs least, and the memory stays what it was.

use std::hash::{BuildHasher, RandomState};
use std::io;

use super::source::Source;
use crate::sys;

/// Entries of a set.
const WAYS: usize = 8;

/// Something that loses its meaning with time.
pub trait Fading: Copy + Default {
    /// When nothing is left of it, in microseconds of the monotonic clock.
    fn gone_at(&self) -> u64;
}

#[derive(Clone, Copy, Default)]
struct Entry<T> {
    source: Source,
    of: T,
}

/// What is remembered, by source.
pub struct Ledger<T: Fading + 'static> {
    sets: sys::Table<[Entry<T>; WAYS]>,
    hash: RandomState,
}

impl<T: Fading> Ledger<T> {
    /// A ledger for a service with up to `limit` children: there are more clients that are remembered than served.
    pub fn new(limit: usize) -> io::Result<Self> {
        let sets = limit.saturating_mul(16).clamp(4096, 1 << 18).next_power_of_two() / WAYS;
        Ok(Ledger { sets: sys::Table::new(sets)?, hash: RandomState::new() })
    }

    /// What is remembered of `source`.
    #[must_use]
    pub fn get(&self, source: Source, now: u64) -> Option<T> {
        let entry = self.sets[self.home(source)].iter().find(|entry| entry.source == source)?;
        Some(entry.of).filter(|of| of.gone_at() > now)
    }

    /// Remembers `of` of `source`.
    pub fn set(&mut self, source: Source, of: T) {
        let home = self.home(source);
        let set = &mut self.sets[home];
        let same = set.iter().position(|entry| entry.source == source);
        let first_gone = || (0..WAYS).min_by_key(|&at| set[at].of.gone_at());
        if let Some(at) = same.or_else(first_gone) {
            set[at] = Entry { source, of };
        }
    }

    fn home(&self, source: Source) -> usize {
        self.hash.hash_one(source) as usize & (self.sets.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::source::Prefixes;

    #[derive(Clone, Copy, Debug, Default, PartialEq)]
    struct Until(u64);

    impl Fading for Until {
        fn gone_at(&self) -> u64 {
            self.0
        }
    }

    fn source(n: u32) -> Source {
        Prefixes::CLIENT.source(std::net::Ipv4Addr::from(n).into())
    }

    #[test]
    fn remembers_until_it_is_gone() {
        let mut ledger = Ledger::new(40).unwrap();
        ledger.set(source(1), Until(100));
        assert_eq!(ledger.get(source(1), 99), Some(Until(100)));
        assert_eq!(ledger.get(source(1), 100), None);
        assert_eq!(ledger.get(source(2), 0), None);
        ledger.set(source(1), Until(200));
        assert_eq!(ledger.get(source(1), 150), Some(Until(200)));
    }

    /// A million addresses that weigh little do not push out the one that weighs much.
    #[test]
    fn a_flood_pushes_out_what_weighs_least() {
        let mut ledger = Ledger::new(40).unwrap();
        ledger.set(source(0), Until(u64::MAX));
        for n in 1..1_000_000 {
            ledger.set(source(n), Until(u64::from(n)));
        }
        assert_eq!(ledger.get(source(0), 0), Some(Until(u64::MAX)));
        assert!(ledger.get(source(999_999), 0).is_some(), "there is room for the newest");
    }
}
