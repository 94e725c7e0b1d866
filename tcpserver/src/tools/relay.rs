//! Carrying bytes between two pairs of descriptors, in one process, with something done to them on the way.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// One direction: read a piece, change it, write it.
pub struct Way<'a> {
    from: Option<File>,
    to: Option<File>,
    /// Gets each piece that was read, and an empty one at the end; gives what to write.
    change: &'a mut dyn FnMut(&[u8]) -> Vec<u8>,
    /// The most that is read at once.
    piece: usize,
    pending: Vec<u8>,
}

impl<'a> Way<'a> {
    /// A way that reads at most `piece` bytes at once. What poll(2) has found writable takes twice that without
    /// blocking: a pipe at most 4096 bytes, a socket more.
    pub fn new(from: OwnedFd, to: OwnedFd, piece: usize, change: &'a mut dyn FnMut(&[u8]) -> Vec<u8>) -> Self {
        Way { from: Some(File::from(from)), to: Some(File::from(to)), change, piece, pending: Vec::new() }
    }

    fn is_over(&self) -> bool {
        self.from.is_none()
    }

    /// What is waited for: room for what is pending, or something to read.
    fn wanted(&self) -> Option<PollFd<'_>> {
        let (from, to) = (self.from.as_ref()?, self.to.as_ref()?);
        Some(if self.pending.is_empty() {
            PollFd::new(from.as_fd(), PollFlags::POLLIN)
        } else {
            PollFd::new(to.as_fd(), PollFlags::POLLOUT)
        })
    }

    /// Does what was waited for. The end of the one side is passed on to the other by closing it.
    fn step(&mut self) {
        let (Some(from), Some(to)) = (&mut self.from, &mut self.to) else { return };
        if self.pending.is_empty() {
            let mut bytes = vec![0; self.piece];
            match from.read(&mut bytes) {
                Err(error) if passes(&error) => {}
                Ok(len @ 1..) => self.pending = (self.change)(&bytes[..len]),
                Ok(0) | Err(_) => {
                    let rest = (self.change)(b"");
                    let _ = to.write_all(&rest);
                    self.close();
                }
            }
        } else {
            match to.write(&self.pending) {
                Ok(written) => drop(self.pending.drain(..written)),
                Err(error) if passes(&error) => {}
                Err(_) => self.close(),
            }
        }
    }

    fn close(&mut self) {
        (self.from, self.to) = (None, None);
    }
}

/// It may go better the next time. A descriptor that somebody else has set to O_NONBLOCK can say EAGAIN.
fn passes(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock)
}

/// Carries bytes both ways until the second way has ended. A first way whose reader has gone ends alone: the other side
/// may still have much to say.
pub fn relay(first: &mut Way<'_>, second: &mut Way<'_>) {
    while !second.is_over() {
        let mut wanted: Vec<PollFd<'_>> = [first.wanted(), second.wanted()].into_iter().flatten().collect();
        match poll(&mut wanted, PollTimeout::NONE) {
            Err(Errno::EINTR) => continue,
            Err(_) => return,
            Ok(_) => {}
        }
        // Whatever is told of a descriptor, an error or a hang-up too, reading or writing it says what it is.
        let mut ready = wanted.iter().map(|one| one.any().unwrap_or(true));
        let first_ready = if first.is_over() { false } else { ready.next().unwrap_or(false) };
        let second_ready = ready.next().unwrap_or(false);
        drop(ready);
        if first_ready {
            first.step();
        }
        if second_ready {
            second.step();
        }
    }
}
