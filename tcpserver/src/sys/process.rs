//! Signals to a process by its descriptor (pidfd_open(2), pidfd_send_signal(2)).

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use libc::pid_t;
use nix::sys::signal::Signal;

use super::raw;

/// Sends `signal` to the process with this number, which must be a child that was not waited for.
pub fn signal_process(pid: pid_t, signal: Signal) -> io::Result<()> {
    let failed = io::Error::from_raw_os_error;
    // SAFETY: the call takes numbers.
    let fd = unsafe { raw::call(libc::SYS_pidfd_open, [pid as usize, 0, 0, 0, 0]) }.map_err(failed)?;
    // SAFETY: pidfd_open has just made this descriptor, close-on-exec; nobody else owns it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd as RawFd) };
    let arguments = [fd.as_raw_fd() as usize, signal as usize, 0, 0, 0];
    // SAFETY: the call takes numbers and no siginfo.
    unsafe { raw::call(libc::SYS_pidfd_send_signal, arguments) }.map(drop).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    #[test]
    fn reaches_the_process_and_no_other() {
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        let pid = child.id() as pid_t;
        signal_process(pid, Signal::SIGTERM).unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGTERM));
        assert!(signal_process(pid, Signal::SIGTERM).is_err(), "it was waited for");
    }
}
