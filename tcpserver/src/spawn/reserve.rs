//! Low numbers of descriptors, kept for what children need.
//!
//! Who is handed connections closes every descriptor from a certain number on: what a child needs lies below, what it must
//! not have lies above. So what a reload opens must find a low number free, and a connection must not.

use std::io;
use std::os::fd::{AsRawFd, RawFd};

use nix::sys::eventfd::{EfdFlags, EventFd};

/// More than a reload opens at once.
const NUMBERS: usize = 8;

/// Holds what is free below a number.
pub(crate) struct Reserve {
    end: RawFd,
    held: Vec<EventFd>,
}

impl Reserve {
    pub(crate) fn new() -> io::Result<Self> {
        let held = (0..NUMBERS).map(|_| hold()).collect::<io::Result<Vec<_>>>()?;
        let end = held.iter().map(|held| held.as_raw_fd() + 1).max().unwrap_or(0);
        Ok(Reserve { end, held })
    }

    /// The first number that is not kept.
    pub(crate) fn end(&self) -> RawFd {
        self.end
    }

    /// What is opened from now on is for children.
    pub(crate) fn open(&mut self) {
        self.held.clear();
    }

    /// From now on it is not.
    pub(crate) fn close(&mut self) {
        while let Ok(next) = hold()
            && next.as_raw_fd() < self.end
        {
            self.held.push(next);
        }
    }
}

/// Takes the lowest number that is free, with what costs least.
fn hold() -> io::Result<EventFd> {
    Ok(EventFd::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?)
}
