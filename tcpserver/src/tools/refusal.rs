//! The conversation of rblsmtpd(1) with a client whose mail is not wanted (RFC 5321, as far as it takes to say so).

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{read, write};

use crate::names::Deadline;

/// The conversation in which nothing is taken: every command that could lead to a message is answered with `message`,
/// for at most so many seconds. With 0 seconds that is all that is said.
pub fn converse(message: &[u8], seconds: u64) -> io::Result<()> {
    // A client that does not read it has no more than an instant without patience.
    let deadline = Deadline::after(Duration::from_secs(seconds.max(1)));
    if seconds == 0 {
        return put(message, deadline);
    }
    put(b"220 rblsmtpd.local\r\n", deadline)?;
    let mut input = Input::default();
    while let Some(command) = input.command(deadline)? {
        match command.to_ascii_lowercase().as_slice() {
            b"quit" => return put(b"221 rblsmtpd.local\r\n", deadline),
            b"helo" | b"ehlo" | b"mail" | b"rset" | b"noop" => put(b"250 rblsmtpd.local\r\n", deadline)?,
            _ => put(message, deadline)?,
        }
    }
    Ok(())
}

/// The client's lines.
#[derive(Default)]
struct Input {
    bytes: Vec<u8>,
    /// Behind the lines that were taken already.
    at: usize,
}

impl Input {
    /// The first word of the next line; `None` at the end.
    fn command(&mut self, deadline: Deadline) -> io::Result<Option<Vec<u8>>> {
        /// A command is a few letters; of a longer line no more is kept.
        const KEPT: usize = 16;
        let mut line = Vec::new();
        loop {
            if self.at == self.bytes.len() {
                self.bytes.resize(512, 0);
                let len = wait(io::stdin().as_fd(), PollFlags::POLLIN, deadline, |fd| read(fd, &mut self.bytes))?;
                self.bytes.truncate(len);
                self.at = 0;
                if len == 0 {
                    return Ok(None);
                }
            }
            let byte = self.bytes[self.at];
            self.at += 1;
            if byte == b'\n' {
                break;
            }
            if line.len() < KEPT {
                line.push(byte);
            }
        }
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        Ok(Some(line.split(|&byte| byte == b' ').next().unwrap_or_default().to_vec()))
    }
}

fn put(mut bytes: &[u8], deadline: Deadline) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = wait(io::stdout().as_fd(), PollFlags::POLLOUT, deadline, |fd| write(fd, bytes))?;
        bytes = &bytes[written..];
    }
    Ok(())
}

/// Waits until `work` will not block, and does it; ETIMEDOUT at the deadline.
fn wait<'fd>(
    fd: BorrowedFd<'fd>,
    flags: PollFlags,
    deadline: Deadline,
    mut work: impl FnMut(BorrowedFd<'fd>) -> nix::Result<usize>,
) -> io::Result<usize> {
    loop {
        let left = deadline.timeout()? + Duration::from_micros(999);
        match poll(&mut [PollFd::new(fd, flags)], PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)) {
            Ok(0) | Err(Errno::EINTR) => continue,
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        match work(fd) {
            Err(Errno::EINTR | Errno::EAGAIN) => {}
            done => return Ok(done?),
        }
    }
}
