//! Listening sockets that somebody else made and handed over: a service manager, by sd_listen_fds(3)'s protocol, or
//! whoever executed us, by number.

use std::env;
use std::mem;
use std::os::fd::OwnedFd;
use std::process;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::socket::{SockType, getsockopt, sockopt};

use crate::error::Error;
use crate::sys;

/// The first number that a service manager uses.
const FIRST: i32 = 3;

/// What says that there are sockets, and for whom. A program that is started later must not take them for its own.
pub const VARIABLES: [&str; 4] = ["LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDS", "LISTEN_FDNAMES"];

/// Whether a service manager hands sockets over to this process. What it said to another, which started us, is not for us.
#[must_use]
pub fn manager_hands_over() -> bool {
    let ours = |pid: &str| pid.parse().is_ok_and(|pid: u32| pid == process::id());
    env::var("LISTEN_PID").is_ok_and(|pid| ours(&pid)) && env::var_os("LISTEN_FDS").is_some()
}

/// The sockets from a service manager.
pub fn from_manager() -> Result<Vec<OwnedFd>, Error> {
    let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':').filter(|name| !name.is_empty());
    let take = |number| {
        take(number).map_err(|error| match names.next() {
            Some(name) => error.remedy(format!("it is named {name} in LISTEN_FDNAMES")),
            None => error,
        })
    };
    numbers_from_manager()?.into_iter().map(take).collect()
}

/// Their numbers.
pub fn numbers_from_manager() -> Result<Vec<i32>, Error> {
    let none = |reason: String| Error::new("take", "the service manager's sockets", reason);
    let number = |name: &str| -> Result<i32, Error> {
        let text = env::var(name).map_err(|_| none(format!("{name} is not set")))?;
        text.parse().map_err(|_| none(format!("{name} is {text:?}")))
    };
    let (pid, count) = (number("LISTEN_PID")?, number("LISTEN_FDS")?);
    if pid.unsigned_abs() != process::id() {
        return Err(none(format!("they are for process {pid}, and this is {}", process::id())));
    }
    // More are refused when they are listened on; here it is enough that the sum is a number.
    if !(1..=1024).contains(&count) {
        return Err(none(format!("LISTEN_FDS is {count}")));
    }
    Ok((FIRST..FIRST + count).collect())
}

/// The listening socket with this number.
pub fn take(number: i32) -> Result<OwnedFd, Error> {
    let failed = |reason: &str| Error::new("listen on", format!("descriptor {number}"), reason);
    let fd = sys::inherited(number).ok_or_else(|| failed("it is not open"))?;
    let listens = getsockopt(&fd, sockopt::AcceptConn).map_err(|_| failed("it is no socket"))?;
    let stream = getsockopt(&fd, sockopt::SockType).is_ok_and(|kind| kind == SockType::Stream);
    if !listens || !stream {
        return Err(failed("it is no listening stream socket"));
    }
    let failed = |error| Error::os("keep", format!("descriptor {number}"), error);
    if number > 2 {
        fcntl(&fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).map_err(|error| failed(error.into()))?;
        return Ok(fd);
    }
    // Something else will have this number, as soon as the supervisor gives up its standard input: the socket moves
    // above 2, where the standard library duplicates to, and the number stays taken until then.
    let moved = fd.try_clone().map_err(failed);
    mem::forget(fd);
    moved
}
