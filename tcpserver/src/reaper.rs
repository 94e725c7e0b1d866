//! Finding the children that have ended.
//!
//! wait4(2) for any child looks at each of them, the oldest first: with four thousand connections held, one call takes a
//! tenth of a millisecond, as long as starting a program does; with two hundred thousand, thirty milliseconds. For one child
//! by its number it takes half a microsecond. So while there are many, those are asked for by number who are likely to have
//! ended: whom the signal named, and who began last.
//!
//! Signals that come at the same time are one, which names one child. The others are found by asking for all of them, now
//! and then; where there are very many, by asking for each by number, a slice of the table at a time, so that it never takes
//! more than a small share of the supervisor's time, and finds all who have ended in one pass, however many they are.
//! (A pidfd for each would tell exactly who has ended; but every fork copies the table of descriptors.)

use crate::children::Children;
use crate::reap::Ended;
use crate::sys::{self, Table, Waited};

/// Up to this many live children are asked for all at once.
const FEW: usize = 128;

/// Up to this many are asked for all at once every now and then; beyond, slice by slice.
const MANY: usize = 512;

/// The time from one asking for all to the next, in microseconds: with up to [`MANY`]; and beyond, where it finds children
/// that are not in the table (those of whoever executed us, or of init's), one at a time.
const SWEEP: u64 = 100_000;
const CENSUS: u64 = 60_000_000;

/// How many children are known by number.
const YOUNG: usize = 1024;

/// When so many of the young are found alive, those behind them are too young to have ended.
const ALIVE: u32 = 2;

/// Who was found alive so often is not young any more.
const OLD: u8 = 8;

/// So many are asked for in a slice.
const SLICE: u32 = 256;

/// If one in so many of a slice had ended, it was worth its time, and the next follows at once.
const WORTH: u32 = 8;

/// Otherwise so many times as long as it took passes until the next: less while nobody can be served until one is found.
const PAUSE: u64 = 49;
const SHORT_PAUSE: u64 = 3;

/// Whom a round asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Round {
    /// The child that the signal named.
    Named(i32),
    /// The young from this place on, so many having been found alive.
    Young(usize, u32),
    All,
    /// Any, once, and then a slice.
    Census,
    Slice,
    Over,
}

/// Why a round begins.
#[derive(Clone, Copy)]
pub(crate) struct Occasion {
    /// The child that the last signal named.
    pub(crate) named: Option<i32>,
    /// Whether somebody may have ended since the last round.
    pub(crate) news: bool,
    /// Another child can be made only when one has ended.
    pub(crate) must_know: bool,
    /// Microseconds of the monotonic clock.
    pub(crate) now: u64,
}

/// Going through the table of children, from above.
#[derive(Default)]
struct Pass {
    /// All from here on were asked for; 0 when the pass is over.
    place: usize,
    /// What the table said of itself when it began.
    rearranged: u64,
    /// Somebody may have ended behind it.
    again: bool,
    /// In this slice: since when, how many were asked for, and how many of them had ended.
    began: u64,
    asked: u32,
    found: u32,
}

/// The last children to begin, the first of them first, and how often each was found alive. No child inherits this memory:
/// it is written to after each fork, and each time a page would be copied.
struct Young {
    /// `None` if there was no memory for it: then nobody is known.
    ring: Option<Table<(i32, u8)>>,
    first: usize,
    len: usize,
}

impl Default for Young {
    fn default() -> Self {
        Young { ring: Table::new(YOUNG).ok(), first: 0, len: 0 }
    }
}

impl Young {
    fn entry(&mut self, at: usize) -> Option<&mut (i32, u8)> {
        let place = (self.first + at) % YOUNG;
        self.ring.as_mut().map(|ring| &mut ring[place])
    }

    fn get(&mut self, at: usize) -> Option<(i32, u8)> {
        if at < self.len { self.entry(at).copied() } else { None }
    }

    fn seen_alive(&mut self, at: usize) {
        self.entry(at).into_iter().for_each(|(_, seen)| *seen += 1);
    }

    fn push(&mut self, pid: i32) {
        if self.len == YOUNG {
            (self.first, self.len) = ((self.first + 1) % YOUNG, self.len - 1);
        }
        if let Some(entry) = self.entry(self.len) {
            *entry = (pid, 0);
            self.len += 1;
        }
    }

    /// Those before it, of whom there are few, move up.
    fn remove(&mut self, at: usize) {
        for at in (0..at).rev() {
            if let (Some(moved), Some(place)) = (self.get(at), self.entry(at + 1)) {
                *place = moved;
            }
        }
        (self.first, self.len) = ((self.first + 1) % YOUNG, self.len - 1);
    }

    fn clear(&mut self) {
        self.len = 0;
    }
}

/// Finds the children that have ended, in rounds: [`Reaper::begin`], then [`Reaper::next`] until there is none.
pub(crate) struct Reaper {
    /// The last to begin, and how often each was found alive.
    young: Young,
    round: Round,
    /// Whether this round asks for all if none of the young has ended.
    must_know: bool,
    /// Whether it asks for all, or for a slice, in any case.
    sweep: bool,
    /// When that may be done again.
    next_sweep: u64,
    /// Whether somebody may have ended since all were asked for.
    owed: bool,
    pass: Pass,
    next_census: u64,
}

impl Default for Reaper {
    fn default() -> Self {
        Reaper {
            young: Young::default(),
            round: Round::Over,
            must_know: false,
            sweep: false,
            next_sweep: 0,
            owed: false,
            pass: Pass::default(),
            next_census: 0,
        }
    }
}

impl Reaper {
    /// A child was made.
    pub(crate) fn born(&mut self, pid: i32) {
        self.young.push(pid);
    }

    /// Begins a round.
    pub(crate) fn begin(&mut self, children: &Children, occasion: Occasion) {
        let Occasion { named, news, must_know, now } = occasion;
        if children.live() <= FEW {
            self.young.clear();
            self.pass = Pass::default();
            self.round = Round::All;
            self.owed = false;
            return;
        }
        self.round = named.map_or(Round::Young(0, 0), Round::Named);
        self.must_know = must_know;
        self.sweep = now >= self.next_sweep;
        if children.live() <= MANY {
            self.pass = Pass::default();
            self.owed = !self.sweep;
            if self.sweep {
                self.next_sweep = now + SWEEP;
            }
            return;
        }
        self.pass.again |= news || (self.owed && self.pass.place == 0);
        if self.pass.place == 0 && self.pass.again {
            self.pass = Pass { place: children.end(), rearranged: children.rearranged(), ..Pass::default() };
        }
        (self.pass.began, self.pass.asked, self.pass.found) = (now, 0, 0);
        self.owed = self.pass.place > 0;
    }

    /// The next child that has ended.
    pub(crate) fn next(&mut self, children: &Children) -> Option<Ended> {
        loop {
            let found = match self.round {
                Round::Named(pid) => {
                    self.round = Round::Young(0, 0);
                    ended(sys::reap(pid))
                }
                Round::Young(at, alive) => match self.young.get(at) {
                    Some((pid, seen)) if alive < ALIVE => self.ask_young(at, alive, pid, seen),
                    _ => {
                        self.round = self.after_young(children);
                        None
                    }
                },
                Round::All => {
                    let found = ended(sys::reap(-1));
                    if found.is_none() {
                        self.round = Round::Over;
                    }
                    found
                }
                Round::Census => {
                    self.round = Round::Slice;
                    ended(sys::reap(-1))
                }
                Round::Slice => {
                    let found = self.ask_slice(children);
                    if found.is_none() {
                        self.round = Round::Over;
                    }
                    found
                }
                Round::Over => return None,
            };
            if found.is_some() {
                // That is enough to know.
                self.must_know = false;
                return found;
            }
        }
    }

    fn ask_young(&mut self, at: usize, alive: u32, pid: i32, seen: u8) -> Option<Ended> {
        let waited = sys::reap(pid);
        if let Waited::NotYet = waited {
            self.round = Round::Young(at, alive + 1);
            if seen + 1 < OLD {
                self.young.seen_alive(at);
                self.round = Round::Young(at + 1, alive + 1);
                return None;
            }
        }
        self.young.remove(at);
        // Or it was found before, by another way.
        ended(waited)
    }

    fn after_young(&mut self, children: &Children) -> Round {
        if children.live() <= MANY {
            return if self.sweep || self.must_know { Round::All } else { Round::Over };
        }
        if !self.sweep || self.pass.place == 0 {
            return Round::Over;
        }
        if self.pass.began >= self.next_census {
            self.next_census = self.pass.began + CENSUS;
            return Round::Census;
        }
        Round::Slice
    }

    /// The next in this slice of the table that has ended.
    fn ask_slice(&mut self, children: &Children) -> Option<Ended> {
        let pass = &mut self.pass;
        while pass.asked < SLICE {
            let Some((at, pid)) = children.below(pass.place) else {
                let missed = pass.rearranged != children.rearranged();
                let anew = if missed || pass.again { children.end() } else { 0 };
                *pass = Pass { place: anew, rearranged: children.rearranged(), again: false, ..*pass };
                self.owed = anew > 0;
                break;
            };
            pass.place = at;
            pass.asked += 1;
            if let Some(ended) = ended(sys::reap(pid)) {
                pass.found += 1;
                return Some(ended);
            }
        }
        let now = sys::micros();
        let pause = match pass.found * WORTH >= pass.asked && pass.found > 0 {
            true => 0,
            false if self.must_know => SHORT_PAUSE,
            false => PAUSE,
        };
        self.next_sweep = now + pause * (now.saturating_sub(pass.began) + 1);
        None
    }

    /// When a further round is due although no signal says so: signals of children that end at once are one.
    pub(crate) fn due(&self) -> Option<u64> {
        self.owed.then_some(self.next_sweep)
    }
}

fn ended(waited: Waited) -> Option<Ended> {
    match waited {
        Waited::Ended(pid, status, usage) => Some(Ended { pid, status, usage }),
        Waited::NotYet | Waited::NoChild => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    /// The standard library's queue is the reference.
    #[test]
    fn the_young_are_a_queue() {
        let (mut young, mut queue) = (Young::default(), VecDeque::new());
        let mut random = 1u32;
        for pid in 1..10_000 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if queue.len() == YOUNG {
                queue.pop_front();
            }
            queue.push_back((pid, 0));
            young.push(pid);
            let at = (random >> 20) as usize % 3;
            if random >> 31 == 0 && at < queue.len() {
                young.remove(at);
                queue.remove(at);
            } else if at < queue.len() {
                young.seen_alive(at);
                queue[at].1 += 1;
            }
            for at in 0..4 {
                assert_eq!(young.get(at), queue.get(at).copied());
            }
            assert_eq!(young.len, queue.len());
        }
    }
}
