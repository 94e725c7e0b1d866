//! How many children a pool has: what is asked for, and how it follows the load.

/// How many children a pool has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolSize {
    /// So many wait ahead of connections, or more, as far as `max_children` allows.
    pub min_spare: u32,
    /// When more than so many wait, one after the other leaves.
    pub max_spare: u32,
    /// At once, busy or waiting.
    pub max_children: u32,
}

impl From<u32> for PoolSize {
    fn from(children: u32) -> Self {
        PoolSize::fixed(children)
    }
}

impl PoolSize {
    /// Always so many, whatever the load.
    #[must_use]
    pub const fn fixed(children: u32) -> Self {
        PoolSize { min_spare: children, max_spare: children, max_children: children }
    }

    /// Whether it stays as it is, whatever the load.
    #[must_use]
    pub const fn is_fixed(&self) -> bool {
        self.min_spare == self.max_children
    }
}

/// Two bursts within this time, in microseconds, are one wave: each has twice the children of the one before.
const WAVE: u64 = 1_000_000;

/// Most children that are made before the supervisor looks at anything else.
const LARGEST_BURST: usize = 256;

/// The time until the first of too many spare children leaves, in microseconds, and the shortest between two that leave.
/// It is halved each time.
const FIRST_LEAVE: u64 = 1_000_000;
const LEAVE: u64 = 50_000;

/// How a pool grows and shrinks.
pub(crate) struct Spares {
    pub(crate) size: PoolSize,
    /// The size of the last burst, and when it was.
    burst: (usize, u64),
    /// When the next spare child may leave and the time between two, while there are too many.
    leave: Option<(u64, u64)>,
}

impl Spares {
    pub(crate) fn new(size: PoolSize) -> Self {
        Spares { size, burst: (0, 0), leave: None }
    }

    /// Whether there are too few, with so many children live and so many of them idle.
    pub(crate) fn are_lacking(&self, live: usize, idle: usize) -> bool {
        live < self.size.max_children as usize && idle < self.size.min_spare as usize
    }

    /// How many to make at `now`, all at once: what lacks, and more when that was not enough a moment ago.
    pub(crate) fn burst(&mut self, live: usize, idle: usize, now: u64) -> usize {
        if !self.are_lacking(live, idle) {
            return 0;
        }
        let [min, max, most] = [self.size.min_spare, self.size.max_spare, self.size.max_children].map(|n| n as usize);
        let (last, when) = self.burst;
        let wave = if now.saturating_sub(when) < WAVE { 2 * last } else { 0 };
        let burst = wave.max(min - idle).min(LARGEST_BURST).min(max - idle).min(most - live);
        self.burst = (burst, now);
        burst
    }

    /// Whether one of so many idle children is to leave at `now`.
    pub(crate) fn is_one_too_many(&mut self, idle: usize, now: u64) -> bool {
        if idle <= self.size.max_spare as usize {
            self.leave = None;
            return false;
        }
        let (next, pause) = *self.leave.get_or_insert((now + FIRST_LEAVE, FIRST_LEAVE));
        if now < next {
            return false;
        }
        let pause = (pause / 2).max(LEAVE);
        self.leave = Some((now + pause, pause));
        true
    }

    /// When the next one may leave, if there are too many.
    pub(crate) fn next_leave(&self) -> Option<u64> {
        self.leave.map(|(next, _)| next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: PoolSize = PoolSize { min_spare: 4, max_spare: 100, max_children: 300 };

    #[test]
    fn grows_in_bursts_that_double_and_end_at_the_limits() {
        let mut spares = Spares::new(SIZE);
        assert_eq!(spares.burst(0, 0, 1), 4);
        assert_eq!(spares.burst(4, 4, 2), 0);
        let (mut live, mut bursts) = (4, Vec::new());
        while let made @ 1.. = spares.burst(live, 0, 10) {
            bursts.push(made);
            live += made;
        }
        // A wave: never more than max-spare at once, and the last ones fill up to the limit.
        assert_eq!((bursts, live), (vec![8, 16, 32, 64, 100, 76], 300));
        // Much later, what lacks and no more.
        assert_eq!(spares.burst(100, 1, 10 + WAVE), 3);
    }

    #[test]
    fn shrinks_one_by_one_and_only_when_it_stays_too_large() {
        let mut spares = Spares::new(SIZE);
        assert!(!spares.is_one_too_many(100, 0) && spares.next_leave().is_none());
        assert!(!spares.is_one_too_many(101, 0), "a moment is no trend");
        assert!(!spares.is_one_too_many(100, 10) && spares.next_leave().is_none());
        assert!(!spares.is_one_too_many(200, 20));
        let (mut now, mut pauses) = (20, Vec::new());
        for _ in 0..8 {
            let next = spares.next_leave().unwrap();
            pauses.push((next - now) / 1000);
            assert!(!spares.is_one_too_many(200, next - 1));
            assert!(spares.is_one_too_many(200, next));
            now = next;
        }
        assert_eq!(pauses, [1000, 500, 250, 125, 62, 50, 50, 50]);
    }

    #[test]
    fn a_fixed_pool_is_filled_and_nothing_else() {
        let mut spares = Spares::new(PoolSize::fixed(5));
        assert_eq!((spares.burst(0, 0, 1), spares.burst(5, 0, 2), spares.burst(4, 0, 3)), (5, 0, 1));
        assert!(!spares.is_one_too_many(5, 10));
    }
}
