//! The alarm clock of a process: alarm(2), asked as seldom as possible.
//!
//! SIGALRM's default action ends the process, so a deadline holds whatever the code is doing, in a loop or in a system
//! call. What it would cost is a system call for each phase of each request. So the clock is set with some time to
//! spare, and left alone as long as it is set late enough: a busy child sets it once in many seconds.

use core::cell::Cell;

use crate::{Clock, Time};

/// The process's one alarm clock. It remembers what it was set to.
pub struct Alarm {
    set: fn(u32),
    now: fn(Clock) -> Time,
    /// When it rings, in monotonic seconds; 0 when it does not.
    rings: Cell<i64>,
}

impl Alarm {
    /// An alarm that is not set. `set` is alarm(2): seconds from now, 0 to cancel.
    #[must_use]
    pub const fn new(set: fn(u32), now: fn(Clock) -> Time) -> Self {
        Alarm { set, now, rings: Cell::new(0) }
    }

    /// The clock that it goes by.
    #[must_use]
    pub const fn clock(&self) -> fn(Clock) -> Time {
        self.now
    }

    /// Progress was made: the process may live `seconds` more, and not much longer than twice the longest time that it
    /// was ever allowed. Free of system calls as long as an earlier setting serves.
    pub fn allow(&self, seconds: u32) {
        self.allow_from((self.now)(Clock::Monotonic), seconds);
    }

    /// The same, for those who know the monotonic time already: to ask is a system call in some processes.
    pub fn allow_from(&self, now: Time, seconds: u32) {
        if self.rings.get() - now.seconds <= i64::from(seconds) {
            self.ring_at(now.seconds, seconds.saturating_mul(2).saturating_add(1));
        }
    }

    /// The process ends in `seconds`, at most a second later, unless this is called again or [`Alarm::allow`] is.
    pub fn deadline(&self, seconds: u32) {
        self.ring_at((self.now)(Clock::Monotonic).seconds, seconds.saturating_add(1));
    }

    /// No alarm any more.
    pub fn cancel(&self) {
        if self.rings.replace(0) != 0 {
            (self.set)(0);
        }
    }

    fn ring_at(&self, now: i64, seconds: u32) {
        self.rings.set(now + i64::from(seconds));
        (self.set)(seconds);
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::cell::RefCell;
    use std::vec::Vec;

    std::thread_local! {
        static NOW: Cell<i64> = const { Cell::new(100) };
        static SET: RefCell<Vec<u32>> = const { RefCell::new(Vec::new()) };
    }

    fn alarm() -> Alarm {
        Alarm::new(
            |seconds| SET.with_borrow_mut(|calls| calls.push(seconds)),
            |_| Time { seconds: NOW.get(), nanoseconds: 0 },
        )
    }

    #[test]
    fn set_once_while_it_serves() {
        let alarm = alarm();
        for second in 0..25 {
            NOW.set(100 + second);
            alarm.allow(10);
            alarm.allow(5);
        }
        // At 0, and when no more than 10 seconds were left of 21: at 11 and 22.
        assert_eq!(SET.take(), [21, 21, 21]);
    }

    #[test]
    fn a_deadline_is_exact_and_progress_lifts_it() {
        let alarm = alarm();
        alarm.allow(10);
        alarm.deadline(3);
        alarm.allow(10);
        alarm.cancel();
        alarm.cancel();
        assert_eq!(SET.take(), [21, 4, 21, 0]);
    }
}
