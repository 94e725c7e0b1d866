//! Connecting to whoever goes by a name: each of its addresses in turn, as tcpclient does.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{SockaddrStorage, bind};

use super::failure::{Failure, say};
use super::options;
use crate::names::{Deadline, Family, Resolver, connect, port_of, socket_for};
use crate::rules::reason::reason;

/// Whose messages these are, whoever has it dial.
pub const PROGRAM: &str = "tcpclient";

/// How long the servers of the DNS have, all together, for one question.
pub const LOOKUP: Duration = Duration::from_secs(60);

/// How to connect.
pub struct Dialer {
    pub family: Family,
    /// How long each of several addresses has at first, in seconds, and those that did not answer then once more. A
    /// single address has the sum at once.
    pub patience: (u64, u64),
    /// Our own end, where it is not the kernel's to choose.
    pub local_ip: Option<IpAddr>,
    pub local_port: u16,
    /// The number of the interface for link-local addresses; 0 for none.
    pub interface: u32,
    pub quiet: bool,
}

impl Default for Dialer {
    fn default() -> Self {
        Dialer { family: Family::Both, patience: (2, 58), local_ip: None, local_port: 0, interface: 0, quiet: false }
    }
}

/// The number of a port given as such or by a service's name.
pub fn port(text: &std::ffi::OsStr) -> Result<u16, Failure> {
    let digits = text.to_str().is_some_and(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let port = if digits { options::number(text) } else { text.to_str().and_then(port_of) };
    port.ok_or_else(|| Failure::fatal(PROGRAM, "unable to figure out port number for ", text))
}

impl Dialer {
    /// A connection to `host`. Addresses that do not answer are told as that turns out.
    pub fn dial(&self, resolver: &Resolver, host: &str, port: u16) -> Result<(OwnedFd, SocketAddr), Failure> {
        let mut addresses = self.addresses(resolver, host)?;
        let (mut first, mut second) = self.patience;
        if addresses.len() == 1 {
            (first, second) = (first.saturating_add(second), 0);
        }
        for (seconds, again) in [(first, second > 0), (second, false)] {
            let mut silent = Vec::new();
            for ip in addresses {
                let remote = self.at(ip, port);
                let socket = self.socket(remote)?;
                match connect(&socket, remote, Deadline::after(Duration::from_secs(seconds))) {
                    Ok(()) => return Ok((socket, remote)),
                    Err(error) if again && error.raw_os_error() == Some(Errno::ETIMEDOUT as i32) => silent.push(ip),
                    Err(error) => {
                        self.tell(format!("{PROGRAM}: unable to connect to {ip} port {port}: {}\n", reason(&error)))
                    }
                }
            }
            addresses = silent;
        }
        Err(Failure::told())
    }

    fn addresses(&self, resolver: &Resolver, host: &str) -> Result<Vec<IpAddr>, Failure> {
        let host = match (host, self.family) {
            ("" | "0", Family::V6) => "::1",
            ("" | "0", _) => "127.0.0.1",
            _ => host,
        };
        // An end of ours that is fixed decides.
        let family = self.local_ip.map_or(self.family, Family::of);
        let mut found = resolver.addresses_of(host, family, Deadline::after(LOOKUP)).map_err(|error| {
            Failure::system(PROGRAM, "temporarily unable to figure out IP address for ", host, error)
        })?;
        if found.is_empty() {
            return Err(Failure::fatal(PROGRAM, "no IP address for ", host));
        }
        shuffle(&mut found);
        // A stable sort: IPv4 first.
        found.sort_by_key(IpAddr::is_ipv6);
        Ok(found)
    }

    /// An address with a port, and with the interface where there is no telling without.
    fn at(&self, ip: IpAddr, port: u16) -> SocketAddr {
        match ip {
            IpAddr::V6(ip) if ip.is_unicast_link_local() => SocketAddrV6::new(ip, port, 0, self.interface).into(),
            ip => (ip, port).into(),
        }
    }

    fn socket(&self, remote: SocketAddr) -> Result<OwnedFd, Failure> {
        let socket =
            socket_for(&remote).map_err(|error| Failure::system(PROGRAM, "unable to create socket", "", error))?;
        if self.local_ip.is_some() || self.local_port != 0 {
            let any = if remote.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
            let local = self.at(self.local_ip.unwrap_or(any), self.local_port);
            bind(socket.as_raw_fd(), &SockaddrStorage::from(local))
                .map_err(|error| Failure::system(PROGRAM, "unable to bind socket", "", error))?;
        }
        Ok(socket)
    }

    fn tell(&self, line: String) {
        if !self.quiet {
            say(line);
        }
    }
}

/// Many clients are to find many servers: each of equal addresses is the first one as often as the others.
fn shuffle(addresses: &mut [IpAddr]) {
    for last in (1..addresses.len()).rev() {
        // Without random numbers the order stays what the name server made it.
        let Ok(random) = getrandom::u32() else { return };
        addresses.swap(last, random as usize % (last + 1));
    }
}
