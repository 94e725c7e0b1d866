//! Names, asked for in a child: what is not known in time is not known.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::options::Settings;
use crate::names::{Deadline, Family, Resolver, ident};
use crate::sys::Peer;

/// So many bytes any connection takes without its client reading: the kernel's least send buffer holds them.
const SHORT_BANNER: usize = 2048;

/// What to ask for, and how long.
#[derive(Clone, Copy)]
pub(super) struct Lookup {
    local_name: bool,
    remote_name: bool,
    confirm: bool,
    info: bool,
    name_timeout: Duration,
    info_timeout: Duration,
}

/// What was found.
#[derive(Default)]
pub(super) struct Found {
    pub local_name: Option<Vec<u8>>,
    pub remote_name: Option<Vec<u8>>,
    pub info: Option<Vec<u8>>,
}

impl Lookup {
    /// `None` if there is nothing to ask for, nor anything else that may take time: a long banner waits for the client to
    /// read, and must not keep memory that it shares with the supervisor meanwhile.
    pub(super) fn new(settings: &Settings) -> Option<Lookup> {
        let (local_name, remote_name, info) =
            (settings.local_name.is_none(), settings.remote_name, settings.remote_info);
        let seconds = |seconds: u32| Duration::from_secs(seconds.into());
        let waits = settings.banner.len() > SHORT_BANNER;
        (local_name || remote_name || info || waits).then(|| Lookup {
            local_name,
            remote_name,
            confirm: settings.confirm_remote_name,
            info,
            name_timeout: seconds(settings.name_timeout),
            info_timeout: seconds(settings.info_timeout),
        })
    }

    /// Asks, in the order of 0.88: our own name, the client's, the owner of the connection. The settings of the machine
    /// are read anew for each connection: this process serves one.
    pub(super) fn ask(&self, local: Peer, remote: Peer) -> Found {
        let (Some(local), Some(remote)) = (local.map(canonical), remote.map(canonical)) else {
            return Found::default();
        };
        let (resolver, deadline) = (Resolver::from_system(), Deadline::after(self.name_timeout));
        let name_of = |ip: IpAddr| resolver.host_of(ip, deadline);
        let has = |name: &str, ip: IpAddr| {
            resolver.addresses_of(name, Family::of(ip), deadline).is_ok_and(|addresses| addresses.contains(&ip))
        };
        let local_name = self.local_name.then(|| name_of(local.ip())).flatten();
        let remote_name = self.remote_name.then(|| name_of(remote.ip())).flatten();
        let remote_name = remote_name.filter(|name| !self.confirm || has(name, remote.ip()));
        Found {
            local_name: local_name.map(String::into_bytes),
            remote_name: remote_name.map(String::into_bytes),
            info: self.info.then(|| ident(remote, local, Deadline::after(self.info_timeout))).flatten(),
        }
    }
}

/// An IPv4 address as such: names are given to those.
fn canonical(mut address: SocketAddr) -> SocketAddr {
    if address.ip() != address.ip().to_canonical() {
        address.set_ip(address.ip().to_canonical());
    }
    address
}
