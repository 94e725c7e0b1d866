//! The descriptors that are watched: many idle ones, and one to which something happens.

use std::io::{self, Read, Write};
use std::net::UdpSocket;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::net::UnixStream;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

/// Idle sockets, and an active one whose number is in their middle: whoever looks at one after the other has half of the
/// way.
pub struct Field {
    before: Vec<UdpSocket>,
    active: UnixStream,
    after: Vec<UdpSocket>,
    writer: UnixStream,
}

impl Field {
    /// So many idle descriptors, and the active one.
    pub fn new(idle: u32) -> io::Result<Field> {
        let some = |count: u32| (0..count).map(|_| idle_socket()).collect::<io::Result<Vec<_>>>();
        let before = some(idle / 2)?;
        let (active, writer) = UnixStream::pair()?;
        Ok(Field { before, active, after: some(idle - idle / 2)?, writer })
    }

    /// All that is to be watched.
    pub fn watched(&self) -> Vec<BorrowedFd<'_>> {
        let idle = |sockets| -> Vec<BorrowedFd<'_>> { Vec::from_iter(<[UdpSocket]>::iter(sockets).map(AsFd::as_fd)) };
        [idle(&self.before), vec![self.active.as_fd()], idle(&self.after)].concat()
    }

    /// The number of the active one.
    pub fn active(&self) -> RawFd {
        self.active.as_raw_fd()
    }

    /// The highest number.
    pub fn highest(&self) -> RawFd {
        self.watched().iter().map(AsRawFd::as_raw_fd).max().unwrap_or(0)
    }

    /// Makes it readable. What is written is when, by [`crate::bench::clock`].
    pub fn signal(&self, now: u64) -> io::Result<()> {
        (&self.writer).write_all(&now.to_ne_bytes())
    }

    /// Reads what was written, so that there is nothing to read any more.
    pub fn take(&self) -> io::Result<u64> {
        let mut bytes = [0; 8];
        (&self.active).read_exact(&mut bytes)?;
        Ok(u64::from_ne_bytes(bytes))
    }
}

/// A socket to which nothing ever comes: it has no address.
fn idle_socket() -> io::Result<UdpSocket> {
    Ok(socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?.into())
}
