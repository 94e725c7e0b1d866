//! What is made for a request rather than found: answers of scripts, lists of directories. And whether the client may.

use rustix::fd::BorrowedFd;

use super::answer::Reply;
use super::cgi::{self, Call, Place, Ran};
use super::path::Path;
use super::request::Request;
use super::status::Status;
use super::{auth, listing};
use crate::Settings;
use crate::io::Sent;
use crate::options::{self, Invalid, Opt};

pub(crate) use super::cgi::{INDEX, LOCATION};

/// Whether directories are listed.
pub(crate) const LISTING: Opt = Opt::new("listing|||List a directory that has no index, as HTML or JSON");

/// Whether scripts are executed.
pub(crate) const CGI: Opt = Opt::new("cgi|||Execute files named *.cgi (CGI/1.1), and index.cgi for a directory");

/// How long to wait for a script.
pub(crate) const CGI_TIMEOUT: Opt =
    Opt::new("cgi-timeout|SECONDS|60|End a script that is silent for this time, with 504");

/// Who may.
pub(crate) const AUTH: Opt =
    Opt::new("auth|FILE||Ask for a name and password of this file (htpasswd -B; bcrypt, SHA-crypt, argon2)");

/// What they are asked for.
pub(crate) const AUTH_REALM: Opt = Opt::new("auth-realm|TEXT|tine|What the password is asked for");

/// Who decides who may.
pub(crate) const AUTH_HOOK: Opt =
    Opt::new("auth-hook|||Let ROOT/.http-auth HOST PATH AUTHORIZATION decide: exit status 0 is yes");

/// As many local redirects of scripts are followed for one request.
const REDIRECTS: u32 = 8;

/// The options of what is made.
#[derive(Clone, Copy, Debug)]
pub struct Made<'a> {
    /// The file of those who may; empty for everybody.
    pub auth: &'a [u8],
    /// What they are told to be asked for.
    pub realm: &'a [u8],
    /// A program at the root is asked who may.
    pub auth_hook: bool,
    /// The path of this process's executable, beside which others lie.
    pub executable: &'a [u8],
    /// Directories without an index are listed.
    pub listing: bool,
    /// Files named `*.cgi` are executed.
    pub cgi: bool,
    /// Seconds that a script may be silent.
    pub cgi_timeout: u32,
}

impl Default for Made<'_> {
    fn default() -> Self {
        Made {
            auth: b"",
            realm: b"tine",
            auth_hook: false,
            executable: b"tine",
            listing: false,
            cgi: false,
            cgi_timeout: 60,
        }
    }
}

impl<'a> Made<'a> {
    /// Something is to be made at all.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.cgi || self.listing || self.is_guarded()
    }

    /// Programs are started for it.
    #[must_use]
    pub fn runs_programs(&self) -> bool {
        self.cgi || self.is_guarded()
    }

    /// Not everybody may.
    pub(crate) fn is_guarded(&self) -> bool {
        !self.auth.is_empty() || self.auth_hook
    }

    /// Sets the option of that name.
    pub(crate) fn set(&mut self, name: &str, value: &'a [u8]) -> Result<(), Invalid> {
        match name {
            "auth" if value.is_empty() => return Err(Invalid { reason: "must be a file" }),
            "auth" => self.auth = value,
            "auth-realm" if auth::is_realm(value) => self.realm = value,
            "auth-realm" => return Err(Invalid { reason: "must be 1 to 64 bytes of ASCII without quotes" }),
            "auth-hook" => self.auth_hook = true,
            "listing" => self.listing = true,
            "cgi" => self.cgi = true,
            "cgi-timeout" => self.cgi_timeout = options::seconds(value)?,
            _ => return Err(options::NO_OPTION),
        }
        Ok(())
    }
}

/// The script that a path names, with or without more behind: the length of its own path.
pub(crate) fn find(
    settings: &Settings<'_>,
    root: BorrowedFd<'_>,
    path: &Path<'_>,
    request: &Request<'_>,
) -> Result<Option<usize>, Status> {
    if settings.made.cgi && cgi::is_method(request) { cgi::find(root, path.as_bytes()) } else { Ok(None) }
}

/// The script that stands for a directory: one of the names of an index, or the one that is left when there is none.
pub(crate) fn find_index(
    settings: &Settings<'_>,
    root: BorrowedFd<'_>,
    path: &Path<'_>,
    request: &Request<'_>,
) -> Result<Option<usize>, Status> {
    let script = path.as_bytes();
    if !settings.made.cgi || !script.ends_with(b".cgi") || !cgi::is_there(root, path.as_c_str())? {
        return Ok(None);
    }
    if cgi::is_method(request) { Ok(Some(script.len())) } else { Err(Status::MethodNotAllowed) }
}

/// Runs the script whose path is `len` bytes long, and answers with what it says, or says where it sends us.
pub(crate) fn script<'l>(
    reply: &mut Reply<'_, '_>,
    root: BorrowedFd<'_>,
    path: &Path<'_>,
    request: &Request<'_>,
    len: usize,
    location: &'l mut [u8; LOCATION],
) -> Result<&'l [u8], Sent> {
    let (script, info) = path.as_bytes().split_at_checked(len).unwrap_or_default();
    // A script that puts its PATH_INFO into a field would let the client write the next one (RFC 3875 section 4.1.5 lets us
    // refuse it).
    if info.iter().any(u8::is_ascii_control) {
        return Err(reply.give_up(Status::BadRequest));
    }
    let mut space = [0; auth::USER];
    let user = if reply.settings.made.is_guarded() { auth::user(request, &mut space) } else { b"" };
    let call = Call {
        connection: reply.stream.connection,
        settings: reply.settings,
        root,
        request,
        place: Place { script, info },
        user,
    };
    let len = match cgi::run(reply, &call, location) {
        Ran::Answered(sent) => return Err(sent),
        Ran::Elsewhere(len) => len,
    };
    reply.made.redirects += 1;
    if reply.made.redirects > REDIRECTS {
        return Err(reply.give_up(Status::BadGateway));
    }
    // What the client sent was for this script, as far as that read it.
    reply.persistence.keep &= !request.body;
    Ok(location.get(..len).unwrap_or_default())
}

/// The list of a directory without an index.
pub(crate) fn list(
    reply: &mut Reply<'_, '_>,
    root: BorrowedFd<'_>,
    path: &Path<'_>,
    request: &Request<'_>,
) -> Option<Sent> {
    if !reply.settings.made.listing || !path.is_directory() {
        return None;
    }
    // Behind the last slash is the index that was not found.
    let slash = path.as_bytes().iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
    listing::list(reply, root, path.as_bytes().get(..slash)?, request)
}
