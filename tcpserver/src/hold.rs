//! Holding back after a failure that would repeat at once: longer each time, and never for long.

/// Microseconds; each failure doubles it.
const FIRST: u64 = 50_000;
const MOST: u64 = 10_000_000;

/// A pause that grows while failures follow each other.
#[derive(Default)]
pub(crate) struct Hold {
    until: u64,
    failures: u32,
}

impl Hold {
    /// One more failure at `now`. Says how long nothing is tried, in microseconds.
    pub(crate) fn extend(&mut self, now: u64) -> u64 {
        // One failure can be reported by many children that were made together: it counts once.
        if !self.is_on(now) {
            if now.saturating_sub(self.until) > MOST {
                // Long ago: it has worked since.
                self.failures = 0;
            }
            let pause = (FIRST << self.failures.min(16)).min(MOST);
            self.failures += 1;
            self.until = now + pause;
        }
        self.until - now
    }

    /// Something is short, which is looked for again after `pause` microseconds, however often it was short.
    pub(crate) fn pause(&mut self, now: u64, pause: u64) {
        self.until = self.until.max(now + pause);
    }

    /// It works again: nothing is held back, and the next failure is a first one.
    pub(crate) fn lift(&mut self) {
        *self = Hold::default();
    }

    /// Whether to hold back.
    pub(crate) fn is_on(&self, now: u64) -> bool {
        now < self.until
    }

    /// For how long, in microseconds.
    pub(crate) fn left(&self, now: u64) -> Option<u64> {
        self.is_on(now).then(|| self.until - now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_a_limit_and_starts_anew() {
        let mut hold = Hold::default();
        let mut now = 1;
        let mut pauses = Vec::new();
        for _ in 0..10 {
            pauses.push(hold.extend(now) / 1000);
            assert_eq!(hold.extend(now) / 1000, *pauses.last().unwrap(), "one failure counted twice");
            now += hold.left(now).unwrap();
            assert!(!hold.is_on(now));
        }
        assert_eq!(pauses, [50, 100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        assert_eq!(hold.extend(now + MOST), MOST, "it still fails");
        now += MOST + hold.left(now + MOST).unwrap() + MOST + 1;
        assert_eq!(hold.extend(now), 50_000, "failures that lie far apart are added up");
        hold.lift();
        assert_eq!(hold.extend(now), 50_000);
    }
}
