//! Having the kernel send SIGIO for a descriptor, with the descriptor's number in it.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, RawFd};

use nix::libc;
use nix::sys::signal::{SigSet, Signal};

/// The libc crate lacks it (Linux, include/uapi/asm-generic/fcntl.h).
const F_SETSIG: libc::c_int = 10;

/// From now on each change of the descriptor sends SIGIO to this process (fcntl(2): F_SETOWN, F_SETSIG, O_ASYNC).
pub fn ask(descriptor: impl AsFd) -> io::Result<()> {
    let number = descriptor.as_fd().as_raw_fd();
    let own = std::process::id() as libc::c_int;
    // F_SETSIG with the very signal that is the default makes the kernel tell the descriptor in si_fd.
    for (command, argument) in [(libc::F_SETOWN, own), (F_SETSIG, libc::SIGIO)] {
        // SAFETY: both commands take a number and touch no memory; the descriptor is open while it is borrowed.
        if unsafe { libc::fcntl(number, command, argument) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    let flags = nix::fcntl::fcntl(&descriptor, nix::fcntl::FcntlArg::F_GETFL)?;
    let flags = nix::fcntl::OFlag::from_bits_retain(flags) | nix::fcntl::OFlag::O_ASYNC;
    nix::fcntl::fcntl(&descriptor, nix::fcntl::FcntlArg::F_SETFL(flags))?;
    Ok(())
}

/// Waits for SIGIO, which must be blocked, and says which descriptor it is about (sigwaitinfo(2)).
pub fn wait() -> io::Result<RawFd> {
    let set = SigSet::from(Signal::SIGIO);
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    // SAFETY: both point to values that live until the call returns. The zeros make `info` a valid value even before.
    let (signal, info) = unsafe { (libc::sigwaitinfo(set.as_ref(), info.as_mut_ptr()), info.assume_init()) };
    if signal < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(descriptor(&info))
}

/// `si_fd`, which the libc crate has no name for: for SIGIO the kernel fills `{ long si_band; int si_fd; }` behind the
/// three numbers that every siginfo_t begins with (sigaction(2); Linux, include/uapi/asm-generic/siginfo.h).
fn descriptor(info: &libc::siginfo_t) -> RawFd {
    #[repr(C)]
    struct Poll {
        head: [libc::c_int; 3],
        band: libc::c_long,
        descriptor: libc::c_int,
    }
    const { assert!(size_of::<Poll>() <= size_of::<libc::siginfo_t>()) };
    const { assert!(align_of::<Poll>() <= align_of::<libc::siginfo_t>()) };
    // SAFETY: `Poll` is no larger and no more aligned than `siginfo_t`, and any bits are valid for its integers.
    let poll = unsafe { &*std::ptr::from_ref(info).cast::<Poll>() };
    let Poll { head: _, band: _, descriptor } = poll;
    *descriptor
}
