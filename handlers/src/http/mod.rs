//! HTTP/1.0 and HTTP/1.1: the files beneath a root, to GET and HEAD (RFC 9110, RFC 9112).
//!
//! In the order of a request: `receive` holds its bytes, `head` and `request` read them; `vhost` and `path` say what it
//! names, `find` finds that, in the `cache` or as a `file`, and `negotiate` in which coding; `conditional` and `range`
//! decide how much of it is wanted; `answer` begins the response, `content` sends the file, `otherwise` what there is
//! instead; `log` tells of it.
//!
//! Steps that are called in one place are still not inlined where that makes the whole smaller: a function that does one
//! thing keeps what it works with in registers, and its frame is gone before the next one needs space.

mod answer;
mod auth;
mod cache;
mod cgi;
mod chunk;
mod conditional;
mod content;
pub(crate) mod file;
mod find;
pub(crate) mod head;
mod listing;
mod log;
mod made;
mod mime;
mod negotiate;
mod otherwise;
pub(crate) mod path;
#[cfg(test)]
mod properties;
mod range;
mod receive;
pub(crate) mod request;
mod response;
pub(crate) mod status;
mod vhost;

pub use cache::{Cache, Full, Keep, Kept};
pub use log::LogFormat;
pub use made::Made;

use connection::{Connection, Handler, Host, Outcome, Stage, Time};
use rustix::fd::OwnedFd;

use crate::io::{Failure, Read, Stream, after};
use crate::options::{
    CACHE_CONTROL, CLEAN_URLS, HEADER, HEADER_TIMEOUT, IDLE_TIMEOUT, INDEX, MIME_TYPES, REDIRECT_HOST, REDIRECT_URI,
    SECURITY_HEADERS, VHOSTS, WRITE_TIMEOUT,
};
use crate::{Open, OpenError, Protocol, Settings};

use answer::Answer;
use log::LOG_FORMAT;
use made::{AUTH, AUTH_HOOK, AUTH_REALM, CGI, CGI_TIMEOUT, LISTING};
use path::Path;
use receive::Receiver;
use request::{NoRequest, Request};
use status::Status;

/// `http`, as the command line shows it.
pub const PROTOCOL: Protocol = Protocol {
    name: "http",
    about: "Serves the files beneath ROOT (HTTP/1.0 and HTTP/1.1)",
    client_speaks_first: true,
    has_root: true,
    options: &[
        INDEX,
        LISTING,
        CGI,
        CGI_TIMEOUT,
        AUTH,
        AUTH_REALM,
        AUTH_HOOK,
        CLEAN_URLS,
        VHOSTS,
        HEADER,
        CACHE_CONTROL,
        SECURITY_HEADERS,
        MIME_TYPES,
        REDIRECT_HOST,
        REDIRECT_URI,
        HEADER_TIMEOUT,
        IDLE_TIMEOUT,
        WRITE_TIMEOUT,
        LOG_FORMAT,
    ],
};

/// The handler.
#[derive(Debug)]
pub struct Http<'a, K = ()> {
    site: Site<'a>,
    kept: K,
}

/// What is served, and how.
#[derive(Debug)]
struct Site<'a> {
    settings: Settings<'a>,
    root: OwnedFd,
}

impl<'a> Open<'a> for Http<'a> {
    const PROTOCOL: &'static Protocol = &PROTOCOL;
    const IS_WHOLE: bool = false;

    fn open(settings: &Settings<'a>) -> Result<Self, OpenError<'a>> {
        let root = file::open_root(settings.root).map_err(|errno| OpenError::new(settings.root, errno))?;
        Ok(Http { site: Site { settings: *settings, root }, kept: () })
    }
}

impl<'a> Open<'a> for Http<'a, Full> {
    const PROTOCOL: &'static Protocol = &PROTOCOL;
    const RUNS_PROGRAMS: bool = true;

    fn open(settings: &Settings<'a>) -> Result<Self, OpenError<'a>> {
        let Http { site, .. } = <Http<'a> as Open<'a>>::open(settings)?;
        Ok(Http { site, kept: Full::default() })
    }
}

impl<'a, K> Http<'a, K> {
    /// With a cache of small files, for a child that serves many connections, or with none yet.
    #[must_use]
    pub fn with_cache(self, cache: Option<&'a mut Cache>) -> Http<'a, Kept<'a>> {
        let mut kept = cache;
        if let Some(cache) = &mut kept {
            // It may have served another root.
            cache.clear();
        }
        Http { site: self.site, kept: Kept::new(kept) }
    }
}

impl<'a> Http<'a, Kept<'a>> {
    /// Goes on without a cache.
    pub(crate) fn take_cache(&mut self) -> Option<&'a mut Cache> {
        self.kept.take_cache()
    }
}

/// Where a connection stands between two reads.
struct Progress {
    /// When the bytes in hand began to come.
    began: Time,
    /// Until when more must come.
    deadline: Time,
    /// The bytes in hand are part of a head.
    partial: bool,
    /// A request was answered already.
    idle: bool,
}

impl<K: Keep> Handler for Http<'_, K> {
    // A frame of its own: opening the root needs as much stack, and needs it before this.
    #[inline(never)]
    fn serve(&mut self, connection: &Connection<'_>) -> Outcome {
        let stream = Stream::new(connection, &self.site.settings);
        let began = stream.now();
        stream.allow(began, &self.site.settings);
        let deadline = after(began, self.site.settings.header_timeout);
        let mut progress = Progress { began, deadline, partial: false, idle: false };
        let (mut buffer, mut path) = ([0; receive::SHORT], [0; path::SHORT]);
        let mut receiver = Receiver::new(&mut buffer);
        let outcome = self.talk(&stream, &mut progress, &mut receiver, &mut Path::new(&mut path));
        let outcome = outcome.unwrap_or_else(|| self.talk_at_length(&stream, &mut progress, &receiver));
        if let Some(known) = self.kept.known() {
            known.forget();
        }
        outcome
    }
}

impl<K: Keep> Http<'_, K> {
    /// Goes on with larger buffers, in a frame that only clients with long heads pay for.
    #[cold]
    #[inline(never)]
    fn talk_at_length(&mut self, stream: &Stream<'_>, progress: &mut Progress, receiver: &Receiver<'_>) -> Outcome {
        let (mut buffer, mut path) = ([0; receive::LONGEST], [0; path::LONGEST]);
        let mut receiver = receiver.grown(&mut buffer);
        let outcome = self.talk(stream, progress, &mut receiver, &mut Path::new(&mut path));
        outcome.unwrap_or(Outcome::Fault)
    }

    /// Answers requests until the connection ends; `None` when a head or a path does not fit, and a larger buffer may
    /// hold it.
    #[inline(never)]
    fn talk(
        &mut self,
        stream: &Stream<'_>,
        progress: &mut Progress,
        receiver: &mut Receiver<'_>,
        path: &mut Path<'_>,
    ) -> Option<Outcome> {
        loop {
            let parsed = if receiver.is_empty() { Err(NoRequest::Partial) } else { request::parse(receiver.bytes()) };
            match parsed {
                Ok(request) if !path.has_room(request.host.len(), request.path.len()) && !receiver.is_largest() => {
                    return None;
                }
                Ok(request) => {
                    if progress.partial {
                        // The deadline was for the head: the answer has its own.
                        stream.allow(stream.now(), &self.site.settings);
                    }
                    tell::<K>(stream, |host| host.tell_request(request.line));
                    let answer = answer::answer(&self.site, &mut self.kept, stream, path, &request);
                    let now = stream.now();
                    self.record(stream, &answer, Some(&request), now.micros_since(progress.began));
                    let (len, body) = (request.len, request.body);
                    receiver.answered(len + answer.consumed);
                    if !answer.keep {
                        return Some(close(&answer, stream, body || !receiver.is_empty()));
                    }
                    receiver.skip_empty_lines();
                    stream.allow(now, &self.site.settings);
                    let deadline = after(now, self.site.settings.idle_timeout);
                    *progress = Progress { began: now, deadline, partial: false, idle: true };
                    tell::<K>(stream, |host| host.tell_stage(Stage::Kept));
                    continue;
                }
                Err(NoRequest::Partial) if receiver.is_full() && !receiver.is_largest() => return None,
                Err(NoRequest::Partial) if receiver.is_full() => {
                    let line = receiver.bytes().contains(&b'\n');
                    let status = if line { Status::HeadTooLarge } else { Status::UriTooLong };
                    return Some(self.refuse(stream, status, progress.began));
                }
                Err(NoRequest::Partial) => {}
                Err(NoRequest::Malformed(status)) => {
                    return Some(self.refuse(stream, status, progress.began));
                }
            }
            if receiver.is_empty() {
                // Who asked meanwhile is answered: to close now would lose it, and reset what it has not read yet. (No
                // supervisor asks the small executables for their connections.)
                let yields =
                    if progress.idle { stream.host.is_wanted() } else { K::TELLS && is_silent(stream, progress) };
                if yields && !(K::TELLS && stream.has_input()) {
                    return Some(Outcome::Served);
                }
            } else if !progress.partial {
                // Part of a head: what is still to come must come before a time that no trickle puts off.
                progress.partial = true;
                tell::<K>(stream, |host| host.tell_stage(Stage::Reading));
                if progress.idle {
                    progress.deadline = after(progress.began, self.site.settings.header_timeout);
                }
                let left = progress.deadline.micros_since(stream.now()).div_ceil(1_000_000);
                stream.host.alarm.deadline(left as u32);
            } else if stream.now() >= progress.deadline {
                return Some(self.refuse(stream, Status::RequestTimeout, progress.began));
            }
            match stream.read(receiver.room(), progress.deadline) {
                Read::Bytes(len) => {
                    if receiver.is_empty() {
                        progress.began = stream.now();
                    }
                    receiver.received(len);
                    receiver.skip_empty_lines();
                }
                // Signals may come more often than the silence of a client would be noticed.
                Read::Interrupted if receiver.is_empty() && stream.now() >= progress.deadline => {
                    return Some(Outcome::Served);
                }
                Read::Interrupted => {}
                Read::TimedOut if !receiver.is_empty() => {
                    return Some(self.refuse(stream, Status::RequestTimeout, progress.began));
                }
                Read::End if !receiver.is_empty() => {
                    return Some(self.refuse(stream, Status::BadRequest, progress.began));
                }
                Read::End | Read::TimedOut | Read::Broken => return Some(Outcome::Served),
            }
        }
    }

    /// One answer, one line.
    fn record(&self, stream: &Stream<'_>, answer: &Answer, request: Option<&Request<'_>>, micros: u64) {
        let (status, bytes, now) = (answer.code, answer.sent.bytes, answer.now);
        let mut space = [0; auth::USER];
        let user = match request {
            Some(request) if K::MAKES && self.site.settings.made.is_guarded() && status != 401 => {
                auth::user(request, &mut space)
            }
            _ => b"",
        };
        let entry = log::Entry { request, user, status, bytes, micros, now };
        log::access(stream.connection, self.site.settings.log_format, &entry);
    }

    /// Answers what is no request, or none in time, and ends the connection: where the next one would begin is not known.
    #[cold]
    fn refuse(&self, stream: &Stream<'_>, status: Status, began: Time) -> Outcome {
        let answer = answer::refuse(&self.site, stream, status);
        self.record(stream, &answer, None, stream.now().micros_since(began));
        if answer.sent.end.is_ok() {
            stream.linger();
        }
        if status == Status::RequestTimeout { Outcome::Served } else { Outcome::Refused }
    }
}

/// A client that connects is about to speak: it is given so many seconds before its connection yields.
const SILENCE: u32 = 1;

/// Whether this connection is asked for, and its client had time for a first word.
fn is_silent(stream: &Stream<'_>, progress: &Progress) -> bool {
    stream.host.pressure.is_asked() && stream.now() >= after(progress.began, SILENCE)
}

/// Tells those who may look what is done now.
fn tell<K: Keep>(stream: &Stream<'_>, what: impl FnOnce(&Host<'_>)) {
    if K::TELLS {
        what(stream.host);
    }
}

/// The end of a connection behind its last response.
fn close(answer: &Answer, stream: &Stream<'_>, unread: bool) -> Outcome {
    if unread && answer.sent.end.is_ok() {
        stream.linger();
    }
    match (answer.sent.end, answer.status) {
        (Err(Failure::Shrunk | Failure::File), _) => Outcome::Fault,
        (_, Status::InternalServerError | Status::ServiceUnavailable) => Outcome::Fault,
        (_, Status::BadRequest) => Outcome::Refused,
        _ => Outcome::Served,
    }
}
