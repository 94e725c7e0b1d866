//! Listening sockets that are there already: from the process that we replace, from a service manager, or from inetd.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use tcpserver::Error;
use tcpserver::confine::close_inherited_but;
use tcpserver::inherit;
use tcpserver::upgrade::{Handover, Told};

use crate::settings::Serve;

/// Who made them.
pub enum Sockets {
    /// We will.
    Own,
    /// They are lent: whoever made them keeps them when we end.
    Lent(Vec<OwnedFd>),
    /// The process before us made room.
    Handed(Handover),
}

/// Whether a service manager, or the process before us that has them from there, lends us sockets.
pub fn are_lent() -> bool {
    inherit::manager_hands_over() || matches!(Told::from_environment(), Ok(Some(told)) if told.is_lent())
}

impl Sockets {
    /// Takes those that there are, and closes every other descriptor above 2 that was left open: the first thing to do.
    pub fn take(settings: &Serve) -> Result<Sockets, Error> {
        if let Some(told) = Told::from_environment()? {
            close_inherited_but(&told.descriptors())?;
            return told.take().map(Sockets::Handed);
        }
        let serves = !settings.check && !settings.inetd;
        if serves && inherit::manager_hands_over() {
            close_inherited_but(&inherit::numbers_from_manager()?)?;
            return inherit::from_manager().map(Sockets::Lent);
        }
        close_inherited_but(&[])?;
        if serves && settings.inetd_wait {
            return from_inetd().map(|socket| Sockets::Lent(vec![socket]));
        }
        Ok(Sockets::Own)
    }

    /// Whether whoever we are was decided by the process before us.
    pub fn are_handed(&self) -> bool {
        matches!(self, Sockets::Handed(_))
    }
}

/// The socket on descriptor 0. inetd puts it on 1 and 2 too, where nothing of ours must be written.
fn from_inetd() -> Result<OwnedFd, Error> {
    let is_it = |fd: BorrowedFd<'_>| is_same_socket(io::stdin().as_fd(), fd);
    let (out, err) = (is_it(io::stdout().as_fd()), is_it(io::stderr().as_fd()));
    let remedy = "--inetd-wait is for inetd, with wait in its line";
    let socket = inherit::take(0).map_err(|error| error.remedy(remedy))?;
    let failed = |error: io::Error| Error::os("open", "/dev/null", error);
    let null = File::options().read(true).write(true).open("/dev/null").map_err(failed)?;
    let put = || {
        nix::unistd::dup2_stdin(&null)?;
        if out {
            nix::unistd::dup2_stdout(&null)?;
        }
        if err {
            nix::unistd::dup2_stderr(&null)?;
        }
        nix::Result::Ok(())
    };
    put().map_err(|error| failed(error.into()))?;
    Ok(socket)
}

/// Whether these are the same socket.
pub fn is_same_socket(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> bool {
    let meta = |fd: BorrowedFd<'_>| fd.try_clone_to_owned().and_then(|fd| File::from(fd).metadata());
    match (meta(one), meta(other)) {
        (Ok(a), Ok(b)) => a.file_type().is_socket() && (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}
