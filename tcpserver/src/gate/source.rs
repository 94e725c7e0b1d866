//! What is counted together: the first bits of a client's address.
//!
//! Whoever has IPv6 has billions of addresses, so there a client is its network. Counting 128 bits would limit nobody.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use ipnet::IpNet;

/// Clients that are counted together. An IPv4 network is kept in the IPv4-mapped form, which no IPv6 client has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Source(u128);

/// How many of the first bits of an address make a [`Source`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefixes {
    v4: u8,
    v6: u8,
}

impl Prefixes {
    /// One client: an IPv4 address, or the IPv6 network in which a host chooses its addresses itself.
    pub const CLIENT: Prefixes = Prefixes { v4: 32, v6: 64 };

    /// One customer: what is commonly given out as a whole.
    pub const NETWORK: Prefixes = Prefixes { v4: 24, v6: 56 };

    /// Where `ip` is counted.
    #[must_use]
    pub fn source(self, ip: IpAddr) -> Source {
        Source(match self.network(ip).network() {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
            IpAddr::V6(v6) => v6.to_bits(),
        })
    }

    /// The same for people: a network, or an address if that is all of it.
    pub fn show(self, ip: IpAddr) -> impl fmt::Display {
        Shown(self.network(ip))
    }

    fn network(self, ip: IpAddr) -> IpNet {
        let ip = ip.to_canonical();
        let length = if ip.is_ipv4() { self.v4 } else { self.v6 };
        // The lengths were checked when they were read.
        IpNet::new(ip, length).unwrap_or(IpNet::from(ip)).trunc()
    }
}

impl FromStr for Prefixes {
    type Err = String;

    /// `V4,V6`: two lengths in bits.
    fn from_str(text: &str) -> Result<Self, String> {
        let read = |length: &str, most: u8| length.parse().ok().filter(|&length| (1..=most).contains(&length));
        let lengths = text.split_once(',').map(|(v4, v6)| (read(v4, 32), read(v6, 128)));
        match lengths {
            Some((Some(v4), Some(v6))) => Ok(Prefixes { v4, v6 }),
            _ => Err("expected two lengths in bits, of IPv4 from 1 to 32 and of IPv6 from 1 to 128: 24,56".into()),
        }
    }
}

struct Shown(IpNet);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() { self.0.addr().fmt(f) } else { self.0.fmt(f) }
    }
}

/// Networks that something holds for, or does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<IpNet>);

impl Networks {
    /// Adds one: an address, or `ADDRESS/LENGTH`. Bits behind the length are an error: whoever wrote them meant
    /// something else.
    pub fn add(&mut self, text: &str) -> Result<(), String> {
        let network = match text.parse::<IpAddr>() {
            Ok(ip) => IpNet::from(ip),
            Err(_) => text.parse().map_err(|_| "expected an address or ADDRESS/LENGTH".to_owned())?,
        };
        if network.trunc() != network {
            return Err(format!("bits are set behind the length: {} is meant?", network.trunc()));
        }
        // IPv4 clients of a dual-stack socket are looked up in IPv4 form.
        let mapped = |v6: Ipv6Addr| v6.to_ipv4_mapped().filter(|_| network.prefix_len() >= 96);
        self.0.push(match network {
            IpNet::V6(v6) => match mapped(v6.addr()) {
                Some(v4) => IpNet::new(v4.into(), v6.prefix_len() - 96).unwrap_or(network),
                None => network,
            },
            IpNet::V4(_) => network,
        });
        Ok(())
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `ip` is in one of them.
    #[must_use]
    pub fn contain(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.0.iter().any(|network| network.contains(&ip))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn clients_of_one_network_are_one_source() {
        let net = Prefixes::NETWORK;
        assert_eq!(net.source(ip("192.0.2.1")), net.source(ip("192.0.2.254")));
        assert_eq!(net.source(ip("192.0.2.1")), net.source(ip("::ffff:192.0.2.77")), "a dual-stack socket's client");
        assert_ne!(net.source(ip("192.0.2.1")), net.source(ip("192.0.3.1")));
        assert_eq!(net.source(ip("2001:db8::1")), net.source(ip("2001:db8:0:ff::1")));
        assert_ne!(net.source(ip("2001:db8::1")), net.source(ip("2001:db8:0:100::1")));
        let client = Prefixes::CLIENT;
        assert_ne!(client.source(ip("192.0.2.1")), client.source(ip("192.0.2.2")));
        assert_eq!(client.source(ip("2001:db8::1")), client.source(ip("2001:db8::2")));
        assert_ne!(client.source(ip("0.0.0.1")), client.source(ip("::1")), "the families do not meet");
    }

    #[test]
    fn sources_for_people() {
        assert_eq!(Prefixes::NETWORK.show(ip("192.0.2.9")).to_string(), "192.0.2.0/24");
        assert_eq!(Prefixes::CLIENT.show(ip("::ffff:192.0.2.9")).to_string(), "192.0.2.9");
        assert_eq!(Prefixes::CLIENT.show(ip("2001:db8::9")).to_string(), "2001:db8::/64");
    }

    #[test]
    fn lengths_are_checked() {
        assert_eq!("24,56".parse(), Ok(Prefixes::NETWORK));
        for wrong in ["", "24", "0,56", "24,0", "33,56", "24,129", "24,56,1", "24:56", "-1,56", " 24,56"] {
            assert!(wrong.parse::<Prefixes>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn networks() {
        let mut networks = Networks::default();
        for network in ["10.0.0.0/8", "127.0.0.1", "2001:db8::/32", "::ffff:192.0.2.0/120"] {
            networks.add(network).unwrap();
        }
        for inside in ["10.255.0.1", "::ffff:10.1.1.1", "127.0.0.1", "2001:db8:ffff::1", "192.0.2.200"] {
            assert!(networks.contain(ip(inside)), "{inside}");
        }
        for outside in ["11.0.0.1", "127.0.0.2", "2001:db9::1", "192.0.3.1", "::1"] {
            assert!(!networks.contain(ip(outside)), "{outside}");
        }
        for wrong in ["", "10.0.0.0/33", "10.0.0.1/8", "example.org", "10.0.0", "::/129", "10.0.0.0/"] {
            assert!(networks.add(wrong).is_err(), "{wrong}");
        }
    }
}
