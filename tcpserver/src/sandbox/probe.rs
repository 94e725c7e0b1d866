//! What the sandbox holds: a child enters it at the start of the service and tries what is forbidden.
//!
//! Each act is harmless where it succeeds: nothing is left behind, no other process notices.

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use connection::Fd;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, connect, socket};
use nix::sys::stat::{Mode, stat};
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, pipe};

use super::{Plan, Sandbox};
use crate::confine::is_root;
use crate::error::Error;
use crate::sys::{self, Forked, OneThread};

/// Something that a child that was taken over would try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// To read a directory that is not beneath the root.
    ReadElsewhere,
    /// To make a file.
    Write,
    /// To connect to a TCP port.
    Connect,
    /// To open a socket at all.
    Socket,
    /// To make a process.
    Fork,
    /// To signal the supervisor.
    Signal,
    /// To read the supervisor's memory.
    Trace,
    /// To change the supervisor's limits.
    Limit,
    /// To become another program.
    Execute,
}

/// In the order in which they are tried: the last one may be the end of who tries.
const ACTS: [Act; 9] = [
    Act::ReadElsewhere,
    Act::Write,
    Act::Connect,
    Act::Socket,
    Act::Fork,
    Act::Signal,
    Act::Trace,
    Act::Limit,
    Act::Execute,
];

impl Act {
    /// As the end of a sentence that begins with who does it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Act::ReadElsewhere => "read files elsewhere",
            Act::Write => "write files",
            Act::Connect => "connect",
            Act::Socket => "open sockets",
            Act::Fork => "make processes",
            Act::Signal => "signal others",
            Act::Trace => "look into others",
            Act::Limit => "limit others",
            Act::Execute => "execute programs",
        }
    }

    /// Whether this plan means to forbid it.
    fn is_forbidden(self, plan: &Plan) -> bool {
        match self {
            Act::Signal | Act::Trace | Act::Limit => true,
            Act::Socket => plan.has_filter(),
            // A limit on processes does not hold for root.
            Act::Fork => plan.has_filter() || (!plan.programs && !is_root()),
            _ => !plan.programs,
        }
    }
}

/// What came of an act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Tried {
    /// The kernel refused it.
    Denied = b'd',
    /// It was done.
    Done = b'p',
    /// It could not be tried here.
    Unknown = b'u',
}

/// What a child in the sandbox can do, and whether it was to be able to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was tried.
    pub act: Act,
    /// What came of it.
    pub tried: Tried,
    /// The plan means to forbid it.
    pub forbidden: bool,
}

impl Finding {
    /// It was to be forbidden, and the kernel let it happen.
    #[must_use]
    pub fn is_gap(&self) -> bool {
        self.forbidden && self.tried == Tried::Done
    }
}

/// What these findings say in a line, behind "a child".
#[must_use]
pub fn describe(findings: &[Finding]) -> String {
    let list = |tried: Tried| {
        let acts: Vec<_> = findings.iter().filter(|f| f.tried == tried).map(|f| f.act.as_str()).collect();
        acts.join(", ")
    };
    match (list(Tried::Denied), list(Tried::Done)) {
        (denied, done) if done.is_empty() => format!("cannot {denied}"),
        (denied, done) if denied.is_empty() => format!("can {done}"),
        (denied, done) => format!("cannot {denied}; can {done}"),
    }
}

/// What was to be forbidden and is not; `None` when there is no such thing.
#[must_use]
pub fn gaps(findings: &[Finding]) -> Option<String> {
    let acts: Vec<_> = findings.iter().filter(|finding| finding.is_gap()).map(|f| f.act.as_str()).collect();
    (!acts.is_empty()).then(|| acts.join(", "))
}

impl Sandbox {
    /// Tries everything in a child. A layer that cannot be entered is given up.
    pub(super) fn probe(&mut self) -> Result<Vec<Finding>, Error> {
        let one_thread = OneThread::check()
            .map_err(|threads| Error::new("try", "the sandbox", format!("this process has {threads} threads")))?;
        let plan = self.plan.clone();
        let failed = |error| Error::os("try the sandbox in", "a child", error);
        let (reading, writing) = pipe().map_err(|error| failed(error.into()))?;
        let elsewhere = !is_everything(plan.root.as_deref());
        let child = match sys::fork(&one_thread) {
            Ok(Forked::Child) => self.try_all(&writing, elsewhere),
            Ok(Forked::Parent(pid)) => Pid::from_raw(pid),
            // No process is to be had just now: that is no reason not to serve, and says nothing of the sandbox.
            Err(_) => return Ok(Vec::new()),
        };
        drop(writing);
        let mut said = Vec::new();
        let read = std::fs::File::from(reading).read_to_end(&mut said);
        while waitpid(child, None) == Err(Errno::EINTR) {}
        read.map_err(failed)?;
        let [rules, filter, results @ ..] = &said[..] else {
            return Err(Error::new("try the sandbox in", "a child", "it ended before it said anything"));
        };
        if *rules != ENTERED {
            self.replace(None);
        }
        if *filter != ENTERED {
            self.filter.clear();
            self.unfiltered = true;
        }
        let tried = |at: usize| match results.get(at..).and_then(<[u8]>::first) {
            Some(&byte) if byte == Tried::Denied as u8 => Tried::Denied,
            Some(&byte) if byte == Tried::Done as u8 => Tried::Done,
            _ => Tried::Unknown,
        };
        // What comes behind the last act's byte is that it was refused.
        let last = if results.len() > ACTS.len() { Tried::Denied } else { tried(ACTS.len() - 1) };
        let finding = |(at, act): (usize, Act)| {
            let tried = if at + 1 == ACTS.len() { last } else { tried(at) };
            Finding { act, tried, forbidden: act.is_forbidden(&plan) }
        };
        Ok(ACTS.into_iter().enumerate().map(finding).collect())
    }

    // ---- In the child: system calls, and no allocation. ----

    /// Enters and tries, a byte for each step.
    fn try_all(&self, report: &OwnedFd, elsewhere: bool) -> ! {
        let say = |byte: u8| drop(sys::write(Fd(report.as_raw_fd()), &[byte]));
        say(if self.enter_rules() { ENTERED } else { b'-' });
        let _ = !self.alone || sys::forbid_processes();
        say(if self.enter_filter() { ENTERED } else { b'-' });
        for act in ACTS {
            match act {
                Act::ReadElsewhere if !elsewhere => say(Tried::Unknown as u8),
                // If this one succeeds nobody comes back.
                Act::Execute => {
                    say(Tried::Done as u8);
                    match sys::attempt_execute(c"/bin/true") {
                        Errno::ENOENT => sys::exit(0),
                        _ => say(Tried::Denied as u8),
                    }
                }
                act => say(attempt(act) as u8),
            }
        }
        sys::exit(0)
    }
}

/// A layer was entered, or is not there to be entered.
const ENTERED: u8 = b'+';

/// Whether the root is the root of all, beside which there is nothing.
fn is_everything(root: Option<&Path>) -> bool {
    let place = |path: &Path| stat(path).map(|stat| (stat.st_dev, stat.st_ino)).ok();
    root.is_some_and(|root| place(root) == place(Path::new("/")))
}

fn attempt(act: Act) -> Tried {
    let tried = |result: Result<(), Errno>| match result {
        Ok(()) => Tried::Done,
        Err(Errno::EACCES | Errno::EPERM) => Tried::Denied,
        Err(_) => Tried::Unknown,
    };
    match act {
        Act::ReadElsewhere => {
            tried(open(c"/", OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty()).map(drop))
        }
        Act::Write => {
            // A file without a name: nothing is left of it.
            let flags = OFlag::O_TMPFILE | OFlag::O_WRONLY | OFlag::O_CLOEXEC;
            tried(open(c"/tmp", flags, Mode::empty()).map(drop))
        }
        Act::Connect => {
            let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
            let stream = match socket(AddressFamily::Inet, SockType::Stream, flags, None) {
                Ok(stream) => stream,
                Err(error) => return tried(Err(error)),
            };
            // discard, where it is served at all; that nobody listens is an answer too.
            let discard = SockaddrIn::from(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 9));
            match connect(stream.as_raw_fd(), &discard) {
                Err(Errno::EINPROGRESS | Errno::ECONNREFUSED) => Tried::Done,
                result => tried(result),
            }
        }
        Act::Socket => tried(socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None).map(drop)),
        // Where processes are short for everybody, EAGAIN says the same.
        Act::Fork => match sys::attempt_fork() {
            Err(Errno::EAGAIN) => Tried::Denied,
            result => tried(result),
        },
        Act::Signal => tried(sys::attempt_signal()),
        Act::Trace => tried(sys::attempt_look()),
        Act::Limit => tried(sys::attempt_limit(Some(std::os::unix::process::parent_id()))),
        Act::Execute => Tried::Unknown,
    }
}
