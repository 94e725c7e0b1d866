//! Servers do not outlive the process that measures them, however that ends.
//!
//! PR_SET_PDEATHSIG would be shorter, but the kernel forgets it when a server changes its user, and a shell does not hand
//! it on to what it starts.

use std::io::{self, PipeWriter, Read};

use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;

use crate::bench::sys;
use crate::bench::trouble::{Trouble, trouble};

/// A child that kills a process group when this process has ended without dropping it.
pub struct Watcher {
    child: Pid,
    /// Closed by the kernel when this process ends.
    _alive: PipeWriter,
}

impl Watcher {
    /// Watches for this group. The caller has one thread.
    pub fn start(group: Pid) -> Result<Watcher, Trouble> {
        let (mut ended, alive) = io::pipe().map_err(trouble("make", "a pipe"))?;
        let child = sys::fork(|| {
            // What it inherits of older watchers' pipes goes with it, so that they hear of the end after it: one after
            // the other. What younger processes inherit of its own goes with those, which end with their parent.
            drop_by_number(&alive);
            while ended.read(&mut [0]).is_err_and(|error| error.kind() == io::ErrorKind::Interrupted) {}
            i32::from(killpg(group, Signal::SIGKILL).is_err())
        });
        Ok(Watcher { child: child.map_err(trouble("fork", "a watcher"))?, _alive: alive })
    }
}

/// Closes the child's copy of a descriptor. The value itself is the parent's and is never dropped here: the child leaves
/// by _exit.
fn drop_by_number(alive: &PipeWriter) {
    use std::os::fd::AsRawFd;
    // It is open, so this does not fail.
    let _ = nix::unistd::close(alive.as_raw_fd());
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // A child that was not waited for: the number is its own.
        let _ = kill(self.child, Signal::SIGKILL);
        let _ = waitpid(self.child, None);
    }
}
