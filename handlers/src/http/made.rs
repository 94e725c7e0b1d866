//! What is made for a request rather than found: answers of scripts, lists of directories. And whether the client may.

use core::ffi::CStr;
use core::marker::PhantomData;

use connection::Connection;
use rustix::fd::AsFd;

use super::answer::{self, Reply};
use super::cache::Keep;
use super::cgi::{self, Call, LOCATION, Place, Ran};
use super::path::Path;
use super::request::Request;
use super::status::Status;
use super::{Http, listing, path};
use crate::io::Sent;
use crate::options::{self, Invalid, Opt};
use crate::{Settings, Text};

/// Whether directories are listed.
pub(crate) const LISTING: Opt =
    Opt { name: "listing", value: "", default: "", help: "List a directory that has no index, as HTML or JSON" };

/// Whether scripts are executed.
pub(crate) const CGI: Opt = Opt {
    name: "cgi",
    value: "",
    default: "",
    help: "Execute files named *.cgi (CGI/1.1), and index.cgi for a directory",
};

/// How long to wait for a script.
pub(crate) const CGI_TIMEOUT: Opt = Opt {
    name: "cgi-timeout",
    value: "SECONDS",
    default: "60",
    help: "End a script that is silent for this time, with 504",
};

/// As many local redirects of scripts are followed for one request.
const REDIRECTS: u32 = 8;

/// The options of what is made.
#[derive(Clone, Copy, Debug)]
pub struct Made<'a> {
    /// Directories without an index are listed.
    pub listing: bool,
    /// Files named `*.cgi` are executed.
    pub cgi: bool,
    /// Seconds that a script may be silent.
    pub cgi_timeout: u32,
    nothing: PhantomData<&'a ()>,
}

impl Default for Made<'_> {
    fn default() -> Self {
        Made { listing: false, cgi: false, cgi_timeout: 60, nothing: PhantomData }
    }
}

impl<'a> Made<'a> {
    /// Something is to be made at all.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.cgi || self.listing
    }

    /// Sets the option of that name.
    pub(crate) fn set(&mut self, name: &str, value: &'a [u8]) -> Result<(), Invalid> {
        match name {
            "listing" => self.listing = true,
            "cgi" => self.cgi = true,
            "cgi-timeout" => self.cgi_timeout = options::seconds(value)?,
            _ => return Err(options::NO_OPTION),
        }
        Ok(())
    }
}

/// What comes before a file is looked for: scripts.
pub(crate) fn before<K: Keep>(
    http: &mut Http<'_, K>,
    connection: &Connection<'_>,
    reply: &mut Reply<'_, '_>,
    path: &mut Path<'_>,
    request: &Request<'_>,
    held: &[u8],
) -> Option<Sent> {
    let settings: &Settings<'_> = &http.settings;
    if !K::MAKES
        || !settings.made.cgi
        || !cgi::is_method(request)
        || path.resolve(request.path, settings.index).is_err()
    {
        return None;
    }
    scripts(http, connection, reply, path, request, held)
}

/// The script that a path names, with or without more behind.
#[cold]
#[inline(never)]
fn scripts<K: Keep>(
    http: &mut Http<'_, K>,
    connection: &Connection<'_>,
    reply: &mut Reply<'_, '_>,
    path: &mut Path<'_>,
    request: &Request<'_>,
    held: &[u8],
) -> Option<Sent> {
    // A copy: the buffer of the path is used again for where a script sends us.
    let mut space = [0; path::LONGEST];
    let mut whole = Text::new(&mut space);
    // Of a directory, what stands behind the slash is the index and not the client's.
    whole.bytes(if path.is_directory() { directory(path) } else { path.as_bytes() });
    for place in cgi::places(whole.as_bytes()) {
        match is_there(http, place.script, b"") {
            Ok(true) => return Some(script_answer(http, connection, reply, path, request, held, place)),
            Ok(false) => {}
            Err(status) => return Some(reply.page(status)),
        }
    }
    None
}

/// The directory that a path names or is in: empty, or with a slash at its end.
fn directory<'p>(path: &'p Path<'_>) -> &'p [u8] {
    let slash = path.as_bytes().iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
    path.as_bytes().get(..slash).unwrap_or_default()
}

/// Whether there is a script of that path, which comes in two parts.
#[inline(never)]
fn is_there<K>(http: &Http<'_, K>, first: &[u8], second: &[u8]) -> Result<bool, Status> {
    let mut space = [0; path::LONGEST];
    let mut script = Text::new(&mut space);
    script.bytes(first).bytes(second).bytes(&[0]);
    match CStr::from_bytes_with_nul(script.as_bytes()) {
        Ok(script) => cgi::is_there(http.root.as_fd(), script),
        Err(_) => Ok(false),
    }
}

/// What comes where nothing was found: `index.cgi`, and the list of a directory.
pub(crate) fn instead<K: Keep>(
    http: &mut Http<'_, K>,
    connection: &Connection<'_>,
    reply: &mut Reply<'_, '_>,
    path: &mut Path<'_>,
    request: &Request<'_>,
    held: &[u8],
) -> Option<Sent> {
    if !K::MAKES || !path.is_directory() {
        return None;
    }
    if http.settings.made.cgi && cgi::is_method(request) {
        match is_there(http, directory(path), cgi::INDEX) {
            Ok(true) => return Some(index(http, connection, reply, path, request, held)),
            Ok(false) => {}
            Err(status) => return Some(reply.page(status)),
        }
    }
    if http.settings.made.listing && request.refused.is_none() {
        return listing::list(reply, http.root.as_fd(), directory(path), request);
    }
    None
}

/// `index.cgi` of the directory that a path names.
#[cold]
#[inline(never)]
fn index<K: Keep>(
    http: &mut Http<'_, K>,
    connection: &Connection<'_>,
    reply: &mut Reply<'_, '_>,
    path: &mut Path<'_>,
    request: &Request<'_>,
    held: &[u8],
) -> Sent {
    let mut space = [0; path::LONGEST];
    let mut script = Text::new(&mut space);
    script.bytes(directory(path)).bytes(cgi::INDEX);
    let place = Place { script: script.as_bytes(), info: b"" };
    script_answer(http, connection, reply, path, request, held, place)
}

/// Runs a script, and follows where it sends us.
#[cold]
#[inline(never)]
fn script_answer<K: Keep>(
    http: &mut Http<'_, K>,
    connection: &Connection<'_>,
    reply: &mut Reply<'_, '_>,
    path: &mut Path<'_>,
    request: &Request<'_>,
    held: &[u8],
    place: Place<'_>,
) -> Sent {
    let mut location = [0; LOCATION];
    let settings = &http.settings;
    let call = Call { connection, settings, root: http.root.as_fd(), request, held, place, user: b"" };
    let len = match cgi::run(reply, &call, &mut location) {
        Ran::Answered(sent) => return sent,
        Ran::Elsewhere(len) => len,
    };
    reply.redirects += 1;
    if reply.redirects > REDIRECTS {
        return reply.give_up(Status::BadGateway);
    }
    let target = location.get(..len).unwrap_or_default();
    // What the client sent was for the first script, as far as that read it.
    reply.persistence.keep &= !request.body;
    answer::respond(http, connection, reply, path, &request.redirected(target), &[])
}
