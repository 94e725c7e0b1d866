//! From a request to its response.

use connection::Clock;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};

use super::cache::Keep;
use super::find::{self, Named};
use super::path::Path;
use super::request::{Method, Request};
use super::response::{self, HEAD, PAGE, Persistence};
use super::status::Status;
use super::{Site, auth, log, made};
use crate::io::{Failure, Sent, Stream};
use crate::options::HEADER_BYTES;
use crate::{Settings, Text};

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

/// What the steps of one answer have in common.
pub(crate) struct Reply<'r, 'c> {
    pub(crate) stream: &'r Stream<'c>,
    pub(crate) settings: &'r Settings<'r>,
    pub(super) root: BorrowedFd<'r>,
    pub(super) head: Text<'r>,
    /// What was answered, or is about to be.
    pub(super) status: Status,
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
    let keep = request.keep_alive && !request.body && !stream.host.is_leaving();
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

    pub(super) fn begin(&mut self, status: Status) {
        self.status = status;
        response::begin(&mut self.head, status.line(), &self.stream.date(self.now), self.persistence, self.settings);
    }

    #[cold]
    pub(super) fn end_with_page(&mut self) -> Sent {
        let mut page = [0; PAGE];
        let mut page = Text::new(&mut page);
        response::end_with_page(&mut self.head, &mut page, self.status);
        self.send(page.as_bytes())
    }

    pub(super) fn send(&self, body: &[u8]) -> Sent {
        self.transmit(if self.head_only { &[] } else { body })
    }

    /// Sends head and body as one; what is told is what was sent of the body.
    pub(super) fn transmit(&self, body: &[u8]) -> Sent {
        let head = self.head.as_bytes();
        let sent = self.stream.send(head, body, false);
        Sent { bytes: sent.bytes.saturating_sub(head.len() as u64), end: sent.end }
    }
}
