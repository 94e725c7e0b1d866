//! The table of children: who is at work, for whom, since when.
//!
//! It is a hash table of its own, for two reasons. It lies in memory that no child inherits, so that ten thousand entries
//! make no fork dearer. And a child is counted from the moment it is registered until it is reaped, by nothing else, so
//! that the count cannot leak. It is sized from the limits on the command line; only beyond [`AT_FIRST`] does it grow as
//! it is needed, for a limit may mean that there is none.

use std::io;

use crate::lifetime::Told;
use crate::sys::{Peer, Table};

/// One live child.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Child {
    /// Its process number; 0 marks a free entry.
    pub pid: i32,
    /// Its place in the scoreboard.
    pub slot: u32,
    /// The client, where the supervisor accepted the connection.
    pub peer: Peer,
    /// When it was made, in microseconds of the monotonic clock.
    pub started: u64,
    /// Since when it has served its client, likewise; 0 if it has none that the supervisor knows of.
    pub since: u64,
    /// When it was last asked for a connection that it keeps, likewise; 0 if never.
    pub asked: u64,
    /// Whether it was told to end, for the time that it has served.
    pub told: Told,
    /// Whether it is of before a reload, and leaves when it has finished.
    pub retired: bool,
}

impl Child {
    /// Whether it serves a client that the supervisor knows of.
    #[must_use]
    pub fn is_serving(&self) -> bool {
        self.since != 0
    }
}

/// The live children, by process number.
pub struct Children {
    entries: Table<Child>,
    live: usize,
    /// How often an entry came to lie above its former place.
    rearranged: u64,
}

/// How many children there is room for without growing.
const AT_FIRST: usize = 16 * 1024;

impl Children {
    /// A table for up to `limit` children.
    pub fn new(limit: usize) -> io::Result<Self> {
        let limit = limit.min(AT_FIRST);
        // A quarter of the entries stays free, so that a search ends soon.
        let size = (limit + limit / 3 + 1).next_power_of_two().max(2);
        Ok(Children { entries: Table::new(size)?, live: 0, rearranged: 0 })
    }

    /// Makes room for one more child, before it is made.
    pub fn make_room(&mut self) -> io::Result<()> {
        if self.live + 1 + self.entries.len() / 4 <= self.entries.len() {
            return Ok(());
        }
        let entries = Table::new(2 * self.entries.len())?;
        let larger = Children { entries, live: 0, rearranged: self.rearranged + 1 };
        let smaller = std::mem::replace(self, larger);
        smaller.iter().for_each(|&child| self.register(child));
        Ok(())
    }

    /// How many are live.
    pub fn live(&self) -> usize {
        self.live
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Child> {
        self.entries.iter().filter(|child| child.pid != 0)
    }

    /// The same, to be changed but for their process numbers.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Child> {
        self.entries.iter_mut().filter(|child| child.pid != 0)
    }

    /// Where [`Children::below`] begins: above all of them.
    pub(crate) fn end(&self) -> usize {
        self.entries.len()
    }

    /// The next one below that place in the table, and its own place. Going down, nobody is missed who was there all the
    /// time, whoever else is registered or ends meanwhile, unless [`Children::rearranged`] changes.
    pub(crate) fn below(&self, place: usize) -> Option<(usize, i32)> {
        let at = self.entries[..place.min(self.entries.len())].iter().rposition(|child| child.pid != 0)?;
        Some((at, self.entries[at].pid))
    }

    /// Another number when a child may have come to lie above a place that it was below.
    pub(crate) fn rearranged(&self) -> u64 {
        self.rearranged
    }

    /// A child was made.
    ///
    /// # Panics
    ///
    /// When there is no room for it.
    pub fn register(&mut self, child: Child) {
        assert!(self.live + 1 < self.entries.len(), "no room was made for a child");
        let at = self.find(child.pid);
        self.entries[at] = child;
        self.live += 1;
    }

    /// A child was given a connection.
    pub(crate) fn serve(&mut self, pid: i32, peer: Peer, now: u64) {
        let at = self.find(pid);
        if self.entries[at].pid == pid {
            (self.entries[at].peer, self.entries[at].since) = (peer, now);
        }
    }

    /// A child was asked for the connection that it keeps.
    pub(crate) fn ask(&mut self, pid: i32, now: u64) {
        let at = self.find(pid);
        if self.entries[at].pid == pid {
            self.entries[at].asked = now;
        }
    }

    /// A child is done with its connection. Says whether it was told to end.
    pub(crate) fn rest(&mut self, pid: i32) -> bool {
        let at = self.find(pid);
        if self.entries[at].pid == pid {
            (self.entries[at].peer, self.entries[at].since) = (None, 0);
        }
        self.entries[at].told != Told::Nothing || self.entries[at].retired
    }

    /// A child was reaped; `None` for one that is not ours (a child of whoever executed us, or of init's).
    pub fn record_exit(&mut self, pid: i32) -> Option<Child> {
        let mut hole = self.find(pid);
        let child = self.entries[hole];
        if child.pid == 0 {
            return None;
        }
        self.live -= 1;
        // Entries behind the hole that were pushed past it move up, so that no search ends too early.
        let mask = self.entries.len() - 1;
        let mut next = hole;
        loop {
            next = (next + 1) & mask;
            let moved = self.entries[next];
            if moved.pid == 0 {
                break;
            }
            let distance = |to: usize| to.wrapping_sub(self.home(moved.pid)) & mask;
            if distance(hole) <= distance(next) {
                self.entries[hole] = moved;
                // From the beginning of the table to its end.
                self.rearranged += u64::from(next < hole);
                hole = next;
            }
        }
        self.entries[hole] = Child::default();
        Some(child)
    }

    /// Where the entry of `pid` is, or belongs.
    fn find(&self, pid: i32) -> usize {
        let mut at = self.home(pid);
        while self.entries[at].pid != 0 && self.entries[at].pid != pid {
            at = (at + 1) & (self.entries.len() - 1);
        }
        at
    }

    /// Process numbers are given out one after the other. By their low bits, a hundred thousand children that stay would
    /// lie side by side, and whoever comes when the numbers begin anew would be looked for behind all of them. Multiplied
    /// by 2^32 over the golden ratio, numbers that follow each other are spread evenly, by the upper bits (Knuth, The Art
    /// of Computer Programming, 6.4).
    fn home(&self, pid: i32) -> usize {
        let spread = pid.unsigned_abs().wrapping_mul(0x9e37_79b9);
        ((u64::from(spread) * self.entries.len() as u64) >> 32) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    /// The standard library's map is the reference; process numbers collide on purpose.
    #[test]
    fn behaves_like_a_map() {
        let mut children = Children::new(10).unwrap();
        let mut map = HashMap::new();
        let mut random = 1u32;
        for round in 0..100_000u32 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let pid = 1 + (random >> 16) as i32 % 40 + (random >> 30) as i32 * 128;
            let child = Child { pid, slot: round, ..Child::default() };
            if map.contains_key(&pid) || map.len() == 100 {
                assert_eq!(children.record_exit(pid), map.remove(&pid));
            } else {
                children.make_room().unwrap();
                children.register(child);
                map.insert(pid, child);
            }
            assert_eq!(children.live(), map.len());
        }
        assert_eq!(children.iter().count(), map.len());
        assert_eq!(children.record_exit(99_999), None);
    }

    /// A hundred thousand stay, numbered one after the other; others come and go, and are found within a few steps.
    #[test]
    fn who_stays_is_in_nobodys_way() {
        let mut children = Children::new(usize::MAX).unwrap();
        let held = 100_000;
        for pid in 1..=held {
            children.make_room().unwrap();
            children.register(Child { pid, ..Child::default() });
        }
        let size = children.end();
        let steps = |pid| (children.find(pid).wrapping_sub(children.home(pid))) & (size - 1);
        let (total, most) =
            (held + 1..held + 1_000_000).map(steps).fold((0, 0), |(total, most), now| (total + now, now.max(most)));
        assert!(total < 10_000_000 && most < 1000, "{total} steps for a million children, {most} for one");
    }

    /// Going down meets everybody who stays, whoever ends meanwhile.
    #[test]
    fn going_down_misses_nobody() {
        let mut random = 7u32;
        for _ in 0..200 {
            let mut children = Children::new(100).unwrap();
            for pid in 1..=90 {
                children.make_room().unwrap();
                children.register(Child { pid: pid * 37 % 4001, ..Child::default() });
            }
            let (mut met, mut place, mut gone) = (Vec::new(), children.end(), Vec::new());
            let before = children.rearranged();
            while let Some((at, pid)) = children.below(place) {
                (met, place) = ([met, vec![pid]].concat(), at);
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let other = (random >> 16) as i32 % 90 * 37 % 4001;
                gone.extend(children.record_exit(other).map(|child| child.pid));
            }
            let missed = children.iter().any(|child| !met.contains(&child.pid));
            assert!(!missed || children.rearranged() != before, "{met:?} of {gone:?}");
        }
    }
}
