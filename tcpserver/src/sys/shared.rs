//! The memory of a scoreboard: a memfd, mapped whole in the supervisor and page by page in its children.

use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::slice;

use libc::c_int;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::stat::fstat;
use nix::unistd::ftruncate;

use super::page::beside_data;
use crate::scoreboard::{Header, Row, Slot};

const PAGE: usize = mem::size_of::<Slot>();

/// A header, rows, and slots behind them, from a page's beginning each. Never unmapped.
pub struct Shared {
    file: OwnedFd,
    start: NonNull<u8>,
    rows: usize,
    slots: usize,
    /// Where a child finds its slot: one page that is mapped anew for each child.
    window: Option<NonNull<Slot>>,
}

/// Where the slots begin, and where they end.
fn extent(rows: usize, slots: usize) -> Option<(usize, usize)> {
    let rows = rows.checked_mul(mem::size_of::<Row>())?.checked_next_multiple_of(PAGE)?;
    let begin = rows.checked_add(mem::size_of::<Header>())?;
    let end = slots.checked_mul(PAGE)?.checked_add(begin)?;
    (end < isize::MAX as usize).then_some((begin, end))
}

impl Shared {
    /// New memory, all zero. None of it is there until it is touched.
    pub fn create(name: &str, rows: usize, slots: usize) -> io::Result<Shared> {
        let (_, end) = extent(rows, slots).ok_or(io::ErrorKind::OutOfMemory)?;
        let file = memfd_create(name, MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
        ftruncate(&file, i64::try_from(end).map_err(|_| io::ErrorKind::OutOfMemory)?)?;
        // Nobody can make it shorter, so that to read it never fails.
        fcntl(&file, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL))?;
        let start = map(Place::Anywhere, end, libc::MAP_SHARED, &file, 0)?;
        // SAFETY: the range is the mapping that was just made. Children do not inherit it.
        if unsafe { libc::madvise(start.as_ptr().cast(), end, libc::MADV_DONTFORK) } != 0 {
            return Err(io::Error::last_os_error());
        }
        let mut shared = Shared { file, start, rows, slots, window: None };
        if slots > 0 {
            let at = shared.offset(0)?;
            shared.window = Some(map(Place::BesideData, PAGE, libc::MAP_SHARED, &shared.file, at)?.cast());
        }
        Ok(shared)
    }

    /// Memory that another process made, as far as `shape` finds in its header how many rows and slots there are.
    pub fn look(file: OwnedFd, shape: impl FnOnce(&Header) -> io::Result<(usize, usize)>) -> io::Result<Shared> {
        let invalid = || io::Error::from(io::ErrorKind::InvalidData);
        let sealed = fcntl(&file, FcntlArg::F_GET_SEALS).map_err(|_| invalid())?;
        let len = usize::try_from(fstat(&file)?.st_size).map_err(|_| invalid())?;
        if sealed & SealFlag::F_SEAL_SHRINK.bits() == 0 || len < mem::size_of::<Header>() {
            return Err(invalid());
        }
        // Private and writable: what the other writes is seen, and a reference to it may be what references are here.
        let start = map(Place::Anywhere, len, libc::MAP_PRIVATE, &file, 0)?;
        let mut shared = Shared { file, start, rows: 0, slots: 0, window: None };
        let (rows, slots) = shape(shared.header())?;
        if extent(rows, slots).is_none_or(|(_, end)| end > len) {
            return Err(invalid());
        }
        (shared.rows, shared.slots) = (rows, slots);
        Ok(shared)
    }

    /// The descriptor of the memory.
    pub fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// The first part.
    pub fn header(&self) -> &'static Header {
        // SAFETY: the mapping begins with a page-aligned header, is never unmapped, and its file cannot shrink. A Header
        // is made of atomic integers: zeroes are valid, and so is whatever another process writes.
        unsafe { self.start.cast::<Header>().as_ref() }
    }

    /// The second.
    pub fn rows(&self) -> &'static [Row] {
        // SAFETY: as for the header; `extent` says that so many rows lie behind it within the mapping, aligned as its end.
        unsafe { slice::from_raw_parts(self.start.add(mem::size_of::<Header>()).cast().as_ptr(), self.rows) }
    }

    /// The third.
    pub fn slots(&self) -> &'static [Slot] {
        let begin = extent(self.rows, self.slots).map_or(0, |(begin, _)| begin);
        // SAFETY: as for the rows; they begin at a multiple of a page, as a Slot must.
        unsafe { slice::from_raw_parts(self.start.add(begin).cast().as_ptr(), self.slots) }
    }

    /// The page in the window.
    pub fn own(&self) -> Option<&'static Slot> {
        // SAFETY: there is always a page of the file mapped there, though not always the same: every value of a Slot's
        // atomic integers is valid at any time.
        self.window.map(|window| unsafe { window.as_ref() })
    }

    /// Another page in the window: the one that a child finds there which is forked now.
    pub fn hand_out(&self, slot: usize) -> io::Result<()> {
        let at = self.offset(slot)?;
        match self.window {
            Some(window) => map(Place::Over(window.cast()), PAGE, libc::MAP_SHARED, &self.file, at).map(drop),
            None => Ok(()),
        }
    }

    fn offset(&self, slot: usize) -> io::Result<i64> {
        let at = (slot < self.slots).then(|| extent(self.rows, slot)).flatten();
        at.and_then(|(_, at)| i64::try_from(at).ok()).ok_or_else(|| io::ErrorKind::InvalidInput.into())
    }
}

/// Where a part of the file is mapped.
enum Place {
    Anywhere,
    /// If that is free, otherwise anywhere.
    BesideData,
    /// In place of what is there.
    Over(NonNull<u8>),
}

/// Maps a part of the file.
fn map(place: Place, len: usize, flags: c_int, file: &OwnedFd, at: i64) -> io::Result<NonNull<u8>> {
    let (address, fixed) = match place {
        Place::Anywhere => (std::ptr::null_mut(), 0),
        Place::BesideData => (beside_data(len), 0),
        Place::Over(there) => (there.as_ptr().cast(), libc::MAP_FIXED),
    };
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: where something is replaced, it is the window: a page that belongs to a `Shared` and that is only ever
    // replaced by another page of the same file. Otherwise an address is a hint, and what exists is not touched.
    let mapped = unsafe { libc::mmap(address, len, access, flags | fixed, file.as_raw_fd(), at) };
    if mapped == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    NonNull::new(mapped.cast()).ok_or_else(|| io::ErrorKind::OutOfMemory.into())
}
