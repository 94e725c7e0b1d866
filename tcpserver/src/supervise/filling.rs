//! The supervisor keeps a pool filled.

use super::{Crew, Supervisor};
use crate::children::Child;
use crate::sys;

impl Supervisor<'_> {
    /// Makes the children that a pool lacks.
    pub(super) fn fill(&mut self) {
        let wanted = self.lacks_children();
        while wanted && self.lacks_children() && !self.hold.is_on(sys::micros()) && self.add_child() {}
    }

    /// Makes one more child of a pool, and says whether there is one.
    pub(super) fn add_child(&mut self) -> bool {
        let Crew::Pool(pool) = &mut self.crew else { return false };
        let before = self.books.clock();
        let spawned = self.children.make_room().and_then(|()| pool.spawn(self.nest, &self.listeners, &mut self.handed));
        match spawned {
            Ok((pid, slot)) => {
                self.reaper.born(pid);
                let child = Child { pid, slot, started: sys::micros(), ..Child::default() };
                self.books.joined(&child, before);
                self.children.register(child);
                true
            }
            Err(error) => {
                self.held_up("fork", &error);
                false
            }
        }
    }

    /// Whether a pool is to be filled.
    pub(super) fn lacks_children(&self) -> bool {
        // Those who are handed connections are made for them while the service stops.
        let wanted = self.stopping.as_ref().is_none_or(|stopping| !stopping.queue_empty && self.handed.is_none());
        matches!(&self.crew, Crew::Pool(pool) if wanted && !pool.is_full())
    }
}
