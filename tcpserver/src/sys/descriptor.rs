//! Descriptors that are known by their numbers alone.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// Another descriptor for what `number` stands for, the lowest free one from `least` on, close-on-exec (fcntl(2),
/// F_DUPFD_CLOEXEC).
///
/// # Errors
///
/// EBADF if nothing is open there.
pub fn duplicate(number: RawFd, least: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: numbers go in and a number comes out; `number` itself is left as it is.
    let fd = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, least) };
    // SAFETY: fcntl has just made this descriptor, nobody else owns it.
    if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(unsafe { OwnedFd::from_raw_fd(fd) }) }
}
