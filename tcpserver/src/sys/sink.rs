//! Where log lines go, without waiting for ever for a reader that does not read.
//!
//! Descriptor 2 is shared with whoever started us and with every program, so O_NONBLOCK is not ours to set on it. Each
//! write says for itself that it does not wait (RWF_NOWAIT), or, where the kernel knows no such write for what the
//! descriptor is, poll(2) is asked before.

use std::mem;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};

use libc::{c_int, c_void, iovec};

use super::raw;

/// So long, in seconds, a full pipe is waited for. Whoever has read nothing of it then is taken to have stalled, and
/// is not waited for again before a line went out.
const PATIENCE: i64 = 1;

/// Of how many pieces a line may consist.
const PIECES: usize = 4;

/// By what call a line is written.
const NOT_WAITING: u8 = 0;
const ASKING_FIRST: u8 = 1;
const PLAINLY: u8 = 2;

/// A descriptor for log lines. What is known about its reader is shared with children that share our memory.
#[derive(Debug)]
pub struct Sink {
    to: c_int,
    way: AtomicU8,
    stalled: AtomicBool,
    /// Lines that nobody took.
    lost: AtomicU64,
    /// For a line that is a datagram of its own.
    datagram: Option<Beginnings>,
    /// The socket's other end is gone.
    broken: AtomicBool,
    /// The last line was begun and not ended.
    torn: AtomicBool,
}

/// Whether this is a regular file: those never wait for a reader.
pub fn is_file(number: c_int) -> bool {
    let mut stat = mem::MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: fstat writes a stat to a valid place; all-zero is a valid stat.
    let kind = unsafe {
        libc::fstat(number, stat.as_mut_ptr());
        stat.assume_init().st_mode & libc::S_IFMT
    };
    kind == libc::S_IFREG
}

/// What lines to syslogd begin with, in the place of the program's name.
#[derive(Debug)]
pub struct Beginnings {
    /// How much of each line that name is, with the colon and the blank behind it.
    pub name: usize,
    /// A warning's.
    pub warning: Vec<u8>,
    /// Any other's.
    pub info: Vec<u8>,
}

impl Sink {
    /// Writes to the descriptor `to`.
    pub fn new(to: c_int) -> Sink {
        let way = if is_file(to) { PLAINLY } else { NOT_WAITING };
        Sink {
            to,
            way: AtomicU8::new(way),
            stalled: AtomicBool::new(false),
            lost: AtomicU64::new(0),
            datagram: None,
            broken: AtomicBool::new(false),
            torn: AtomicBool::new(false),
        }
    }

    /// Writes to a connected datagram socket, of which syslogd is the other end.
    pub fn to_syslogd(to: c_int, beginnings: Beginnings) -> Sink {
        Sink { datagram: Some(beginnings), ..Sink::new(to) }
    }

    /// Whether there is nobody at the other end any more: it is to be connected anew.
    pub fn is_broken(&self) -> bool {
        self.broken.load(Relaxed)
    }

    /// Writes these pieces of whole lines, at most four, at once; or counts the lines as lost. Says
    /// whether they were written. System calls only: this runs in
    /// children on shared memory too.
    pub fn write(&self, pieces: &[&[u8]]) -> bool {
        let mut line = [&b""[..]; PIECES];
        line.iter_mut().zip(pieces).for_each(|(part, piece)| *part = piece);
        if let Some(beginnings) = &self.datagram {
            beginnings.take_over(&mut line);
        }
        let empty = iovec { iov_base: ptr::null_mut(), iov_len: 0 };
        let mut vector = [empty; PIECES];
        for (part, piece) in vector.iter_mut().zip(line) {
            *part = iovec { iov_base: piece.as_ptr().cast_mut().cast::<c_void>(), iov_len: piece.len() };
        }
        if self.torn.load(Relaxed) {
            self.torn.store(false, Relaxed);
            if !self.write(&[b"\n"]) {
                self.torn.store(true, Relaxed);
                // That was no line.
                self.forget(1);
                return self.lose(pieces);
            }
        }
        let len = line.iter().map(|piece| piece.len()).sum();
        // Once more after the first has told which way goes, or that waiting is needed.
        for _ in 0..3 {
            match self.attempt(&vector) {
                // Room on a disk may end in the middle of a line: what follows begins a new one, if it finds room.
                Ok(written) if written < len => {
                    self.torn.store(written > 0, Relaxed);
                    return self.lose(pieces);
                }
                Ok(_) => {
                    self.broken.store(false, Relaxed);
                    self.stalled.store(false, Relaxed);
                    return true;
                }
                Err(libc::EINTR) => {}
                Err(libc::EAGAIN) if self.may_wait() && self.is_writable(PATIENCE) => {}
                Err(libc::EAGAIN) => {
                    self.stalled.store(true, Relaxed);
                    return self.lose(pieces);
                }
                Err(libc::ECONNREFUSED | libc::ENOTCONN | libc::ECONNRESET | libc::ENOENT)
                    if self.datagram.is_some() =>
                {
                    self.broken.store(true, Relaxed);
                    self.lost.fetch_add(1, Relaxed);
                    return false;
                }
                Err(_) if self.way.load(Relaxed) == NOT_WAITING => self.way.store(ASKING_FIRST, Relaxed),
                // A full disk may have room again.
                Err(_) => return self.lose(pieces),
            }
        }
        self.lose(pieces)
    }

    /// Counts these lines as lost, and says that they were not written.
    fn lose(&self, pieces: &[&[u8]]) -> bool {
        let lines = pieces.iter().copied().flatten().filter(|&&byte| byte == b'\n').count();
        self.lost.fetch_add(lines as u64, Relaxed);
        false
    }

    /// Whether this reader is waited for. A daemon that others write to as well may be slow for ever.
    fn may_wait(&self) -> bool {
        self.datagram.is_none() && !self.stalled.load(Relaxed)
    }

    fn attempt(&self, vector: &[iovec; PIECES]) -> Result<usize, c_int> {
        let way = self.way.load(Relaxed);
        let (to, at) = (self.to as usize, vector.as_ptr() as usize);
        // SAFETY: both calls read the pieces of a line, which the caller holds; a number that is no descriptor any more
        // gives EBADF.
        unsafe {
            match way {
                NOT_WAITING => {
                    // The offset -1 means the file's own, as writev(2) has it.
                    let arguments = [to, at, PIECES, usize::MAX, usize::MAX, libc::RWF_NOWAIT as usize];
                    raw::call_with_six(libc::SYS_pwritev2, arguments)
                }
                ASKING_FIRST if !self.is_writable(0) => Err(libc::EAGAIN),
                _ => raw::call(libc::SYS_writev, [to, at, PIECES, 0, 0]),
            }
        }
    }

    /// Whether a write would not wait, after `seconds` at the latest. What is no descriptor is writable: the write says so.
    fn is_writable(&self, seconds: i64) -> bool {
        let mut polled = libc::pollfd { fd: self.to, events: libc::POLLOUT, revents: 0 };
        let mut timeout = libc::timespec { tv_sec: seconds, tv_nsec: 0 };
        let arguments = [ptr::from_mut(&mut polled) as usize, 1, ptr::from_mut(&mut timeout) as usize, 0, 0];
        // SAFETY: ppoll reads and writes one pollfd and one timespec; without a mask it does not look at the size of it.
        unsafe { raw::call(libc::SYS_ppoll, arguments) != Ok(0) }
    }

    /// How many lines nobody took.
    pub fn lost(&self) -> u64 {
        self.lost.load(Relaxed)
    }

    /// So many of them were told.
    pub fn forget(&self, told: u64) {
        self.lost.fetch_sub(told, Relaxed);
    }
}

impl Beginnings {
    /// Has a line begin so; it ends without its end of line. Its last piece must be free.
    fn take_over<'a>(&'a self, line: &mut [&'a [u8]; PIECES]) {
        line[0] = line[0].get(self.name..).unwrap_or_default();
        if let Some(last) = line.iter_mut().rfind(|piece| !piece.is_empty()) {
            *last = last.strip_suffix(b"\n").unwrap_or(last);
        }
        let beginning = if line[0].starts_with(b"warning: ") { &self.warning } else { &self.info };
        line.rotate_right(1);
        line[0] = beginning;
    }
}
