//! Runs a program for a handler, and ends every process that came of it.
//!
//! A process group does not hold a program that wants out of it: setsid(2) is enough, and a daemon does just that. So
//! between handler and program stands a process of its own, the keeper, to which the kernel hands every orphan below it
//! (PR_SET_CHILD_SUBREAPER):
//!
//! ```text
//! handler ---- lifeline ---- keeper
//!                              |-- the program -- its children
//!                              `-- whatever left the program's session and lost its parent
//! ```
//!
//! The keeper waits for either of two ends: that of the program (a pidfd), or that of the handler, which closes its end
//! of the lifeline, or whose death does. Then it kills what is left, until the kernel says that it has no child any more.
//! A handler that is itself killed at its deadline so leaves nothing behind.
//!
//! The code is the same in a forked child of the supervisor and in a freestanding executable: no `std`, no allocation, no
//! libc. What each of them does in its own way is the trait [`Kernel`].

#![no_std]
#![forbid(unsafe_code)]

mod proc;
mod run;

use connection::{Fd, Script, Started};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsRawFd, IntoRawFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, WaitStatus};

pub use run::Execution;

/// System calls that have no safe form, or none without libc. The process has one thread.
pub trait Kernel {
    /// fork(2), without a signal at the end of the new process: 0 in it, its number in the old one; errno when it fails.
    fn fork() -> Result<i32, i32>;
    /// _exit(2).
    fn exit(status: i32) -> !;
    /// dup2(2) to a number below 3; whether it was done. `from` is another number.
    fn dup2(from: i32, to: i32) -> bool;
    /// Closes this descriptor, which nobody uses any more.
    fn close(fd: i32);
    /// Closes the descriptors from one number to another, in a process that uses none of them any more.
    fn close_range(first: i32, last: i32);
    /// fchdir(2); whether it was done.
    fn fchdir(directory: i32) -> bool;
    /// Blocks all signals.
    fn block_signals();
    /// Gives every signal its default action, and lets all in.
    fn default_signals();
    /// execve(2); errno, as it comes back only when it fails.
    fn exec(execution: &Execution<'_>) -> i32;
}

/// Wait for children whatever signal their end would send.
const WALL: WaitOptions = WaitOptions::from_bits_retain(0x4000_0000);
/// How often the keeper looks whether what it killed is gone, a millisecond apart. What cannot be killed is given
/// up after that.
const ROUNDS: u32 = 5_000;
/// The same where there is no /proc (in a new root, mostly): who left the program's group is not found then, and what was
/// killed with the group is gone by that time.
const BLIND_ROUNDS: u32 = 100;
/// What a shell says of a program that a signal ended, less the signal.
const SIGNALLED: i32 = 128;

/// Starts a program: see [`connection::Programs::start`].
///
/// # Errors
/// errno(3) of the call that failed; nothing was started.
pub fn start<K: Kernel>(script: &Script<'_>) -> Result<Started, i32> {
    let pair = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None);
    let (ours, theirs) = pair.map_err(Errno::raw_os_error)?;
    match K::fork()? {
        0 => keep::<K>(script, &theirs),
        keeper => Ok(Started { lifeline: Fd(ours.into_raw_fd()), keeper }),
    }
}

/// Ends a program: see [`connection::Programs::end`].
#[must_use]
pub fn end<K: Kernel>(started: Started) -> i32 {
    K::close(started.lifeline.0);
    let keeper = Pid::from_raw(started.keeper);
    loop {
        match rustix::process::waitpid(keeper, WALL) {
            Ok(Some((_, status))) => return as_shells_say(status),
            Err(Errno::INTR) | Ok(None) => {}
            Err(_) => return 0,
        }
    }
}

/// The keeper's life. Its signals are blocked: it ends when the handler does, and only then.
fn keep<K: Kernel>(script: &Script<'_>, lifeline: &OwnedFd) -> ! {
    K::block_signals();
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
    let program = match K::fork() {
        Ok(0) => run::become_program::<K>(script),
        Ok(program) => program,
        Err(_) => K::exit(run::NOT_EXECUTED),
    };
    let Some(program) = Pid::from_raw(program) else { K::exit(run::NOT_EXECUTED) };
    // Only the lifeline stays open: who waits for the end of a connection or of a pipe must not wait for us, and no
    // listening socket must live on in us.
    let number = lifeline.as_raw_fd();
    K::close_range(0, number - 1);
    K::close_range(number + 1, i32::MAX);
    wait_for_an_end(lifeline, program);
    K::exit(end_all(program))
}

/// Waits until the program ends or the handler lets go.
fn wait_for_an_end(lifeline: &OwnedFd, program: Pid) {
    let Ok(pidfd) = rustix::process::pidfd_open(program, PidfdFlags::empty()) else { return };
    loop {
        let mut ends = [PollFd::new(lifeline, PollFlags::IN), PollFd::new(&pidfd, PollFlags::IN)];
        if poll(&mut ends, None) != Err(Errno::INTR) {
            return;
        }
    }
}

/// Kills what is left of the program, and says how it ended.
fn end_all(program: Pid) -> i32 {
    let mut status = SIGNALLED + Signal::KILL.as_raw();
    // The program leads a group of its own, whose number cannot be another's before we have waited for it.
    let _ = rustix::process::kill_process_group(program, Signal::KILL);
    let _ = rustix::process::kill_process(program, Signal::KILL);
    let mut rounds = 0;
    while rounds < ROUNDS {
        loop {
            match rustix::process::wait(WaitOptions::NOHANG | WALL) {
                Ok(Some((ended, how))) if ended == program => status = as_shells_say(how),
                Ok(Some(_)) | Err(Errno::INTR) => {}
                Ok(None) => break,
                Err(_) => return status,
            }
        }
        // Whoever left the group and has lost its parent is our child now; its own children follow when it has gone.
        rounds += if proc::kill_children(rustix::process::getpid()) { 1 } else { ROUNDS / BLIND_ROUNDS };
        let _ = poll(&mut [], Some(&Timespec { tv_sec: 0, tv_nsec: 1_000_000 }));
    }
    status
}

fn as_shells_say(status: WaitStatus) -> i32 {
    status.exit_status().unwrap_or_else(|| SIGNALLED + status.terminating_signal().unwrap_or(0))
}
