//! How many connections wait to be accepted.

use std::mem::{self, MaybeUninit};
use std::os::fd::{AsFd, AsRawFd};

/// Connections in the queue of a listening TCP socket, and how many it takes: what TCP_INFO says of one in the fields
/// for unacknowledged segments (tcp_get_info in the kernel). `None` for other sockets.
pub fn queue(listener: impl AsFd) -> Option<(u32, u32)> {
    let mut info = MaybeUninit::<libc::tcp_info>::zeroed();
    let mut len = mem::size_of::<libc::tcp_info>() as libc::socklen_t;
    let fd = listener.as_fd().as_raw_fd();
    // SAFETY: the kernel writes at most `len` bytes into storage of that size.
    let failed =
        unsafe { libc::getsockopt(fd, libc::IPPROTO_TCP, libc::TCP_INFO, info.as_mut_ptr().cast(), &raw mut len) != 0 };
    // SAFETY: an all-zero tcp_info is valid, and whatever the kernel wrote of it is integers.
    let info = unsafe { info.assume_init() };
    (!failed).then_some((info.tcpi_unacked, info.tcpi_sacked))
}
