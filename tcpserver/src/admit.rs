//! Taking connections out of the kernel's queue, and what to do when that fails.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use connection::{Connection, Endpoint, Fd, Host};
use nix::errno::Errno;

use crate::listen::Listener;
use crate::sys::{self, Peer};

/// A connection that was accepted and is not yet given to a child.
pub struct Admitted {
    /// The connected socket, close-on-exec.
    pub socket: OwnedFd,
    /// The client; `None` on a Unix socket.
    pub peer: Peer,
    /// Our end as a balancer told it; `None` to ask the kernel.
    pub local: Peer,
}

/// Why there was no connection.
pub enum Nothing {
    /// None waits, or the one that did is gone again. The next one may be fine.
    Gone,
    /// A signal came first.
    Interrupted,
    /// The socket does not listen any more: we, or somebody else who holds it, shut it down.
    Closed(io::Error),
    /// Not now: descriptors or memory are short. Trying again at once would spin.
    Exhausted(io::Error),
}

/// Accepts one connection.
pub fn accept(listener: &Listener) -> Result<Admitted, Nothing> {
    match sys::accept(listener.as_fd()) {
        Ok((socket, peer)) => {
            listener.prepare(socket.as_fd());
            Ok(Admitted { socket, peer, local: None })
        }
        Err(error) => Err(match error.raw_os_error().map_or(Errno::EIO, Errno::from_raw) {
            Errno::EINTR => Nothing::Interrupted,
            Errno::EINVAL => Nothing::Closed(error),
            Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM => Nothing::Exhausted(error),
            // EAGAIN, and what accept(2) passes on from a connection that failed while it was queued.
            _ => Nothing::Gone,
        }),
    }
}

/// The two ends as text: the peer from accept, ours from the listener or, on a wildcard address, from the kernel.
pub(crate) fn endpoints(listener: &Listener, admitted: &Admitted) -> (Endpoint, Endpoint) {
    (endpoint(admitted.peer), endpoint(local(listener, admitted)))
}

/// Our end: what a balancer says, the listener's, or, on a wildcard address, what the kernel says.
pub(crate) fn local(listener: &Listener, admitted: &Admitted) -> Peer {
    let ask = || if listener.is_wildcard() { sys::local_address(admitted.socket.as_fd()) } else { listener.local() };
    admitted.local.or_else(ask)
}

/// The connection as a handler sees it.
pub(crate) fn connection<'a>(
    from: &Listener,
    admitted: &Admitted,
    log: Option<Fd>,
    host: &'a Host<'a>,
) -> Connection<'a> {
    let (peer, local) = endpoints(from, admitted);
    let socket = Fd(admitted.socket.as_raw_fd());
    Connection { input: socket, output: socket, peer, local, log, host }
}

/// An address as text; empty when there is none.
pub(crate) fn endpoint(address: Peer) -> Endpoint {
    address.map_or(Endpoint::UNKNOWN, Endpoint::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listen::Tuning;

    /// It is for ever ready: whoever took this for a connection that is gone would try again without a pause.
    #[test]
    fn a_socket_that_was_shut_down_says_so() {
        let listener = Listener::bind(&"127.0.0.1:0".parse().unwrap(), Tuning::default()).unwrap();
        listener.refuse();
        assert!(matches!(accept(&listener), Err(Nothing::Closed(_))));
    }
}
