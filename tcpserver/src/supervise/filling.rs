//! The supervisor keeps a pool filled.

use super::{Crew, Supervisor};
use crate::children::Child;
use crate::sys;

impl Supervisor<'_> {
    /// Makes the children that a pool lacks.
    pub(super) fn fill(&mut self) {
        let wanted = self.lacks_children();
        let Crew::Pool(pool) = &mut self.crew else { return };
        let mut failure = None;
        while wanted && !pool.is_full() && !self.hold.is_on(sys::micros()) && failure.is_none() {
            let before = self.books.clock();
            match self.children.make_room().and_then(|()| pool.spawn(self.nest, &self.listeners)) {
                Ok((pid, slot)) => {
                    self.reaper.born(pid);
                    let child = Child { pid, slot, started: sys::micros(), ..Child::default() };
                    self.books.joined(&child, before);
                    self.children.register(child);
                }
                Err(error) => failure = Some(error),
            }
        }
        if let Some(error) = failure {
            self.held_up("fork", &error);
        }
    }

    /// Whether a pool is to be filled.
    pub(super) fn lacks_children(&self) -> bool {
        let wanted = self.stopping.as_ref().is_none_or(|stopping| !stopping.queue_empty);
        matches!(&self.crew, Crew::Pool(pool) if wanted && !pool.is_full())
    }
}
