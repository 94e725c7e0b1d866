//! Pages that a supervisor shares with its children.

use std::io;
use std::os::fd::AsRawFd;
use std::{mem, ptr};

use libc::{c_int, c_void};
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::ftruncate;

use super::map;
use crate::spawn::notice::{Notice, Tally};

/// A page that whoever makes it can write to, and the same page as its children see it: they cannot write to it, nor make
/// it writable. Never freed.
///
/// The writable side is in memory that no child inherits (MADV_DONTFORK). The other was mapped when the file had been
/// sealed against writing (F_SEAL_FUTURE_WRITE), which no mprotect(2) undoes; and its descriptor is closed.
pub fn published_page() -> io::Result<(&'static Notice, &'static Notice)> {
    let size = mem::size_of::<Notice>();
    let file = memfd_create(c"tine-notice", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
    ftruncate(&file, size as i64)?;
    let map = |protection: c_int| {
        // SAFETY: a new mapping at an address of the kernel's choice touches nothing that exists.
        let address = unsafe { libc::mmap(ptr::null_mut(), size, protection, libc::MAP_SHARED, file.as_raw_fd(), 0) };
        if address == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(address.cast::<Notice>()) }
    };
    let ours = map(libc::PROT_READ | libc::PROT_WRITE)?;
    // SAFETY: the mapping was just made, and is as long. Children never touch it: they know the other one.
    let failed = unsafe { libc::madvise(ours.cast::<c_void>(), size, libc::MADV_DONTFORK) } != 0;
    if failed {
        return Err(io::Error::last_os_error());
    }
    let all = SealFlag::F_SEAL_FUTURE_WRITE | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
    fcntl(&file, FcntlArg::F_ADD_SEALS(all))?;
    let theirs = map(libc::PROT_READ)?;
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
