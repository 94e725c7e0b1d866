//! TCP connections that are made and used within a deadline.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, SockaddrStorage, sockopt};

use super::Deadline;

/// A TCP socket of the family of `remote`, close-on-exec, not bound and not connected.
///
/// # Errors
///
/// What socket(2) fails with.
pub fn socket_for(remote: &SocketAddr) -> io::Result<OwnedFd> {
    let family = if remote.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    Ok(socket::socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?)
}

/// connect(2) that gives up at the deadline. The socket is in blocking mode before and after.
///
/// # Errors
///
/// What connect(2) fails with; ETIMEDOUT at the deadline.
pub fn connect(socket: &OwnedFd, remote: SocketAddr, deadline: Deadline) -> io::Result<()> {
    set_nonblocking(socket, true)?;
    let connected = match socket::connect(socket.as_raw_fd(), &SockaddrStorage::from(remote)) {
        Err(Errno::EINPROGRESS | Errno::EINTR) => finish(socket, deadline),
        done => Ok(done?),
    };
    connected.and_then(|()| set_nonblocking(socket, false))
}

/// Waits until the handshake is over: the socket can be written to, and has its error to tell.
fn finish(socket: &OwnedFd, deadline: Deadline) -> io::Result<()> {
    loop {
        // Rounded up: poll(2) counts in milliseconds, and one that ends early would make this loop spin. Also without any
        // time left one look is taken, in which a handshake on loopback is over.
        let timeout = PollTimeout::try_from(deadline.left() + Duration::from_micros(999)).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)], timeout) {
            Ok(0) | Err(Errno::EINTR) => deadline.timeout().map(drop)?,
            Ok(_) => break,
            Err(error) => return Err(error.into()),
        }
    }
    match socket::getsockopt(socket, sockopt::SocketError)? {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

fn set_nonblocking(socket: &OwnedFd, on: bool) -> io::Result<()> {
    let mut flags = OFlag::from_bits_retain(fcntl(socket, FcntlArg::F_GETFL)?);
    flags.set(OFlag::O_NONBLOCK, on);
    fcntl(socket, FcntlArg::F_SETFL(flags))?;
    Ok(())
}

/// A connected socket all of whose use ends at one deadline, however its bytes trickle.
pub struct Stream {
    socket: TcpStream,
    deadline: Deadline,
}

impl Stream {
    /// Connects from `local`, if given, to `remote`.
    ///
    /// # Errors
    ///
    /// What socket(2), bind(2) or connect(2) fail with; ETIMEDOUT at the deadline.
    pub fn connect(remote: SocketAddr, local: Option<SocketAddr>, deadline: Deadline) -> io::Result<Self> {
        let socket = socket_for(&remote)?;
        if let Some(local) = local {
            socket::bind(socket.as_raw_fd(), &SockaddrStorage::from(local))?;
        }
        connect(&socket, remote, deadline)?;
        Ok(Stream { socket: TcpStream::from(socket), deadline })
    }
}

/// The name that a socket's timeout goes by is EAGAIN.
fn timed_out(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::WouldBlock { Errno::ETIMEDOUT.into() } else { error }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.set_read_timeout(Some(self.deadline.timeout()?))?;
        self.socket.read(buffer).map_err(timed_out)
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.set_write_timeout(Some(self.deadline.timeout()?))?;
        self.socket.write(bytes).map_err(timed_out)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
