//! When to give up.

use std::io;
use std::time::{Duration, Instant};

use nix::errno::Errno;

/// An instant of the monotonic clock at which waiting ends, for everything that is done towards one end together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// The longest that is waited: what a user asks for beyond it is as good as for ever.
    const LONGEST: Duration = Duration::from_secs(100 * 365 * 86400);

    /// From now on so long; at most a hundred years.
    #[must_use]
    pub fn after(duration: Duration) -> Self {
        Deadline(Instant::now() + duration.min(Self::LONGEST))
    }

    /// What is left: zero once it has passed.
    #[must_use]
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// What is left, for a system call that takes zero for ever.
    ///
    /// # Errors
    ///
    /// ETIMEDOUT when nothing is.
    pub fn timeout(self) -> io::Result<Duration> {
        let left = self.left();
        if left.is_zero() { Err(Errno::ETIMEDOUT.into()) } else { Ok(left) }
    }
}
