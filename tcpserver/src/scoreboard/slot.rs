//! What a child of a pool says of itself, on a page of its own.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use connection::Progress;

use super::whom::Whom;
use crate::sys::Peer;

/// One child's page. A page each, so that children do not share cache lines, and each is mapped in its child alone.
#[repr(C, align(4096))]
#[derive(Debug)]
pub struct Slot {
    /// Connections taken since the child was made.
    taken: AtomicU64,
    client: Whom,
    progress: Progress,
}

impl Slot {
    /// For the supervisor, before it makes a child: a clean page.
    pub fn clear(&self) {
        self.client.clear();
        self.taken.store(0, Relaxed);
        self.progress.reset();
    }

    /// For the child: a connection was accepted.
    pub fn begin(&self, peer: Peer) {
        self.client.set(peer);
        self.taken.store(self.taken.load(Relaxed).wrapping_add(1), Relaxed);
    }

    /// For the child: the connection is closed, and nothing of its client stays here.
    pub fn end(&self) {
        self.client.clear();
        self.progress.forget();
    }

    /// Whether the child says that it serves a connection.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.client.is_somebody()
    }

    /// The client that the child says it serves.
    #[must_use]
    pub fn peer(&self) -> Peer {
        self.client.peer()
    }

    /// How many connections the child says it took.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.taken.load(Relaxed)
    }

    /// What the child's handler tells.
    #[must_use]
    pub fn progress(&self) -> &Progress {
        &self.progress
    }
}

/// Nothing is done more often in a microsecond: connections, requests, bytes.
const FASTEST: [u64; 3] = [1, 1, 100_000];

impl Slot {
    /// What the child says that it did in `age` microseconds, as far as that is possible: connections, requests, bytes.
    #[must_use]
    pub fn claims(&self, age: u64) -> [u64; 3] {
        let (requests, bytes) = self.progress.counts();
        let said = [self.taken(), requests, bytes];
        // A machine has been seen to be slow to tell the time.
        let age = age.saturating_add(1_000_000);
        std::array::from_fn(|i| said[i].min(age.saturating_mul(FASTEST[i])))
    }
}
