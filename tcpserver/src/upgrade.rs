//! A new program takes over the listening sockets: what the old one does ([`Program`], `Successor`), and what the new
//! one finds ([`Handover`]).
//!
//! The new program is a child of the old one. It gets the sockets by number, in a variable of its environment, and the
//! writing end of a pipe, on which it says that it serves. Until then the old one has given up nothing: whatever becomes
//! of the new one, it carries on. Nothing else crosses but descriptors 0, 1 and 2.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, PipeReader, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::{CommandExt, parent_id};
use std::path::{Path, PathBuf};
use std::process::{self, Command};

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::{AccessFlags, Pid, access};

use crate::error::Error;
use crate::inherit;
use crate::listen::Listener;
use crate::sys;

/// `PARENT:PIPE:KIND:SOCKET,SOCKET...`: process and descriptor numbers, and whether the sockets are `own` or `lent` by
/// whoever started the first of us; `:SOCKET` behind it is that of the window, if there is one.
const VARIABLE: &str = "TCPSERVER_HANDOVER";

/// How long a new program may take until it serves, in microseconds.
const PATIENCE: u64 = 20_000_000;

/// How often it is looked for, in microseconds.
const LOOK: u64 = 10_000;

/// The program to start anew: this one, as it was called, and whatever lies at its path by then.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
}

impl Program {
    /// This program. To be called before a new root or another directory changes what its name means.
    ///
    /// # Errors
    ///
    /// What this program is called names no file.
    pub fn own() -> Result<Program, Error> {
        let arguments: Vec<OsString> = env::args_os().collect();
        let name = arguments.first().cloned().unwrap_or_default();
        let path = if name.as_bytes().contains(&b'/') { Some(PathBuf::from(&name)) } else { search(&name) };
        // Called by a name that is no path: what is executed now, which may be a link's target.
        let path = path.map_or_else(env::current_exe, std::path::absolute);
        path.map(|path| Program { path, arguments }).map_err(|error| Error::os("find", "this program", error))
    }

    /// Where it is looked for.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// As a shell finds a command.
fn search(name: &OsStr) -> Option<PathBuf> {
    let places = env::var_os("PATH")?;
    env::split_paths(&places).map(|place| place.join(name)).find(|path| access(path, AccessFlags::X_OK).is_ok())
}

/// A new program that was started and does not serve yet.
pub(crate) struct Successor {
    pid: i32,
    pipe: PipeReader,
    deadline: u64,
    next_look: u64,
}

/// How far it is.
pub(crate) enum State {
    Starting,
    Serves,
    /// Its time is over.
    Hangs,
}

impl Successor {
    /// Starts it.
    pub(crate) fn start(
        program: &Program,
        listeners: &[Listener],
        window: Option<&Listener>,
        _: &sys::OneThread,
    ) -> io::Result<Successor> {
        let (reader, writer) = io::pipe()?;
        fcntl(&reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        let numbers: Vec<String> = listeners.iter().map(|listener| listener.as_fd().as_raw_fd().to_string()).collect();
        let kind = if listeners.iter().any(Listener::is_lent) { "lent" } else { "own" };
        let beside = window.map(|window| format!(":{}", window.as_fd().as_raw_fd())).unwrap_or_default();
        let told = format!("{}:{}:{kind}:{}{beside}", process::id(), writer.as_raw_fd(), numbers.join(","));
        let mut command = Command::new(&program.path);
        if let Some((name, arguments)) = program.arguments.split_first() {
            command.arg0(name).args(arguments);
        }
        command.env(VARIABLE, told).env_remove("WATCHDOG_PID");
        for name in inherit::VARIABLES {
            command.env_remove(name);
        }
        // One thread: nobody else makes a child between these lines.
        let crossing: Vec<BorrowedFd<'_>> =
            listeners.iter().chain(window).map(AsFd::as_fd).chain([writer.as_fd()]).collect();
        crossing.iter().try_for_each(|fd| fcntl(fd, FcntlArg::F_SETFD(FdFlag::empty())).map(drop))?;
        let child = command.spawn();
        crossing.iter().try_for_each(|fd| fcntl(fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).map(drop))?;
        let now = sys::micros();
        let pid = child?.id().cast_signed();
        Ok(Successor { pid, pipe: reader, deadline: now + PATIENCE, next_look: now + LOOK })
    }

    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    /// When [`Successor::look`] may find something new.
    pub(crate) fn next(&self) -> u64 {
        self.next_look
    }

    /// Whether it serves by now.
    pub(crate) fn look(&mut self) -> State {
        let now = sys::micros();
        self.next_look = now + LOOK;
        match self.pipe.read(&mut [0]) {
            Ok(1..) => State::Serves,
            // The end of the pipe without a word is the end of the program, of which the reaper tells.
            Ok(0) | Err(_) if now < self.deadline => State::Starting,
            Ok(0) | Err(_) => State::Hangs,
        }
    }

    /// Has it end.
    pub(crate) fn signal(&self, signal: Signal) {
        // It cannot have been reaped: then it would not be here.
        let _ = kill(Pid::from_raw(self.pid), signal);
    }
}

/// What the new program finds.
#[derive(Debug)]
pub struct Handover {
    /// The listening sockets, in the order of the command line.
    pub sockets: Vec<OwnedFd>,
    /// Whether they are somebody else's, who keeps them when the service ends.
    pub lent: bool,
    /// The socket of the window, if the process before us has one.
    pub window: Option<OwnedFd>,
    /// Where to say that connections are served.
    pub predecessor: Predecessor,
}

/// The old program, waiting.
#[derive(Debug)]
pub struct Predecessor(File);

impl Predecessor {
    /// Says that this process serves.
    pub(crate) fn tell(mut self) {
        // If it is gone there is nobody to give way.
        let _ = self.0.write_all(b"!");
    }
}

/// The numbers that were told, before anything is known to be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pipe: RawFd,
    lent: bool,
    sockets: Vec<RawFd>,
    window: Option<RawFd>,
}

impl Told {
    /// What the environment says, if it does.
    ///
    /// # Errors
    ///
    /// It was not said to this process, or makes no sense.
    pub fn from_environment() -> Result<Option<Told>, Error> {
        let Some(text) = env::var_os(VARIABLE) else { return Ok(None) };
        heed_call_off();
        let failed = |reason: &str| {
            let wrong = Error::new("take over", "the sockets of the process before", reason);
            wrong.remedy(format!("{VARIABLE} is for a process that is being upgraded: unset it"))
        };
        let text = text.to_str().ok_or_else(|| failed("it is not told which"))?;
        let (parent, told) = parse(text).ok_or_else(|| failed("it is not told which"))?;
        if parent == parent_id() { Ok(Some(told)) } else { Err(failed("it is gone")) }
    }

    /// Whether the sockets are somebody else's.
    #[must_use]
    pub fn is_lent(&self) -> bool {
        self.lent
    }

    /// The descriptors that must not be closed before [`Told::take`].
    #[must_use]
    pub fn descriptors(&self) -> Vec<RawFd> {
        self.sockets.iter().copied().chain(self.window).chain([self.pipe]).collect()
    }

    /// Takes what was told.
    ///
    /// # Errors
    ///
    /// A socket is none, or does not listen.
    pub fn take(&self) -> Result<Handover, Error> {
        let sockets = self.sockets.iter().map(|&number| inherit::take(number)).collect::<Result<_, _>>()?;
        let window = self.window.map(inherit::take).transpose()?;
        let failed = |reason| Error::os("take over", "the pipe to the process before", reason);
        let pipe = sys::inherited(self.pipe).ok_or_else(|| failed(io::Error::from_raw_os_error(libc::EBADF)))?;
        fcntl(&pipe, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).map_err(|error| failed(error.into()))?;
        Ok(Handover { sockets, lent: self.lent, window, predecessor: Predecessor(pipe.into()) })
    }
}

/// SIGTERM, which the old program has blocked, ends the new one from here on until it can serve: the old one sends it when
/// it is told to stop itself, before it shuts down the sockets and before it ends. So that is no reason to complain.
fn heed_call_off() {
    // It fails for no set of signals.
    let _ = SigSet::from(Signal::SIGTERM).thread_unblock();
}

fn parse(text: &str) -> Option<(u32, Told)> {
    let mut fields = text.split(':');
    let mut field = || fields.next();
    let (parent, pipe, kind, sockets) = (field()?.parse().ok()?, field()?, field()?, field()?);
    // 0, 1 and 2 are never ours to hand over.
    let number = |text: &str| text.parse::<RawFd>().ok().filter(|&number| number > 2);
    let sockets: Vec<RawFd> = sockets.split(',').map(number).collect::<Option<_>>()?;
    let lent = match kind {
        "own" => false,
        "lent" => true,
        _ => return None,
    };
    let window = match field() {
        None => None,
        Some(window) => Some(number(window)?),
    };
    field().is_none().then_some((parent, Told { pipe: number(pipe)?, lent, sockets, window }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_understood_or_refused() {
        let told = Told { pipe: 9, lent: true, sockets: vec![4, 5], window: None };
        assert_eq!(parse("12:9:lent:4,5"), Some((12, told.clone())));
        assert_eq!(parse("12:9:lent:4,5:7"), Some((12, Told { window: Some(7), ..told })));
        for wrong in [
            "",
            "12",
            "12:9:own",
            "12:9:own:",
            "12:9:mine:4",
            "12:9:own:1",
            "12:-1:own:4",
            "x:9:own:4",
            "1:9:own:4:2",
            "1:9:own:4:5:6",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
