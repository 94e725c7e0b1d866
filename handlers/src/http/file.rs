//! Files beneath the root.

use core::ffi::CStr;
use core::mem::MaybeUninit;

use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use super::status::Status;
use crate::Text;

/// What is known of an open file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Meta {
    /// Its size in bytes.
    pub(crate) size: u64,
    /// When it was written, in seconds since 1970.
    pub(crate) modified: i64,
    /// The rest of that time.
    pub(crate) nanoseconds: u32,
}

/// What a path leads to.
pub(crate) enum Found {
    /// A regular file, open.
    File(OwnedFd, Meta),
    /// A directory.
    Directory,
}

/// Opens a path beneath a directory. The kernel resolves it there, links included, so that nothing leads out.
///
/// # Errors
/// The status that says why not. A FIFO, a device or a socket is not found.
#[inline(never)]
pub(crate) fn open(directory: BorrowedFd<'_>, path: &CStr) -> Result<Found, Status> {
    // O_NONBLOCK: a FIFO would hold us until somebody writes. O_NOCTTY: a terminal would become ours.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = beneath(directory, path, flags).map_err(status)?;
    let stat = rustix::fs::fstat(&file).map_err(status)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok(Found::File(file, Meta::of(&stat))),
        FileType::Directory => Ok(Found::Directory),
        _ => Err(Status::NotFound),
    }
}

/// Opens a directory in which paths can be resolved; it cannot be read.
pub(crate) fn open_directory(directory: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd, Status> {
    beneath(directory, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC).map_err(status)
}

/// What is written in a symbolic link beneath a directory.
pub(crate) fn link<'s>(directory: BorrowedFd<'_>, path: &CStr, space: &'s mut [MaybeUninit<u8>]) -> Option<&'s [u8]> {
    let link = beneath(directory, path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC).ok()?;
    let text = rustix::fs::readlinkat_raw(link, c"", space);
    text.ok().map(|(text, _)| &*text)
}

#[inline(never)]
fn beneath(directory: BorrowedFd<'_>, path: &CStr, flags: OFlags) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let mut tries = 0;
    loop {
        match rustix::fs::openat2(directory, path, flags, Mode::empty(), resolve) {
            Err(Errno::INTR) => {}
            // Something beneath the root was renamed meanwhile, and `..` could not be checked (openat2(2)).
            Err(Errno::AGAIN) if tries < 32 => tries += 1,
            result => return result,
        }
    }
}

/// What is known of a file by now.
pub(crate) fn meta(file: BorrowedFd<'_>) -> Result<Meta, Status> {
    rustix::fs::fstat(file).map(|stat| Meta::of(&stat)).map_err(status)
}

impl Meta {
    fn of(stat: &Stat) -> Meta {
        Meta { size: stat.st_size as u64, modified: stat.st_mtime, nanoseconds: stat.st_mtime_nsec as u32 }
    }
}

/// Opens the root itself, once.
// A frame of its own, which is gone when the connection is served: a long path is copied there.
#[inline(never)]
pub(crate) fn open_root(path: &[u8]) -> Result<OwnedFd, Errno> {
    rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// The path of an open directory, if it can be told.
#[cold]
pub(crate) fn name<'b>(directory: BorrowedFd<'_>, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
    let mut space = [0; 32];
    let mut link = Text::new(&mut space);
    link.str("/proc/self/fd/").decimal(directory.as_raw_fd() as u64);
    let len = rustix::fs::readlinkat_raw(rustix::fs::CWD, link.as_bytes(), &mut *buffer).ok()?;
    buffer.get(..len).filter(|name| name.starts_with(b"/"))
}

/// Fills `buffer` from the file's offset on; fewer bytes when it ends before.
pub(crate) fn read(file: impl AsFd, buffer: &mut [u8], offset: u64) -> Result<usize, Errno> {
    let mut len = 0;
    while let Some(room) = buffer.get_mut(len..).filter(|room| !room.is_empty()) {
        match rustix::io::pread(&file, room, offset + len as u64) {
            Ok(0) => break,
            Ok(more) => len += more,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(len)
}

/// What an error in opening a file means to the client.
pub(crate) fn status(errno: Errno) -> Status {
    match errno {
        Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV | Errno::NAMETOOLONG | Errno::NXIO | Errno::NODEV => {
            Status::NotFound
        }
        Errno::ACCESS | Errno::PERM => Status::Forbidden,
        Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::AGAIN => Status::ServiceUnavailable,
        _ => Status::InternalServerError,
    }
}
