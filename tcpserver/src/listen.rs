//! Listening sockets: parsing their addresses, making them, and what an accepted socket inherits from them.

use std::cell::Cell;
use std::fmt;
use std::fs::Permissions;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, Backlog, Shutdown, SockFlag, SockType, SockaddrStorage, UnixAddr, bind, getsockname, listen,
    setsockopt, shutdown, socket, sockopt,
};
use nix::sys::time::TimeVal;
use nix::unistd::dup3;

use crate::error::Error;
use crate::sys;

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// An IP address and a TCP port. `[::]` takes IPv4 clients too; port 0 lets the kernel choose.
    Tcp(SocketAddr),
    /// The path of a Unix stream socket.
    Unix(PathBuf),
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            // sun_path holds 108 bytes with the terminating zero (unix(7)).
            return match path.len() {
                0 => Err("a path must follow unix:".into()),
                1..=107 => Ok(Address::Unix(path.into())),
                _ => Err("the path of a Unix socket has 107 bytes at most".into()),
            };
        }
        text.parse().map(Address::Tcp).map_err(|_| match text.rsplit_once(':') {
            Some((ip, port)) if port.parse::<u16>().is_err() && !ip.is_empty() => {
                format!("{port} is no port from 0 to 65535")
            }
            Some((name, _)) if !name.is_empty() && !name.contains([':', '[']) => {
                format!("{name} is no address, and names are not looked up: 127.0.0.1:PORT or [::1]:PORT")
            }
            _ => "expected ADDRESS:PORT, [IPV6]:PORT or unix:PATH".into(),
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(address) => address.fmt(f),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// What every accepted connection inherits from its listening socket, so that setting it costs no system call for each.
#[derive(Clone, Copy, Debug)]
pub struct Tuning {
    /// Connections that the kernel queues before they are accepted (listen(2)); it takes no more than
    /// net.core.somaxconn.
    pub backlog: i32,
    /// SO_RCVTIMEO, seconds: a read that waits this long fails with EAGAIN. `None` for programs that do not expect it.
    pub receive_timeout: Option<u32>,
    /// SO_SNDTIMEO, seconds: likewise for a write.
    pub send_timeout: Option<u32>,
    /// TCP_DEFER_ACCEPT, seconds: a connection is accepted when its first bytes are there, so that nobody who says
    /// nothing takes a process. For protocols in which the client speaks first.
    pub defer_accept: Option<u32>,
    /// TCP_NODELAY: an answer that is written in pieces does not wait for the client's acknowledgement of the first.
    pub no_delay: bool,
}

impl Default for Tuning {
    fn default() -> Self {
        Tuning { backlog: 4096, receive_timeout: None, send_timeout: None, defer_accept: None, no_delay: true }
    }
}

/// A listening socket. There is one for each address, shared by all children: with SO_REUSEPORT each would have a queue
/// of its own, and a child that ends would take the connections in its queue with it.
#[derive(Debug)]
pub struct Listener {
    socket: OwnedFd,
    address: Address,
    tuning: Tuning,
    /// Device and inode of a Unix socket's name, until it is removed.
    name: Cell<Option<(u64, u64)>>,
    /// Removing the name failed.
    left: Cell<bool>,
    /// Others listen here too, or will: nothing may be done to the socket that is not for this process alone.
    lent: Cell<bool>,
}

impl Listener {
    /// Makes the socket and listens.
    pub fn bind(address: &Address, tuning: Tuning) -> Result<Self, Error> {
        let failed = |error: Errno| {
            let failure = Error::os("listen on", address.to_string(), error);
            match error {
                Errno::EADDRINUSE => failure.remedy(
                    "another program listens there, or an address given before it takes it in, as [::] does 0.0.0.0",
                ),
                Errno::EACCES if matches!(address, Address::Unix(_)) => {
                    failure.remedy("the user who starts it must be able to write to the directory")
                }
                Errno::EACCES => failure.remedy("ports below 1024 need root or CAP_NET_BIND_SERVICE"),
                Errno::EADDRNOTAVAIL => failure.remedy("no interface of this machine has that address"),
                _ => failure,
            }
        };
        Listener::open(address, tuning).map_err(|(_, error)| failed(error))
    }

    /// The same, with the step that failed as the error: what is it that we are unable to do.
    pub(crate) fn open(address: &Address, tuning: Tuning) -> Result<Self, (&'static str, Errno)> {
        let socket = match address {
            Address::Tcp(tcp) => listen_tcp(*tcp, tuning)?,
            Address::Unix(path) => listen_unix(path, tuning).map_err(|error| ("bind", error))?,
        };
        let address = match address {
            Address::Tcp(asked) => Address::Tcp(sys::local_address(socket.as_fd()).unwrap_or(*asked)),
            Address::Unix(path) => Address::Unix(path.clone()),
        };
        let name = match &address {
            Address::Tcp(_) => None,
            Address::Unix(path) => identity(path),
        };
        Ok(Listener { socket, address, tuning, name: Cell::new(name), left: Cell::new(false), lent: Cell::new(false) })
    }

    /// Listens on a socket that somebody else made; see [`crate::inherit`]. Its name and its options are theirs.
    pub fn adopt(socket: OwnedFd) -> Result<Self, Error> {
        let name = getsockname::<SockaddrStorage>(socket.as_raw_fd());
        let name = name.map_err(|error| Error::os("listen on", format!("descriptor {}", socket.as_raw_fd()), error))?;
        let tcp = sys::local_address(socket.as_fd()).map(Address::Tcp);
        let unix = || name.as_unix_addr().map(|unix| Address::Unix(unix.path().unwrap_or(Path::new("")).into()));
        let Some(address) = tcp.or_else(unix) else {
            let object = format!("descriptor {}", socket.as_raw_fd());
            return Err(Error::new("listen on", object, "it is neither a TCP nor a Unix socket"));
        };
        let tuning = Tuning::default();
        Ok(Listener { socket, address, tuning, name: Cell::new(None), left: Cell::new(false), lent: Cell::new(true) })
    }

    /// The same, with what connections inherit from it: that is for those who serve to say.
    pub fn adopt_tuned(socket: OwnedFd, tuning: Tuning) -> Result<Self, Error> {
        let listener = Listener { tuning, ..Listener::adopt(socket)? };
        let tuned = if let Address::Tcp(_) = listener.address {
            tune(&listener.socket, tuning)
        } else {
            set_timeouts(&listener.socket, tuning)
        };
        tuned.map_err(|error| Error::os("set up", listener.address.to_string(), error))?;
        Ok(listener)
    }

    /// Takes over from a process of ours that is about to give way: the socket is our own, and so is its name as soon as
    /// [`Listener::take_over_name`] says so.
    pub(crate) fn take_over(self) -> Self {
        // Only the length of the queue, which may have been changed since: it listens already, so this cannot fail.
        let _ = sys::listen(self.socket.as_fd(), self.tuning.backlog);
        self.lent.set(false);
        self
    }

    /// From now on the name of a Unix socket is this process's to remove.
    pub(crate) fn take_over_name(&self) {
        if let (Address::Unix(path), false) = (&self.address, self.lent.get()) {
            self.name.set(identity(path));
        }
    }

    /// Another process serves here: socket and name are left as they are.
    pub(crate) fn hand_over(&self) {
        self.name.set(None);
        self.lent.set(true);
    }

    /// That process is gone.
    pub(crate) fn take_back(&self) {
        self.lent.set(false);
        self.take_over_name();
    }

    /// Whether others listen here too, or will.
    pub(crate) fn is_lent(&self) -> bool {
        self.lent.get()
    }

    /// The address with the port that the kernel chose.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Our end of the connections accepted here, when it is the same for all: not on a wildcard address.
    pub fn local(&self) -> sys::Peer {
        match self.address {
            Address::Tcp(address) if !address.ip().is_unspecified() => Some(address),
            _ => None,
        }
    }

    /// Whether the kernel knows our end better than [`Listener::local`] does.
    pub(crate) fn is_wildcard(&self) -> bool {
        matches!(self.address, Address::Tcp(address) if address.ip().is_unspecified())
    }

    /// Whether what it accepts inherits its timeouts, as on a Unix socket it does not.
    pub(crate) fn passes_on(&self) -> bool {
        !matches!(self.address, Address::Unix(_))
    }

    /// Gives a connection that was accepted here what it did not inherit: a Unix socket inherits no timeouts.
    pub(crate) fn prepare(&self, connection: BorrowedFd<'_>) {
        if !self.passes_on() {
            // A connection without them is still ended by the alarm, only less politely.
            let _ = set_timeouts(&connection, self.tuning);
        }
    }

    /// How long accept(2) waits here at most, in seconds, for SO_RCVTIMEO holds for it too.
    pub(crate) fn receive_timeout(&self) -> Option<u32> {
        self.tuning.receive_timeout
    }

    /// The descriptor, for a child to close without giving up the value.
    pub(crate) fn as_fd_number(&self) -> i32 {
        self.socket.as_raw_fd()
    }

    /// O_NONBLOCK for all processes that share the socket: a queue that is empty says so.
    pub(crate) fn set_nonblocking(&self) -> nix::Result<()> {
        let flags = OFlag::from_bits_retain(fcntl(&self.socket, FcntlArg::F_GETFL)?);
        fcntl(&self.socket, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK)).map(drop)
    }

    /// The contrary: whoever made the socket may have had other plans.
    pub(crate) fn set_blocking(&self) -> nix::Result<()> {
        let flags = OFlag::from_bits_retain(fcntl(&self.socket, FcntlArg::F_GETFL)?);
        fcntl(&self.socket, FcntlArg::F_SETFL(flags - OFlag::O_NONBLOCK)).map(drop)
    }

    /// Whether [`Listener::set_nonblocking`] was called, in any of them.
    pub(crate) fn is_nonblocking(&self) -> bool {
        fcntl(&self.socket, FcntlArg::F_GETFL).is_ok_and(|flags| flags & OFlag::O_NONBLOCK.bits() != 0)
    }

    /// Takes in what is queued or about to be, but nothing new.
    pub(crate) fn close_queue(&self) {
        match &self.address {
            Address::Tcp(_) if sys::drop_syns(self.socket.as_fd()).is_ok() => {}
            // Without socket filters, which some kernels keep for root: a queue of length 0 still lets one in while it is
            // empty, so it is found empty sooner or later, but the last to come may be reset. It listens already, so
            // this only changes the length and cannot fail.
            Address::Tcp(_) => drop(Backlog::new(0).and_then(|none| listen(&self.socket, none))),
            // Whoever connects to a name that is gone is told so; connect(2) puts a connection into the queue at once.
            Address::Unix(_) => self.remove_name(),
        }
    }

    /// Whether nobody waits to be accepted.
    pub(crate) fn is_queue_empty(&self) -> bool {
        let mut polled = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
        // A socket that refuses is ready too, with POLLHUP.
        let waits = |events: PollFlags| events.contains(PollFlags::POLLIN) && !events.contains(PollFlags::POLLHUP);
        !(poll(&mut polled, PollTimeout::ZERO).is_ok() && polled[0].revents().is_some_and(waits))
    }

    /// The queue was found empty: whoever connects now is refused at once, rather than left to wait for the last child
    /// that holds the socket.
    pub(crate) fn refuse(&self) {
        if self.lent.get() {
            return;
        }
        // Fails when it was done before.
        let _ = shutdown(self.socket.as_raw_fd(), Shutdown::Both);
    }

    /// Whether it was shut down, by us or by somebody else who holds it.
    pub(crate) fn is_shut(&self) -> bool {
        let mut polled = [PollFd::new(self.socket.as_fd(), PollFlags::empty())];
        poll(&mut polled, PollTimeout::ZERO).is_ok()
            && polled[0].revents().is_some_and(|events| events.contains(PollFlags::POLLHUP))
    }

    /// Listens anew at a socket that was shut down; what was queued is lost. A Unix socket stays shut: another one takes its
    /// number and its name, which nobody misses for an instant, and only who holds it from now on accepts there.
    pub(crate) fn reopen(&mut self) -> nix::Result<()> {
        let path = match &self.address {
            // A port that the kernel chose is not kept for a socket that was shut down. One that was asked for is, and is
            // not bound twice.
            Address::Tcp(address) => match bind(self.socket.as_raw_fd(), &SockaddrStorage::from(*address)) {
                Ok(()) | Err(Errno::EINVAL) => return sys::listen(self.socket.as_fd(), self.tuning.backlog),
                Err(error) => return Err(error),
            },
            Address::Unix(path) if identity(path) == self.name.get() => path,
            // The name is somebody else's.
            Address::Unix(_) => return Err(Errno::EPERM),
        };
        let mut beside = path.clone().into_os_string();
        beside.push("~");
        let beside = PathBuf::from(beside);
        let (fresh, nonblocking) = (listen_unix(&beside, self.tuning)?, self.is_nonblocking());
        if let Err(error) = std::fs::rename(&beside, path) {
            let _ = std::fs::remove_file(&beside);
            return Err(self::errno(error));
        }
        self.name.set(identity(path));
        dup3(&fresh, &mut self.socket, OFlag::O_CLOEXEC)?;
        if nonblocking { self.set_nonblocking() } else { Ok(()) }
    }

    /// Whether the name of a Unix socket is still there, although it was to be removed: the user who serves may not.
    pub(crate) fn left_name(&self) -> bool {
        self.left.get()
    }

    /// Removes the name of a Unix socket, once: whoever takes it then keeps it. What has the name by now may also be
    /// somebody else's, in another root too.
    pub(crate) fn remove_name(&self) {
        if let (Address::Unix(path), Some(name)) = (&self.address, self.name.take())
            && identity(path) == Some(name)
        {
            self.left.set(std::fs::remove_file(path).is_err());
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn listen_tcp(address: SocketAddr, tuning: Tuning) -> Result<OwnedFd, (&'static str, Errno)> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let socket = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None);
    let socket = socket.map_err(|error| ("create socket", error))?;
    set_up(&socket, address, tuning).map_err(|error| ("set up socket", error))?;
    bind(socket.as_raw_fd(), &SockaddrStorage::from(address)).map_err(|error| ("bind", error))?;
    sys::listen(socket.as_fd(), tuning.backlog).map_err(|error| ("listen", error))?;
    Ok(socket)
}

fn set_up(socket: &OwnedFd, address: SocketAddr, tuning: Tuning) -> nix::Result<()> {
    // A restart must not wait for the connections of the former server to leave TIME_WAIT (socket(7)).
    setsockopt(socket, sockopt::ReuseAddr, &true)?;
    if let IpAddr::V6(ip) = address.ip() {
        // [::] is dual-stack whatever net.ipv6.bindv6only says; another IPv6 address means just that.
        let dual = ip.is_unspecified() || ip.to_ipv4_mapped().is_some();
        setsockopt(socket, sockopt::Ipv6V6Only, &!dual)?;
    }
    tune(socket, tuning)
}

/// What connections inherit.
fn tune(socket: &OwnedFd, tuning: Tuning) -> nix::Result<()> {
    if tuning.no_delay {
        setsockopt(socket, sockopt::TcpNoDelay, &true)?;
    }
    if let Some(seconds) = tuning.defer_accept {
        sys::defer_accept(socket.as_fd(), seconds)?;
    }
    set_timeouts(socket, tuning)
}

fn listen_unix(path: &Path, tuning: Tuning) -> nix::Result<OwnedFd> {
    let socket = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    set_timeouts(&socket, tuning)?;
    let name = UnixAddr::new(path)?;
    match bind(socket.as_raw_fd(), &name) {
        // The socket of a server that was killed: nobody answers there, so the name is free.
        Err(Errno::EADDRINUSE) if is_deserted(path) => {
            std::fs::remove_file(path).map_err(errno)?;
            bind(socket.as_raw_fd(), &name)?;
        }
        bound => bound?,
    }
    // As open as a port: who may connect is for the directory to say. Otherwise a socket that root made would be for root.
    std::fs::set_permissions(path, Permissions::from_mode(0o666)).map_err(errno)?;
    sys::listen(socket.as_fd(), tuning.backlog)?;
    Ok(socket)
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::symlink_metadata(path).ok().map(|meta| (meta.dev(), meta.ino()))
}

fn is_deserted(path: &Path) -> bool {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket());
    is_socket && UnixStream::connect(path).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

fn errno(error: io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

fn set_timeouts(socket: &impl AsFd, tuning: Tuning) -> nix::Result<()> {
    if let Some(seconds) = tuning.receive_timeout {
        setsockopt(socket, sockopt::ReceiveTimeout, &TimeVal::new(seconds.into(), 0))?;
    }
    if let Some(seconds) = tuning.send_timeout {
        setsockopt(socket, sockopt::SendTimeout, &TimeVal::new(seconds.into(), 0))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_shut_down_listens_anew_at_the_same_address() {
        let mut listener = Listener::bind(&"127.0.0.1:0".parse().unwrap(), Tuning::default()).unwrap();
        let Address::Tcp(address) = *listener.address() else { unreachable!() };
        assert!(!listener.is_shut());
        listener.refuse();
        assert!(listener.is_shut() && std::net::TcpStream::connect(address).is_err());
        listener.reopen().unwrap();
        assert!(!listener.is_shut() && std::net::TcpStream::connect(address).is_ok());
    }

    #[test]
    fn a_unix_socket_that_was_shut_down_is_replaced_under_its_name() {
        let path = std::env::temp_dir().join(format!("tcpserver-reopen-{}", std::process::id()));
        let mut listener = Listener::bind(&Address::Unix(path.clone()), Tuning::default()).unwrap();
        listener.set_nonblocking().unwrap();
        let number = listener.as_fd_number();
        listener.refuse();
        assert!(listener.is_shut() && UnixStream::connect(&path).is_err());
        listener.reopen().unwrap();
        assert!(!listener.is_shut() && UnixStream::connect(&path).is_ok());
        assert!(listener.as_fd_number() == number && listener.is_nonblocking());
        listener.hand_over();
        assert!(listener.reopen().is_err(), "somebody else's name was taken");
        listener.take_back();
        listener.remove_name();
        assert!(!path.exists(), "the name is its own");
    }

    #[test]
    fn addresses() {
        assert_eq!("127.0.0.1:80".parse(), Ok(Address::Tcp(([127, 0, 0, 1], 80).into())));
        assert_eq!("[::1]:0".parse(), Ok(Address::Tcp("[::1]:0".parse().unwrap())));
        assert_eq!("unix:/run/x".parse(), Ok(Address::Unix("/run/x".into())));
        for wrong in ["", "80", ":80", "localhost:80", "127.0.0.1", "127.0.0.1:65536", "::1:80", "unix:"] {
            assert!(wrong.parse::<Address>().is_err(), "{wrong}");
        }
        assert!(format!("unix:/{}", "x".repeat(107)).parse::<Address>().is_err());
    }

    #[test]
    fn a_deserted_unix_socket_is_taken_over_and_a_served_one_is_not() {
        let path = std::env::temp_dir().join(format!("tcpserver-listen-{}", std::process::id()));
        let address = Address::Unix(path.clone());
        let first = Listener::bind(&address, Tuning::default()).unwrap();
        assert!(Listener::bind(&address, Tuning::default()).is_err(), "taken from a server that listens");
        drop(first);
        let second = Listener::bind(&address, Tuning::default()).unwrap();
        second.remove_name();
        assert!(!path.exists());
        let third = Listener::bind(&address, Tuning::default()).unwrap();
        second.remove_name();
        assert!(path.exists(), "the name of the next server was removed");
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "a file").unwrap();
        third.remove_name();
        assert!(path.exists(), "another file was removed");
        assert!(Listener::bind(&address, Tuning::default()).is_err(), "a file was taken for a socket");
        std::fs::remove_file(&path).unwrap();
    }
}
