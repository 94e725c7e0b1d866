//! Memory for the supervisor's own tables.

use std::io;
use std::mem;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

use libc::c_void;

use super::map;

/// A table that no child inherits (MADV_DONTFORK): a fork copies none of its page tables, however many children there
/// are.
///
/// A child that touches it dies. Children never come back to the code that does.
pub struct Table<T> {
    start: NonNull<T>,
    len: usize,
}

impl<T: Copy + Default> Table<T> {
    /// A table of `len` default values.
    pub fn new(len: usize) -> io::Result<Table<T>> {
        let start = map::<T>(len, libc::MAP_PRIVATE)?;
        let start = NonNull::new(start).ok_or(io::ErrorKind::OutOfMemory)?;
        // SAFETY: the mapping was just made, `len` elements long and page-aligned, and nobody else knows the address.
        unsafe {
            libc::madvise(start.as_ptr().cast::<c_void>(), len * mem::size_of::<T>(), libc::MADV_DONTFORK);
            for i in 0..len {
                start.add(i).write(T::default());
            }
        }
        Ok(Table { start, len })
    }
}

/// So many numbers, 0 at first, that this process shares with all that it forks from now on: the state of a service whose
/// children have nothing else in common. They are there to the end of the process.
///
/// Whoever breaks a child can write to them: what is read here decides nothing that matters to others.
///
/// # Errors
///
/// What mmap(2) fails with.
pub fn counters(count: usize) -> io::Result<&'static [AtomicU64]> {
    let start = map::<AtomicU64>(count, libc::MAP_SHARED)?;
    // SAFETY: the mapping was just made, page-aligned and of that length, and nothing ever unmaps it. Zero bytes are a valid
    // AtomicU64, and it is written to by atomic operations alone, here and in other processes.
    Ok(unsafe { std::slice::from_raw_parts(start, count) })
}

impl<T> Deref for Table<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: `new` wrote all `len` elements of the mapping, which is there until this value is dropped.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl<T> DerefMut for Table<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as for `deref`; and nobody else has the mapping.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl<T> Drop for Table<T> {
    fn drop(&mut self) {
        let bytes = (self.len * mem::size_of::<T>()).max(1);
        // SAFETY: `map` made a mapping of that length, and with this value the last reference to it is gone. Its elements
        // are Copy: there is nothing to be dropped in them.
        unsafe { libc::munmap(self.start.as_ptr().cast(), bytes) };
    }
}
