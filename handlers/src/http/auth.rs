//! Whether a client may: by a file of users, or by a program of the site's own.
//!
//! Neither passwords nor their hashes are looked at here. The program `tine-auth`, which lies beside this one, reads the
//! file; a program `.http-auth` at a host's root is fnord's way, and decides by whatever it likes.

use core::ffi::CStr;
use core::hint::black_box;

use connection::{Clock, Connection, Fd, Script};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};

use super::log;
use super::path::Path;
use super::request::Request;
use super::status::Status;
use crate::io::borrow;
use crate::text::same;
use crate::{Settings, Text};

/// The program that decides, at the root.
const HOOK: &CStr = c"./.http-auth";
/// The longest credentials that are remembered.
const CREDENTIALS: usize = 256;
/// How long they are, in seconds: a file of users that was changed is heeded after that time at the latest.
const REMEMBERED: i64 = 60;
/// The longest name of a user that is told.
pub(crate) const USER: usize = 64;

/// Credentials that were found good on this connection. To check a password takes long on purpose, and each request brings
/// them anew.
#[derive(Debug)]
pub struct Known {
    credentials: [u8; CREDENTIALS],
    len: usize,
    /// Until when they are taken, in monotonic seconds.
    until: i64,
}

impl Default for Known {
    fn default() -> Self {
        Known { credentials: [0; CREDENTIALS], len: 0, until: 0 }
    }
}

impl Known {
    /// Compared without a hint where the first difference is.
    fn is(&self, credentials: &[u8], now: i64) -> bool {
        let differ = self.credentials.iter().zip(credentials).fold(0, |sum, (a, b)| sum | (a ^ b));
        now < self.until && credentials.len() == self.len && black_box(differ) == 0
    }

    /// Forgets them: what one client showed is no business of the next.
    pub(crate) fn forget(&mut self) {
        if self.len > 0 {
            self.credentials.fill(0);
            self.len = 0;
            black_box(&mut self.credentials);
        }
    }

    fn learn(&mut self, credentials: &[u8], now: i64) {
        if let Some(room) = self.credentials.get_mut(..credentials.len()) {
            room.copy_from_slice(credentials);
            (self.len, self.until) = (credentials.len(), now + REMEMBERED);
        }
    }
}

/// The field `Authorization`, if it is there.
fn authorization<'r>(request: &Request<'r>) -> Option<&'r [u8]> {
    request.fields().find(|(name, _)| same(name, b"authorization")).map(|(_, value)| value)
}

/// Whether this request may be answered.
///
/// # Errors
/// 401, or 500 when nobody can say.
#[cold]
#[inline(never)]
pub(crate) fn admit(
    settings: &Settings<'_>,
    known: Option<&mut Known>,
    connection: &Connection<'_>,
    root: BorrowedFd<'_>,
    path: &Path<'_>,
    request: &Request<'_>,
) -> Result<(), Status> {
    let made = &settings.made;
    if !made.auth.is_empty() {
        // Who shows nothing costs no program.
        let shown = authorization(request).ok_or(Status::Unauthorized)?;
        let now = (connection.host.now)(Clock::Monotonic).seconds;
        if !known.as_deref().is_some_and(|known| known.is(shown, now)) {
            by_users(settings, connection, shown)?;
            if let Some(known) = known {
                known.learn(shown, now);
            }
        }
    }
    if made.auth_hook && is_hook(root) {
        by_hook(settings, connection, root, path, request)?;
    }
    Ok(())
}

/// A host without the program is open to all, as fnord has it; one whose program cannot be executed is closed.
fn is_hook(root: BorrowedFd<'_>) -> bool {
    !matches!(rustix::fs::statat(root, HOOK, AtFlags::empty()), Err(Errno::NOENT))
}

fn by_users(settings: &Settings<'_>, connection: &Connection<'_>, shown: &[u8]) -> Result<(), Status> {
    let mut space = [0; 4096];
    let mut text = Text::new(&mut space);
    let own = settings.made.executable;
    let folder = own.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
    // What is named without a slash is here, not somewhere in the search path: nothing is searched.
    text.str(if folder == 0 { "./" } else { "" }).bytes(own.get(..folder).unwrap_or_default()).str("tine-auth");
    let end = text.bytes(&[0]).as_bytes().len();
    text.bytes(settings.made.auth).bytes(&[0]);
    if text.is_cut() {
        return Err(Status::InternalServerError);
    }
    let (program, arguments) = text.as_bytes().split_at_checked(end).unwrap_or_default();
    let program = CStr::from_bytes_with_nul(program).unwrap_or_default();
    ask(settings, connection, None, program, arguments, shown)
}

fn by_hook(
    settings: &Settings<'_>,
    connection: &Connection<'_>,
    root: BorrowedFd<'_>,
    path: &Path<'_>,
    request: &Request<'_>,
) -> Result<(), Status> {
    let mut space = [0; 12 << 10];
    let mut text = Text::new(&mut space);
    text.bytes(request.host).bytes(&[0]).str("/").bytes(path.as_bytes()).bytes(&[0]);
    if let Some(shown) = authorization(request) {
        text.bytes(shown).bytes(&[0]);
    }
    if text.is_cut() {
        return Err(Status::HeadTooLarge);
    }
    ask(settings, connection, Some(root), HOOK, text.as_bytes(), b"")
}

/// Runs a program that decides, in `directory` or where we are; `input` is what it reads.
#[inline(never)]
fn ask(
    settings: &Settings<'_>,
    connection: &Connection<'_>,
    directory: Option<BorrowedFd<'_>>,
    program: &CStr,
    arguments: &[u8],
    input: &[u8],
) -> Result<(), Status> {
    let failed = |_: Errno| Status::ServiceUnavailable;
    let programs = connection.host.programs.ok_or(Status::InternalServerError)?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let here: OwnedFd;
    let directory = match directory {
        Some(directory) => directory,
        None => {
            here = rustix::fs::openat(CWD, c".", flags, Mode::empty()).map_err(failed)?;
            rustix::fd::AsFd::as_fd(&here)
        }
    };
    let (reading, writing) = pipe_with(PipeFlags::CLOEXEC).map_err(failed)?;
    let null = rustix::fs::openat(CWD, c"/dev/null", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty());
    let output =
        connection.log.map_or_else(|| null.as_ref().map_or(reading.as_raw_fd(), OwnedFd::as_raw_fd), |log| log.0);
    // Shorter than a pipe is: it is written before there is a reader.
    if rustix::io::write(&writing, input).is_err() || reading.as_raw_fd() <= 2 {
        return Err(Status::InternalServerError);
    }
    drop(writing);
    let script = Script {
        directory: Fd(directory.as_raw_fd()),
        path: program,
        arguments,
        environment: b"PATH=/usr/local/bin:/usr/bin:/bin\0",
        input: Fd(reading.as_raw_fd()),
        output: Fd(output),
        errors: Fd(output),
    };
    let started = (programs.start)(&script).map_err(|_| Status::ServiceUnavailable)?;
    let seconds = settings.made.cgi_timeout;
    connection.host.alarm.allow(seconds.saturating_add(settings.write_timeout));
    let timeout = Timespec { tv_sec: seconds.into(), tv_nsec: 0 };
    let on = || [PollFd::from_borrowed_fd(borrow(&started.lifeline), PollFlags::IN)];
    while poll(&mut on(), Some(&timeout)) == Err(Errno::INTR) {}
    match (programs.end)(started) {
        0 => Ok(()),
        1 => Err(Status::Unauthorized),
        // Whatever a program of the site's own ends with, it did not say yes.
        2..126 if program == HOOK => Err(Status::Unauthorized),
        _ => {
            log::warn(connection, b"nobody can say who may, for this failed", program.to_bytes());
            Err(Status::InternalServerError)
        }
    }
}

/// The user whom credentials of the scheme Basic name, for the log and for scripts; empty if there is none. Whether they
/// are good was decided before.
pub(crate) fn user<'s>(request: &Request<'_>, space: &'s mut [u8; USER]) -> &'s [u8] {
    let shown = authorization(request).unwrap_or_default();
    let Some((scheme, credentials)) = shown.split_at_checked(6) else { return b"" };
    if !same(scheme, b"basic ") {
        return b"";
    }
    let mut name = Text::new(space);
    let (mut bits, mut count) = (0u32, 0);
    for &byte in credentials.trim_ascii() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => break,
        };
        (bits, count) = (bits << 6 | u32::from(value), count + 6);
        if count >= 8 {
            count -= 8;
            match (bits >> count) as u8 {
                0 | b':' => break,
                byte => name.bytes(&[byte]),
            };
        }
    }
    let len = name.as_bytes().len();
    space.get(..len).unwrap_or_default()
}

/// The challenge of a realm (RFC 7617).
pub(crate) fn challenge(head: &mut Text<'_>, realm: &[u8]) {
    head.str("WWW-Authenticate: Basic realm=\"").bytes(realm).str("\", charset=\"UTF-8\"\r\n");
}

/// What a realm can be: it stands between quotes.
pub(crate) fn is_realm(realm: &[u8]) -> bool {
    let is_plain = |byte: &u8| (b' '..=b'~').contains(byte) && *byte != b'"' && *byte != b'\\';
    !realm.is_empty() && realm.len() <= 64 && realm.iter().all(is_plain)
}
