//! The supervisor shows what the service does, to those who ask at its window.

use super::Supervisor;
use crate::sys;

impl Supervisor<'_> {
    /// Serves the window, if there is one and something is to be done there.
    pub(super) fn show(&mut self, asked: bool) {
        self.porter.write_down(self.books.counters);
        let (Some(window), Some(board)) = (&mut self.window, self.nest.board) else { return };
        if !asked && window.next().is_none_or(|next| next > sys::micros()) {
            return;
        }
        let (metrics, listeners, limit) = (&mut self.metrics, &self.listeners, self.limit);
        window.work(&mut || metrics.page(board, listeners, limit));
        self.nest.private.set(window.descriptors());
    }
}
