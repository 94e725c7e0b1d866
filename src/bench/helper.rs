//! The process at the other end: it reads, answers or makes load for the one that measures.

use std::io;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use super::sys;
use super::trouble::{Trouble, trouble};

/// A forked child. It ends with this value, and with this process.
pub struct Helper {
    child: Pid,
    ended: bool,
}

impl Helper {
    /// Runs `work` in a child. The caller has one thread.
    pub fn start(what: &str, work: impl FnOnce() -> io::Result<()>) -> Result<Helper, Trouble> {
        let child = sys::fork(|| i32::from(sys::end_with_parent().is_err() || work().is_err()));
        Ok(Helper { child: child.map_err(trouble("fork", what))?, ended: false })
    }

    /// Waits until it has done its work. False when it failed.
    pub fn finish(mut self) -> Result<bool, Errno> {
        let status = waitpid(self.child, None)?;
        self.ended = true;
        Ok(matches!(status, WaitStatus::Exited(_, 0)))
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        if !self.ended {
            // Not waited for yet: the number is still its own.
            let _ = kill(self.child, Signal::SIGKILL);
            let _ = waitpid(self.child, None);
        }
    }
}
