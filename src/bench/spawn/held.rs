//! Live children: processes that were forked, and sleep until their parent lets them go or ends, however it ends.

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::sys::wait::waitpid;
use nix::unistd::{close, read};

use crate::bench::recorder::Recorder;
use crate::bench::sys;
use crate::bench::trouble::{Trouble, trouble};

/// Children that read from a pipe whose other end this process alone has: they end when it closes.
pub struct Held {
    sleep_on: PipeReader,
    /// Open in this process alone.
    wake_by: Option<PipeWriter>,
    /// A byte from each child that has begun, and is about to sleep.
    ready: (PipeReader, PipeWriter),
    count: u32,
}

impl Held {
    /// None yet.
    pub fn new() -> Result<Self, Trouble> {
        let (sleep_on, wake_by) = io::pipe().map_err(trouble("make", "a pipe"))?;
        let ready = io::pipe().map_err(trouble("make", "a pipe"))?;
        Ok(Held { sleep_on, wake_by: Some(wake_by), ready, count: 0 })
    }

    /// Forks until there are so many children asleep. When no more can be made this is told, and the answer is false.
    pub fn grow_or_tell(&mut self, to: u32, recorder: &mut Recorder) -> bool {
        self.grow(to, recorder, |end| {
            // Whatever read returns, it is over.
            let _ = read(end, &mut [0]);
        })
    }

    /// Gives the children a byte, which one of them reads.
    pub fn wake_one(&mut self) -> io::Result<()> {
        self.wake_by.as_mut().map_or(Ok(()), |pipe| pipe.write_all(b"x"))
    }

    /// The same for children that do something; it must return when the descriptor that it gets is at its end of file.
    pub fn grow(&mut self, to: u32, recorder: &mut Recorder, work: impl Fn(BorrowedFd<'_>)) -> bool {
        let (sleep_on, wake_by) = (self.sleep_on.as_fd(), self.wake_by.as_ref().map(AsRawFd::as_raw_fd));
        let (all_ready, ready) = &mut self.ready;
        let before = self.count;
        let mut failure = None;
        while self.count < to && failure.is_none() {
            let child = sys::fork(|| {
                // A child that kept the other end open would wait for itself.
                let _ = wake_by.map(close);
                if ready.write_all(b"x").is_ok() {
                    work(sleep_on);
                }
                0
            });
            match child {
                Ok(_) => self.count += 1,
                Err(error) => failure = Some(error),
            }
        }
        // Children that have not run yet would compete with whatever is measured.
        for _ in before..self.count {
            // A child was killed: the next measurement shows that.
            let _ = all_ready.read(&mut [0]);
        }
        if let Some(error) = failure {
            recorder.note(&format!("no more than {} live children could be made: {}", self.count, error.desc()));
        }
        failure.is_none()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.wake_by = None;
        // ECHILD: all are gone.
        while waitpid(None, None) != Err(Errno::ECHILD) {}
    }
}
