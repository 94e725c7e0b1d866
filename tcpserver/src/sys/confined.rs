//! Entering a sandbox in a fresh child, and trying its walls.

use std::ffi::CStr;
use std::os::fd::RawFd;
use std::ptr;

use libc::c_int;
use nix::errno::Errno;

use super::raw;

/// Has this process, for good, do no more than these rules of Landlock say (landlock_restrict_self(2)), and closes them.
/// The caller owns them no more: it is a child that leaves by `exit`, and its parent's copy stays.
pub fn enter_landlock(rules: RawFd) -> bool {
    // SAFETY: the call takes numbers.
    let entered = unsafe { raw::call(libc::SYS_landlock_restrict_self, [rules as usize, 0, 0, 0, 0]) };
    super::close(rules);
    entered.is_ok()
}

/// Has this process, for good, make only the system calls that this filter lets through (seccomp(2)).
pub fn enter_filter(filter: &[libc::sock_filter]) -> bool {
    let Ok(len) = filter.len().try_into() else { return false };
    let program = libc::sock_fprog { len, filter: filter.as_ptr().cast_mut() };
    let arguments = [libc::SECCOMP_SET_MODE_FILTER as usize, 0, ptr::from_ref(&program) as usize, 0, 0];
    // SAFETY: the call reads the program, as many instructions as it says, and writes nothing.
    unsafe { raw::call(libc::SYS_seccomp, arguments) }.is_ok()
}

/// Limits a resource of this process: the number of the resource, and both limits (setrlimit(2)). The error is errno.
pub fn limit((resource, limits): (u32, [u64; 2])) -> Result<(), c_int> {
    let arguments = [0, resource as usize, limits.as_ptr() as usize, 0, 0];
    // SAFETY: prlimit64 reads a struct rlimit64, which is two 64-bit numbers, and writes nothing.
    unsafe { raw::call(libc::SYS_prlimit64, arguments) }.map(drop)
}

/// No processes are made by this one any more (RLIMIT_NPROC, which holds for everybody but root).
pub fn forbid_processes() -> bool {
    limit((libc::RLIMIT_NPROC, [0; 2])).is_ok()
}

/// Tries to make a process. It ends at once.
pub fn attempt_fork() -> Result<(), Errno> {
    // SAFETY: clone without flags but the signal at exit, none, is a fork. The caller is a forked child without threads.
    match unsafe { raw::call(libc::SYS_clone, [0; 5]) } {
        Ok(0) => super::exit(0),
        Ok(_) => Ok(()),
        Err(errno) => Err(Errno::from_raw(errno)),
    }
}

/// Tries whether the parent could be signalled, without doing it.
pub fn attempt_signal() -> Result<(), Errno> {
    // SAFETY: both calls take numbers; signal 0 is none.
    let result = unsafe {
        raw::call(libc::SYS_getppid, [0; 5]).and_then(|parent| raw::call(libc::SYS_kill, [parent, 0, 0, 0, 0]))
    };
    result.map(drop).map_err(Errno::from_raw)
}

/// Tries to read a byte of the parent's memory: who may do that may trace it too (ptrace(2), PTRACE_MODE_ATTACH).
pub fn attempt_look() -> Result<(), Errno> {
    let mut byte = 0u8;
    // The byte lies at the same address there: this process is a copy.
    let (ours, theirs) = ([ptr::from_mut(&mut byte) as usize, 1], [ptr::from_ref(&raw::WITHOUT_LIBC) as usize, 1]);
    // SAFETY: process_vm_readv writes one byte to a place of ours, as the first iovec says.
    let result = unsafe {
        raw::call(libc::SYS_getppid, [0; 5]).and_then(|parent| {
            let arguments = [parent, ours.as_ptr() as usize, 1, theirs.as_ptr() as usize, 1, 0];
            raw::call_with_six(libc::SYS_process_vm_readv, arguments)
        })
    };
    result.map(drop).map_err(Errno::from_raw)
}

/// Tries whether limits of this process could be changed, without doing it (prlimit(2)); `None` for one that there is not.
pub fn attempt_limit(pid: Option<u32>) -> Result<(), Errno> {
    let pid = pid.map_or(usize::MAX, |pid| pid as usize);
    // SAFETY: the call takes numbers; without new limits and without room for the old ones it only asks whether it may.
    unsafe { raw::call(libc::SYS_prlimit64, [pid, libc::RLIMIT_NOFILE as usize, 0, 0, 0]) }
        .map(drop)
        .map_err(Errno::from_raw)
}

/// Tries to become this program, which gets no arguments and no environment; comes back if it cannot.
pub fn attempt_execute(path: &CStr) -> Errno {
    let (arguments, environment) = ([path.as_ptr(), ptr::null()], [ptr::null::<u8>()]);
    let arguments = [path.as_ptr() as usize, arguments.as_ptr() as usize, environment.as_ptr() as usize, 0, 0];
    // SAFETY: the path is a string that ends, and both lists end with a null pointer.
    match unsafe { raw::call(libc::SYS_execve, arguments) } {
        Err(errno) => Errno::from_raw(errno),
        Ok(_) => Errno::UnknownErrno,
    }
}
