//! Pages that a supervisor shares with its children.

use std::io;
use std::os::fd::AsRawFd;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::{mem, ptr};

use libc::{c_int, c_void};
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::ftruncate;

use super::map;
use crate::spawn::notice::{Notice, Tally};

/// Where a mapping of so many bytes that children share would best lie: right above our own data. What lies there costs a
/// child no page of page tables that it does not have already; anywhere else it may be two. The kernel takes it for a hint,
/// and chooses another place where there is something. Null for more than a page.
pub(super) fn beside_data(bytes: usize) -> *mut c_void {
    const PAGE: usize = mem::size_of::<Tally>();
    static TAKEN: AtomicUsize = AtomicUsize::new(0);
    unsafe extern "C" {
        /// The end of the program's data, by the linker.
        static _end: u8;
    }
    if bytes > PAGE {
        return ptr::null_mut();
    }
    let first = (&raw const _end).addr().next_multiple_of(PAGE);
    ptr::without_provenance_mut(first + TAKEN.fetch_add(PAGE, Relaxed))
}

/// A page that whoever makes it can write to, and the same page as its children see it: they cannot write to it, nor make
/// it writable. Never freed.
///
/// The writable side is in memory that no child inherits (MADV_DONTFORK). The other was mapped when the file had been
/// sealed against writing (F_SEAL_FUTURE_WRITE), which no mprotect(2) undoes; and its descriptor is closed.
pub fn published_page() -> io::Result<(&'static Notice, &'static Notice)> {
    let size = mem::size_of::<Notice>();
    let file = memfd_create(c"tine-notice", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
    ftruncate(&file, size as i64)?;
    let map = |hint: *mut c_void, protection: c_int| {
        // SAFETY: a new mapping at an address of the kernel's choice touches nothing that exists: the hint is one.
        let address = unsafe { libc::mmap(hint, size, protection, libc::MAP_SHARED, file.as_raw_fd(), 0) };
        if address == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(address.cast::<Notice>()) }
    };
    let ours = map(ptr::null_mut(), libc::PROT_READ | libc::PROT_WRITE)?;
    // SAFETY: the mapping was just made, and is as long. Children never touch it: they know the other one.
    let failed = unsafe { libc::madvise(ours.cast::<c_void>(), size, libc::MADV_DONTFORK) } != 0;
    if failed {
        return Err(io::Error::last_os_error());
    }
    let all = SealFlag::F_SEAL_FUTURE_WRITE | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
    fcntl(&file, FcntlArg::F_ADD_SEALS(all))?;
    let theirs = map(beside_data(size), libc::PROT_READ)?;
    // SAFETY: both mappings were just made, zeroed, as large as a Notice, page-aligned as it must be, and are never
    // unmapped. It is made of atomic integers: zeroes are valid, and so is what is written through the other mapping.
    // Nothing writes through `theirs`.
    Ok(unsafe { (&*ours, &*theirs) })
}

/// A page that all children and the supervisor write to, zeroed. Never freed.
pub fn shared_page() -> io::Result<&'static Tally> {
    let page = map::<Tally>(1, libc::MAP_SHARED)?;
    // SAFETY: the mapping was just made, zeroed, as large as a Tally, page-aligned as it must be, and is never unmapped. A
    // Tally is made of atomic integers: every bit pattern is valid.
    Ok(unsafe { &*page })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_makes_the_other_side_writable() {
        let (_, theirs) = published_page().unwrap();
        let address = ptr::from_ref(theirs).cast_mut().cast::<c_void>();
        // SAFETY: the page stays readable, whether this succeeds or not.
        let result = unsafe { libc::mprotect(address, 4096, libc::PROT_READ | libc::PROT_WRITE) };
        assert_eq!((result, io::Error::last_os_error().raw_os_error()), (-1, Some(libc::EACCES)));
    }
}
