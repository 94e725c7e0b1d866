//! The scoreboard: shared memory with one page for each child of a pool, in which it says what it does.
//!
//! A child may be under somebody else's control, so what is read here is a claim: it names a client in a log line, and
//! decides nothing but how soon that child's place is filled again. Every bit pattern is valid.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::sys::{self, Peer};

/// One child's page. A page each, so that children do not share cache lines, and each page can be protected for itself.
#[repr(C, align(4096))]
pub struct Slot {
    /// Connections taken since the child was made.
    taken: AtomicU64,
    /// The client's port, and whether there is a client at all (`BUSY`, `HAS_ADDRESS`).
    state: AtomicU64,
    /// The client's address, as the two halves of an IPv6 address.
    address: [AtomicU64; 2],
}

const BUSY: u64 = 1 << 16;
const HAS_ADDRESS: u64 = 1 << 17;

impl Slot {
    /// For the supervisor, before it makes a child: a clean page.
    pub fn clear(&self) {
        self.state.store(0, Relaxed);
        self.taken.store(0, Relaxed);
    }

    /// For the child: a connection was accepted.
    pub fn begin(&self, peer: Peer) {
        let mut state = BUSY;
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
        self.taken.store(self.taken.load(Relaxed).wrapping_add(1), Relaxed);
    }

    /// For the child: the connection is closed.
    pub fn end(&self) {
        self.state.store(0, Relaxed);
    }

    /// Whether the child says that it serves a connection.
    pub fn is_busy(&self) -> bool {
        self.state.load(Relaxed) & BUSY != 0
    }

    /// The client that the child says it serves.
    pub fn peer(&self) -> Peer {
        let state = self.state.load(Relaxed);
        if state & (BUSY | HAS_ADDRESS) != BUSY | HAS_ADDRESS {
            return None;
        }
        let bits = u128::from(self.address[0].load(Relaxed)) << 64 | u128::from(self.address[1].load(Relaxed));
        Some(SocketAddr::new(Ipv6Addr::from_bits(bits).to_canonical(), state as u16))
    }

    /// How many connections the child says it took.
    pub fn taken(&self) -> u64 {
        self.taken.load(Relaxed)
    }
}

/// A scoreboard for `children` children.
pub fn new(children: usize) -> io::Result<&'static [Slot]> {
    sys::shared_table(children)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_gives_back_the_peer() {
        let slot = &new(1).unwrap()[0];
        assert!(!slot.is_busy());
        for peer in ["192.0.2.1:0", "[2001:db8::1]:65535", "127.0.0.1:80"] {
            let peer = Some(peer.parse().unwrap());
            slot.begin(peer);
            assert_eq!((slot.is_busy(), slot.peer()), (true, peer));
            slot.end();
            assert_eq!((slot.is_busy(), slot.peer()), (false, None));
        }
        slot.begin(None);
        assert_eq!((slot.is_busy(), slot.peer(), slot.taken()), (true, None, 4));
    }

    #[test]
    fn whatever_a_child_writes_is_read_without_harm() {
        let slot = &new(1).unwrap()[0];
        for word in [&slot.taken, &slot.state, &slot.address[0], &slot.address[1]] {
            word.store(u64::MAX, Relaxed);
        }
        assert!(slot.is_busy() && slot.peer().is_some());
    }
}
