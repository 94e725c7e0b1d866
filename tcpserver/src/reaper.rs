//! Finding the children that have ended.
//!
//! wait4(2) for any child looks at each of them, the oldest first: with four thousand connections held, one call takes a
//! tenth of a millisecond, as long as starting a program does. For one child by its number it takes half a microsecond. So
//! while there are many, those are asked for by number who are likely to have ended, because they began last; all of them
//! are asked for now and then, and where it matters.

use std::collections::VecDeque;

use crate::reap::Ended;
use crate::sys::{self, Waited};

/// Up to this many live children are asked for all at once.
const FEW: usize = 128;

/// With more, the time from one asking for all to the next, in microseconds.
const SWEEP: u64 = 100_000;

/// How many children are known by number.
const YOUNG: usize = 1024;

/// When so many of the young are found alive, those behind them are too young to have ended.
const ALIVE: u32 = 2;

/// Who was found alive so often is not young any more.
const OLD: u8 = 8;

/// Whom a round asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Round {
    /// The young from this place on, so many having been found alive.
    Young(usize, u32),
    All,
    Over,
}

/// Finds the children that have ended, in rounds: [`Reaper::begin`], then [`Reaper::next`] until there is none.
pub(crate) struct Reaper {
    /// The last to begin, and how often each was found alive.
    young: VecDeque<(i32, u8)>,
    round: Round,
    /// Whether this round asks for all if none of the young has ended.
    must_know: bool,
    /// Whether it asks for all in any case.
    sweep: bool,
    /// When all may be asked for again.
    next_sweep: u64,
    /// Whether somebody may have ended since all were asked for.
    owed: bool,
}

impl Default for Reaper {
    fn default() -> Self {
        Reaper {
            young: VecDeque::with_capacity(YOUNG),
            round: Round::Over,
            must_know: false,
            sweep: false,
            next_sweep: 0,
            owed: false,
        }
    }
}

impl Reaper {
    /// A child was made.
    pub(crate) fn born(&mut self, pid: i32) {
        if self.young.len() == YOUNG {
            self.young.pop_front();
        }
        self.young.push_back((pid, 0));
    }

    /// Begins a round at `now`, with so many live children. `must_know` says that another can be made only when one of
    /// them has ended.
    pub(crate) fn begin(&mut self, live: usize, must_know: bool, now: u64) {
        if live <= FEW {
            self.young.clear();
            self.round = Round::All;
            self.owed = false;
            return;
        }
        self.round = Round::Young(0, 0);
        self.must_know = must_know;
        self.sweep = now >= self.next_sweep;
        self.owed = !self.sweep;
        if self.sweep {
            self.next_sweep = now + SWEEP;
        }
    }

    /// The next child that has ended.
    pub(crate) fn next(&mut self) -> Option<Ended> {
        loop {
            let found = match self.round {
                Round::Young(at, alive) => match self.young.get(at).copied() {
                    Some((pid, seen)) if alive < ALIVE => self.ask_young(at, alive, pid, seen),
                    _ => {
                        self.round = if self.sweep || self.must_know { Round::All } else { Round::Over };
                        None
                    }
                },
                Round::All => match sys::reap(-1) {
                    Waited::Ended(pid, status, usage) => Some(Ended { pid, status, usage }),
                    Waited::NotYet | Waited::NoChild => {
                        self.round = Round::Over;
                        None
                    }
                },
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
                self.young[at].1 += 1;
                self.round = Round::Young(at + 1, alive + 1);
                return None;
            }
        }
        self.young.remove(at);
        match waited {
            Waited::Ended(pid, status, usage) => Some(Ended { pid, status, usage }),
            // It was found among all before.
            Waited::NotYet | Waited::NoChild => None,
        }
    }

    /// When a further round is due although no signal says so: signals of children that end at once are one.
    pub(crate) fn due(&self) -> Option<u64> {
        self.owed.then_some(self.next_sweep)
    }
}
