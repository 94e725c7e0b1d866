//! Connections that are passed from the supervisor to a child: descriptors over a Unix socket (unix(7), SCM_RIGHTS).

use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use libc::c_void;

use super::raw;

/// One descriptor and its header, as a control message: aligned as the kernel wants it.
#[repr(C)]
struct Rights {
    header: libc::cmsghdr,
    descriptor: RawFd,
    padding: [u8; 4],
}

/// As long as the header and one descriptor (CMSG_LEN).
const LEN: usize = mem::size_of::<libc::cmsghdr>() + mem::size_of::<RawFd>();

/// Sends `text` and a descriptor as one message, without waiting. The other end gets a descriptor of its own.
pub fn give(to: RawFd, text: &[u8], descriptor: BorrowedFd<'_>) -> io::Result<()> {
    let header = libc::cmsghdr { cmsg_len: LEN as _, cmsg_level: libc::SOL_SOCKET, cmsg_type: libc::SCM_RIGHTS };
    let mut rights = Rights { header, descriptor: descriptor.as_raw_fd(), padding: [0; 4] };
    let mut part = libc::iovec { iov_base: text.as_ptr().cast_mut().cast(), iov_len: text.len() };
    let message = message(&mut part, &mut rights);
    let flags = (libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) as usize;
    let arguments = [to as usize, ptr::from_ref(&message) as usize, flags, 0, 0];
    // SAFETY: the message points to a text and a control message that are there, with their lengths; both are only read.
    unsafe { raw::call(libc::SYS_sendmsg, arguments) }.map(drop).map_err(io::Error::from_raw_os_error)
}

/// Takes a message with its descriptor, close-on-exec: how much of `text` it fills. A message without a descriptor is an
/// error, and so is the end (EPIPE). Free of allocation.
pub fn take(from: RawFd, text: &mut [u8], waits: bool) -> io::Result<(usize, OwnedFd)> {
    let header = libc::cmsghdr { cmsg_len: 0, cmsg_level: 0, cmsg_type: 0 };
    let mut rights = Rights { header, descriptor: -1, padding: [0; 4] };
    let mut part = libc::iovec { iov_base: text.as_mut_ptr().cast(), iov_len: text.len() };
    let mut message = message(&mut part, &mut rights);
    let flags = (libc::MSG_CMSG_CLOEXEC | if waits { 0 } else { libc::MSG_DONTWAIT }) as usize;
    let arguments = [from as usize, ptr::from_mut(&mut message) as usize, flags, 0, 0];
    // SAFETY: the kernel writes at most the lengths that the message states into the text and the control message.
    let read = unsafe { raw::call(libc::SYS_recvmsg, arguments) }.map_err(io::Error::from_raw_os_error)?;
    let has_one = message.msg_controllen >= LEN as _ && rights.header.cmsg_len == LEN;
    if !has_one || rights.header.cmsg_type != libc::SCM_RIGHTS || rights.descriptor < 0 {
        return Err(io::Error::from_raw_os_error(libc::EPIPE));
    }
    // SAFETY: the kernel has just made this descriptor for us, nobody else owns it.
    Ok((read, unsafe { OwnedFd::from_raw_fd(rights.descriptor) }))
}

fn message(part: &mut libc::iovec, rights: &mut Rights) -> libc::msghdr {
    // SAFETY: all-zero is a value of this structure of numbers and pointers; some of its fields are padding with no name.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    (message.msg_iov, message.msg_iovlen) = (part, 1);
    message.msg_control = ptr::from_mut(rights).cast::<c_void>();
    message.msg_controllen = mem::size_of::<Rights>() as _;
    message
}

/// close_range(2): closes all descriptors from `first` to `last`, for a child that gives up what its parent still owns.
pub fn close_range(first: RawFd, last: RawFd) {
    if first > last {
        return;
    }
    // SAFETY: this process, a forked child, uses these descriptors no more; see `close`.
    let closed = unsafe { raw::call(libc::SYS_close_range, [first as usize, last as usize, 0, 0, 0]) };
    if closed.is_err() {
        // A kernel before 5.9. No more than this can be open: RLIMIT_NOFILE is not set higher by us.
        (first..=last.min(1 << 20)).for_each(super::close);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, send, socketpair};
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;

    fn pair() -> (OwnedFd, OwnedFd) {
        socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC).unwrap()
    }

    #[test]
    fn a_connection_arrives_with_its_text() {
        let (ours, theirs) = pair();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let served = listener.accept().unwrap().0;
        give(ours.as_raw_fd(), b"words", served.as_fd()).unwrap();
        drop(served);
        let mut text = [0; 16];
        let (read, taken) = take(theirs.as_raw_fd(), &mut text, true).unwrap();
        assert_eq!(&text[..read], b"words");
        TcpStream::from(taken).write_all(b"hello").unwrap();
        let mut said = String::new();
        client.read_to_string(&mut said).unwrap();
        assert_eq!(said, "hello");
    }

    #[test]
    fn nothing_an_end_and_a_message_without_a_descriptor_are_errors() {
        let (ours, theirs) = pair();
        let mut text = [0; 16];
        let mut errno = |waits| take(theirs.as_raw_fd(), &mut text, waits).unwrap_err().raw_os_error();
        assert_eq!(errno(false), Some(libc::EAGAIN));
        send(ours.as_raw_fd(), b"x", nix::sys::socket::MsgFlags::empty()).unwrap();
        assert_eq!(errno(true), Some(libc::EPIPE));
        drop(ours);
        assert_eq!(errno(true), Some(libc::EPIPE));
    }
}
