//! What a pool's supervisor and its children tell each other without a system call, and the bell for when one is needed.
//!
//! There are two pages. One is the supervisor's: the children see it and cannot write to it, whatever becomes of them. The
//! other holds a count of idle children that each of them keeps. That one can be made to lie by a child under somebody
//! else's control, and decides little: a count that is too small has the pool grow to its limit, one that is too large
//! keeps it from growing until the next look at the scoreboard corrects it (each second while somebody is busy, once the
//! supervisor was woken). Such a child, which holds the listening socket as all do, could as well accept every connection
//! itself.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::atomic::AtomicI32;
use std::sync::atomic::Ordering::SeqCst;

use connection::{Demand, Fd, Need};
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::sys;

/// The supervisor's page.
#[repr(C, align(4096))]
pub struct Notice {
    demand: Demand,
    /// Who takes a connection and leaves fewer than `floor` idle children rings the bell, and who becomes idle as one of
    /// more than `ceiling`.
    floor: AtomicI32,
    ceiling: AtomicI32,
}

/// The page of all.
#[repr(C, align(4096))]
pub struct Tally {
    idle: AtomicI32,
    /// The fewest since that was last asked.
    fewest: AtomicI32,
}

/// Both, and the bell.
pub(crate) struct Notices {
    ours: &'static Notice,
    /// What children see of it. It cannot be written to.
    theirs: &'static Notice,
    tally: &'static Tally,
    bell: EventFd,
}

impl Notices {
    pub(crate) fn new() -> io::Result<Self> {
        let (ours, theirs) = sys::published_page()?;
        let tally = sys::shared_page()?;
        let bell = EventFd::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        ours.floor.store(i32::MIN, SeqCst);
        ours.ceiling.store(i32::MAX, SeqCst);
        tally.fewest.store(i32::MAX, SeqCst);
        Ok(Notices { ours, theirs, tally, bell })
    }

    // ---- In the supervisor. ----

    /// How many children are idle by their own count, of `live`.
    pub(crate) fn idle(&self, live: usize) -> usize {
        usize::try_from(self.tally.idle.load(SeqCst)).unwrap_or(0).min(live)
    }

    /// The fewest that were idle since this was last asked, by the same count.
    pub(crate) fn take_fewest(&self, live: usize) -> usize {
        usize::try_from(self.tally.fewest.swap(i32::MAX, SeqCst)).unwrap_or(0).min(live)
    }

    /// A child was made, which will be idle: it is counted before it runs, so that none is made in its place.
    pub(crate) fn born(&self) {
        self.tally.idle.fetch_add(1, SeqCst);
    }

    /// An idle child is gone.
    pub(crate) fn gone(&self) {
        self.tally.idle.fetch_sub(1, SeqCst);
    }

    /// Whether the count is none that `live` children can come to.
    pub(crate) fn is_absurd(&self, live: usize) -> bool {
        !usize::try_from(self.tally.idle.load(SeqCst)).is_ok_and(|idle| idle <= live)
    }

    /// By how much the count is wrong, when so many are idle.
    pub(crate) fn error(&self, idle: usize) -> i32 {
        i32::try_from(idle).unwrap_or(i32::MAX).wrapping_sub(self.tally.idle.load(SeqCst))
    }

    /// Corrects the count.
    pub(crate) fn correct(&self, error: i32) {
        self.tally.idle.fetch_add(error, SeqCst);
    }

    /// Says when to ring. Says whether that is the case already: then nobody will.
    pub(crate) fn wait_for(&self, floor: i32, ceiling: i32) -> bool {
        if self.ours.floor.load(SeqCst) != floor {
            self.ours.floor.store(floor, SeqCst);
        }
        if self.ours.ceiling.load(SeqCst) != ceiling {
            self.ours.ceiling.store(ceiling, SeqCst);
        }
        // After the stores, as children look at them after they have counted: one of the two sees the other's.
        !(floor..=ceiling).contains(&self.tally.idle.load(SeqCst))
    }

    pub(crate) fn publish(&self, need: Need) {
        self.ours.demand.publish(need);
    }

    /// Ready when it was rung.
    pub(crate) fn bell(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }

    /// Makes the bell silent again.
    pub(crate) fn silence(&self) {
        let _ = self.bell.read();
    }

    // ---- In a child. ----

    /// The need that the supervisor publishes.
    pub(crate) fn demand(&self) -> &'static Demand {
        &self.theirs.demand
    }

    /// A connection was taken.
    pub(crate) fn take(&self) {
        let idle = self.tally.idle.fetch_sub(1, SeqCst).wrapping_sub(1);
        self.tally.fewest.fetch_min(idle, SeqCst);
        if idle < self.theirs.floor.load(SeqCst) || idle > self.theirs.ceiling.load(SeqCst) {
            self.ring();
        }
    }

    /// A connection is over.
    pub(crate) fn give(&self) {
        if self.tally.idle.fetch_add(1, SeqCst).wrapping_add(1) > self.theirs.ceiling.load(SeqCst) {
            self.ring();
        }
    }

    #[cold]
    fn ring(&self) {
        // It cannot be full: that would take 2^64 - 1 of these.
        let _ = sys::write(Fd(self.bell.as_raw_fd()), &1u64.to_ne_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn was_rung(notices: &Notices) -> bool {
        notices.bell.read().is_ok()
    }

    #[test]
    fn the_bell_is_rung_when_it_matters_and_not_otherwise() {
        let notices = Notices::new().unwrap();
        (0..3).for_each(|_| notices.born());
        assert!(!notices.wait_for(1, 3));
        notices.take();
        notices.take();
        assert!(!was_rung(&notices) && notices.idle(3) == 1);
        notices.take();
        assert!(was_rung(&notices) && notices.idle(3) == 0);
        assert!(notices.wait_for(1, 3), "too late to be told");
        assert_eq!((notices.take_fewest(3), notices.take_fewest(3)), (0, 3), "nobody was taken since");
        (0..3).for_each(|_| notices.give());
        assert!(!was_rung(&notices));
        notices.give();
        assert!(was_rung(&notices), "one more than there can be");
        assert_eq!((notices.idle(3), notices.error(3)), (3, -1));
        notices.correct(-1);
        assert!(!notices.wait_for(1, 3));
    }

    #[test]
    fn whatever_is_written_there_is_read_without_harm() {
        let notices = Notices::new().unwrap();
        notices.wait_for(1, 7);
        for nonsense in [i32::MIN, -1, i32::MAX] {
            notices.tally.idle.store(nonsense, SeqCst);
            assert!(notices.idle(7) <= 7);
            notices.take();
            assert!(was_rung(&notices), "{nonsense}");
            notices.tally.idle.store(nonsense, SeqCst);
            notices.correct(notices.error(5));
            assert_eq!(notices.idle(7), 5);
        }
    }
}
