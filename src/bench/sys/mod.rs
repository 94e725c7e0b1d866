//! System calls of the experiments that have no safe form, and those that every measuring process makes.

mod child;
#[allow(unsafe_code, reason = "mappings are made, touched and unmade by address")]
pub mod mapping;
#[allow(unsafe_code, reason = "F_SETSIG and sigwaitinfo have no safe form")]
pub mod sigio;
#[allow(unsafe_code, reason = "the kernel keeps requests that refer to descriptors by number")]
pub mod uring;

pub use child::{Program, fork, fork_by_clone3};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::Pid;

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
