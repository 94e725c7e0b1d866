//! What a handler tells of its work while it is at it: plain stores into memory that others may read.
//!
//! The memory is a page of a scoreboard in a child that has one; elsewhere there is none, and nothing is told. Who reads
//! it trusts none of it: the process that writes may be under somebody else's control. Every bit pattern is valid.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

use crate::Time;
use Ordering::{Acquire, Relaxed, Release};

/// What a handler does with its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Stage {
    /// It waits for the client's first word.
    Waiting = 0,
    /// It answers.
    Answering = 1,
    /// It has answered, and the client may ask again: the connection can be closed without loss.
    Kept = 2,
    /// It waits for the rest of what the client has to say.
    Reading = 3,
}

/// So many bytes of a request are told.
pub const LINE: usize = 192;

const WORD: usize = size_of::<u64>();

/// One connection's progress, and what the process has done so far.
#[repr(C)]
#[derive(Debug)]
pub struct Progress {
    /// Odd while the request is being written.
    version: AtomicU32,
    stage: AtomicU32,
    /// When the connection began and when it last made progress: microseconds of the monotonic clock, 0 if not known.
    began: AtomicU64,
    moved: AtomicU64,
    /// Since the process began.
    requests: AtomicU64,
    sent: AtomicU64,
    /// The length of the request line, and as much of it as there is room for.
    len: AtomicU64,
    line: [AtomicU64; LINE / WORD],
}

impl Progress {
    /// Nothing has happened yet.
    #[must_use]
    pub const fn new() -> Self {
        Progress {
            version: AtomicU32::new(0),
            stage: AtomicU32::new(0),
            began: AtomicU64::new(0),
            moved: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            len: AtomicU64::new(0),
            line: [const { AtomicU64::new(0) }; LINE / WORD],
        }
    }

    /// For the process: a new one begins.
    pub fn reset(&self) {
        self.requests.store(0, Relaxed);
        self.sent.store(0, Relaxed);
        self.forget();
    }

    /// For the process: the connection is over, and no byte of its client is kept.
    pub fn forget(&self) {
        self.stage.store(Stage::Waiting as u32, Relaxed);
        self.began.store(0, Relaxed);
        self.moved.store(0, Relaxed);
        self.write(b"");
    }

    /// For the handler: there was progress at `now`.
    pub fn moved(&self, now: Time) {
        let now = now.micros_since(Time::default());
        self.moved.store(now, Relaxed);
        if self.began.load(Relaxed) == 0 {
            self.began.store(now, Relaxed);
        }
    }

    /// For the handler: what it does now.
    pub fn enter(&self, stage: Stage) {
        self.stage.store(stage as u32, Release);
    }

    /// For the handler: it has a request, and answers it.
    pub fn request(&self, line: &[u8]) {
        self.write(line);
        self.requests.store(self.requests.load(Relaxed).wrapping_add(1), Relaxed);
        self.enter(Stage::Answering);
    }

    /// For the handler: so many more bytes went to the client.
    pub fn sent(&self, bytes: u64) {
        self.sent.store(self.sent.load(Relaxed).wrapping_add(bytes), Relaxed);
    }

    fn write(&self, line: &[u8]) {
        let version = self.version.load(Relaxed) | 1;
        self.version.store(version, Relaxed);
        fence(Release);
        self.len.store(line.len() as u64, Relaxed);
        let mut rest = line;
        for word in &self.line {
            let mut bytes = [0; WORD];
            let (now, later) = rest.split_at_checked(WORD).unwrap_or((rest, b""));
            bytes.iter_mut().zip(now).for_each(|(to, &from)| *to = from);
            word.store(u64::from_ne_bytes(bytes), Relaxed);
            rest = later;
        }
        self.version.store(version.wrapping_add(1), Release);
    }

    /// For a reader: what the handler says that it does.
    #[must_use]
    pub fn stage(&self) -> Stage {
        match self.stage.load(Acquire) {
            1 => Stage::Answering,
            2 => Stage::Kept,
            3 => Stage::Reading,
            _ => Stage::Waiting,
        }
    }

    /// For a reader: when the connection began and when it last moved, in microseconds of the monotonic clock; 0 for not
    /// known.
    #[must_use]
    pub fn times(&self) -> (u64, u64) {
        (self.began.load(Relaxed), self.moved.load(Relaxed))
    }

    /// For a reader: requests answered and bytes sent since the process began.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        (self.requests.load(Relaxed), self.sent.load(Relaxed))
    }

    /// For a reader: the request line, cut, as it came from the wire; and whether there is more of it. It is looked at a
    /// few times if it changes meanwhile; of a writer that never ends two lines may be mixed.
    #[must_use]
    pub fn line<'s>(&self, space: &'s mut [u8; LINE]) -> (&'s [u8], bool) {
        let mut len = 0;
        for _ in 0..8 {
            let whole;
            (len, whole) = self.look(space);
            if whole {
                break;
            }
        }
        let shown = usize::try_from(len).unwrap_or(LINE).min(LINE);
        (&space[..shown], len > LINE as u64)
    }

    /// Copies the line: its length, and whether nobody wrote meanwhile.
    fn look(&self, space: &mut [u8; LINE]) -> (u64, bool) {
        let before = self.version.load(Acquire);
        let len = self.len.load(Relaxed);
        for (bytes, word) in space.chunks_exact_mut(WORD).zip(&self.line) {
            bytes.copy_from_slice(&word.load(Relaxed).to_ne_bytes());
        }
        fence(Acquire);
        (len, before & 1 == 0 && self.version.load(Relaxed) == before)
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec;

    fn line(progress: &Progress) -> (vec::Vec<u8>, bool) {
        let mut space = [0xff; LINE];
        let (line, cut) = progress.line(&mut space);
        (line.to_vec(), cut)
    }

    #[test]
    fn a_request_is_given_back_and_then_forgotten() {
        let progress = Progress::new();
        for len in [0, 1, 7, 8, 9, LINE - 1, LINE, LINE + 1, 5000] {
            let request = vec![b'x'; len];
            progress.request(&request);
            assert_eq!(line(&progress), (request[..len.min(LINE)].to_vec(), len > LINE));
            assert_eq!(progress.stage(), Stage::Answering);
        }
        progress.moved(Time { seconds: 3, nanoseconds: 5_000 });
        progress.moved(Time { seconds: 4, nanoseconds: 0 });
        progress.sent(7);
        progress.sent(8);
        progress.enter(Stage::Kept);
        assert_eq!((progress.times(), progress.counts()), ((3_000_005, 4_000_000), (9, 15)));
        progress.forget();
        assert_eq!((line(&progress), progress.times()), ((vec![], false), (0, 0)));
        assert!(progress.line.iter().all(|word| word.load(Relaxed) == 0), "no byte of it is left");
        assert_eq!((progress.stage(), progress.counts()), (Stage::Waiting, (9, 15)));
        progress.reset();
        assert_eq!(progress.counts(), (0, 0));
    }

    #[test]
    fn whatever_stands_there_is_read_without_harm() {
        let progress = Progress::new();
        for word in progress.line.iter().chain([&progress.len, &progress.began, &progress.sent]) {
            word.store(u64::MAX, Relaxed);
        }
        progress.version.store(u32::MAX, Relaxed);
        progress.stage.store(u32::MAX, Relaxed);
        assert_eq!(line(&progress), (vec![0xff; LINE], true));
        assert_eq!((progress.stage(), progress.counts()), (Stage::Waiting, (0, u64::MAX)));
        progress.sent(2);
        progress.request(b"GET");
        assert_eq!((line(&progress), progress.counts()), ((b"GET".to_vec(), false), (1, 1)));
    }

    /// A writer that never rests, and a reader that must not see two lines as one.
    #[test]
    fn two_lines_are_not_mixed() {
        let progress = Progress::new();
        let stop = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Relaxed) {
                    progress.request(&[b'a'; 100]);
                    progress.request(&[b'b'; 100]);
                    // Room for a reader: a child has more to do than to write here.
                    std::thread::yield_now();
                }
            });
            let mut whole = 0;
            while whole < 1000 {
                let mut space = [0; LINE];
                if let (100, true) = progress.look(&mut space) {
                    assert!(space[..100].iter().all(|&byte| byte == space[0]), "{space:?}");
                    whole += 1;
                }
            }
            stop.store(true, Relaxed);
        });
    }
}
