//! The gate between accepting a connection and making a child for it: who may have one more, and who has to wait.
//!
//! Each limit falls on those who reach it and on nobody else: a client over the limit is turned away by the supervisor
//! itself, with a word if there is one to be said, and the next may come in. What is counted is counted from the child's
//! birth to its reaping. All tables are made at the start, of a size that follows from the limits; what is not asked for
//! is not there and costs nothing.
//!
//! A client on a Unix socket has no address and passes; its right to connect is the directory's to give.

mod ledger;
mod patience;
pub mod penalty;
pub mod rate;
mod refuse;
pub mod source;
mod tally;

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{OwnedFd, RawFd};
use std::path::PathBuf;
use std::str::FromStr;

pub(crate) use patience::Patience;
use penalty::Penalties;
pub use penalty::Penalty;
use rate::Meter;
pub use rate::Rate;
use refuse::WayOut;
pub use source::{Networks, Prefixes};
use tally::Tally;

use crate::log::{Age, Limiter, Log, Peer};
use crate::reap::Fate;
use crate::rules::{Client, RuleFile};
use crate::sys;

/// A number of connections at once, and what to say to whoever wants more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cap {
    /// Children that a source may have.
    pub most: u32,
    /// Sent as it is; empty to say nothing.
    pub message: Vec<u8>,
}

impl FromStr for Cap {
    type Err = String;

    /// `N` or `N:MESSAGE`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (most, message) = text.split_once(':').unwrap_or((text, ""));
        match most.parse() {
            Ok(most @ 1..) => Ok(Cap { most, message: message.into() }),
            _ => Err("expected N or N:MESSAGE, with N from 1 to 4294967295".into()),
        }
    }
}

/// What is limited. Nothing, by default.
#[derive(Clone, Debug)]
pub struct Policy {
    /// A cdb of rules (tcprules(1)) that say who is denied. While a new file cannot be read, those of the former hold.
    pub rules: Option<PathBuf>,
    /// Connections at once of a client.
    pub per_ip: Option<Cap>,
    /// Connections at once of a network.
    pub per_net: Option<Cap>,
    /// Connections per time of a client.
    pub rate: Option<Rate>,
    /// Connections per time of a network.
    pub net_rate: Option<Rate>,
    /// Waiting for clients whose programs crash.
    pub penalty: Option<Penalty>,
    /// What a client is.
    pub ip_prefix: Prefixes,
    /// What a network is.
    pub net_prefix: Prefixes,
    /// For whom no number, rate or penalty holds.
    pub exempt: Networks,
    /// What is said to whoever is turned away, but for those who are denied and those for whom a [`Cap`] has a message of
    /// its own. Empty to say nothing.
    pub refusal: &'static [u8],
    /// At the limit of the service clients are turned away, rather than left in the kernel's queue.
    pub turns_away: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            rules: None,
            per_ip: None,
            per_net: None,
            rate: None,
            net_rate: None,
            penalty: None,
            ip_prefix: Prefixes::CLIENT,
            net_prefix: Prefixes::NETWORK,
            exempt: Networks::default(),
            refusal: b"",
            turns_away: false,
        }
    }
}

impl Policy {
    /// Whether clients are limited at all.
    #[must_use]
    pub fn limits(&self) -> bool {
        let Policy { per_ip, per_net, rate, net_rate, penalty, .. } = self;
        per_ip.is_some() || per_net.is_some() || rate.is_some() || net_rate.is_some() || penalty.is_some()
    }

    /// Whether each client is asked about.
    #[must_use]
    pub fn decides(&self) -> bool {
        self.limits() || self.rules.is_some()
    }
}

/// Why a client is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It waits for crashes of its programs, so long in microseconds.
    Penalty(u64),
    /// The client has so many connections.
    PerIp(u32),
    /// The network has.
    PerNet(u32),
    /// The client comes too often.
    Rate,
    /// The network does.
    NetRate,
    /// The rules deny it.
    Rules,
    /// The service has no child for anybody.
    Overload,
}

impl Reason {
    /// How many there are.
    pub const COUNT: usize = 7;

    /// The name of each, in the order of [`Reason::number`].
    pub const NAMES: [&str; Self::COUNT] = ["penalty", "per-ip", "per-net", "rate", "net-rate", "rules", "overload"];

    /// Which it is, for tables.
    #[must_use]
    pub fn number(self) -> usize {
        match self {
            Reason::Penalty(_) => 0,
            Reason::PerIp(_) => 1,
            Reason::PerNet(_) => 2,
            Reason::Rate => 3,
            Reason::NetRate => 4,
            Reason::Rules => 5,
            Reason::Overload => 6,
        }
    }
}

/// The limits at work.
pub(crate) struct Gate {
    policy: Policy,
    rules: Option<RuleFile>,
    per_ip: Option<Tally>,
    per_net: Option<Tally>,
    rate: Option<Meter>,
    net_rate: Option<Meter>,
    penalties: Option<Penalties>,
    way_out: WayOut,
    /// At the limit of the service, where clients are turned away there.
    patience: Option<Patience>,
    /// About rules that cannot be read.
    unreadable: Limiter,
    /// For each reason.
    complaints: [Limiter; Reason::COUNT],
    /// Clients turned away since the start, by reason.
    pub(crate) refused: [u64; Reason::COUNT],
}

impl Gate {
    /// A gate for a service with up to `limit` children; `None` if nothing is limited.
    pub(crate) fn new(policy: Policy, limit: usize) -> io::Result<Option<Self>> {
        if !policy.decides() && !policy.turns_away {
            return Ok(None);
        }
        Ok(Some(Gate {
            rules: policy.rules.clone().map(|path| RuleFile::new(path, false)),
            per_ip: policy.per_ip.as_ref().map(|_| Tally::new(limit)).transpose()?,
            per_net: policy.per_net.as_ref().map(|_| Tally::new(limit)).transpose()?,
            rate: policy.rate.map(|rate| Meter::new(rate, limit)).transpose()?,
            net_rate: policy.net_rate.map(|rate| Meter::new(rate, limit)).transpose()?,
            penalties: policy.penalty.clone().map(|penalty| Penalties::new(penalty, limit)).transpose()?,
            way_out: WayOut::default(),
            patience: policy.turns_away.then(Patience::default),
            unreadable: Limiter::default(),
            complaints: Default::default(),
            refused: [0; Reason::COUNT],
            policy,
        }))
    }

    /// Whether the rules let `peer` in. Where they cannot be read, those that were read last say so; where none ever were,
    /// nobody is let in.
    pub(crate) fn ask_rules(&mut self, peer: sys::Peer, log: &mut Log) -> Result<(), Reason> {
        let (Some(rules), Some(peer)) = (&mut self.rules, peer) else { return Ok(()) };
        let refreshed = rules.refresh();
        let decided = rules.judge(&Client { ip: peer.ip(), host: None, info: None });
        if let Some(error) = refreshed.as_ref().err().or(decided.as_ref().err())
            && let Some(more) = self.unreadable.admit()
        {
            let instead = if decided.is_ok() { "the rules before it hold" } else { "nobody is let in" };
            log.warning(format_args!("{}: {instead} ({more} more)", error.plain()));
        }
        if decided.is_ok_and(|decision| decision.allow) { Ok(()) } else { Err(Reason::Rules) }
    }

    /// Whether `peer` may have a child now. What it costs at a rate is paid with a yes.
    pub(crate) fn check(&mut self, peer: sys::Peer, now: u64) -> Result<(), Reason> {
        let Some(ip) = self.counted(peer) else { return Ok(()) };
        let (client, net) = (self.policy.ip_prefix.source(ip), self.policy.net_prefix.source(ip));
        if let Some(left) = self.penalties.as_ref().and_then(|penalties| penalties.left(client, now)) {
            return Err(Reason::Penalty(left));
        }
        if let (Some(tally), Some(cap)) = (&self.per_ip, &self.policy.per_ip) {
            let live = tally.live(client);
            if live >= cap.most {
                return Err(Reason::PerIp(live));
            }
        }
        if let (Some(tally), Some(cap)) = (&self.per_net, &self.policy.per_net) {
            let live = tally.live(net);
            if live >= cap.most {
                return Err(Reason::PerNet(live));
            }
        }
        if self.rate.as_ref().is_some_and(|meter| !meter.allows(client, now)) {
            return Err(Reason::Rate);
        }
        if self.net_rate.as_ref().is_some_and(|meter| !meter.allows(net, now)) {
            return Err(Reason::NetRate);
        }
        if let Some(meter) = &mut self.rate {
            meter.count(client, now);
        }
        if let Some(meter) = &mut self.net_rate {
            meter.count(net, now);
        }
        Ok(())
    }

    /// `peer` has a child.
    pub(crate) fn began(&mut self, peer: sys::Peer) {
        let Some(ip) = self.counted(peer) else { return };
        if let Some(tally) = &mut self.per_ip {
            tally.add(self.policy.ip_prefix.source(ip));
        }
        if let Some(tally) = &mut self.per_net {
            tally.add(self.policy.net_prefix.source(ip));
        }
    }

    /// `peer` has a child no more.
    pub(crate) fn left(&mut self, peer: sys::Peer) {
        let Some(ip) = self.counted(peer) else { return };
        if let Some(tally) = &mut self.per_ip {
            tally.remove(self.policy.ip_prefix.source(ip));
        }
        if let Some(tally) = &mut self.per_net {
            tally.remove(self.policy.net_prefix.source(ip));
        }
    }

    /// The child of `peer` was reaped.
    pub(crate) fn ended(&mut self, peer: sys::Peer, fate: Fate, now: u64, log: &mut Log) {
        self.left(peer);
        let Some(ip) = self.counted(peer) else { return };
        let client = self.policy.ip_prefix.source(ip);
        let penalty = self.penalties.as_mut().and_then(|penalties| penalties.record(client, fate, now));
        if let Some((crashes, wait)) = penalty {
            // One line for each crash, as there is an end for each.
            let (who, wait) = (self.policy.ip_prefix.show(ip), Age(wait));
            log.warning(format_args!("penalty: {who} waits {wait} s: {fate}, {crashes} not forgiven yet"));
        }
    }

    /// Turns a client away.
    pub(crate) fn turn_away(&mut self, socket: OwnedFd, peer: sys::Peer, reason: Reason, now: u64, log: &mut Log) {
        let own: &[u8] = match reason {
            Reason::PerIp(_) => self.policy.per_ip.as_ref().map_or(&[], |cap| &cap.message),
            Reason::PerNet(_) => self.policy.per_net.as_ref().map_or(&[], |cap| &cap.message),
            _ => &[],
        };
        let message = match reason {
            Reason::Rules => &[],
            _ if own.is_empty() => self.policy.refusal,
            _ => own,
        };
        self.way_out.show(socket, message, now);
        let number = reason.number();
        self.refused[number] += 1;
        if let Some(more) = self.complaints[number].admit() {
            let ip = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip());
            let (peer, why) = (Peer(peer), Explained { reason, policy: &self.policy, ip });
            log.warning(format_args!("refused connection{peer}: {}: {why} ({more} more)", Reason::NAMES[number]));
        }
    }

    /// How long clients wait at the limit of the service, if not for ever.
    pub(crate) fn patience(&mut self) -> Option<&mut Patience> {
        self.patience.as_mut()
    }

    /// The descriptors of those who are on their way out.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = RawFd> {
        self.way_out.descriptors()
    }

    /// When [`Gate::tidy`] has something to do, in microseconds of the monotonic clock.
    pub(crate) fn next(&self) -> Option<u64> {
        let told = self.complaints.iter().filter_map(Limiter::owes);
        self.way_out.next().into_iter().chain(told).min()
    }

    /// Closes connections whose clients had time to read why, and tells of refusals that were held back.
    pub(crate) fn tidy(&mut self, now: u64, log: &mut Log) {
        self.way_out.close_due(now);
        for (complaint, name) in self.complaints.iter_mut().zip(Reason::NAMES) {
            if complaint.owes().is_some_and(|due| due <= now)
                && let Some(more) = complaint.admit()
            {
                log.warning(format_args!("refused connections: {name}: {more} more"));
            }
        }
    }

    /// The address by which a client is counted, if it is.
    fn counted(&self, peer: sys::Peer) -> Option<IpAddr> {
        peer.map(|peer| peer.ip()).filter(|&ip| !self.policy.exempt.contain(ip))
    }
}

/// A reason in words.
struct Explained<'a> {
    reason: Reason,
    policy: &'a Policy,
    ip: IpAddr,
}

impl fmt::Display for Explained<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Explained { reason, policy, ip } = *self;
        let (client, net) = (policy.ip_prefix.show(ip), policy.net_prefix.show(ip));
        match reason {
            Reason::Penalty(left) => write!(f, "{client} waits {} s more", Age(left)),
            Reason::PerIp(live) => write!(f, "{client} has {live}"),
            Reason::PerNet(live) => write!(f, "{net} has {live}"),
            Reason::Rate => policy.rate.map_or(Ok(()), |rate| write!(f, "{client} had {rate}")),
            Reason::NetRate => policy.net_rate.map_or(Ok(()), |rate| write!(f, "{net} had {rate}")),
            Reason::Rules => f.write_str("they deny it"),
            Reason::Overload => f.write_str("no child is free"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    fn peer(text: &str) -> sys::Peer {
        Some(SocketAddr::new(text.parse().unwrap(), 4000))
    }

    fn gate(policy: Policy) -> Gate {
        Gate::new(policy, 40).unwrap().unwrap()
    }

    fn log() -> Log {
        Log::new("test", connection::Fd(-1), crate::log::Verbosity::Silent)
    }

    #[test]
    fn nothing_limited_is_no_gate() {
        assert!(Gate::new(Policy::default(), 40).unwrap().is_none());
    }

    #[test]
    fn caps() {
        assert_eq!("3".parse(), Ok(Cap { most: 3, message: Vec::new() }));
        assert_eq!("3:too: many\r\n".parse(), Ok(Cap { most: 3, message: b"too: many\r\n".to_vec() }));
        for wrong in ["", "0", ":no", "-1", "x", "4294967296", "3 :no"] {
            assert!(wrong.parse::<Cap>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_client_a_network_and_those_who_are_exempt() {
        let mut exempt = Networks::default();
        exempt.add("10.0.0.0/8").unwrap();
        let mut gate = gate(Policy {
            per_ip: Some("2".parse().unwrap()),
            per_net: Some("3".parse().unwrap()),
            exempt,
            ..Policy::default()
        });
        let mut comes = |ip: &str| {
            let verdict = gate.check(peer(ip), 0);
            if verdict.is_ok() {
                gate.began(peer(ip));
            }
            verdict
        };
        assert_eq!([comes("192.0.2.1"), comes("192.0.2.1")], [Ok(()), Ok(())]);
        assert_eq!(comes("::ffff:192.0.2.1"), Err(Reason::PerIp(2)), "the same client on a dual-stack socket");
        assert_eq!(comes("192.0.2.2"), Ok(()));
        assert_eq!(comes("192.0.2.3"), Err(Reason::PerNet(3)));
        assert_eq!(comes("192.0.3.3"), Ok(()), "another network");
        for _ in 0..10 {
            assert_eq!(comes("10.0.0.1"), Ok(()));
        }
        gate.ended(peer("192.0.2.1"), Fate::Exited(0), 0, &mut log());
        assert_eq!(gate.check(peer("192.0.2.3"), 0), Ok(()), "a place is free again");
        assert_eq!(gate.check(None, 0), Ok(()), "a Unix socket's client");
    }

    /// Who is turned away by one limit has not paid at another.
    #[test]
    fn refusals_cost_nothing() {
        let mut gate = gate(Policy {
            per_ip: Some("1".parse().unwrap()),
            rate: Some("2/60".parse().unwrap()),
            ..Policy::default()
        });
        assert_eq!(gate.check(peer("192.0.2.1"), 0), Ok(()));
        gate.began(peer("192.0.2.1"));
        for _ in 0..10 {
            assert_eq!(gate.check(peer("192.0.2.1"), 0), Err(Reason::PerIp(1)));
        }
        gate.ended(peer("192.0.2.1"), Fate::Exited(0), 0, &mut log());
        assert_eq!(gate.check(peer("192.0.2.1"), 0), Ok(()));
        assert_eq!(gate.check(peer("192.0.2.1"), 0), Err(Reason::Rate));
    }

    #[test]
    fn a_crash_costs_its_own_client_a_wait() {
        let mut gate = gate(Policy { penalty: Some("5".parse().unwrap()), ..Policy::default() });
        gate.began(peer("192.0.2.1"));
        gate.ended(peer("192.0.2.1"), Fate::Killed(11), 0, &mut log());
        assert_eq!(gate.check(peer("192.0.2.1"), 0), Err(Reason::Penalty(5_000_000)));
        assert_eq!(gate.check(peer("192.0.2.2"), 0), Ok(()));
        assert_eq!(gate.check(peer("192.0.2.1"), 5_000_000), Ok(()));
    }
}
