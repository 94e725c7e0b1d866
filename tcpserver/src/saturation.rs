//! How full the service is, told by the supervisor itself and not by what it measures.
//!
//! At the limit clients wait in the kernel's queue, where nobody sees them: the queue's length, the time spent at the
//! limit and who was turned away are what tells a busy service from one that is too small.

use std::fmt;

use crate::gate::Reason;
use crate::listen::Listener;
use crate::log::Age;
use crate::sys;

/// What is counted between two reports, and since the start.
#[derive(Default)]
pub(crate) struct Saturation {
    /// Connections accepted since the start.
    pub(crate) accepted: u64,
    /// Children since the start, the time that making them took, and the longest since the last report; microseconds.
    forks: (u64, u64, u64),
    /// Most children at once since the last report.
    peak: usize,
    /// Since when the limit is reached, if it is.
    full_since: Option<u64>,
    /// For how long it was before, since the start.
    full: u64,
}

/// A moment of it, for one line.
pub(crate) struct Report<'a> {
    pub(crate) live: usize,
    pub(crate) limit: usize,
    pub(crate) listeners: &'a [Listener],
    /// By reason; `None` when nothing is limited.
    pub(crate) refused: Option<[u64; Reason::COUNT]>,
    /// For want of a PROXY header.
    pub(crate) headerless: Option<u64>,
    peak: usize,
    accepted: u64,
    forks: (u64, u64, u64),
    full: u64,
}

impl Saturation {
    /// A child was made at `now`, of `live` now, and that took so many microseconds.
    pub(crate) fn born(&mut self, live: usize, limit: usize, now: u64, took: u64) {
        let (count, sum, longest) = self.forks;
        self.forks = (count + 1, sum + took, longest.max(took));
        self.peak = self.peak.max(live);
        if live >= limit {
            self.full_since.get_or_insert(now);
        }
    }

    /// A child was reaped: there is room.
    pub(crate) fn reaped(&mut self, now: u64) {
        if let Some(since) = self.full_since.take() {
            self.full += now.saturating_sub(since);
        }
    }

    /// What there is to tell at `now`.
    pub(crate) fn report<'a>(
        &mut self,
        live: usize,
        limit: usize,
        listeners: &'a [Listener],
        refused: Option<[u64; Reason::COUNT]>,
        headerless: Option<u64>,
        now: u64,
    ) -> Report<'a> {
        let full = self.full + self.full_since.map_or(0, |since| now.saturating_sub(since));
        let (forks, accepted, peak) = (self.forks, self.accepted, self.peak.max(live));
        (self.peak, self.forks.2) = (live, 0);
        Report { live, limit, listeners, refused, headerless, peak, accepted, forks, full }
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "saturation: children {}/{} peak {} at limit {} s",
            self.live,
            self.limit,
            self.peak,
            Age(self.full)
        )?;
        f.write_str(" queue")?;
        for listener in self.listeners {
            match sys::queue(listener) {
                Some((waiting, most)) => write!(f, " {waiting}/{most}")?,
                None => f.write_str(" ?")?,
            }
        }
        write!(f, " accepted {}", self.accepted)?;
        if let Some(refused) = self.refused {
            f.write_str(" refused")?;
            for (name, count) in Reason::NAMES.iter().zip(refused) {
                write!(f, " {name} {count}")?;
            }
        }
        if let Some(headerless) = self.headerless {
            write!(f, " proxy {headerless}")?;
        }
        let (count, sum, longest) = self.forks;
        write!(f, " spawn mean {} us max {longest} us", sum / count.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listen::Tuning;
    use std::net::TcpStream;

    #[test]
    fn time_at_the_limit_and_the_queue_are_told() {
        let tuning = Tuning { backlog: 7, ..Tuning::default() };
        let listener = Listener::bind(&"127.0.0.1:0".parse().unwrap(), tuning).unwrap();
        let address = listener.address().to_string();
        let _waiting: Vec<_> = (0..3).map(|_| TcpStream::connect(&address).unwrap()).collect();
        let listeners = [listener];
        let mut saturation = Saturation { accepted: 9, ..Saturation::default() };
        saturation.born(1, 2, 1_000_000, 40);
        saturation.born(2, 2, 2_000_000, 60);
        saturation.reaped(5_000_000);
        saturation.born(2, 2, 6_000_000, 20);
        let refused = Some([1, 2, 3, 4, 5, 7, 8]);
        let line = saturation.report(2, 2, &listeners, refused, Some(6), 7_500_000).to_string();
        assert_eq!(
            line,
            "saturation: children 2/2 peak 2 at limit 4.500 s queue 3/7 accepted 9 refused penalty 1 per-ip 2 \
             per-net 3 rate 4 net-rate 5 rules 7 overload 8 proxy 6 spawn mean 40 us max 60 us"
        );
        saturation.reaped(8_000_000);
        saturation.reaped(8_000_000);
        let line = saturation.report(0, 2, &[], None, None, 9_000_000).to_string();
        assert_eq!(line, "saturation: children 0/2 peak 2 at limit 5.000 s queue accepted 9 spawn mean 40 us max 0 us");
    }
}
