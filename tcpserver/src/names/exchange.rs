//! Asking: which server, how often, over what.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use super::message::{Question, Verdict};
use super::{Deadline, Stream};

use nix::errno::Errno;

/// How long each server has in each round. Those that have not answered get the question again.
const ROUNDS: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(3), Duration::from_secs(11), Duration::from_secs(45)];

/// How long an answer may take over TCP.
const TCP: Duration = Duration::from_secs(10);

/// The most that a message can be.
const LARGEST: usize = 65535;

/// The answer of the first server that has one.
///
/// # Errors
///
/// What the last one asked failed with; ETIMEDOUT at the deadline; EAGAIN where servers answered that they cannot.
pub fn exchange(question: &mut Question, servers: &[SocketAddr], deadline: Deadline) -> io::Result<Vec<u8>> {
    let mut failure = Errno::ETIMEDOUT.into();
    for round in ROUNDS {
        for &server in servers {
            deadline.timeout()?;
            question.renew()?;
            match ask(question, server, deadline.min(Deadline::after(round))) {
                Ok(Some(answer)) => return Ok(answer),
                Ok(None) => match ask_at_length(question, server, deadline.min(Deadline::after(TCP))) {
                    Ok(answer) => return Ok(answer),
                    Err(error) => failure = error,
                },
                Err(error) => failure = error,
            }
        }
    }
    Err(failure)
}

/// Over UDP, once; `None` when the answer is too long for that.
///
/// From a socket of its own, whose port the kernel chooses at random, and which takes datagrams from this server alone:
/// with the random number in the question that is what a forged answer has to guess (RFC 5452).
fn ask(question: &Question, server: SocketAddr, deadline: Deadline) -> io::Result<Option<Vec<u8>>> {
    let any: SocketAddr =
        if server.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    let socket = UdpSocket::bind(any)?;
    socket.connect(server)?;
    socket.send(&question.bytes())?;
    let mut bytes = vec![0; LARGEST];
    loop {
        socket.set_read_timeout(Some(deadline.timeout()?))?;
        let len = match socket.recv(&mut bytes) {
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(Errno::ETIMEDOUT.into()),
            Err(error) => return Err(error),
        };
        match question.judge(&bytes[..len]) {
            Verdict::Stranger => {}
            Verdict::Truncated => return Ok(None),
            Verdict::Failed => return Err(Errno::EAGAIN.into()),
            Verdict::Answer => {
                bytes.truncate(len);
                return Ok(Some(bytes));
            }
        }
    }
}

/// Over TCP, where a length precedes each message (RFC 1035, 4.2.2).
fn ask_at_length(question: &Question, server: SocketAddr, deadline: Deadline) -> io::Result<Vec<u8>> {
    let mut stream = Stream::connect(server, None, deadline)?;
    let message = question.bytes();
    // A name has 255 bytes at most, and a question little more.
    let length = u16::try_from(message.len()).map_err(|_| Errno::EMSGSIZE)?;
    stream.write_all(&[&length.to_be_bytes(), message.as_slice()].concat())?;
    let mut length = [0; 2];
    stream.read_exact(&mut length).map_err(cut_short)?;
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut answer).map_err(cut_short)?;
    match question.judge(&answer) {
        Verdict::Answer => Ok(answer),
        _ => Err(Errno::EAGAIN.into()),
    }
}

/// A server that closes the connection before it has answered is one that cannot.
fn cut_short(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::UnexpectedEof { Errno::EAGAIN.into() } else { error }
}
