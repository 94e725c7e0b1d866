//! From a request to its response.

use core::mem::MaybeUninit;

use connection::Clock;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};

use super::cache::{Cache, Hit, Keep};
use super::conditional::{self, Validators};
use super::file::{self, Found};
use super::find::{self, Content, Named, Representation};
use super::negotiate::Coding;
use super::path::Path;
use super::range::{self, Part, Range};
use super::request::{Field, Method, Request};
use super::response::{self, HEAD, PAGE, Persistence};
use super::status::Status;
use super::{Site, auth, log, made, mime, vhost};
use crate::io::{Failure, Sent, Stream};
use crate::options::HEADER_BYTES;
use crate::{Settings, Text};

/// Up to this size a file is copied behind the head, and both go out at once; a larger one is sent by the kernel.
const SMALL: usize = 32 << 10;
/// Up to these sizes the copy stands in a smaller frame: each page of it costs a fresh process a fault.
const MEDIUM: usize = 8 << 10;
const TINY: usize = 2 << 10;
/// The longest head of a redirect, which repeats its target.
const REDIRECT: usize = 6 << 10;
/// The methods that are served.
const ALLOW: &str = "Allow: GET, HEAD, OPTIONS\r\n";

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

/// What a response is made from.
enum Body<'b> {
    Memory(&'b [u8]),
    File(BorrowedFd<'b>),
}

/// What the steps of one answer have in common.
pub(crate) struct Reply<'r, 'c> {
    pub(crate) stream: &'r Stream<'c>,
    pub(crate) settings: &'r Settings<'r>,
    root: BorrowedFd<'r>,
    head: Text<'r>,
    /// What was answered, or is about to be.
    status: Status,
    /// What a script did with the request; see [`Answer`].
    pub(crate) made: Made,
    pub(crate) now: i64,
    pub(crate) persistence: Persistence,
    pub(crate) head_only: bool,
}

/// What is known of an answer that a script made.
#[derive(Clone, Copy, Default)]
pub(crate) struct Made {
    /// The code that it chose; 0 if none did.
    pub(crate) code: u16,
    /// How much of the request's body it was given, of what had come with the head.
    pub(crate) consumed: usize,
    /// How often one sent us elsewhere.
    pub(crate) redirects: u32,
}

/// Answers a request, as far as the client takes the answer.
// A frame of its own, which lies where the one was that the request was parsed in.
#[inline(never)]
pub(crate) fn answer<K: Keep>(
    site: &Site<'_>,
    kept: &mut K,
    stream: &Stream<'_>,
    path: &mut Path<'_>,
    request: &Request<'_>,
) -> Answer {
    let settings = &site.settings;
    if settings.security_headers || !settings.cache_control.is_empty() || settings.headers.iter().any(|h| !h.is_empty())
    {
        return answer_at_length(site, kept, stream, path, request);
    }
    answer_in(&mut [0; HEAD], site, kept, stream, path, request)
}

/// The same in a larger frame, for heads that have fields of the user.
#[cold]
#[inline(never)]
fn answer_at_length<K: Keep>(
    site: &Site<'_>,
    kept: &mut K,
    stream: &Stream<'_>,
    path: &mut Path<'_>,
    request: &Request<'_>,
) -> Answer {
    answer_in(&mut [0; HEAD + HEADER_BYTES], site, kept, stream, path, request)
}

#[inline(never)]
fn answer_in<K: Keep>(
    head: &mut [u8],
    site: &Site<'_>,
    kept: &mut K,
    stream: &Stream<'_>,
    path: &mut Path<'_>,
    request: &Request<'_>,
) -> Answer {
    let keep = request.keep_alive && !request.body && !stream.host.pressure.is_draining();
    let persistence = Persistence { keep, minor: request.minor };
    let mut reply = Reply::new(site, stream, head, persistence);
    reply.head_only = request.method == Method::Head;
    let sent = match request.refused {
        Some(status) => reply.page(status),
        // `OPTIONS *` asks about the server.
        None if request.method == Method::Options && request.path.is_empty() => reply.options(request),
        None => reply.found(kept, path, request),
    };
    match sent.end {
        Err(Failure::Shrunk) => log::warn(stream.connection, b"file shrank while it was sent", path.as_bytes()),
        Err(Failure::File) => log::warn(stream.connection, b"file could not be read", path.as_bytes()),
        _ => {}
    }
    reply.answer(sent)
}

/// Answers what is no request. Nothing more of this connection is read as one.
#[cold]
pub(crate) fn refuse(site: &Site<'_>, stream: &Stream<'_>, status: Status) -> Answer {
    let mut head = [0; HEAD + HEADER_BYTES];
    let mut reply = Reply::new(site, stream, &mut head, Persistence { keep: false, minor: 1 });
    let sent = reply.page(status);
    reply.answer(sent)
}

impl<'r, 'c> Reply<'r, 'c> {
    fn new(site: &'r Site<'r>, stream: &'r Stream<'c>, head: &'r mut [u8], persistence: Persistence) -> Self {
        let now = (stream.host.now)(Clock::Wall).seconds;
        let (settings, head) = (&site.settings, Text::new(head));
        Reply {
            stream,
            root: site.root.as_fd(),
            settings,
            head,
            status: Status::Ok,
            made: Made::default(),
            now,
            persistence,
            head_only: false,
        }
    }

    fn answer(&self, sent: Sent) -> Answer {
        let keep = self.persistence.keep && sent.end.is_ok();
        let Made { code, consumed, .. } = self.made;
        let code = if code == 0 { self.status.code() } else { code };
        Answer { status: self.status, code, consumed, sent, keep, now: self.now }
    }

    /// Answers a request that can be: finds what it names.
    #[inline(never)]
    pub(crate) fn found<K: Keep>(&mut self, kept: &mut K, path: &mut Path<'_>, request: &Request<'_>) -> Sent {
        let mut directory = None;
        let found = find::find(self.settings, self.root, kept, self.stream, path, request, &mut directory);
        if let (true, Ok(Named::Script(len))) = (K::MAKES, &found) {
            return self.scripted(kept, directory, path, request, *len);
        }
        let directory = directory.as_ref().map_or(self.root, AsFd::as_fd);
        let status = match found {
            Ok(Named::Elsewhere) => {
                let sent = self.elsewhere(self.root, path, request, request.path);
                return sent.unwrap_or_else(|| self.page(Status::NotFound));
            }
            Ok(Named::Script(_)) => Status::NotFound,
            Ok(_) if !matches!(request.method, Method::Get | Method::Head) => return self.options(request),
            Ok(Named::File(file)) => return self.file(kept, request, file),
            Ok(Named::Directory) if !path.is_directory() => {
                return self.redirect(&response::with_slash(request.path, request.query));
            }
            Ok(Named::Directory) => {
                if K::MAKES
                    && let Some(sent) = made::list(self, directory, path, request)
                {
                    return sent;
                }
                Status::NotFound
            }
            Err(status) => status,
        };
        self.not_found(directory, path, request, status)
    }

    /// Has a script answer, whose path is so long, and follows where it sends us.
    #[cold]
    #[inline(never)]
    fn scripted<K: Keep>(
        &mut self,
        kept: &mut K,
        directory: Option<OwnedFd>,
        path: &mut Path<'_>,
        request: &Request<'_>,
        len: usize,
    ) -> Sent {
        let mut location = [0; made::LOCATION];
        let root = directory.as_ref().map_or(self.root, AsFd::as_fd);
        match made::script(self, root, path, request, len, &mut location) {
            Err(sent) => sent,
            Ok(target) => self.found(kept, path, &request.redirected(target)),
        }
    }

    /// Sends a file, or what of it is wanted.
    #[inline(never)]
    fn file<K: Keep>(&mut self, kept: &mut K, request: &Request<'_>, mut file: Representation<'_>) -> Sent {
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
    fn by_kernel(&self, file: BorrowedFd<'_>, part: Part) -> Sent {
        let head = self.stream.send(self.head.as_bytes(), &[], true);
        match head.end {
            Ok(()) => self.stream.send_file(file, part.first, part.len),
            Err(_) => Sent { bytes: 0, end: head.end },
        }
    }

    /// What is not here may be elsewhere; or there is a page that says so.
    #[cold]
    #[inline(never)]
    fn not_found(
        &mut self,
        directory: BorrowedFd<'_>,
        path: &mut Path<'_>,
        request: &Request<'_>,
        status: Status,
    ) -> Sent {
        let Settings { redirect_host, redirect_uri, index, .. } = *self.settings;
        if status == Status::NotFound {
            let ending = if path.is_directory() { index.split(|&byte| byte == b' ').next() } else { None };
            if path.append(ending.unwrap_or_default()).is_ok()
                && let Some(sent) = self.elsewhere(directory, path, request, b"")
            {
                return sent;
            }
            let (uri, query) =
                if redirect_uri.is_empty() { (request.path, request.query) } else { (redirect_uri, &b""[..]) };
            if !redirect_host.is_empty() {
                return self.redirect(&[b"http://", redirect_host, uri, query]);
            }
            // What is not found there either would be looked for again.
            if !redirect_uri.is_empty() && redirect_uri != request.path {
                return self.redirect(&[redirect_uri]);
            }
        }
        let mut name = [0; 8];
        let mut name = Text::new(&mut name);
        name.decimal(status.code().into()).str(".html");
        let own = matches!(status, Status::NotFound | Status::Forbidden) && path.set(name.as_bytes()).is_ok();
        match file::open(directory, path.as_c_str()) {
            Ok(Found::File(file, meta)) if own => {
                self.begin(status);
                response::end(
                    &mut self.head,
                    mime::of(path.as_bytes(), self.settings.types).text(self.settings.types),
                    meta.size,
                );
                if self.head_only {
                    self.send(&[])
                } else {
                    self.by_kernel(file.as_fd(), Part { first: 0, len: meta.size })
                }
            }
            _ => self.page(status),
        }
    }

    /// Redirects to where a link says, with a path behind it unless the link says that too; `None` if it is no such link.
    #[cold]
    #[inline(never)]
    fn elsewhere(
        &mut self,
        directory: BorrowedFd<'_>,
        path: &Path<'_>,
        request: &Request<'_>,
        behind: &[u8],
    ) -> Option<Sent> {
        let mut space = [MaybeUninit::uninit(); vhost::LINK];
        let (url, all) = vhost::redirect(directory, path, &mut space)?;
        let url = if behind.is_empty() { url } else { url.strip_suffix(b"/").unwrap_or(url) };
        let (behind, query) = if all { (&b""[..], &b""[..]) } else { (behind, request.query) };
        Some(self.redirect(&[url, behind, query]))
    }

    // A frame of its own: no other head grows with the target.
    #[cold]
    #[inline(never)]
    fn redirect(&mut self, parts: &[&[u8]]) -> Sent {
        let mut space = [0; REDIRECT];
        let mut reply = Reply { head: Text::new(&mut space), ..*self };
        reply.begin(Status::MovedPermanently);
        response::location(&mut reply.head, parts);
        let mut page = [0; PAGE];
        let mut page = Text::new(&mut page);
        response::end_with_page(&mut reply.head, &mut page, reply.status);
        if reply.head.is_cut() {
            return self.page(Status::UriTooLong);
        }
        self.status = reply.status;
        reply.send(page.as_bytes())
    }

    /// Says which methods there are: to who asks, and to who uses another.
    #[cold]
    fn options(&mut self, request: &Request<'_>) -> Sent {
        if request.method != Method::Options {
            return self.page(Status::MethodNotAllowed);
        }
        self.begin(Status::NoContent);
        self.head.str(ALLOW).str("\r\n");
        self.send(&[])
    }

    #[cold]
    pub(crate) fn page(&mut self, status: Status) -> Sent {
        self.begin(status);
        if status == Status::MethodNotAllowed {
            self.head.str(ALLOW);
        }
        if status == Status::Unauthorized {
            auth::challenge(&mut self.head, self.settings.made.realm);
        }
        self.end_with_page()
    }

    /// Answers with a page, and ends the connection: what the client sends may not have been read to its end.
    #[cold]
    pub(crate) fn give_up(&mut self, status: Status) -> Sent {
        self.persistence.keep = false;
        self.made.code = 0;
        self.page(status)
    }

    fn begin(&mut self, status: Status) {
        self.status = status;
        response::begin(&mut self.head, status.line(), &self.stream.date(self.now), self.persistence, self.settings);
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
