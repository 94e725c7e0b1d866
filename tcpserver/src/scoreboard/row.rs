//! What the supervisor knows of a child, in memory that no child has.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::whom::Whom;
use crate::sys::Peer;

/// One live child, or a place for one.
#[repr(C)]
#[derive(Debug)]
pub struct Row {
    /// Its process number; 0 for none.
    pid: AtomicU64,
    /// When it was made, in microseconds of the monotonic clock. In a place without a child: the next such place, and one
    /// more; 0 for none.
    since: AtomicU64,
    /// Its client, where the supervisor accepted the connection.
    client: Whom,
}

impl Row {
    /// A child was made, for `peer` if the supervisor accepted its connection (`served`).
    pub fn begin(&self, pid: i32, since: u64, served: bool, peer: Peer) {
        if served {
            self.client.set(peer);
        }
        self.since.store(since, Relaxed);
        self.pid.store(pid.unsigned_abs().into(), Relaxed);
    }

    /// It was reaped. Behind this place in the list of those without a child is `next`.
    pub fn end(&self, next: Option<u32>) {
        self.pid.store(0, Relaxed);
        self.client.clear();
        self.since.store(next.map_or(0, |next| u64::from(next) + 1), Relaxed);
    }

    /// Which place without a child comes after this one.
    #[must_use]
    pub fn next(&self) -> Option<u32> {
        u32::try_from(self.since.load(Relaxed).checked_sub(1)?).ok()
    }

    /// The child's process number, if there is one.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        u32::try_from(self.pid.load(Relaxed)).ok().filter(|&pid| pid != 0)
    }

    /// When it was made, in microseconds of the monotonic clock.
    #[must_use]
    pub fn since(&self) -> u64 {
        self.since.load(Relaxed)
    }

    /// Its client, as far as the supervisor knows: `None` when children accept for themselves.
    #[must_use]
    pub fn client(&self) -> Option<Peer> {
        self.client.is_somebody().then(|| self.client.peer())
    }
}
