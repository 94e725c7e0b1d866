//! One connection of the load generator: never waits, goes on when the kernel says that it can.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, SockaddrStorage, bind, connect, getsockopt, recv, send, setsockopt,
    socket, sockopt,
};

use crate::bench::http::answer::{self, Problem};

/// A body of which so much is missing is not looked at: MSG_TRUNC has the kernel throw it away (tcp(7)), which spares
/// the generator the copying.
const NOT_LOOKED_AT: u64 = 64 * 1024;

/// A connection and how far its exchange is.
pub struct Connection {
    socket: OwnedFd,
    stage: Stage,
    /// The beginning of a head whose end has not come.
    partial: Vec<u8>,
    status: u16,
    close: bool,
    /// Answers that it has had.
    answers: u32,
}

#[derive(Clone, Copy, PartialEq)]
enum Stage {
    Connecting,
    /// Nothing was asked.
    Idle,
    /// The head has not come in full.
    Head,
    /// So much of the body is missing.
    Body(u64),
    /// The answer ends with the connection.
    ToEnd,
}

/// How far an exchange is now.
#[derive(Debug, PartialEq)]
pub enum Progress {
    /// More must come.
    More,
    /// The answer is complete.
    Done {
        /// 200 and so on.
        status: u16,
        /// Whether the connection can be asked again.
        keep: bool,
    },
    /// The server had closed the connection before it saw the request: nobody's fault, to be asked on another one.
    Stale,
    /// It ended otherwise than it should.
    Failed(String),
}

impl Connection {
    /// Begins to connect, from the given address of this machine if there is one.
    pub fn open(to: SocketAddr, from: Option<Ipv4Addr>) -> Result<Connection, Errno> {
        let family = if to.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let socket = socket(family, SockType::Stream, flags, None)?;
        if let Some(from) = from {
            // The port is chosen by connect, which knows the other end, so that it may be one that is in use elsewhere.
            setsockopt(&socket, sockopt::IpBindAddressNoPort, &true)?;
            bind(socket.as_raw_fd(), &SockaddrStorage::from(SocketAddrV4::new(from, 0)))?;
        }
        let stage = match connect(socket.as_raw_fd(), &SockaddrStorage::from(to)) {
            Ok(()) => Stage::Idle,
            Err(Errno::EINPROGRESS) => Stage::Connecting,
            Err(error) => return Err(error),
        };
        Ok(Connection { socket, stage, partial: Vec::new(), status: 0, close: false, answers: 0 })
    }

    /// Whether the kernel has yet to say that it is connected.
    pub fn is_connecting(&self) -> bool {
        self.stage == Stage::Connecting
    }

    /// Whether a request can be sent.
    pub fn is_idle(&self) -> bool {
        self.stage == Stage::Idle
    }

    /// The kernel says that connecting has ended: how?
    pub fn connected(&mut self) -> Result<(), Errno> {
        match getsockopt(&self.socket, sockopt::SocketError)? {
            0 => self.stage = Stage::Idle,
            error => return Err(Errno::from_raw(error)),
        }
        Ok(())
    }

    /// Sends a request, which fits into any socket's buffer.
    pub fn ask(&mut self, request: &[u8]) -> Progress {
        self.stage = Stage::Head;
        match send(self.socket.as_raw_fd(), request, MsgFlags::MSG_NOSIGNAL) {
            Ok(sent) if sent == request.len() => Progress::More,
            Ok(_) => Progress::Failed("unable to send a whole request".into()),
            Err(error) => self.ended(error),
        }
    }

    /// Receives what there is into the buffer. Returns how many bytes came, and how far it is.
    pub fn receive(&mut self, buffer: &mut [u8]) -> (u64, Progress) {
        let mut bytes = 0;
        loop {
            let (room, flags) = match self.stage {
                Stage::Body(left) if left >= NOT_LOOKED_AT => (buffer.len().min(left as usize), MsgFlags::MSG_TRUNC),
                _ => (buffer.len(), MsgFlags::empty()),
            };
            let progress = match recv(self.socket.as_raw_fd(), &mut buffer[..room], flags) {
                Ok(0) => self.ended(Errno::ECONNRESET),
                Ok(length) => {
                    bytes += length as u64;
                    match self.take(&buffer[..length]) {
                        Ok(()) => self.progress(),
                        Err(problem) => Progress::Failed(problem.to_string()),
                    }
                }
                Err(Errno::EAGAIN) => return (bytes, Progress::More),
                Err(Errno::EINTR) => Progress::More,
                Err(error) => self.ended(error),
            };
            if progress != Progress::More {
                return (bytes, progress);
            }
        }
    }

    /// Goes on by these bytes.
    fn take(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        match self.stage {
            Stage::Body(left) => {
                self.stage = Stage::Body(left.saturating_sub(bytes.len() as u64));
                return Ok(());
            }
            Stage::ToEnd => return Ok(()),
            _ => {}
        }
        let have = if self.partial.is_empty() {
            bytes
        } else {
            self.partial.extend_from_slice(bytes);
            &self.partial
        };
        let Some(head) = answer::parse(have)? else {
            if self.partial.is_empty() {
                self.partial.extend_from_slice(bytes);
            }
            return Ok(());
        };
        let body = (have.len() - head.length) as u64;
        (self.status, self.close) = (head.status, head.close);
        self.stage = match head.body {
            Some(length) => Stage::Body(length.saturating_sub(body)),
            None => Stage::ToEnd,
        };
        self.partial.clear();
        Ok(())
    }

    fn progress(&mut self) -> Progress {
        if self.stage != Stage::Body(0) {
            return Progress::More;
        }
        self.stage = Stage::Idle;
        self.answers += 1;
        Progress::Done { status: self.status, keep: !self.close }
    }

    /// What the end of the connection means now.
    fn ended(&self, error: Errno) -> Progress {
        match self.stage {
            Stage::ToEnd => Progress::Done { status: self.status, keep: false },
            Stage::Idle => Progress::Stale,
            Stage::Head if self.answers > 0 && self.partial.is_empty() => Progress::Stale,
            Stage::Connecting => Progress::Failed(format!("connecting: {}", error.desc())),
            Stage::Head | Stage::Body(_) => {
                Progress::Failed(format!("the connection ended before the answer: {}", error.desc()))
            }
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
