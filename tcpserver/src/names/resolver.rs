//! Questions that a supervisor has, and their answers.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use domain::base::Rtype;

use super::exchange::exchange;
use super::message::{self, Question};
use super::{Deadline, Settings, hosts};

/// How long IPv6 addresses are waited for when there are others: there are servers that never answer for them.
const PATIENCE: Duration = Duration::from_secs(3);

/// Which addresses are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4 alone.
    V4,
    /// IPv6 alone.
    V6,
    /// IPv4, then IPv6.
    Both,
}

impl Family {
    /// The one that `ip` is of.
    #[must_use]
    pub fn of(ip: IpAddr) -> Self {
        if ip.is_ipv4() { Family::V4 } else { Family::V6 }
    }

    fn wants(self, ip: &IpAddr) -> bool {
        match self {
            Family::V4 => ip.is_ipv4(),
            Family::V6 => ip.is_ipv6(),
            Family::Both => true,
        }
    }
}

/// Looks names up, first in hosts(5), then in the DNS.
#[derive(Clone, Debug)]
pub struct Resolver {
    settings: Settings,
}

impl Resolver {
    /// With the settings of this machine, as they are now.
    #[must_use]
    pub fn from_system() -> Self {
        Resolver::new(Settings::from_system())
    }

    /// With these settings.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Resolver { settings }
    }

    /// The host name of `ip`, in lower case unless it comes from hosts(5); `None` if it has none, or none is known by
    /// the deadline.
    #[must_use]
    pub fn host_of(&self, ip: IpAddr, deadline: Deadline) -> Option<String> {
        self.try_host_of(ip, deadline).ok().flatten()
    }

    /// The same, for who must know whether there is no name or nobody could say.
    ///
    /// # Errors
    ///
    /// Nobody could say by the deadline: ETIMEDOUT, EAGAIN and others; EPROTO for an answer that makes no sense.
    pub fn try_host_of(&self, ip: IpAddr, deadline: Deadline) -> io::Result<Option<String>> {
        let ip = ip.to_canonical();
        if let Some(name) = hosts::host_of(&self.settings.hosts, ip) {
            return Ok(Some(name));
        }
        message::host(&self.ask(&mut Question::reverse(ip)?, deadline)?)
    }

    /// The addresses of `name`: an address itself, in brackets or not, a name in hosts(5), or one of the DNS, with the
    /// domains of resolv.conf(5) behind it if it has few dots and none at its end.
    ///
    /// No address at all is a definite answer.
    ///
    /// # Errors
    ///
    /// Nobody could say by the deadline (ETIMEDOUT, EAGAIN and others), or `name` cannot be a name (EPROTO).
    pub fn addresses_of(&self, name: &str, family: Family, deadline: Deadline) -> io::Result<Vec<IpAddr>> {
        if let Some(ip) = literal(name) {
            return Ok(Some(ip).filter(|ip| family.wants(ip)).into_iter().collect());
        }
        // Half an address, or one that others would read in other ways: no name is like that, and nobody is asked.
        if name.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
            return Ok(Vec::new());
        }
        let mut known = hosts::addresses_of(&self.settings.hosts, name);
        known.retain(|ip| family.wants(ip));
        if !known.is_empty() {
            return Ok(known);
        }
        if is_localhost(name) {
            let loopback = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)];
            return Ok(loopback.into_iter().filter(|ip| family.wants(ip)).collect());
        }
        for candidate in self.candidates(name) {
            let found = self.addresses_in_dns(&candidate, family, deadline)?;
            if !found.is_empty() {
                return Ok(found);
            }
        }
        Ok(Vec::new())
    }

    /// The texts (TXT) of `name`, which is not looked up in other domains, one behind the other, as they are. No text at
    /// all is a definite answer.
    ///
    /// # Errors
    ///
    /// As for [`Resolver::addresses_of`].
    pub fn text_of(&self, name: &str, deadline: Deadline) -> io::Result<Vec<u8>> {
        message::texts(&self.ask(&mut Question::new(name, Rtype::TXT)?, deadline)?)
    }

    /// The names under which to look for `name`, in order: as glibc does.
    fn candidates(&self, name: &str) -> Vec<String> {
        if name.ends_with('.') {
            return vec![name.to_owned()];
        }
        let within = self.settings.search.iter().map(|domain| format!("{name}.{}", domain.trim_matches('.')));
        let mut candidates: Vec<String> = within.collect();
        let dots = name.bytes().filter(|&byte| byte == b'.').count();
        let place = if dots >= self.settings.ndots { 0 } else { candidates.len() };
        candidates.insert(place, name.to_owned());
        candidates
    }

    fn addresses_in_dns(&self, name: &str, family: Family, deadline: Deadline) -> io::Result<Vec<IpAddr>> {
        let mut found = Vec::new();
        if family != Family::V6 {
            found = message::ipv4(&self.ask(&mut Question::new(name, Rtype::A)?, deadline)?)?;
        }
        if family != Family::V4 {
            let deadline = if found.is_empty() { deadline } else { deadline.min(Deadline::after(PATIENCE)) };
            let mut question = Question::new(name, Rtype::AAAA)?;
            match self.ask(&mut question, deadline).and_then(|answer| message::ipv6(&answer)) {
                Ok(more) => found.extend(more),
                Err(error) if found.is_empty() => return Err(error),
                Err(_) => {}
            }
        }
        Ok(found)
    }

    fn ask(&self, question: &mut Question, deadline: Deadline) -> io::Result<Vec<u8>> {
        exchange(question, &self.settings.servers, deadline)
    }
}

/// No server has a say about this machine (RFC 6761, 6.3).
fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

/// An address in its text form, with or without brackets.
fn literal(name: &str) -> Option<IpAddr> {
    let inner = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    inner.unwrap_or(name).parse().ok()
}
