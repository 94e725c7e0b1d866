//! Waiting for descriptors with io_uring.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use io_uring::{IoUring, cqueue, opcode, types};
use nix::libc;

/// Requests that are handed over in one call.
const BATCH: u32 = 256;

/// A ring that watches descriptors for something to read. Each has one request, which stays (multishot), as an event
/// loop would have it. The descriptors are borrowed for as long: a request outlives nothing that it watches.
pub struct Ring<'fd> {
    ring: IoUring,
    watched: std::marker::PhantomData<BorrowedFd<'fd>>,
}

impl<'fd> Ring<'fd> {
    /// A ring that watches nothing yet. Fails where io_uring is forbidden.
    pub fn new() -> io::Result<Self> {
        Ok(Ring { ring: IoUring::new(BATCH)?, watched: std::marker::PhantomData })
    }

    /// Watches all of these.
    pub fn watch(&mut self, descriptors: &[BorrowedFd<'fd>]) -> io::Result<()> {
        for batch in descriptors.chunks(BATCH as usize) {
            for descriptor in batch {
                self.push(descriptor.as_raw_fd())?;
            }
            self.ring.submit()?;
        }
        Ok(())
    }

    /// Waits until one has something to read, and says which.
    pub fn wait(&mut self) -> io::Result<RawFd> {
        self.ring.submit_and_wait(1)?;
        let event = self.ring.completion().next().ok_or(io::ErrorKind::WouldBlock)?;
        if event.result() < 0 {
            return Err(io::Error::from_raw_os_error(-event.result()));
        }
        let descriptor = event.user_data() as RawFd;
        if !cqueue::more(event.flags()) {
            // The kernel gave the request up, which it may: it goes in anew with the next wait.
            self.push(descriptor)?;
        }
        Ok(descriptor)
    }

    fn push(&mut self, descriptor: RawFd) -> io::Result<()> {
        let request = opcode::PollAdd::new(types::Fd(descriptor), libc::POLLIN as u32).multi(true).build();
        let request = request.user_data(descriptor as u64);
        // SAFETY: a poll request refers to a descriptor, which `watch` borrows for as long as the ring lives, and to no
        // memory of this process.
        unsafe { self.ring.submission().push(&request) }.map_err(|_| io::ErrorKind::QuotaExceeded.into())
    }
}
