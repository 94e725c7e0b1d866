//! Sending what was found: a file as a whole, or the part of it, or the parts, that the client wants.

use core::mem::MaybeUninit;

use rustix::fd::{AsFd, BorrowedFd};

use super::answer::Reply;
use super::cache::{Cache, Hit, Keep};
use super::conditional::{self, Validators};
use super::file;
use super::find::{Content, Representation};
use super::negotiate::Coding;
use super::range::{self, Part, Range};
use super::request::{Field, Request};
use super::response;
use super::status::Status;
use crate::Text;
use crate::io::{Failure, Sent};

/// Up to this size a file is copied behind the head, and both go out at once; a larger one is sent by the kernel.
const SMALL: usize = 32 << 10;
/// Up to these sizes the copy stands in a smaller frame: each page of it costs a fresh process a fault.
const MEDIUM: usize = 8 << 10;
const TINY: usize = 2 << 10;

/// What a response is made from.
enum Body<'b> {
    Memory(&'b [u8]),
    File(BorrowedFd<'b>),
}

impl Reply<'_, '_> {
    /// Sends a file, or what of it is wanted.
    #[inline(never)]
    pub(super) fn file<K: Keep>(&mut self, kept: &mut K, request: &Request<'_>, mut file: Representation<'_>) -> Sent {
        if let (Content::Kept(hit), Some(cache)) = (&file.content, kept.cache())
            && file.coding.is_none()
            && file.varies.is_empty()
            && request.is_plain()
        {
            return self.kept(cache, *hit, &file);
        }
        let cache = kept.cache_ref();
        // A small file that is being written may be shorter when it is read than it was when it was opened: then it is
        // looked at once more, so that what is announced is what is sent.
        for _ in 0..3 {
            let body = match &file.content {
                Content::Kept(hit) => Body::Memory(cache.map_or(&[][..], |cache| cache.body(*hit))),
                Content::Open(open) => Body::File(open.as_fd()),
            };
            let Part { first, len } = match self.file_head(&body, request, &file) {
                Ok(part) => part,
                Err(sent) => return sent,
            };
            let open = match body {
                _ if self.head_only => return self.send(&[]),
                Body::Memory(bytes) => {
                    return self.send(bytes.get(first as usize..(first + len) as usize).unwrap_or_default());
                }
                Body::File(open) => open,
            };
            let part = Part { first, len };
            let sent = if len <= TINY as u64 {
                self.copied::<TINY>(open, part)
            } else if len <= MEDIUM as u64 {
                self.copied::<MEDIUM>(open, part)
            } else if len <= SMALL as u64 {
                self.copied::<SMALL>(open, part)
            } else {
                return self.by_kernel(open, part);
            };
            if let Some(sent) = sent {
                return sent;
            }
            match file::meta(open) {
                Ok(fresh) => file.meta = fresh,
                Err(status) => return self.page(status),
            }
        }
        self.page(Status::InternalServerError)
    }

    /// Sends a file from the cache as a whole. What its head says of the file is put together once.
    fn kept(&mut self, cache: &mut Cache, hit: Hit, file: &Representation<'_>) -> Sent {
        self.begin(Status::Ok);
        if let Some(head) = cache.head(hit) {
            self.head.bytes(head);
        } else {
            let begun = self.head.as_bytes().len();
            let mut space = [0; _];
            let validators = Validators::new(&mut space, &file.meta, "", self.now);
            self.selected(file, validators.as_ref());
            response::end(&mut self.head, file.kind, file.meta.size);
            cache.keep_head(hit, self.head.as_bytes().get(begun..).unwrap_or_default());
        }
        self.send(cache.body(hit))
    }

    /// Writes the head of a response that brings a file, or the part of it that is wanted. What needs no body, or more
    /// than one part, is answered at once.
    #[inline(never)]
    fn file_head(&mut self, body: &Body<'_>, request: &Request<'_>, file: &Representation<'_>) -> Result<Part, Sent> {
        let mut space = [0; _];
        let size = file.meta.size;
        let coding = file.coding.map_or("", Coding::name);
        let validators = Validators::new(&mut space, &file.meta, coding, self.now);
        let validators = validators.as_ref();
        let (status, part) = match conditional::evaluate(validators, request, self.now) {
            Some(Status::NotModified) => {
                self.begin(Status::NotModified);
                self.selected(file, validators);
                self.head.str("\r\n");
                return Err(self.send(&[]));
            }
            Some(status) => return Err(self.page(status)),
            None => match self.range(request, validators, size) {
                Range::Whole => (Status::Ok, Part { first: 0, len: size }),
                Range::Part(part) => (Status::PartialContent, part),
                Range::Several(set) => {
                    self.begin(Status::PartialContent);
                    self.selected(file, validators);
                    return Err(self.several(body, set, size, file.kind));
                }
                Range::Unsatisfiable => {
                    self.begin(Status::RangeNotSatisfiable);
                    self.head.str("Content-Range: bytes */").decimal(size).str("\r\n");
                    return Err(self.end_with_page());
                }
            },
        };
        self.begin(status);
        if status == Status::PartialContent {
            response::content_range(&mut self.head, part, size);
        }
        self.selected(file, validators);
        response::end(&mut self.head, file.kind, part.len);
        Ok(part)
    }

    /// Writes the fields that tell of the file that was chosen.
    fn selected(&mut self, file: &Representation<'_>, validators: Option<&Validators<'_>>) {
        if let Some(validators) = validators {
            validators.write(&mut self.head);
        }
        if !self.settings.cache_control.is_empty() {
            self.head.str("Cache-Control: ").bytes(self.settings.cache_control).str("\r\n");
        }
        if !file.varies.is_empty() {
            self.head.str("Vary: ").str(file.varies).str("\r\n");
        }
        if self.status != Status::NotModified {
            if let Some(coding) = file.coding {
                self.head.str("Content-Encoding: ").str(coding.name()).str("\r\n");
            }
            self.head.str("Accept-Ranges: bytes\r\n");
        }
    }

    #[inline(never)]
    fn range<'b>(&self, request: &Request<'b>, validators: Option<&Validators<'_>>, size: u64) -> Range<'b> {
        let Some(value) = request.value(Field::Range).filter(|_| !self.head_only) else { return Range::Whole };
        let counts = match validators {
            Some(validators) => validators.range_counts(request, self.now),
            None => request.value(Field::IfRange).is_none(),
        };
        if counts { range::parse(value, size) } else { Range::Whole }
    }

    /// Several parts of a file (RFC 9110 section 14.6): what they come to is counted first, and then they are sent.
    #[cold]
    #[inline(never)]
    fn several(&mut self, body: &Body<'_>, set: &[u8], size: u64, kind: &[u8]) -> Sent {
        let mut boundary = [0; 24];
        let mut boundary = Text::new(&mut boundary);
        // Whoever wrote the file did not know it.
        let now = self.stream.now();
        boundary.digits((now.seconds as u64) << 32 | u64::from(now.nanoseconds), 16, 16);
        let mut space = [0; 320];
        let mut head = Text::new(&mut space);
        let mut total = 0;
        for part in range::parts(set, size).map(Some).chain([None]) {
            response::part(&mut head, boundary.as_bytes(), kind, part, size);
            total += head.as_bytes().len() as u64 + part.map_or(0, |part| part.len);
        }
        self.head.str("Content-Type: multipart/byteranges; boundary=").bytes(boundary.as_bytes());
        self.head.str("\r\nContent-Length: ").decimal(total).str("\r\n\r\n");
        let mut sent = self.stream.send(self.head.as_bytes(), &[], true);
        sent.bytes = 0;
        for part in range::parts(set, size).map(Some).chain([None]) {
            response::part(&mut head, boundary.as_bytes(), kind, part, size);
            for step in 0..2 {
                let next = match (step, part, body) {
                    _ if sent.end.is_err() => return sent,
                    (0, part, _) => self.stream.send(head.as_bytes(), &[], part.is_some()),
                    (_, None, _) => break,
                    (_, Some(Part { first, len }), Body::File(file)) => self.stream.send_file(*file, first, len),
                    (_, Some(Part { first, len }), Body::Memory(bytes)) => {
                        let part = bytes.get(first as usize..(first + len) as usize).unwrap_or_default();
                        self.stream.send(part, &[], true)
                    }
                };
                sent = Sent { bytes: sent.bytes + next.bytes, end: next.end };
            }
        }
        sent
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
    pub(super) fn by_kernel(&self, file: BorrowedFd<'_>, part: Part) -> Sent {
        let head = self.stream.send(self.head.as_bytes(), &[], true);
        match head.end {
            Ok(()) => self.stream.send_file(file, part.first, part.len),
            Err(_) => Sent { bytes: 0, end: head.end },
        }
    }
}
