//! When requests are due.
//!
//! In a closed loop a connection asks again when it has its answer: a server that stops for a second is asked less in that
//! second, and most of the clients who would have waited never appear. In an open loop clients come when they come, and
//! a request's time counts from when it was due, whether a connection was free for it or not. So nothing is omitted
//! (Gil Tene, "How NOT to Measure Latency").

/// How clients come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// The next when one is done.
    Closed,
    /// So many a second, at random and independently of each other (a Poisson process), the same in every run.
    Open(f64),
}

/// The requests of one run, in the order in which they are due. Times are in nanoseconds.
pub struct Schedule {
    pace: Pace,
    /// When the next one is due, in an open loop.
    next: f64,
    end: u64,
    random: u64,
}

impl Schedule {
    /// Requests from `start` on, none at or after `end`.
    pub fn new(pace: Pace, start: u64, end: u64) -> Self {
        let mut schedule = Schedule { pace, next: start as f64, end, random: 0x9E37_79B9_7F4A_7C15 };
        schedule.advance();
        schedule
    }

    /// The time for which the next request was due, if that has come; it is taken.
    pub fn take(&mut self, now: u64) -> Option<u64> {
        match self.pace {
            Pace::Closed => (now < self.end).then_some(now),
            Pace::Open(_) => {
                let due = self.next as u64;
                if due > now || due >= self.end {
                    return None;
                }
                self.advance();
                Some(due)
            }
        }
    }

    /// When to look again, in an open loop that has not ended.
    pub fn next(&self) -> Option<u64> {
        let due = self.next as u64;
        (matches!(self.pace, Pace::Open(_)) && due < self.end).then_some(due)
    }

    /// Whether no request is due any more.
    pub fn is_over(&self, now: u64) -> bool {
        match self.pace {
            Pace::Closed => now >= self.end,
            Pace::Open(_) => self.next().is_none(),
        }
    }

    fn advance(&mut self) {
        let Pace::Open(rate) = self.pace else { return };
        // xorshift64*: even enough for arrivals, and the same for every server.
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        let number = self.random.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11;
        let uniform = (number as f64 + 1.0) / (1_u64 << 53) as f64;
        self.next += -uniform.ln() / rate * 1e9;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_loop_has_the_rate_that_it_should() {
        let mut schedule = Schedule::new(Pace::Open(1000.0), 0, 10_000_000_000);
        let mut dues = Vec::new();
        while let Some(due) = schedule.take(u64::MAX) {
            dues.push(due);
        }
        // 10,000 are expected; a Poisson process has a standard deviation of 100.
        assert!((9_600..10_400).contains(&dues.len()), "{}", dues.len());
        assert!(dues.is_sorted() && schedule.is_over(0) && schedule.next().is_none());
    }

    #[test]
    fn what_is_late_is_due_when_it_was() {
        let mut schedule = Schedule::new(Pace::Open(1000.0), 0, 10_000_000_000);
        let first = schedule.next().unwrap();
        assert_eq!(schedule.take(first - 1), None);
        assert_eq!(schedule.take(first + 5_000_000_000), Some(first));
        assert!(schedule.take(first + 5_000_000_000).unwrap() < first + 1_000_000_000);
    }

    #[test]
    fn a_closed_loop_is_due_at_once_until_the_end() {
        let mut schedule = Schedule::new(Pace::Closed, 0, 100);
        assert_eq!((schedule.take(7), schedule.take(8), schedule.take(100)), (Some(7), Some(8), None));
        assert!(!schedule.is_over(99) && schedule.is_over(100) && schedule.next().is_none());
    }
}
