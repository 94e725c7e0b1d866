//! Connections per time: so many at once, and then one each time that share of the time has passed.
//!
//! The generic cell rate algorithm (ITU-T I.371): one number for each source says when all that it was allowed is used
//! up. No window begins or ends, so nobody gains by waiting for one.

use std::io;
use std::str::FromStr;

use super::ledger::{Fading, Ledger};
use super::source::Source;

/// `count` connections in `period` microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    count: u32,
    period: u64,
}

impl Rate {
    /// How long one connection takes up, in microseconds.
    fn share(self) -> u64 {
        self.period / u64::from(self.count)
    }
}

impl std::fmt::Display for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} in {} s", self.count, self.period / 1_000_000)
    }
}

impl FromStr for Rate {
    type Err = String;

    /// `N/SECONDS`.
    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/').map(|(count, seconds)| (count.parse(), seconds.parse()));
        match parts {
            Some((Ok(count @ 1..=1_000_000), Ok(seconds @ 1..=86_400u64))) => {
                Ok(Rate { count, period: seconds * 1_000_000 })
            }
            _ => Err("expected CONNECTIONS/SECONDS, up to 1000000 in up to 86400 seconds: 10/60".into()),
        }
    }
}

/// When what a source was allowed is used up: never before now, and a period ahead at most.
#[derive(Clone, Copy, Debug, Default)]
struct UsedUntil(u64);

impl Fading for UsedUntil {
    fn gone_at(&self) -> u64 {
        self.0
    }
}

/// A rate, and how much of it each source has used.
pub struct Meter {
    rate: Rate,
    used: Ledger<UsedUntil>,
}

impl Meter {
    /// A meter for a service with up to `limit` children.
    pub fn new(rate: Rate, limit: usize) -> io::Result<Self> {
        Ok(Meter { rate, used: Ledger::new(limit)? })
    }

    /// The rate.
    #[must_use]
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// Whether one more connection of `source` is within the rate.
    #[must_use]
    pub fn allows(&self, source: Source, now: u64) -> bool {
        self.used_until(source, now) + self.rate.share() <= now + self.rate.period
    }

    /// Counts one. Those that were refused are not counted: whoever tries too often is served at the rate.
    pub fn count(&mut self, source: Source, now: u64) {
        let until = self.used_until(source, now) + self.rate.share();
        self.used.set(source, UsedUntil(until));
    }

    fn used_until(&self, source: Source, now: u64) -> u64 {
        self.used.get(source, now).map_or(now, |used| used.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::source::Prefixes;
    use proptest::prelude::*;

    fn source() -> Source {
        Prefixes::CLIENT.source([192, 0, 2, 1].into())
    }

    #[test]
    fn rates() {
        assert_eq!("10/60".parse(), Ok(Rate { count: 10, period: 60_000_000 }));
        for wrong in ["", "10", "10/", "/60", "0/60", "10/0", "-1/60", "10/60/1", "1.5/2", "4294967296/1", "1/86401"] {
            assert!(wrong.parse::<Rate>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn so_many_at_once_and_then_one_for_each_share() {
        let mut meter = Meter::new("3/30".parse().unwrap(), 40).unwrap();
        let mut now = 1_000_000_000;
        let mut tries = |now| {
            let allowed = meter.allows(source(), now);
            if allowed {
                meter.count(source(), now);
            }
            allowed
        };
        assert_eq!([now, now, now, now].map(&mut tries), [true, true, true, false]);
        now += 9_999_999;
        assert!(!tries(now));
        assert_eq!([now + 1, now + 1].map(&mut tries), [true, false]);
        now += 1 + 30_000_000;
        assert_eq!([now, now, now, now].map(&mut tries), [true, true, true, false], "all of it is back");
    }

    proptest! {
        /// However the tries are spread, a stretch of time lets through what it allows and what was saved up, not more;
        /// and whoever keeps trying gets all of it.
        #[test]
        fn never_more_than_the_rate_and_never_off(
            count in 1u32..20, seconds in 1u64..20, gaps in prop::collection::vec(0u64..3_000_000, 1..300)
        ) {
            let rate = Rate { count, period: seconds * 1_000_000 };
            let mut meter = Meter::new(rate, 40).unwrap();
            let mut now = 1_000_000;
            let mut served = Vec::new();
            for gap in gaps {
                now += gap;
                if meter.allows(source(), now) {
                    meter.count(source(), now);
                    served.push(now);
                }
                let last = served.last().copied().unwrap_or(0);
                prop_assert!(now - last <= rate.share(), "nobody waits longer than a share");
            }
            for (i, first) in served.iter().enumerate() {
                for (j, last) in served.iter().enumerate().skip(i) {
                    let most = u64::from(count) + (last - first) / rate.share();
                    prop_assert!((j - i + 1) as u64 <= most, "{} in {} of {rate}", j - i + 1, last - first);
                }
            }
        }
    }
}
