//! Sources whose programs crash wait: a second, then two, four, and so on up to a limit; and in quiet it is forgiven.
//!
//! A crash is an end by a signal that a program does not ask for: SIGSEGV and its kin. SIGTERM, SIGKILL and SIGALRM are
//! somebody's decision. So is an exit status, but for those that are named: with them a program says that its client
//! misbehaved. 111 is not among them by itself: it means that something is wrong here, and would fall upon everybody.

use std::io;
use std::str::FromStr;

use nix::sys::signal::Signal;

use super::ledger::{Fading, Ledger};
use super::source::Source;
use crate::reap::Fate;

/// What a program is killed by when it has a defect (signal(7): the action is a core dump, and nobody sends it).
const CRASHES: [Signal; 7] =
    [Signal::SIGSEGV, Signal::SIGBUS, Signal::SIGILL, Signal::SIGFPE, Signal::SIGABRT, Signal::SIGSYS, Signal::SIGTRAP];

/// In microseconds: so much quiet, counted from the end of the wait, takes one crash back.
const FORGIVEN: u64 = 60_000_000;

/// How long a source waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Penalty {
    /// After the first crash, in microseconds; each further one doubles it.
    first: u64,
    /// At most.
    most: u64,
    /// Exit statuses that count as a crash.
    statuses: Vec<i32>,
}

impl Penalty {
    /// An exit status counts as a crash too.
    pub fn count_status(&mut self, status: u8) {
        self.statuses.push(status.into());
    }

    /// Whether this end is one.
    #[must_use]
    pub fn is_earned(&self, fate: Fate) -> bool {
        match fate {
            Fate::Killed(signal) => CRASHES.iter().any(|&crash| crash as i32 == signal),
            Fate::Exited(status) => self.statuses.contains(&status),
        }
    }
}

impl FromStr for Penalty {
    type Err = String;

    /// `FIRST[,MOST]`: seconds.
    fn from_str(text: &str) -> Result<Self, String> {
        let (first, most) = text.split_once(',').unwrap_or((text, ""));
        let most = if most.is_empty() && !text.contains(',') { Ok(600) } else { most.parse() };
        match (first.parse(), most) {
            (Ok(first @ 1..=86_400u64), Ok(most @ 1..=86_400u64)) if first <= most => {
                Ok(Penalty { first: first * 1_000_000, most: most * 1_000_000, statuses: Vec::new() })
            }
            _ => Err("expected FIRST or FIRST,MOST: seconds from 1 to 86400, the first not above the other".into()),
        }
    }
}

/// What a source has earned.
#[derive(Clone, Copy, Debug, Default)]
struct Record {
    /// Crashes that are not forgiven yet.
    crashes: u32,
    /// When it need wait no longer.
    until: u64,
}

impl Fading for Record {
    fn gone_at(&self) -> u64 {
        self.until + u64::from(self.crashes) * FORGIVEN
    }
}

/// Who waits, and how long.
pub struct Penalties {
    policy: Penalty,
    records: Ledger<Record>,
}

impl Penalties {
    /// For a service with up to `limit` children.
    pub fn new(policy: Penalty, limit: usize) -> io::Result<Self> {
        Ok(Penalties { policy, records: Ledger::new(limit)? })
    }

    /// How long `source` still has to wait, in microseconds.
    #[must_use]
    pub fn left(&self, source: Source, now: u64) -> Option<u64> {
        self.records.get(source, now)?.until.checked_sub(now).filter(|&left| left > 0)
    }

    /// A program of `source` ended so. The crashes that are held against it and its wait from now on, in microseconds,
    /// if this was one more.
    pub fn record(&mut self, source: Source, fate: Fate, now: u64) -> Option<(u32, u64)> {
        if !self.policy.is_earned(fate) {
            return None;
        }
        let before = self.records.get(source, now).unwrap_or_default();
        let quiet = now.saturating_sub(before.until);
        let forgiven = u32::try_from(quiet / FORGIVEN).unwrap_or(u32::MAX);
        // Several that were served at once may crash at once: each counts, and none shortens the wait.
        let crashes = before.crashes.saturating_sub(forgiven).saturating_add(1).min(32);
        let wait = self.policy.first.saturating_mul(1 << (crashes - 1)).min(self.policy.most);
        let until = before.until.max(now + wait);
        self.records.set(source, Record { crashes, until });
        Some((crashes, until - now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::source::Prefixes;

    const SEGV: Fate = Fate::Killed(11);
    const S: u64 = 1_000_000;

    fn source(n: u8) -> Source {
        Prefixes::CLIENT.source([192, 0, 2, n].into())
    }

    #[test]
    fn grows_is_capped_and_decays() {
        let mut penalties = Penalties::new("1,10".parse().unwrap(), 40).unwrap();
        let mut now = 5 * S;
        let mut waits = Vec::new();
        for _ in 0..6 {
            let (_, wait) = penalties.record(source(1), SEGV, now).unwrap();
            assert_eq!(penalties.left(source(1), now), Some(wait));
            assert_eq!(penalties.left(source(2), now), None, "nobody else waits");
            waits.push(wait / S);
            now += wait;
            assert_eq!(penalties.left(source(1), now), None, "and then it is over");
        }
        assert_eq!(waits, [1, 2, 4, 8, 10, 10]);
        now += 3 * 60 * S;
        assert_eq!(penalties.record(source(1), SEGV, now), Some((4, 8 * S)), "three are forgiven");
        now += 8 * S + 4 * 60 * S;
        assert_eq!(penalties.record(source(1), SEGV, now), Some((1, S)), "and all in the end");
    }

    #[test]
    fn crashes_at_once_add_up() {
        let mut penalties = Penalties::new("1".parse().unwrap(), 40).unwrap();
        for crashes in 1..=100 {
            let (counted, wait) = penalties.record(source(1), SEGV, S).unwrap();
            assert_eq!(counted, crashes.min(32));
            assert!((S..=600 * S).contains(&wait));
        }
    }

    #[test]
    fn what_is_no_crash_costs_nothing() {
        let mut policy: Penalty = "1".parse().unwrap();
        policy.count_status(99);
        let mut penalties = Penalties::new(policy, 40).unwrap();
        let decided = [Signal::SIGTERM, Signal::SIGKILL, Signal::SIGALRM, Signal::SIGPIPE, Signal::SIGXCPU];
        for signal in decided {
            assert_eq!(penalties.record(source(1), Fate::Killed(signal as i32), 0), None);
        }
        for status in [0, 1, 100, 111] {
            assert_eq!(penalties.record(source(1), Fate::Exited(status), 0), None);
        }
        assert_eq!(penalties.record(source(1), Fate::Exited(99), 0), Some((1, S)), "but for what was asked for");
    }

    #[test]
    fn policies() {
        for right in ["1", "1,1", "5,86400"] {
            assert!(right.parse::<Penalty>().is_ok(), "{right}");
        }
        for wrong in ["", "0", "1,", ",1", "5,1", "601", "x", "1,86401", "-1"] {
            assert!(wrong.parse::<Penalty>().is_err(), "{wrong}");
        }
    }
}
