//! What the supervisor writes on the scoreboard.

use super::{Board, Counters, Row};
use crate::children::Child;
use crate::reap::Ended;
use crate::sys::{self, Peer};

/// What the supervisor writes down, for as long as it runs.
pub(crate) struct Books {
    pub(super) board: Option<&'static Board>,
    pub(crate) counters: &'static Counters,
    /// Rows without a child: the first of those that were given back, each of which names the next, and how many were ever
    /// used. No list of our own: children would inherit it.
    free: Option<u32>,
    fresh: u32,
    /// Whether somebody wants to know how long it takes to make a child.
    timed: bool,
}

impl Books {
    /// Without a board, what is counted is read by nobody else.
    pub(crate) fn new(board: Option<&'static Board>, timed: bool) -> Self {
        let counters = board.map_or_else(|| Box::leak(Box::default()), Board::counters);
        Books { board, counters, free: None, fresh: 0, timed }
    }

    fn row(&self, place: u32) -> Option<&'static Row> {
        self.board?.shared.rows().get(place as usize)
    }

    /// The time before a child is made, in microseconds, if somebody wants to know.
    pub(crate) fn clock(&self) -> u64 {
        if self.timed { sys::micros() } else { 0 }
    }

    fn took(&self, before: u64, now: u64) {
        if self.timed {
            self.counters.spawn.add(now.saturating_sub(before));
        }
    }

    /// A child of a pool was made, for this place; making it began at `before`.
    pub(crate) fn joined(&mut self, child: &Child, before: u64) {
        self.took(before, child.started);
        self.counters.made.add(1);
        if let Some(row) = self.row(child.slot) {
            row.begin(child.pid, child.started, false, None);
        }
    }

    /// A child was made at `now` for a client that the supervisor accepted; making it began at `before`. Says its place.
    pub(crate) fn began(&mut self, (pid, peer): (i32, Peer), before: u64, now: u64) -> u32 {
        self.took(before, now);
        self.counters.made.add(1);
        if self.board.is_none() {
            return 0;
        }
        let place = self.free.unwrap_or(self.fresh);
        let row = self.row(place);
        match self.free {
            Some(_) => self.free = row.and_then(Row::next),
            None => self.fresh += 1,
        }
        if let Some(row) = row {
            row.begin(pid, now, true, peer);
        }
        place
    }

    /// A child was reaped, `age` microseconds old.
    pub(crate) fn ended(&mut self, child: &Child, ended: &Ended, age: u64) {
        self.counters.ended(ended);
        let Some(board) = self.board else { return };
        if let Some(row) = self.row(child.slot) {
            row.end(self.free);
        }
        if let Some(slot) = board.shared.slots().get(child.slot as usize) {
            let (done, retired) = (slot.claims(age), &self.counters.retired);
            retired.iter().zip(done).for_each(|(retired, done)| retired.add(done));
        } else {
            self.free = Some(child.slot);
        }
    }
}
