//! Scripts (RFC 3875): files whose names end in `.cgi` are executed, and what they write is the answer.
//!
//! `mod` finds the script and starts it, `environment` tells it what is asked, `body` is what the client sends it, `relay`
//! carries bytes both ways, `head` reads the head of its answer. The process is the host's business (connection::Programs),
//! and every process that came of a script is gone when its answer is.

mod body;
mod environment;
mod head;
mod relay;

use core::ffi::CStr;

use connection::{Connection, Fd, Script, Started};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};

use super::answer::Reply;
use super::request::{Field, Method, Request};
use super::status::Status;
use super::{file, log};
use crate::io::{Failure, Sent};
use crate::text::words;
use crate::{Settings, Text};

use body::Body;
use environment::Origin;

/// The longest environment of a script: a request head at its longest, and what is told beside it.
const ENVIRONMENT: usize = 24 << 10;
/// The longest target of a local redirect.
pub(crate) const LOCATION: usize = 2 << 10;
/// Methods beside GET and HEAD that a script may answer.
const METHODS: &[u8] = b"POST PUT DELETE PATCH OPTIONS";
/// The name of the script that stands for its directory.
pub(crate) const INDEX: &[u8] = b"index.cgi";

/// What a path says to a script: which one it is, and what stands behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place<'p> {
    /// The script's path beneath the root.
    pub(crate) script: &'p [u8],
    /// Empty, or a slash and more.
    pub(crate) info: &'p [u8],
}

/// How a script's part of a connection ended.
pub(crate) enum Ran {
    /// It was answered.
    Answered(Sent),
    /// It says where the answer is: another target here, of so many bytes.
    Elsewhere(usize),
}

/// Whether a request of this method may be for a script.
pub(crate) fn is_method(request: &Request<'_>) -> bool {
    matches!(request.method, Method::Get | Method::Head) || words(METHODS).any(|known| known == request.method_name())
}

/// The scripts that a path may name, from the root on.
pub(crate) fn places(path: &[u8]) -> impl Iterator<Item = Place<'_>> {
    let slashes = path.iter().enumerate().filter(|&(_, &byte)| byte == b'/').map(|(at, _)| at);
    slashes.chain([path.len()]).filter_map(|end| {
        let (script, info) = path.split_at_checked(end)?;
        let name = script.rsplit(|&byte| byte == b'/').next()?;
        (name.len() > 4 && name.ends_with(b".cgi")).then_some(Place { script, info })
    })
}

/// The length of the script's path at the beginning of `path`, if there is one.
#[cold]
#[inline(never)]
pub(crate) fn find(root: BorrowedFd<'_>, path: &[u8]) -> Result<Option<usize>, Status> {
    for place in places(path) {
        let mut space = [0; crate::http::path::LONGEST];
        let mut script = Text::new(&mut space);
        script.bytes(place.script).bytes(&[0]);
        if let Ok(script) = CStr::from_bytes_with_nul(script.as_bytes())
            && is_there(root, script)?
        {
            return Ok(Some(place.script.len()));
        }
    }
    Ok(None)
}

/// Whether a script is there. A file of such a name that cannot be executed is forbidden, and never shown.
pub(crate) fn is_there(root: BorrowedFd<'_>, script: &CStr) -> Result<bool, Status> {
    let file = match open(root, script, OFlags::PATH) {
        Ok(file) => file,
        // Whatever else went wrong must not make a file of it, whose text is shown.
        Err(errno) => match file::status(errno) {
            Status::NotFound => return Ok(false),
            status => return Err(status),
        },
    };
    let stat = rustix::fs::fstat(file).map_err(file::status)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile if stat.st_mode & 0o111 != 0 => Ok(true),
        FileType::RegularFile => Err(Status::Forbidden),
        _ => Ok(false),
    }
}

fn open(root: BorrowedFd<'_>, path: &CStr, flags: OFlags) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    rustix::fs::openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve)
}

/// What a script is run for.
pub(crate) struct Call<'a> {
    pub(crate) connection: &'a Connection<'a>,
    pub(crate) settings: &'a Settings<'a>,
    pub(crate) root: BorrowedFd<'a>,
    pub(crate) request: &'a Request<'a>,
    pub(crate) place: Place<'a>,
    /// Who the client has proved to be; empty for nobody.
    pub(crate) user: &'a [u8],
}

/// The ends of pipes, both ours and the script's.
struct Ends {
    /// What it is given, until all of it is written.
    input: Option<OwnedFd>,
    /// What it writes.
    output: OwnedFd,
}

/// Runs a script and answers with what it says. `location` receives the target of a local redirect.
#[cold]
#[inline(never)]
pub(crate) fn run(reply: &mut Reply<'_, '_>, call: &Call<'_>, location: &mut [u8; LOCATION]) -> Ran {
    let mut body = Body::of(call.request);
    let gathered = match call.request.value(Field::TransferEncoding) {
        Some(_) => match body.gather(reply.stream, call.settings.header_timeout) {
            Ok(file) => Some(file),
            Err(status) => return Ran::Answered(reply.give_up(status)),
        },
        None => None,
    };
    reply.made.consumed = body.taken;
    match start(call, &body, gathered) {
        Ok((started, ends)) => {
            body.invite(reply.stream);
            relay::Relay::new(reply, call, body, ends).run(started, location)
        }
        Err(status) => Ran::Answered(reply.give_up(status)),
    }
}

// A frame of its own, gone when the script runs.
#[inline(never)]
fn start(call: &Call<'_>, body: &Body<'_>, gathered: Option<OwnedFd>) -> Result<(Started, Ends), Status> {
    let programs = call.connection.host.programs.ok_or(Status::InternalServerError)?;
    let failed = |_: Errno| Status::ServiceUnavailable;
    let Place { script, .. } = call.place;
    // Split where its name begins; it is executed in its directory (RFC 3875 section 7.2).
    let name = script.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
    let (directory, name) = script.split_at_checked(name).unwrap_or_default();
    let mut paths = [0; super::path::LONGEST + 8];
    let mut paths = Text::new(&mut paths);
    paths.str("./").bytes(directory).bytes(&[0]);
    let middle = paths.as_bytes().len();
    paths.str("./").bytes(name).bytes(&[0]);
    let (directory, name) = paths.as_bytes().split_at_checked(middle).unwrap_or_default();
    let c_string = |bytes| CStr::from_bytes_with_nul(bytes).map_err(|_| Status::UriTooLong);
    let (directory, name) = (c_string(directory)?, c_string(name)?);
    let directory = open(call.root, directory, OFlags::PATH | OFlags::DIRECTORY).map_err(|_| Status::NotFound)?;

    let mut space = [0; ENVIRONMENT];
    let mut environment = Text::new(&mut space);
    let mut root = [0; super::path::LONGEST];
    let origin = Origin {
        connection: call.connection,
        request: call.request,
        place: &call.place,
        root: file::name(call.root, &mut root).unwrap_or(call.settings.root),
        length: body.len,
        user: call.user,
    };
    environment::write(&mut environment, &origin);
    let mut space = [0; 1024];
    let mut arguments = Text::new(&mut space);
    indexed(&mut arguments, call.request.query);
    if environment.is_cut() {
        return Err(Status::HeadTooLarge);
    }

    let (reading, writing) = pipe_with(PipeFlags::CLOEXEC).map_err(failed)?;
    let (output, its_output) = pipe_with(PipeFlags::CLOEXEC).map_err(failed)?;
    // Without a log: nothing, or a descriptor that cannot be written to.
    let null = match call.connection.log {
        Some(_) => None,
        None => rustix::fs::openat(CWD, c"/dev/null", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()).ok(),
    };
    let errors = call.connection.log.map_or(null.as_ref().unwrap_or(&output).as_raw_fd(), |log| log.0);
    let input = gathered.as_ref().unwrap_or(&reading);
    let numbers = [input, &its_output, &directory].map(OwnedFd::as_raw_fd);
    if numbers.iter().any(|&number| number <= 2) {
        // Whoever started us left one of the first three closed: they would be mistaken for one another.
        return Err(Status::InternalServerError);
    }
    let [input, its_output_number, directory_number] = numbers.map(Fd);
    let script = Script {
        directory: directory_number,
        path: name,
        arguments: arguments.as_bytes(),
        environment: environment.as_bytes(),
        input,
        output: its_output_number,
        errors: Fd(errors),
    };
    let streams = gathered.is_none() && body.left > 0;
    let started = (programs.start)(&script).map_err(|_| Status::ServiceUnavailable)?;
    if streams {
        // Non-blocking: it may write before it reads.
        let _ = rustix::fs::fcntl_setfl(writing.as_fd(), OFlags::NONBLOCK);
    }
    Ok((started, Ends { input: streams.then_some(writing), output }))
}

/// A query without `=` is a list of arguments (RFC 3875 section 4.4). Never one that an interpreter would take for an
/// option of its own.
fn indexed(arguments: &mut Text<'_>, query: &[u8]) {
    let query = query.get(1..).unwrap_or_default();
    if query.is_empty() || query.contains(&b'=') {
        return;
    }
    let begins = |word: &[u8]| word.starts_with(b"-") || word.starts_with(b"%");
    let words = || query.split(|&byte| byte == b'+');
    if words().any(begins) || words().count() > 30 {
        return;
    }
    for word in words() {
        let mut bytes = word.iter();
        while let Some(&byte) = bytes.next() {
            let rest = bytes.as_slice();
            match (byte, rest) {
                (b'%', [high, low, after @ ..]) => {
                    let digits = [*high, *low].map(|digit| char::from(digit).to_digit(16).unwrap_or(0) as u8);
                    let [high, low] = digits;
                    if high << 4 | low != 0 {
                        arguments.bytes(&[high << 4 | low]);
                    }
                    bytes = after.iter();
                }
                _ => {
                    arguments.bytes(&[byte]);
                }
            }
        }
        arguments.bytes(&[0]);
    }
    if arguments.is_cut() {
        arguments.clear();
    }
}

/// Says in the log what a script did.
#[cold]
fn complain(call: &Call<'_>, what: &str, number: Option<u64>) {
    let mut space = [0; 96];
    let mut text = Text::new(&mut space);
    text.str("script ").str(what);
    if let Some(number) = number {
        text.decimal(number);
    }
    log::warn(call.connection, text.as_bytes(), call.place.script);
}

/// Nothing more of this answer can be sent.
fn broken(bytes: u64) -> Ran {
    Ran::Answered(Sent { bytes, end: Err(Failure::Script) })
}
