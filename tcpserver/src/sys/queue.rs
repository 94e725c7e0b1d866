//! How many connections wait to be accepted, and how many may: what the kernel tells of a listening socket.

use std::mem::{self, MaybeUninit};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};
use nix::sys::stat::fstat;

/// Connections in the queue of a listening socket, and how many it takes; `None` where the kernel does not tell.
pub fn queue(listener: impl AsFd) -> Option<(u32, u32)> {
    tcp(listener.as_fd()).or_else(|| unix(listener.as_fd()))
}

/// TCP_INFO has them in its fields for unacknowledged segments (tcp_get_info in the kernel).
fn tcp(listener: BorrowedFd<'_>) -> Option<(u32, u32)> {
    let mut info = MaybeUninit::<libc::tcp_info>::zeroed();
    let mut len = mem::size_of::<libc::tcp_info>() as libc::socklen_t;
    let (level, name, fd) = (libc::IPPROTO_TCP, libc::TCP_INFO, listener.as_raw_fd());
    // SAFETY: the kernel writes at most `len` bytes into storage of that size.
    let failed = unsafe { libc::getsockopt(fd, level, name, info.as_mut_ptr().cast(), &raw mut len) } != 0;
    // SAFETY: an all-zero tcp_info is valid, and whatever the kernel wrote of it is integers.
    let info = unsafe { info.assume_init() };
    (!failed).then_some((info.tcpi_unacked, info.tcpi_sacked))
}

/// The length of a struct nlmsghdr, and of a struct unix_diag_msg.
const HEADER: usize = 16;
const MESSAGE: usize = 16;

/// linux/sock_diag.h, linux/netlink.h.
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 1;

/// The request and the attribute for queues (linux/unix_diag.h).
const UDIAG_SHOW_RQLEN: u32 = 0x10;
const UNIX_DIAG_RQLEN: u16 = 4;

/// A Unix socket is asked for by its inode, of the kernel's directory of sockets (sock_diag(7)).
fn unix(listener: BorrowedFd<'_>) -> Option<(u32, u32)> {
    let inode = u32::try_from(fstat(listener).ok()?.st_ino).ok()?;
    let netlink =
        socket(AddressFamily::Netlink, SockType::Datagram, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkSockDiag);
    let netlink = netlink.ok()?;
    // struct nlmsghdr: length, type and flags, sequence, sender. struct unix_diag_req: family, protocol,
    // padding; states; inode; what to show; a cookie, which is none.
    let family = u32::from_ne_bytes([libc::AF_UNIX as u8, 0, 0, 0]);
    let [kind, flags] = [SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST].map(u16::to_ne_bytes);
    let kind = u32::from_ne_bytes([kind[0], kind[1], flags[0], flags[1]]);
    let words = [40, kind, 0, 0, family, u32::MAX, inode, UDIAG_SHOW_RQLEN, u32::MAX, u32::MAX];
    let request: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    send(netlink.as_raw_fd(), &request, MsgFlags::MSG_DONTWAIT).ok()?;
    let mut answer = [0; 1024];
    // The kernel answers before it returns from the question.
    let len = recv(netlink.as_raw_fd(), &mut answer, MsgFlags::MSG_DONTWAIT).ok()?;
    let (mut attributes, number) = (answer.get(HEADER + MESSAGE..len)?, |bytes: &[u8]| bytes.try_into().ok());
    while let Some(begin) = attributes.get(..4) {
        let (size, kind) = (u16::from_ne_bytes([begin[0], begin[1]]), u16::from_ne_bytes([begin[2], begin[3]]));
        if kind == UNIX_DIAG_RQLEN {
            let word = |at: usize| attributes.get(at..at + 4).and_then(number).map(u32::from_ne_bytes);
            return Some((word(4)?, word(8)?));
        }
        // They begin at multiples of four.
        attributes = attributes.get(usize::from(size.max(4)).next_multiple_of(4)..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::socket::{Backlog, listen};
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::net::{UnixListener, UnixStream};

    #[test]
    fn both_kinds_of_sockets_tell() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let path = std::env::temp_dir().join(format!("tcpserver-queue-{}", std::process::id()));
        let unix = UnixListener::bind(&path).unwrap();
        listen(&tcp, Backlog::new(7).unwrap()).unwrap();
        listen(&unix, Backlog::new(7).unwrap()).unwrap();
        for waiting in 0..4 {
            assert_eq!(queue(&tcp), Some((waiting, 7)));
            assert_eq!(queue(&unix), Some((waiting, 7)));
            mem::forget(TcpStream::connect(tcp.local_addr().unwrap()).unwrap());
            mem::forget(UnixStream::connect(&path).unwrap());
        }
        let _ = std::fs::remove_file(path);
        assert_eq!(queue(std::fs::File::open("/dev/null").unwrap()), None);
    }
}
