//! What running programs for a handler needs of the kernel: see crate `keeper`.

#![allow(unsafe_code, reason = "system calls of processes that are about to become another program")]

use connection::Programs;
use keeper::{Execution, Kernel};

use super::kernel::{self, call};

const RT_SIGACTION: usize = 13;
const RT_SIGPROCMASK: usize = 14;
const CLOSE: usize = 3;
const DUP2: usize = 33;
const CLONE: usize = 56;
const EXECVE: usize = 59;
const FCHDIR: usize = 81;
const CLOSE_RANGE: usize = 436;
const SIG_SETMASK: usize = 2;

/// Programs for a handler, kept by a process of their own.
pub(crate) const PROGRAMS: Programs = Programs { start: keeper::start::<Calls>, end: keeper::end::<Calls> };

struct Calls;

/// A call that takes numbers; errno when it fails.
fn plain(number: usize, arguments: [usize; 3]) -> Result<i32, i32> {
    let [a, b, c] = arguments;
    // SAFETY: those that call this give numbers alone. What is closed is used no more: see each of them.
    let result = unsafe { call(number, [a, b, c, 0, 0]) } as i32;
    if result < 0 { Err(-result) } else { Ok(result) }
}

fn set_mask(mask: u64) {
    // SAFETY: the kernel reads one set of signals.
    unsafe { call(RT_SIGPROCMASK, [SIG_SETMASK, &raw const mask as usize, 0, 8, 0]) };
}

impl Kernel for Calls {
    fn fork() -> Result<i32, i32> {
        // Without flags and with no stack given, clone(2) is fork(2): the child gets a copy of everything.
        plain(CLONE, [0; 3])
    }

    fn exit(status: i32) -> ! {
        kernel::exit(status)
    }

    fn dup2(from: i32, to: i32) -> bool {
        // What it closes is a fresh child's copy of a descriptor.
        plain(DUP2, [from as usize, to as usize, 0]).is_ok()
    }

    fn close(fd: i32) {
        let _ = plain(CLOSE, [fd as usize, 0, 0]);
    }

    fn close_range(first: i32, last: i32) {
        // In a child that leaves by exec or exit, without dropping the values that own these descriptors.
        let _ = plain(CLOSE_RANGE, [first as usize, last as usize, 0]);
    }

    fn fchdir(directory: i32) -> bool {
        plain(FCHDIR, [directory as usize, 0, 0]).is_ok()
    }

    fn block_signals() {
        set_mask(u64::MAX);
    }

    fn default_signals() {
        let default = [0usize; 4];
        for signal in 1..=64 {
            // SAFETY: the kernel reads a struct sigaction, which is complete: the default action, which runs nothing of ours.
            unsafe { call(RT_SIGACTION, [signal, &raw const default as usize, 0, 8, 0]) };
        }
        set_mask(0);
    }

    fn exec(execution: &Execution<'_>) -> i32 {
        let (path, arguments) = (execution.path() as usize, execution.arguments() as usize);
        // SAFETY: the path is a string, and the arrays hold strings and end with null, which is what an `Execution` is.
        unsafe { call(EXECVE, [path, arguments, execution.environment() as usize, 0, 0]) as i32 }
    }
}
