//! Where a child is handed its connections. All of it runs in the child: system calls alone.

use std::io;
use std::os::fd::RawFd;

use connection::Fd;

use super::super::Nest;
use super::words;
use crate::admit::Admitted;
use crate::listen::Listener;
use crate::sys;

/// A child's end of its pair, and what it is to close.
#[derive(Clone, Copy)]
pub(crate) struct Hatch {
    pub(super) end: RawFd,
    pub(super) first: RawFd,
    pub(super) tick: Option<u32>,
}

impl Hatch {
    /// Closes what is the supervisor's: its ends and those of the siblings, connections that have no child yet, and the
    /// listening sockets.
    pub(crate) fn close_the_rest(&self, listeners: &[Listener]) {
        sys::close_range(self.first, self.end - 1);
        sys::close_range(self.end + 1, RawFd::MAX);
        listeners.iter().for_each(|listener| sys::close(listener.as_fd_number()));
    }

    /// Waits for a connection; `None` when this child is to leave and has been given none.
    pub(crate) fn next_connection<'l>(
        &self,
        nest: &Nest<'_>,
        listeners: &'l [Listener],
    ) -> io::Result<Option<(&'l Listener, Admitted)>> {
        loop {
            match self.tick {
                // As where children accept for themselves.
                Some(tick) => nest.host.alarm.allow(tick + 60),
                None => nest.host.alarm.cancel(),
            }
            // Who is asked for its connection has closed it by now, and stays.
            let leaves = nest.host.pressure.is_draining() || nest.host.pressure.is_retired();
            let mut text = [0; words::TEXT];
            match sys::take(self.end, &mut text, !leaves) {
                Ok((_, socket)) => {
                    let (from, peer, local) = words::read(&text);
                    let from = listeners.get(from).or(listeners.first()).ok_or(io::ErrorKind::NotFound)?;
                    return Ok(Some((from, Admitted { socket, peer, local })));
                }
                Err(error) => match error.raw_os_error() {
                    Some(libc::EAGAIN) if leaves => return Ok(None),
                    Some(libc::EAGAIN | libc::EINTR) => {}
                    _ => return Err(error),
                },
            }
        }
    }

    /// The connection is closed.
    pub(crate) fn done(&self) {
        // It fails when the supervisor is gone, which the next wait finds out.
        let _ = sys::write_all(Fd(self.end), words::DONE);
    }
}
