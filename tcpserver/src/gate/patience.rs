//! When the service is full: how long clients are left in the kernel's queue before they are turned away.
//!
//! A burst is over in a moment: children end, or a pool grows. So nobody is turned away before somebody has waited for
//! that long; then all are who wait, and the next moment begins with the next to come. While the queue never gets empty,
//! for the service is full again and again, the moment is the same one: so nobody waits much longer than that, either to
//! be served or to be told.

/// In microseconds.
const MOMENT: u64 = 100_000;

/// When the service was not full for so long, nobody waits who did then.
const LONG: u64 = 1_000_000;

/// Since when somebody waits.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    /// When the first was seen to wait, of those who may be waiting still.
    since: Option<u64>,
    /// When the service was last looked at and full.
    full: u64,
}

impl Patience {
    /// The service is full at `now`. Says whether to look who comes.
    pub(crate) fn looks(&mut self, now: u64) -> bool {
        self.note(now);
        self.next().is_none_or(|next| next <= now)
    }

    /// The service is full at `now`, and somebody waits. Says whether it was long enough.
    pub(crate) fn is_over(&mut self, now: u64) -> bool {
        self.note(now);
        *self.since.get_or_insert(now) + MOMENT <= now
    }

    fn note(&mut self, now: u64) {
        if now.saturating_sub(self.full) > LONG {
            self.since = None;
        }
        self.full = now;
    }

    /// Nobody waits any more.
    pub(crate) fn nobody_waits(&mut self) {
        self.since = None;
    }

    /// When it will have been long enough, in microseconds of the monotonic clock.
    pub(crate) fn next(&self) -> Option<u64> {
        self.since.map(|since| since + MOMENT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_waits_and_who_stays_is_told() {
        let mut patience = Patience::default();
        let now = 10_000_000;
        assert!(patience.looks(now), "for the first to come");
        let now = now + 60_000_000;
        assert!(!patience.is_over(now), "who comes is left a moment");
        assert!(!patience.looks(now + MOMENT - 1));
        assert_eq!(patience.next(), Some(now + MOMENT));
        assert!(patience.looks(now + MOMENT) && patience.is_over(now + MOMENT));
        assert!(patience.is_over(now + MOMENT + 5), "all who wait are told");
        patience.nobody_waits();
        assert!(patience.looks(now + MOMENT + 6) && !patience.is_over(now + MOMENT + 7), "and the next waits a moment");
    }

    #[test]
    fn a_queue_that_never_gets_empty_is_one_moment() {
        let mut patience = Patience::default();
        let now = 10_000_000;
        assert!(patience.looks(now) && !patience.is_over(now));
        // Children end, others take their places, and it is full again.
        for step in 1..10 {
            assert!(!patience.looks(now + step * MOMENT / 10));
        }
        assert!(patience.looks(now + MOMENT) && patience.is_over(now + MOMENT));
    }

    #[test]
    fn what_was_an_hour_ago_does_not_count() {
        let mut patience = Patience::default();
        assert!(patience.looks(10_000_000) && !patience.is_over(10_000_000));
        let now = 3_600_000_000;
        assert!(!patience.is_over(now) && !patience.looks(now) && patience.is_over(now + MOMENT));
    }
}
