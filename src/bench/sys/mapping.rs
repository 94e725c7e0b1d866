//! Memory mappings that end with the value that holds them.

use std::fs::File;
use std::io;
use std::num::NonZero;
use std::ptr::NonNull;

use nix::libc;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};

/// Bytes in a page of the architectures that tine runs on. Where pages are larger, a mapping is a part of one.
pub const PAGE: usize = 4096;

/// What a mapping allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading.
    Read,
    /// Reading and writing.
    Write,
}

/// A private mapping.
pub struct Mapping {
    start: NonNull<u8>,
    length: NonZero<usize>,
    access: Access,
}

impl Mapping {
    /// Memory that has no pages yet.
    pub fn anonymous(length: usize, access: Access) -> io::Result<Mapping> {
        let length = NonZero::new(length).ok_or(io::ErrorKind::InvalidInput)?;
        let protection = match access {
            Access::Read => ProtFlags::PROT_READ,
            Access::Write => ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
        };
        // SAFETY: the kernel chooses an address where nothing is (no MAP_FIXED), so no other memory is affected.
        let start = unsafe { mmap_anonymous(None, length, protection, MapFlags::MAP_PRIVATE) }?;
        Ok(Mapping { start: start.cast(), length, access })
    }

    /// The beginning of a file, for reading.
    pub fn of_file(file: &File, length: usize) -> io::Result<Mapping> {
        let length = NonZero::new(length).ok_or(io::ErrorKind::InvalidInput)?;
        // SAFETY: as above. What the file's bytes are is never relied on: they are read one at a time by `read`, as volatile,
        // or by the kernel.
        let start = unsafe { mmap(None, length, ProtFlags::PROT_READ, MapFlags::MAP_PRIVATE, file, 0) }?;
        Ok(Mapping { start: start.cast(), length, access: Access::Read })
    }

    /// Reads the byte at `at`, which makes the page present.
    ///
    /// # Panics
    /// Beyond the end.
    pub fn read(&self, at: usize) -> u8 {
        assert!(at < self.length.get());
        // SAFETY: within the mapping, which is readable for as long as `self` lives. Every bit pattern is a byte. (A file
        // that shrank would end the process with SIGBUS, which is not undefined.)
        unsafe { self.start.add(at).read_volatile() }
    }

    /// Writes a byte at `at`, which makes the page this process's own.
    ///
    /// # Panics
    /// Beyond the end, or when the mapping is for reading.
    pub fn write(&mut self, at: usize) {
        assert!(at < self.length.get() && self.access == Access::Write);
        // SAFETY: within the mapping, which is writable for as long as `self` lives and borrowed by nobody else.
        unsafe { self.start.add(at).write_volatile(1) }
    }

    /// Its bytes, for a system call: the kernel reads them, this process does not.
    pub fn write_to(&self, socket: impl std::os::fd::AsFd, from: usize) -> io::Result<usize> {
        use std::os::fd::AsRawFd;
        assert!(from <= self.length.get());
        // SAFETY: the range from `from` to the end lies within the mapping, and write(2) only reads it. No reference to
        // bytes that another process may change is made.
        let sent = unsafe {
            libc::write(socket.as_fd().as_raw_fd(), self.start.add(from).as_ptr().cast(), self.length.get() - from)
        };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: start and length are those that mmap gave, unmapped here alone, and no reference into it outlives `self`.
        let done = unsafe { munmap(self.start.cast(), self.length.get()) };
        debug_assert_eq!(done, Ok(()));
    }
}
