//! The supervisor spares the machine: no further child while memory is short.

use std::io;

use super::Supervisor;
use crate::sys;

/// For so long nothing is tried then, in microseconds, unless a child ends.
const PAUSE: u64 = 1_000_000;

impl Supervisor<'_> {
    /// Whether one more child is not to be made, because memory is short: that is told. Without any child one is always
    /// tried, for a limit never turns the service off.
    pub(super) fn is_short_of_memory(&mut self) -> bool {
        if self.children.live() == 0 {
            return false;
        }
        let now = sys::micros();
        let Some(floor) = &mut self.floor else { return false };
        if !floor.is_reached(now) {
            return false;
        }
        let reason = io::Error::other(floor.reason());
        self.hold.pause(now, PAUSE);
        self.tell_held_up("fork", &reason);
        true
    }
}
