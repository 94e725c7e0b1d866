//! The list of a directory that has no index: `out` sends what is not known to the end before it begins, `window` sorts
//! without gathering, `page` is how it looks.
//!
//! What is listed is what would be served: files and directories, not hidden ones, links that are redirects with where they
//! lead, and no link that leads out of the root.

mod out;
mod page;
mod window;

use core::ffi::CStr;
use core::mem::MaybeUninit;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, ResolveFlags, SeekFrom};
use rustix::io::Errno;

use super::answer::Reply;
use super::request::Request;
use super::status::Status;
use super::{file, vhost};
use crate::Text;
use crate::http::request::Field;
use crate::io::Sent;
use crate::text::same;

use out::Out;
use page::{Line, Page};
use window::{Item, Order, Sort, Window};

/// Answers with the list of the directory `path`, empty for the root or with a slash at its end; `None` when there is no
/// such directory.
#[cold]
#[inline(never)]
pub(crate) fn list(
    reply: &mut Reply<'_, '_>,
    root: BorrowedFd<'_>,
    path: &[u8],
    request: &Request<'_>,
) -> Option<Sent> {
    let directory = match Directory::open(root, path) {
        Ok(directory) => directory,
        Err(Errno::ACCESS) => return Some(reply.page(Status::Forbidden)),
        Err(_) => return None,
    };
    let order = order(request.query);
    let page = if wants_json(request) { Page::Json } else { Page::Html };
    let mut window = Window::new(order);
    let mut out = Out::new(reply, page.kind());
    page.begin(&mut out, path, order);
    let mut count = 0;
    loop {
        directory.each(|name, kind| {
            if let Some(item) = directory.item(name, kind, order) {
                window.offer(&item);
            }
        });
        window.sort();
        let mut at = 0;
        while let Some(item) = window.item(at) {
            at += 1;
            // Nobody waits for a list that is not read.
            if out.is_over() {
                break;
            }
            // It may be gone by now.
            let mut space = [MaybeUninit::uninit(); vhost::LINK];
            let Some(seen) = directory.look(item.name, &mut space) else { continue };
            let (size, modified) = (seen.size, seen.modified);
            let line = Line { name: item.name, directory: item.directory, size, modified, elsewhere: seen.elsewhere };
            page.line(&mut out, &line, count == 0);
            count += 1;
        }
        if out.is_over() || !window.next() || !directory.rewind() {
            break;
        }
    }
    page.end(&mut out, count);
    out.end();
    Some(out.sent)
}

/// `?sort=name|size|date` and `order=desc`; what is something else is left alone.
fn order(query: &[u8]) -> Order {
    let mut order = Order { by: Sort::Name, descending: false };
    for pair in query.get(1..).unwrap_or_default().split(|&byte| byte == b'&') {
        match pair {
            b"sort=size" => order.by = Sort::Size,
            b"sort=date" => order.by = Sort::Date,
            b"order=desc" => order.descending = true,
            _ => {}
        }
    }
    order
}

/// A client that names JSON and not HTML.
fn wants_json(request: &Request<'_>) -> bool {
    let accepts = |kind: &[u8]| {
        let values = request.values(Field::Accept);
        values
            .flat_map(|value| value.split(|&byte| byte == b','))
            .any(|range| range.split(|&byte| byte == b';').next().is_some_and(|range| same(range.trim_ascii(), kind)))
    };
    accepts(b"application/json") && !accepts(b"text/html")
}

/// What a name leads to.
struct Seen<'s> {
    directory: bool,
    size: u64,
    /// In seconds since 1970.
    modified: i64,
    /// It is a link, and a redirect to this URL.
    elsewhere: Option<&'s [u8]>,
}

/// An open directory, and what leads to it.
struct Directory<'d> {
    fd: OwnedFd,
    root: BorrowedFd<'d>,
    path: &'d [u8],
}

impl<'d> Directory<'d> {
    fn open(root: BorrowedFd<'d>, path: &'d [u8]) -> Result<Self, Errno> {
        let mut space = [0; super::path::LONGEST + 8];
        let path_beneath = c_string(&mut space, &[b"./", path]).ok_or(Errno::NAMETOOLONG)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat2(root, path_beneath, flags, Mode::empty(), BENEATH)?;
        Ok(Directory { fd, root, path })
    }

    /// Each name that is shown.
    fn each(&self, mut entry: impl FnMut(&[u8], FileType)) {
        let mut space = [MaybeUninit::uninit(); 32 << 10];
        let mut entries = RawDir::new(&self.fd, &mut space);
        while let Some(Ok(found)) = entries.next() {
            let name = found.file_name().to_bytes();
            if !name.starts_with(b".") && name.len() <= window::NAME {
                entry(name, found.file_type());
            }
        }
    }

    /// What its place in the order depends on; `None` when it is not shown.
    fn item<'n>(&self, name: &'n [u8], kind: FileType, order: Order) -> Option<Item<'n>> {
        let kept = |directory, key| Some(Item { directory, key, name });
        match kind {
            FileType::Directory | FileType::RegularFile if order.by == Sort::Name => {
                kept(kind == FileType::Directory, 0)
            }
            FileType::Directory | FileType::RegularFile | FileType::Symlink | FileType::Unknown => {
                let mut space = [MaybeUninit::uninit(); vhost::LINK];
                let seen = self.look(name, &mut space)?;
                match order.by {
                    Sort::Name => kept(seen.directory, 0),
                    // The size of a directory is nothing to compare.
                    Sort::Size => kept(seen.directory, if seen.directory { 0 } else { seen.size as i64 }),
                    Sort::Date => kept(seen.directory, seen.modified),
                }
            }
            _ => None,
        }
    }

    /// What a name leads to, if that is a file or a directory beneath the root, or a redirect.
    fn look<'s>(&self, name: &[u8], link: &'s mut [MaybeUninit<u8>]) -> Option<Seen<'s>> {
        let mut space = [0; super::path::LONGEST + 8];
        let plain = c_string(&mut space, &[name])?;
        let mut stat = rustix::fs::statat(&self.fd, plain, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink {
            let whole = c_string(&mut space, &[b"./", self.path, name])?;
            let flags = OFlags::PATH | OFlags::CLOEXEC;
            match rustix::fs::openat2(self.root, whole, flags, Mode::empty(), BENEATH) {
                Ok(found) => stat = rustix::fs::fstat(found.as_fd()).ok()?,
                Err(errno) if file::status(errno) == Status::NotFound => {
                    let (url, _) = vhost::redirect(self.root, whole, link)?;
                    return Some(Seen { directory: false, size: 0, modified: stat.st_mtime, elsewhere: Some(url) });
                }
                Err(_) => return None,
            }
        }
        let kind = FileType::from_raw_mode(stat.st_mode);
        let seen = Seen {
            directory: kind == FileType::Directory,
            size: stat.st_size as u64,
            modified: stat.st_mtime,
            elsewhere: None,
        };
        matches!(kind, FileType::RegularFile | FileType::Directory).then_some(seen)
    }

    /// Back to the first entry.
    fn rewind(&self) -> bool {
        rustix::fs::seek(&self.fd, SeekFrom::Start(0)).is_ok()
    }
}

const BENEATH: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS);

/// The parts as one string with a NUL at its end, if it fits.
fn c_string<'s>(space: &'s mut [u8], parts: &[&[u8]]) -> Option<&'s CStr> {
    let mut text = Text::new(space);
    parts.iter().for_each(|part| {
        text.bytes(part);
    });
    let len = text.bytes(&[0]).as_bytes().len();
    if text.is_cut() { None } else { CStr::from_bytes_with_nul(space.get(..len)?).ok() }
}
