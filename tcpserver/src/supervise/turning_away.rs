//! The supervisor turns away whom it has no child for, where that was asked for.

use super::Supervisor;
use crate::admit::{self, Nothing};
use crate::spawn::handed::Handed;
use crate::sys;

/// Up to so many are turned away before the supervisor looks at anything else.
const BURST: u32 = 64;

impl Supervisor<'_> {
    /// Whether the service is full, and clients are not to wait for ever.
    pub(super) fn is_full_for_good(&self) -> bool {
        let makes_room = || self.handed.as_ref().is_some_and(Handed::somebody_leaves);
        self.is_full() && !makes_room() && self.waiting.is_none() && self.stopping.is_none()
    }

    /// Somebody is queued: if the service is full, it is left a moment, and then turned away with all who wait.
    pub(super) fn turn_away_queued(&mut self, at: usize) {
        if !self.is_full_for_good() || !self.porter.patience().is_some_and(|patience| patience.is_over(sys::micros())) {
            return;
        }
        // Who has ended and was not reaped yet has left room.
        self.reap_all(true, sys::micros());
        // Where children wait in accept(2) itself, whoever comes to it now finds that it does not wait, and looks again.
        let waits = self.children_accept() && !self.listeners[at].is_nonblocking();
        if waits && let Err(error) = self.listeners[at].set_nonblocking() {
            return self.held_up("turn clients away", &error.into());
        }
        for _ in 0..BURST {
            if !self.is_full_for_good() || !self.turn_one_away(at) {
                break;
            }
        }
        if waits && let Err(error) = self.listeners[at].set_blocking() {
            self.held_up("turn clients away", &error.into());
        }
    }

    /// Says whether there was somebody.
    fn turn_one_away(&mut self, at: usize) -> bool {
        match admit::accept(&self.listeners[at]) {
            Ok(admitted) => {
                self.porter.turn_away(admitted, &mut self.log);
                return true;
            }
            Err(Nothing::Exhausted(error) | Nothing::Closed(error)) => self.held_up("accept", &error),
            Err(Nothing::Gone | Nothing::Interrupted) => self.nobody_waits(),
        }
        false
    }

    /// Who comes next is left a moment again.
    pub(super) fn nobody_waits(&mut self) {
        if let Some(patience) = self.porter.patience() {
            patience.nobody_waits();
        }
    }
}
