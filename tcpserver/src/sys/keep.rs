//! What running programs for a handler needs of the kernel: see crate `keeper`.
//!
//! These run in a process that serves a connection, and in children of it. All are raw system calls: a copy of libc's state
//! is not touched.

use std::ptr;

use connection::Programs;
use keeper::{Execution, Kernel};

use super::raw;

/// Programs for handlers, kept by a process of their own.
pub const PROGRAMS: Programs = Programs { start: keeper::start::<Calls>, end: keeper::end::<Calls> };

struct Calls;

impl Kernel for Calls {
    fn fork() -> Result<i32, i32> {
        // SAFETY: without flags and with no stack given, clone(2) is fork(2): the child gets a copy of everything. A process
        // that serves a connection has one thread, so no lock is held by another.
        unsafe { raw::call(libc::SYS_clone, [0; 5]) }.map(|pid| pid as i32)
    }

    fn exit(status: i32) -> ! {
        super::exit(status)
    }

    fn dup2(from: i32, to: i32) -> bool {
        // SAFETY: the call takes numbers; the descriptor that it closes is one that a fresh child was born with, and its
        // owner's copy of it stays open.
        unsafe { raw::call(libc::SYS_dup3, [from as usize, to as usize, 0, 0, 0]) }.is_ok()
    }

    fn close(fd: i32) {
        super::close(fd);
    }

    fn close_range(first: i32, last: i32) {
        // SAFETY: the call takes numbers. It is made in a child that leaves by exec or exit, without dropping the values
        // that own these descriptors, and uses them no more.
        let _ = unsafe { raw::call(libc::SYS_close_range, [first as usize, last as usize, 0, 0, 0]) };
    }

    fn fchdir(directory: i32) -> bool {
        // SAFETY: the call takes a number.
        unsafe { raw::call(libc::SYS_fchdir, [directory as usize, 0, 0, 0, 0]) }.is_ok()
    }

    fn block_signals() {
        super::set_mask(&super::SigSet::all());
    }

    fn default_signals() {
        // struct sigaction of the kernel: SIG_DFL, no flags, no restorer, no mask.
        let default = [0usize; 4];
        for signal in 1..=64 {
            // SAFETY: the kernel reads a complete structure; the default action runs nothing of ours. Those that cannot be
            // changed give an error.
            let _ = unsafe { raw::call(libc::SYS_rt_sigaction, [signal, ptr::from_ref(&default) as usize, 0, 8, 0]) };
        }
        super::set_mask(&super::SigSet::empty());
    }

    fn exec(execution: &Execution<'_>) -> i32 {
        let (path, arguments) = (execution.path() as usize, execution.arguments() as usize);
        let arguments = [path, arguments, execution.environment() as usize, 0, 0];
        // SAFETY: the path is a string, and the arrays hold strings and end with null, which is what an `Execution` is.
        unsafe { raw::call(libc::SYS_execve, arguments) }.err().unwrap_or(0)
    }
}
