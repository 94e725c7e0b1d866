//! System calls of the experiments that have no safe form, and those that every measuring process makes.

#[allow(unsafe_code, reason = "mappings are made, touched and unmade by address")]
pub mod mapping;
#[allow(unsafe_code, reason = "F_SETSIG and sigwaitinfo have no safe form")]
pub mod sigio;
#[allow(unsafe_code, reason = "the kernel keeps requests that refer to descriptors by number")]
pub mod uring;

use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{ForkResult, Pid};

use super::trouble::{Trouble, trouble};

/// Has the kernel end this process when the one that started it ends, however that ends.
pub fn end_with_parent() -> Result<(), Trouble> {
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(trouble("ask for", "an end with the parent"))
}

/// Keeps this process and those that it will start on one processor.
pub fn pin(cpu: usize) -> Result<(), Trouble> {
    let mut set = CpuSet::new();
    let name = || format!("processor {cpu}");
    set.set(cpu).map_err(trouble("choose", name()))?;
    let remedy = "see /sys/devices/system/cpu/online for those that there are";
    sched_setaffinity(Pid::from_raw(0), &set).map_err(|error| Trouble::new("stay on", name(), error).remedy(remedy))
}

/// Forks. `child` runs in the child, and what it returns is the exit status.
///
/// The caller must have one thread: the child may then do whatever it likes.
#[allow(unsafe_code, reason = "fork has no safe form")]
pub fn fork(child: impl FnOnce() -> i32) -> Result<Pid, Trouble> {
    // SAFETY: this process has one thread, so the child finds no lock taken by a thread that it lacks. Roles and parts
    // start none but where threads are what is measured, and there nothing is forked.
    match unsafe { nix::unistd::fork() } {
        Ok(ForkResult::Parent { child }) => Ok(child),
        Ok(ForkResult::Child) => exit(child()),
        Err(error) => Err(Trouble::new("fork", "a child", error)),
    }
}

/// Ends this process at once, without what exit(3) would do.
#[allow(unsafe_code, reason = "_exit has no safe form")]
pub fn exit(status: i32) -> ! {
    // SAFETY: _exit has no preconditions.
    unsafe { nix::libc::_exit(status) }
}
