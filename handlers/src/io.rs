//! Bytes in and out of a connection, with its timeouts.
//!
//! On the fast path each function here is one system call. A socket from a listener with timeouts reports their end as
//! EAGAIN; only then is the clock looked at. Signals are EINTR; SIGPIPE is never asked for.

use core::cell::Cell;
use core::mem::MaybeUninit;

use connection::{Clock, Connection, Fd, Host, Outcome, Time};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::BorrowedFd;
use rustix::fs::OFlags;
use rustix::io::{Errno, IoSlice};
use rustix::net::{SendAncillaryBuffer, SendFlags, Shutdown};

use crate::date::{Date, IMF};
use crate::{Settings, Text};

/// The first piece of a file that is given to sendfile at once; what follows adapts.
pub(crate) const PIECE: u64 = 128 << 10;
const SLOW_PIECE: u64 = 64 << 10;
const LARGEST_PIECE: u64 = 2 << 20;
/// How long to read what a client sends behind its last answer, in seconds.
const LINGER: u32 = 2;
/// A client that takes a piece at less than this, in bytes a second, is ended by the alarm.
const SLOWEST: u64 = 1 << 10;

/// What a read brought.
pub(crate) enum Read {
    /// So many bytes, at least one.
    Bytes(usize),
    /// The client sends no more.
    End,
    /// The deadline has passed.
    TimedOut,
    /// A signal came.
    Interrupted,
    /// The connection broke.
    Broken,
}

/// How sending ended, and how much of it was done.
pub(crate) struct Sent {
    /// Bytes that the kernel took.
    pub(crate) bytes: u64,
    /// Why it ended early, if it did.
    pub(crate) end: Result<(), Failure>,
}

/// Why not everything was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The client took nothing for too long, or went away.
    Client,
    /// The file ended before its announced length.
    Shrunk,
    /// The file could not be read.
    File,
    /// A script ended before its answer did.
    Script,
}

/// A descriptor number, for one system call.
#[allow(unsafe_code, reason = "a number that crossed the seam becomes a descriptor here and nowhere else")]
pub(crate) fn borrow(fd: &Fd) -> BorrowedFd<'_> {
    // SAFETY: the caller of a handler keeps the connection's descriptors open until the handler returns (the contract of
    // `connection::Handler`), this crate closes none of them, and -1 is never handed over.
    unsafe { BorrowedFd::borrow_raw(fd.0) }
}

/// A connection's two directions.
pub(crate) struct Stream<'c> {
    pub(crate) connection: &'c Connection<'c>,
    pub(crate) host: &'c Host<'c>,
    input: Fd,
    output: Fd,
    write_timeout: u32,
    poll: bool,
    /// `output` is a socket, as far as is known.
    socket: Cell<bool>,
    /// The date that was written last, and as what: many responses have the same.
    date: Cell<(i64, [u8; 29])>,
}

impl<'c> Stream<'c> {
    pub(crate) fn new(connection: &'c Connection<'c>, settings: &Settings<'_>) -> Stream<'c> {
        Stream {
            connection,
            host: connection.host,
            input: connection.input,
            output: connection.output,
            write_timeout: settings.write_timeout,
            poll: settings.poll,
            socket: Cell::new(true),
            date: Cell::new((i64::MIN, [0; 29])),
        }
    }

    /// Where the client's bytes come from, and whether that is a socket.
    pub(crate) fn client(&self) -> (BorrowedFd<'_>, bool) {
        (borrow(&self.input), !self.poll)
    }

    /// How long a client may take nothing, in seconds.
    pub(crate) fn write_timeout(&self) -> u32 {
        self.write_timeout
    }

    pub(crate) fn now(&self) -> Time {
        (self.host.now)(Clock::Monotonic)
    }

    /// A point in time so many seconds from now.
    pub(crate) fn in_seconds(&self, seconds: u32) -> Time {
        after(self.now(), seconds)
    }

    /// A date as HTTP has it.
    pub(crate) fn date(&self, seconds: i64) -> [u8; 29] {
        let (known, mut date) = self.date.get();
        if known != seconds {
            Date::from_unix(seconds).write(&mut Text::new(&mut date), &IMF);
            self.date.set((seconds, date));
        }
        date
    }

    /// Lets the process live until the longest of the timeouts has passed without any progress from `now` on.
    pub(crate) fn allow(&self, now: Time, settings: &Settings<'_>) {
        let slack = if self.poll { 0 } else { (PIECE / SLOWEST) as u32 };
        self.host.alarm.allow_from(now, settings.longest() + slack);
        if let Some(progress) = self.host.progress {
            progress.moved(now);
        }
    }

    /// So many more bytes went to the client.
    #[inline(never)]
    fn count(&self, bytes: usize) {
        if let Some(progress) = self.host.progress {
            progress.sent(bytes as u64);
        }
    }

    /// Waits for bytes until `deadline`.
    pub(crate) fn read(&self, buffer: &mut [u8], deadline: Time) -> Read {
        let input = borrow(&self.input);
        let mut wait = self.poll;
        loop {
            if wait {
                match self.wait(input, PollFlags::IN, deadline) {
                    Ok(true) => {}
                    Ok(false) => return Read::TimedOut,
                    Err(Errno::INTR) => return Read::Interrupted,
                    Err(_) => return Read::Broken,
                }
            }
            match rustix::io::read(input, &mut *buffer) {
                Ok(0) => return Read::End,
                Ok(len) => return Read::Bytes(len),
                Err(Errno::INTR) => return Read::Interrupted,
                // The socket's own timeout, which may be shorter than ours, or somebody made the descriptor non-blocking.
                Err(Errno::AGAIN) => wait = true,
                Err(_) => return Read::Broken,
            }
        }
    }

    /// Whether there is something to be read, or the end.
    #[cold]
    #[inline(never)]
    pub(crate) fn has_input(&self) -> bool {
        let now = self.now();
        loop {
            match self.wait(borrow(&self.input), PollFlags::IN, now) {
                Err(Errno::INTR) => {}
                ready => break ready == Ok(true),
            }
        }
    }

    /// Whether something happens on `fd` before `deadline`.
    fn wait(&self, fd: BorrowedFd<'_>, events: PollFlags, deadline: Time) -> Result<bool, Errno> {
        let micros = deadline.micros_since(self.now());
        let timeout = Timespec { tv_sec: (micros / 1_000_000) as i64, tv_nsec: (micros % 1_000_000 * 1_000) as i64 };
        poll(&mut [PollFd::from_borrowed_fd(fd, events)], Some(&timeout)).map(|ready| ready > 0)
    }

    /// Sends two pieces of memory, as one segment where they fit one. With `more`, the kernel may hold them back for what
    /// follows.
    pub(crate) fn send(&self, first: &[u8], second: &[u8], more: bool) -> Sent {
        let (mut first, mut second) = (first, second);
        let mut bytes = 0;
        while !first.is_empty() || !second.is_empty() {
            match self.send_once(first, second, more) {
                Ok(len) => {
                    self.count(len);
                    bytes += len as u64;
                    let of_first = len.min(first.len());
                    first = first.get(of_first..).unwrap_or_default();
                    second = second.get(len - of_first..).unwrap_or_default();
                }
                Err(Errno::INTR) => {}
                Err(Errno::NOTSOCK) if self.socket.get() => self.socket.set(false),
                Err(Errno::AGAIN) if self.writable_after_all() => {}
                Err(_) => return Sent { bytes, end: Err(Failure::Client) },
            }
        }
        Sent { bytes, end: Ok(()) }
    }

    fn send_once(&self, first: &[u8], second: &[u8], more: bool) -> Result<usize, Errno> {
        let output = borrow(&self.output);
        let parts = [IoSlice::new(first), IoSlice::new(second)];
        if !self.socket.get() {
            return rustix::io::writev(output, &parts);
        }
        let flags = if more { SendFlags::NOSIGNAL | SendFlags::MORE } else { SendFlags::NOSIGNAL };
        rustix::net::sendmsg(output, &parts, &mut SendAncillaryBuffer::default(), flags)
    }

    /// Sends `len` bytes of `file` from `offset`, without a copy in user space where the kernel can.
    ///
    /// The pieces are large while the client is fast. The alarm is put off after each, so that it stands for a client
    /// that takes nothing at all; a socket's own timeout ends that more politely, and before.
    pub(crate) fn send_file(&self, file: BorrowedFd<'_>, offset: u64, len: u64) -> Sent {
        let (mut offset, end) = (offset, offset + len);
        let start = offset;
        let mut piece = if self.poll { SLOW_PIECE } else { PIECE };
        let mut started = self.now();
        let sent = |offset, end| Sent { bytes: offset - start, end };
        while offset < end {
            let want = piece.min(end - offset);
            let slack = if self.poll { 0 } else { (piece / SLOWEST) as u32 };
            self.host.alarm.allow(self.write_timeout.saturating_add(slack));
            match rustix::fs::sendfile(borrow(&self.output), file, Some(&mut offset), want as usize) {
                Ok(0) => return sent(offset, Err(Failure::Shrunk)),
                Ok(len) if offset >= end || self.poll => self.count(len),
                Ok(len) => {
                    self.count(len);
                    let now = self.now();
                    let fast = now.micros_since(started) < 1_000_000;
                    piece = if fast { (piece * 2).min(LARGEST_PIECE) } else { SLOW_PIECE };
                    started = now;
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) if self.writable_after_all() => {}
                Err(Errno::INVAL | Errno::NOSYS) => return self.copy_file(file, start, offset, end),
                Err(Errno::IO) => return sent(offset, Err(Failure::File)),
                Err(_) => return sent(offset, Err(Failure::Client)),
            }
        }
        sent(offset, Ok(()))
    }

    /// The same by read and write, for the files and outputs that sendfile does not know.
    // A frame of its own: where the stack is probed page by page, a large one in the caller would cost each process its pages.
    #[cold]
    #[inline(never)]
    fn copy_file(&self, file: BorrowedFd<'_>, start: u64, mut offset: u64, end: u64) -> Sent {
        let mut space = [MaybeUninit::<u8>::uninit(); 32 << 10];
        while offset < end {
            let want = space.len().min((end - offset) as usize);
            let room = space.get_mut(..want).unwrap_or_default();
            self.host.alarm.allow(self.write_timeout);
            let (failure, len) = match rustix::io::pread(file, room, offset) {
                Ok(([], _)) => (Err(Failure::Shrunk), 0),
                Ok((bytes, _)) => {
                    let sent = self.send(bytes, &[], false);
                    (sent.end, sent.bytes)
                }
                Err(Errno::INTR) => continue,
                Err(_) => (Err(Failure::File), 0),
            };
            offset += len;
            if failure.is_err() {
                return Sent { bytes: offset - start, end: failure };
            }
        }
        Sent { bytes: offset - start, end: Ok(()) }
    }

    /// After EAGAIN from a write. A blocking socket says so when its timeout has passed: that is the end. A descriptor
    /// that somebody made non-blocking says so at once, and is waited for.
    #[cold]
    fn writable_after_all(&self) -> bool {
        let output = borrow(&self.output);
        let non_blocking = rustix::fs::fcntl_getfl(output).is_ok_and(|flags| flags.contains(OFlags::NONBLOCK));
        non_blocking && {
            let deadline = self.in_seconds(self.write_timeout);
            loop {
                match self.wait(output, PollFlags::OUT, deadline) {
                    Err(Errno::INTR) => {}
                    ready => break ready == Ok(true),
                }
            }
        }
    }

    /// Ends our direction and reads what the client still sends, for a moment: closing a socket with unread bytes resets
    /// it, and a reset may destroy the answer before the client has read it.
    #[cold]
    #[inline(never)]
    pub(crate) fn linger(&self) {
        if !self.socket.get() || rustix::net::shutdown(borrow(&self.output), Shutdown::Write).is_err() {
            return;
        }
        self.host.alarm.allow(LINGER);
        let deadline = self.in_seconds(LINGER);
        let input = borrow(&self.input);
        let mut space = [MaybeUninit::<u8>::uninit(); 4096];
        let mut left = 1usize << 20;
        while left > 0 && self.wait(input, PollFlags::IN, deadline) == Ok(true) {
            match rustix::io::read(input, &mut space[..]) {
                Ok(([], _)) | Err(_) => return,
                Ok((bytes, _)) => left = left.saturating_sub(bytes.len()),
            }
        }
    }
}

/// For protocols that only send: the client going away is their normal end.
pub(crate) fn outcome(sent: &Sent) -> Outcome {
    match sent.end {
        Ok(()) | Err(Failure::Client) => Outcome::Served,
        Err(_) => Outcome::Fault,
    }
}

/// The same point in time, so many seconds later.
pub(crate) fn after(time: Time, seconds: u32) -> Time {
    Time { seconds: time.seconds + i64::from(seconds), ..time }
}
