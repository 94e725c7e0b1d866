//! The options by which limits, balancers and lifetimes are asked for: the same for every program that has them, and so
//! are the contradictions.

use std::path::PathBuf;

use super::Policy;
use crate::gate::{self, Cap, Networks, Penalty, Prefixes, Rate};
use crate::lifetime::Lifetime;
use crate::proxy::{self, Mode, Trusted};

/// Seconds for a PROXY header to arrive; the protocol wants three at least.
pub const PROXY_TIMEOUT: u32 = 5;

/// What was asked for, under the names of the options.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// `--per-ip`.
    pub per_ip: Option<Cap>,
    /// `--per-net`.
    pub per_net: Option<Cap>,
    /// `--rate`.
    pub rate: Option<Rate>,
    /// `--net-rate`.
    pub net_rate: Option<Rate>,
    /// `--penalty`.
    pub penalty: Option<Penalty>,
    /// `--penalty-exit`, as often as it was given.
    pub penalty_exits: Vec<u8>,
    /// `--ip-prefix`.
    pub ip_prefix: Option<Prefixes>,
    /// `--net-prefix`.
    pub net_prefix: Option<Prefixes>,
    /// `--exempt`, as often as it was given.
    pub exempt: Networks,
    /// The rules that deny clients before any limit is asked.
    pub rules: Option<PathBuf>,
    /// `--proxy-protocol`.
    pub proxy: Mode,
    /// `--proxy-from`, as often as it was given.
    pub proxy_from: Trusted,
    /// `--proxy-timeout`.
    pub proxy_timeout: Option<u32>,
    /// `--lifetime`.
    pub lifetime: Option<Lifetime>,
}

impl Asked {
    /// What cannot be together; the error begins with the option that is at odds.
    ///
    /// # Errors
    /// One line that says what is missing or cannot be meant.
    pub fn check(&self) -> Result<(), String> {
        let needs = |is_given: bool, option: &str, other: &str, is_there: bool| {
            if is_given && !is_there { Err(format!("{option}: it needs {other}")) } else { Ok(()) }
        };
        needs(!self.exempt.is_empty(), "--exempt", "a limit to be exempt from", self.gate().limits())?;
        let by_ip = self.per_ip.is_some() || self.rate.is_some() || self.penalty.is_some();
        needs(self.ip_prefix.is_some(), "--ip-prefix", "--per-ip, --rate or --penalty", by_ip)?;
        let by_net = self.per_net.is_some() || self.net_rate.is_some();
        needs(self.net_prefix.is_some(), "--net-prefix", "--per-net or --net-rate", by_net)?;
        needs(!self.penalty_exits.is_empty(), "--penalty-exit", "--penalty", self.penalty.is_some())?;
        let proxy = self.proxy != Mode::Off;
        needs(proxy, "--proxy-protocol", "--proxy-from", !self.proxy_from.is_empty())?;
        needs(!self.proxy_from.is_empty(), "--proxy-from", "--proxy-protocol optional or required", proxy)?;
        needs(self.proxy_timeout.is_some(), "--proxy-timeout", "--proxy-protocol optional or required", proxy)?;
        if let (Some(ip), Some(net)) = (&self.per_ip, &self.per_net)
            && ip.most > net.most
        {
            return Err(format!(
                "--per-net: {} is less than the {} of --per-ip, which nobody could reach",
                net.most, ip.most
            ));
        }
        Ok(())
    }

    /// Who may have a child.
    fn gate(&self) -> gate::Policy {
        let penalty = self.penalty.clone().map(|mut penalty| {
            self.penalty_exits.iter().for_each(|&status| penalty.count_status(status));
            penalty
        });
        let default = gate::Policy::default();
        gate::Policy {
            rules: self.rules.clone(),
            per_ip: self.per_ip.clone(),
            per_net: self.per_net.clone(),
            rate: self.rate,
            net_rate: self.net_rate,
            penalty,
            ip_prefix: self.ip_prefix.unwrap_or(default.ip_prefix),
            net_prefix: self.net_prefix.unwrap_or(default.net_prefix),
            exempt: self.exempt.clone(),
            ..default
        }
    }

    /// What is asked of the supervisor, but for what has no option here.
    #[must_use]
    pub fn policy(&self) -> Policy {
        let proxy = proxy::Policy {
            required: self.proxy == Mode::Required,
            from: self.proxy_from.clone(),
            timeout: self.proxy_timeout.unwrap_or(PROXY_TIMEOUT),
        };
        Policy {
            gate: self.gate(),
            proxy: (self.proxy != Mode::Off).then_some(proxy),
            lifetime: self.lifetime,
            ..Policy::default()
        }
    }
}
