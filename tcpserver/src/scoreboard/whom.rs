//! A client's address in shared memory: a few words, in which every bit pattern is valid.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::sys::Peer;

const SOMEBODY: u64 = 1 << 16;
const HAS_ADDRESS: u64 = 1 << 17;

/// Whom a child serves, if anybody.
#[repr(C)]
#[derive(Debug)]
pub(super) struct Whom {
    /// The port, and whether there is a client at all (`SOMEBODY`) and one with an address.
    state: AtomicU64,
    /// The two halves of an IPv6 address.
    address: [AtomicU64; 2],
}

impl Whom {
    pub(super) fn set(&self, peer: Peer) {
        let mut state = SOMEBODY;
        if let Some(peer) = peer {
            let bits = match peer.ip() {
                IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits(),
                IpAddr::V6(ip) => ip.to_bits(),
            };
            self.address[0].store((bits >> 64) as u64, Relaxed);
            self.address[1].store(bits as u64, Relaxed);
            state |= HAS_ADDRESS | u64::from(peer.port());
        }
        self.state.store(state, Relaxed);
    }

    /// Nobody, and nothing is kept of who it was.
    pub(super) fn clear(&self) {
        for word in [&self.state, &self.address[0], &self.address[1]] {
            word.store(0, Relaxed);
        }
    }

    pub(super) fn is_somebody(&self) -> bool {
        self.state.load(Relaxed) & SOMEBODY != 0
    }

    pub(super) fn peer(&self) -> Peer {
        let state = self.state.load(Relaxed);
        if state & (SOMEBODY | HAS_ADDRESS) != SOMEBODY | HAS_ADDRESS {
            return None;
        }
        let bits = u128::from(self.address[0].load(Relaxed)) << 64 | u128::from(self.address[1].load(Relaxed));
        Some(SocketAddr::new(Ipv6Addr::from_bits(bits).to_canonical(), state as u16))
    }
}
