//! From a request to its response.

use core::mem::MaybeUninit;

use connection::{Clock, Connection};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};

use super::cache::{Hit, Keep};
use super::conditional::Validators;
use super::file::{self, Found, Meta};
use super::path::Path;
use super::range::{self, Range};
use super::request::{Field, Request};
use super::response::{self, HEAD, PAGE, Persistence};
use super::status::Status;
use super::{Http, log, made, mime};
use crate::Text;
use crate::io::{Failure, Sent, Stream};

/// Up to this size a file is copied behind the head, and both go out at once; a larger one is sent by the kernel.
const SMALL: usize = 32 << 10;
/// Up to these sizes the copy stands in a smaller frame: each page of it costs a fresh process a fault.
const MEDIUM: usize = 8 << 10;
const TINY: usize = 2 << 10;
/// The longest head of a redirect, which repeats the end of its target.
const REDIRECT: usize = 2 << 10;

/// How a request was answered.
pub(crate) struct Answer {
    pub(crate) status: Status,
    /// The code of that status, or the one that a script chose.
    pub(crate) code: u16,
    /// How much behind the head was the request's body and was read.
    pub(crate) consumed: usize,
    /// Of the body.
    pub(crate) sent: Sent,
    /// Another request may follow.
    pub(crate) keep: bool,
    /// The date of the answer, in seconds since 1970.
    pub(crate) now: i64,
}

/// What a path names.
enum Named {
    Directory,
    Cached(Hit),
    File(OwnedFd, Meta),
}

/// A part of a file.
#[derive(Clone, Copy)]
struct Part {
    first: u64,
    len: u64,
}

/// What the steps of one answer have in common.
pub(crate) struct Reply<'r, 'c> {
    pub(crate) stream: &'r Stream<'c>,
    head: Text<'r>,
    /// What was answered, or is about to be.
    status: Status,
    /// The code that a script chose; 0 if none did.
    pub(crate) code: u16,
    /// See [`Answer`].
    pub(crate) consumed: usize,
    /// How often a script sent us elsewhere.
    pub(crate) redirects: u32,
    pub(crate) now: i64,
    pub(crate) persistence: Persistence,
    pub(crate) head_only: bool,
}

/// Answers a request, as far as the client takes the answer.
// A frame of its own, which lies where the one was that the request was parsed in.
#[inline(never)]
pub(crate) fn answer<K: Keep>(
    http: &mut Http<'_, K>,
    connection: &Connection<'_>,
    stream: &Stream<'_>,
    path: &mut Path<'_>,
    request: &Request<'_>,
    held: &[u8],
) -> Answer {
    let keep = request.keep_alive && !request.body && !connection.host.pressure.is_draining();
    let persistence = Persistence { keep, minor: request.minor };
    let mut head = [0; HEAD];
    let mut reply = Reply::new(connection, stream, &mut head, persistence, request.head_only);
    let sent = respond(http, connection, &mut reply, path, request, held);
    match sent.end {
        Err(Failure::Shrunk) => log::warn(connection, "file shrank while it was sent", path.as_bytes()),
        Err(Failure::File) => log::warn(connection, "file could not be read", path.as_bytes()),
        _ => {}
    }
    reply.answer(sent)
}

/// Answers what `request` names. What is made rather than found has its say before, and where nothing is found.
pub(crate) fn respond<K: Keep>(
    http: &mut Http<'_, K>,
    connection: &Connection<'_>,
    reply: &mut Reply<'_, '_>,
    path: &mut Path<'_>,
    request: &Request<'_>,
    held: &[u8],
) -> Sent {
    if let Some(sent) = made::before(http, connection, reply, path, request, held) {
        return sent;
    }
    match find(http, reply.stream, path, request) {
        Ok(Named::Directory) if path.is_directory() => reply.page(Status::NotFound),
        Ok(Named::Directory) => reply.redirect(request),
        Ok(Named::Cached(hit)) => reply.cached(http, path, request, hit),
        Ok(Named::File(file, meta)) => reply.file(http, path, request, &file, meta),
        Err(status @ (Status::NotFound | Status::MethodNotAllowed)) => {
            made::instead(http, connection, reply, path, request, held).unwrap_or_else(|| reply.page(status))
        }
        Err(status) => reply.page(status),
    }
}

/// Answers what is no request. Nothing more of this connection is read as one.
#[cold]
pub(crate) fn refuse(connection: &Connection<'_>, stream: &Stream<'_>, status: Status) -> Answer {
    let mut head = [0; HEAD];
    let mut reply = Reply::new(connection, stream, &mut head, Persistence { keep: false, minor: 1 }, false);
    let sent = reply.page(status);
    reply.answer(sent)
}

fn find<K: Keep>(
    http: &mut Http<'_, K>,
    stream: &Stream<'_>,
    path: &mut Path<'_>,
    request: &Request<'_>,
) -> Result<Named, Status> {
    if let Some(status) = request.refused {
        return Err(status);
    }
    path.resolve(request.path, http.settings.index)?;
    if let Some(hit) = http.kept.cache().and_then(|cache| cache.find(path, stream.now())) {
        return Ok(Named::Cached(hit));
    }
    Ok(match file::open(http.root.as_fd(), path.as_c_str())? {
        Found::Directory => Named::Directory,
        Found::File(file, meta) => Named::File(file, meta),
    })
}

impl<'r, 'c> Reply<'r, 'c> {
    fn new(
        connection: &Connection<'_>,
        stream: &'r Stream<'c>,
        head: &'r mut [u8],
        persistence: Persistence,
        head_only: bool,
    ) -> Self {
        let now = (connection.host.now)(Clock::Wall).seconds;
        Reply {
            stream,
            head: Text::new(head),
            status: Status::Ok,
            code: 0,
            consumed: 0,
            redirects: 0,
            now,
            persistence,
            head_only,
        }
    }

    fn answer(&self, sent: Sent) -> Answer {
        let keep = self.persistence.keep && sent.end.is_ok();
        let code = if self.code == 0 { self.status.code() } else { self.code };
        Answer { status: self.status, code, consumed: self.consumed, sent, keep, now: self.now }
    }

    fn cached<K: Keep>(&mut self, http: &mut Http<'_, K>, path: &Path<'_>, request: &Request<'_>, hit: Hit) -> Sent {
        let body = http.kept.cache().map_or(&[][..], |cache| cache.body(hit));
        match self.file_head(path, request, &hit.meta) {
            Ok(Part { first, len }) => self.send(body.get(first as usize..(first + len) as usize).unwrap_or_default()),
            Err(sent) => sent,
        }
    }

    #[inline(never)]
    fn file<K: Keep>(
        &mut self,
        http: &mut Http<'_, K>,
        path: &Path<'_>,
        request: &Request<'_>,
        file: &OwnedFd,
        mut meta: Meta,
    ) -> Sent {
        // A small file that is being written may be shorter when it is read than it was when it was opened: then it is
        // looked at once more, so that what is announced is what is sent.
        for _ in 0..3 {
            let part = match self.file_head(path, request, &meta) {
                Ok(part) => part,
                Err(sent) => return sent,
            };
            if self.head_only {
                return self.send(&[]);
            }
            if self.status == Status::Ok
                && let Some(cache) = http.kept.cache()
            {
                let fill = |buffer: &mut [u8]| file::read(file, buffer, 0) == Ok(buffer.len());
                if let Some(hit) = cache.keep(path, meta, self.stream.now(), fill) {
                    return self.send(cache.body(hit));
                }
            }
            let sent = if part.len <= TINY as u64 {
                self.copied::<TINY>(file.as_fd(), part)
            } else if part.len <= MEDIUM as u64 {
                self.copied::<MEDIUM>(file.as_fd(), part)
            } else if part.len <= SMALL as u64 {
                self.copied::<SMALL>(file.as_fd(), part)
            } else {
                return self.by_kernel(file.as_fd(), part);
            };
            if let Some(sent) = sent {
                return sent;
            }
            match file::meta(file.as_fd()) {
                Ok(fresh) => meta = fresh,
                Err(status) => return self.page(status),
            }
        }
        self.page(Status::InternalServerError)
    }

    /// Writes the head of a response that brings a file, or the part of it that is wanted. What needs no body is answered
    /// at once.
    #[inline(never)]
    fn file_head(&mut self, path: &Path<'_>, request: &Request<'_>, meta: &Meta) -> Result<Part, Sent> {
        let mut space = [0; _];
        let validators = Validators::new(&mut space, meta, self.now);
        let validators = validators.as_ref();
        if validators.is_some_and(|validators| validators.not_modified(request, self.now)) {
            self.begin(Status::NotModified);
            self.validators(validators);
            self.head.str("\r\n");
            return Err(self.send(&[]));
        }
        let (status, part) = match self.range(request, validators, meta.size) {
            Range::Whole => (Status::Ok, Part { first: 0, len: meta.size }),
            Range::Part { first, len } => (Status::PartialContent, Part { first, len }),
            Range::Unsatisfiable => {
                self.begin(Status::RangeNotSatisfiable);
                self.head.str("Content-Range: bytes */").decimal(meta.size).str("\r\n");
                return Err(self.end_with_page());
            }
        };
        self.begin(status);
        if status == Status::PartialContent {
            self.head.str("Content-Range: bytes ").decimal(part.first).str("-").decimal(part.first + part.len - 1);
            self.head.str("/").decimal(meta.size).str("\r\n");
        }
        self.validators(validators);
        self.head.str("Accept-Ranges: bytes\r\n");
        response::end(&mut self.head, mime::of(path.as_bytes()), part.len);
        Ok(part)
    }

    fn validators(&mut self, validators: Option<&Validators<'_>>) {
        if let Some(validators) = validators {
            validators.write(&mut self.head, self.now);
        }
    }

    #[inline(never)]
    fn range(&self, request: &Request<'_>, validators: Option<&Validators<'_>>, size: u64) -> Range {
        let Some(value) = request.value(Field::Range).filter(|_| !self.head_only) else { return Range::Whole };
        let counts = match validators {
            Some(validators) => validators.range_counts(request, self.now),
            None => request.value(Field::IfRange).is_none(),
        };
        if counts { range::parse(value, size) } else { Range::Whole }
    }

    /// Head and part of a file by one call, through a copy of at most `N` bytes; `None` when the file is shorter by now.
    #[inline(never)]
    fn copied<const N: usize>(&self, file: BorrowedFd<'_>, part: Part) -> Option<Sent> {
        let mut space = [MaybeUninit::<u8>::uninit(); N];
        let room = space.get_mut(..part.len as usize)?;
        match rustix::io::pread(file, room, part.first) {
            Ok((body, _)) if body.len() as u64 == part.len => Some(self.transmit(body)),
            Ok(_) => None,
            Err(_) => Some(Sent { bytes: 0, end: Err(Failure::File) }),
        }
    }

    /// The head, held back by the kernel until the file's first bytes share its segment.
    fn by_kernel(&self, file: BorrowedFd<'_>, part: Part) -> Sent {
        let head = self.stream.send(self.head.as_bytes(), &[], true);
        match head.end {
            Ok(()) => self.stream.send_file(file, part.first, part.len),
            Err(_) => Sent { bytes: 0, end: head.end },
        }
    }

    // A frame of its own: no other head grows with the target.
    #[cold]
    #[inline(never)]
    fn redirect(&mut self, request: &Request<'_>) -> Sent {
        let mut space = [0; REDIRECT];
        let mut reply = Reply { head: Text::new(&mut space), ..*self };
        reply.begin(Status::MovedPermanently);
        response::location(&mut reply.head, request.path, request.query);
        let mut page = [0; PAGE];
        let mut page = Text::new(&mut page);
        response::end_with_page(&mut reply.head, &mut page, reply.status);
        if reply.head.is_cut() {
            return self.page(Status::UriTooLong);
        }
        self.status = reply.status;
        reply.send(page.as_bytes())
    }

    /// Answers with a page, and ends the connection: what the client sends may not have been read to its end.
    #[cold]
    pub(crate) fn give_up(&mut self, status: Status) -> Sent {
        self.persistence.keep = false;
        self.code = 0;
        self.page(status)
    }

    #[cold]
    pub(crate) fn page(&mut self, status: Status) -> Sent {
        self.begin(status);
        if status == Status::MethodNotAllowed {
            self.head.str("Allow: GET, HEAD\r\n");
        }
        self.end_with_page()
    }

    fn begin(&mut self, status: Status) {
        self.status = status;
        response::begin(&mut self.head, status, self.now, self.persistence);
    }

    #[cold]
    fn end_with_page(&mut self) -> Sent {
        let mut page = [0; PAGE];
        let mut page = Text::new(&mut page);
        response::end_with_page(&mut self.head, &mut page, self.status);
        self.send(page.as_bytes())
    }

    fn send(&self, body: &[u8]) -> Sent {
        self.transmit(if self.head_only { &[] } else { body })
    }

    /// Sends head and body as one; what is told is what was sent of the body.
    fn transmit(&self, body: &[u8]) -> Sent {
        let head = self.head.as_bytes();
        let sent = self.stream.send(head, body, false);
        Sent { bytes: sent.bytes.saturating_sub(head.len() as u64), end: sent.end }
    }
}
