//! How many live children each source has.
//!
//! An open-addressing hash table of fixed size: there are never more sources with a child than children, so its memory
//! is a function of their limit, and nothing is ever pushed out. Clients choose their addresses, so the hash is keyed
//! at random: nobody can have them all meet in one place.

use std::hash::{BuildHasher, RandomState};
use std::io;

use super::source::Source;
use crate::sys;

/// The kernel numbers no more processes (proc(5), pid_max), whatever the limit says.
const MOST_PROCESSES: usize = 1 << 22;

#[derive(Clone, Copy, Default)]
struct Entry {
    source: Source,
    /// 0 marks a free entry.
    live: u32,
}

/// Live children by source.
pub struct Tally {
    entries: sys::Table<Entry>,
    hash: RandomState,
}

impl Tally {
    /// A table for up to `limit` children.
    pub fn new(limit: usize) -> io::Result<Self> {
        let limit = limit.min(MOST_PROCESSES);
        // A quarter of the entries stays free, so that a search ends soon.
        let size = (limit + limit / 3 + 1).next_power_of_two();
        Ok(Tally { entries: sys::Table::new(size)?, hash: RandomState::new() })
    }

    /// How many children serve clients of `source`.
    #[must_use]
    pub fn live(&self, source: Source) -> u32 {
        self.entries[self.find(source)].live
    }

    /// One more does.
    pub fn add(&mut self, source: Source) {
        let at = self.find(source);
        let live = self.entries[at].live + 1;
        self.entries[at] = Entry { source, live };
    }

    /// One of them was reaped.
    pub fn remove(&mut self, source: Source) {
        let mut hole = self.find(source);
        if self.entries[hole].live > 1 {
            self.entries[hole].live -= 1;
            return;
        }
        // Entries behind the hole that were pushed past it move up, so that no search ends too early.
        let mask = self.entries.len() - 1;
        let mut next = hole;
        loop {
            next = (next + 1) & mask;
            let moved = self.entries[next];
            if moved.live == 0 {
                break;
            }
            let distance = |to: usize| to.wrapping_sub(self.home(moved.source)) & mask;
            if distance(hole) <= distance(next) {
                self.entries[hole] = moved;
                hole = next;
            }
        }
        self.entries[hole] = Entry::default();
    }

    /// Where the entry of `source` is, or belongs.
    fn find(&self, source: Source) -> usize {
        let mut at = self.home(source);
        while self.entries[at].live != 0 && self.entries[at].source != source {
            at = (at + 1) & (self.entries.len() - 1);
        }
        at
    }

    fn home(&self, source: Source) -> usize {
        self.hash.hash_one(source) as usize & (self.entries.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::source::Prefixes;
    use proptest::prelude::*;
    use std::collections::HashMap;

    proptest! {
        /// The standard library's map is the reference, in a table so small that entries meet and wrap around.
        #[test]
        fn counts_like_a_map(steps in prop::collection::vec((0u8..12, any::<bool>()), 1..400)) {
            let mut tally = Tally::new(8).unwrap();
            let mut map: HashMap<u8, u32> = HashMap::new();
            let source = |n: u8| Prefixes::CLIENT.source([10, 0, 0, n].into());
            for (n, comes) in steps {
                if comes && map.values().sum::<u32>() < 8 {
                    tally.add(source(n));
                    *map.entry(n).or_default() += 1;
                } else if map.get(&n).is_some_and(|&live| live > 0) {
                    tally.remove(source(n));
                    *map.get_mut(&n).unwrap() -= 1;
                }
                for n in 0..12 {
                    prop_assert_eq!(tally.live(source(n)), map.get(&n).copied().unwrap_or(0));
                }
            }
        }
    }
}
