//! The supervisor shows what the service does, to those who ask at its window.

use super::{Crew, Supervisor};
use crate::sys;
use crate::window::Window;

impl Supervisor<'_> {
    /// Before a wait: writes down how full the service is.
    pub(super) fn note_level(&self, now: u64) {
        let (live, counters) = (self.children.live(), self.books.counters);
        let (idle, is_full) = match (&self.crew, &self.handed) {
            (Crew::Pool(_), Some(handed)) => (handed.idle(), handed.serving() >= self.limit),
            (Crew::Pool(pool), None) => (pool.idle(), live >= self.limit && pool.idle() == 0),
            _ => (self.limit.saturating_sub(live), live >= self.limit),
        };
        counters.idle(idle as u64);
        counters.level(is_full, now);
    }

    /// Serves the window, if there is one and something is to be done there.
    pub(super) fn show(&mut self, asked: bool) {
        self.porter.write_down(self.books.counters);
        let is_due = |window: &Window| asked || window.next().is_some_and(|next| next <= sys::micros());
        if !self.window.as_ref().is_some_and(is_due) {
            return;
        }
        self.note_level(sys::micros());
        if let (Crew::Pool(pool), None) = (&self.crew, &self.handed) {
            self.books.counters.idle(pool.notices.take_fewest(pool.live()) as u64);
        }
        let (Some(window), Some(board)) = (&mut self.window, self.nest.board) else { return };
        let (metrics, listeners, limit) = (&mut self.metrics, &self.listeners, self.limit);
        window.work(&mut || metrics.page(board, listeners, limit));
        self.nest.private.set(window.descriptors());
    }
}
