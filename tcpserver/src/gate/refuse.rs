//! Turning a client away without a child: a word, an end that it can read, and no waiting for it.
//!
//! A socket that is closed with bytes unread resets the connection, and the reset takes away what the client has not
//! read yet. So the sending half is shut down, and the rest a little later, when what the client sent meanwhile has been
//! thrown away. The places to wait in are few: in a flood, the one that waited longest goes.

use std::collections::VecDeque;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use nix::sys::socket::{MsgFlags, Shutdown, recv, send, shutdown};

/// How long a client has to read its word, in microseconds.
const LINGER: u64 = 2_000_000;

/// How many clients may be reading theirs.
const PLACES: usize = 64;

/// Connections on their way out.
pub struct WayOut {
    /// Each with the time to close it; the first is due first.
    leaving: VecDeque<(OwnedFd, u64)>,
}

impl Default for WayOut {
    fn default() -> Self {
        WayOut { leaving: VecDeque::with_capacity(PLACES) }
    }
}

impl WayOut {
    /// Says `message` as far as the socket takes it at once, and ends the connection.
    pub fn show(&mut self, socket: OwnedFd, message: &[u8], now: u64) {
        // Whatever fails here, the client is gone.
        if message.is_empty() {
            return swallow(&socket);
        }
        let _ = send(socket.as_raw_fd(), message, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL);
        let _ = shutdown(socket.as_raw_fd(), Shutdown::Write);
        if self.leaving.len() == PLACES
            && let Some((oldest, _)) = self.leaving.pop_front()
        {
            swallow(&oldest);
        }
        self.leaving.push_back((socket, now + LINGER));
    }

    /// When [`WayOut::close_due`] has something to do, in microseconds of the monotonic clock.
    #[must_use]
    pub fn next(&self) -> Option<u64> {
        self.leaving.front().map(|&(_, due)| due)
    }

    /// Their descriptors.
    pub fn descriptors(&self) -> impl Iterator<Item = RawFd> {
        self.leaving.iter().map(|(socket, _)| socket.as_raw_fd())
    }

    /// Closes those who had their time.
    pub fn close_due(&mut self, now: u64) {
        while self.next().is_some_and(|due| due <= now) {
            self.leaving.pop_front().iter().for_each(|(socket, _)| swallow(socket));
        }
    }
}

/// Throws away what a client sent, as far as it has arrived: a reasonable amount, for it may be sending for ever.
fn swallow(socket: &OwnedFd) {
    let mut bytes = [0; 4096];
    let mut more = || recv(socket.as_raw_fd(), &mut bytes, MsgFlags::MSG_DONTWAIT).is_ok_and(|read| read > 0);
    (0..16).take_while(|_| more()).for_each(drop);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    fn pair(listener: &TcpListener) -> (TcpStream, OwnedFd) {
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (client, listener.accept().unwrap().0.into())
    }

    /// The client has sent what nobody reads: that must not cost it the message.
    #[test]
    fn the_message_arrives_and_then_the_end() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut out = WayOut::default();
        for late in [false, true] {
            let (mut client, socket) = pair(&listener);
            if !late {
                client.write_all(&[b'x'; 10_000]).unwrap();
            }
            out.show(socket, b"come back later\r\n", 0);
            if late {
                client.write_all(&[b'x'; 10_000]).unwrap();
            }
            assert_eq!(out.next(), Some(LINGER));
            out.close_due(LINGER);
            assert_eq!(out.next(), None);
            let mut said = String::new();
            client.read_to_string(&mut said).unwrap();
            assert_eq!(said, "come back later\r\n");
        }
    }

    #[test]
    fn a_flood_holds_no_more_than_the_places() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut out = WayOut::default();
        let mut clients = Vec::new();
        for _ in 0..PLACES + 10 {
            let (client, socket) = pair(&listener);
            out.show(socket, b"no", 0);
            clients.push(client);
        }
        assert_eq!(out.leaving.len(), PLACES);
        for mut client in clients {
            let mut said = Vec::new();
            drop(client.shutdown(std::net::Shutdown::Write));
            if out.next().is_some() {
                out.close_due(u64::MAX);
            }
            client.read_to_end(&mut said).unwrap();
            assert_eq!(said, b"no");
        }
    }
}
