//! The socket pair that the supervisor shares with one child, and the descriptors that all of them take.

use std::io;
use std::os::fd::OwnedFd;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, setsockopt, socketpair, sockopt};
use nix::sys::time::TimeVal;

use crate::error::Error;

/// Descriptors that are left for everything but the pairs: connections between their acceptance and a child, mostly.
const OTHERS: u64 = 512;

/// Our end and the child's. They outlive a child that ended as it should.
pub(super) struct Pair {
    pub(super) ours: OwnedFd,
    pub(super) theirs: OwnedFd,
    /// The child said what it has no cause to say. Nothing more is heard from there, and the next child gets another pair: a
    /// socket that was shut down would say its end for ever.
    pub(super) spoilt: bool,
}

impl Pair {
    /// A new one, at which a child waits for so many seconds at most.
    pub(super) fn new(tick: Option<u32>) -> io::Result<Pair> {
        let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
        if let Some(tick) = tick {
            setsockopt(&theirs, sockopt::ReceiveTimeout, &TimeVal::new(tick.into(), 0))?;
        }
        Ok(Pair { ours, theirs, spoilt: false })
    }
}

/// Each child takes two descriptors of ours: the limit is raised as far as that is allowed.
pub(super) fn make_room(children: u32) -> Result<(), Error> {
    let failed = |error| Error::os("look up", "the limit on open files", error);
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(failed)?;
    let wanted = 2 * u64::from(children) + OTHERS;
    if soft >= wanted {
        return Ok(());
    }
    if hard < wanted {
        let reason =
            format!("{hard} files may be open, and {children} children that are handed connections need {wanted}");
        return Err(Error::new("make", "the seats of a pool", reason).remedy("raise ulimit -n, or have fewer children"));
    }
    setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).map_err(failed)
}
