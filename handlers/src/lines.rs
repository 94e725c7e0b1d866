//! Log lines: each one write, and none that waits for ever for a reader that does not read.

use connection::{Connection, Fd, Reader};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, IoSlice, ReadWriteFlags, pwritev2, write};

use crate::Text;
use crate::io::borrow;

/// So long, in seconds, a full pipe is waited for, before its reader is taken to have stalled.
const PATIENCE: i64 = 1;

/// Writes a line, if a log is wanted. One that cannot be written is counted, and must not end the connection.
pub(crate) fn log(connection: &Connection<'_>, line: &[u8]) {
    let Some(fd) = connection.log else { return };
    let reader = connection.host.reader;
    let owed = reader.owed();
    if owed > 0 && !tell(&fd, reader, owed) {
        reader.lose(owed);
    }
    if !put(&fd, reader, line) {
        reader.lose(1);
    }
}

/// Says how many lines are missing, where they are missing.
#[cold]
fn tell(fd: &Fd, reader: &Reader<'_>, lines: u32) -> bool {
    let mut space = [0; 96];
    let mut line = Text::new(&mut space);
    line.str("http: warning: ").decimal(lines.into()).str(" lines were lost: nobody read them, or there was no room\n");
    let told = put(fd, reader, line.as_bytes());
    if told {
        reader.reads();
    }
    told
}

/// Whether the whole line was written.
fn put(fd: &Fd, reader: &Reader<'_>, line: &[u8]) -> bool {
    // Room on a disk may end in the middle of a line; what follows begins a new one.
    if reader.is_torn() {
        match attempt(fd, reader, b"\n") {
            Ok(1) => reader.tear(false),
            _ => return false,
        }
    }
    for _ in 0..4 {
        match attempt(fd, reader, line) {
            Ok(len) if len == line.len() => return true,
            Ok(len) => {
                reader.tear(len > 0);
                return false;
            }
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) if reader.may_wait() && is_writable(fd) => {}
            Err(Errno::AGAIN) => {
                reader.stall();
                return false;
            }
            Err(Errno::OPNOTSUPP | Errno::INVAL | Errno::NOSYS | Errno::PERM) if !reader.is_file() => {
                reader.take_as_file()
            }
            Err(_) => return false,
        }
    }
    false
}

fn attempt(fd: &Fd, reader: &Reader<'_>, line: &[u8]) -> Result<usize, Errno> {
    if reader.is_file() {
        return write(borrow(fd), line);
    }
    // The offset -1 means the file's own, as write has it.
    pwritev2(borrow(fd), &[IoSlice::new(line)], u64::MAX, ReadWriteFlags::NOWAIT)
}

fn is_writable(fd: &Fd) -> bool {
    let patience = Timespec { tv_sec: PATIENCE, tv_nsec: 0 };
    poll(&mut [PollFd::from_borrowed_fd(borrow(fd), PollFlags::OUT)], Some(&patience)) != Ok(0)
}
