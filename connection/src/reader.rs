//! What is known of whoever reads the log: that nobody's log holds up a connection is a promise.
//!
//! Two parts. What one process knows for itself is in its own memory, which costs nothing to look at. What all processes
//! that write to the log share is looked at only when a line could not be written.

use core::cell::Cell;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// What all processes know that write to one log. In memory that they share, what it says is a claim: at worst a number
/// in a log line is wrong. Every bit pattern is valid.
#[repr(C)]
#[derive(Debug, Default)]
pub struct Lost {
    stalled: AtomicU32,
    lines: AtomicU32,
}

impl Lost {
    /// Nothing is lost. All-zero memory is the same.
    #[must_use]
    pub const fn new() -> Self {
        Lost { stalled: AtomicU32::new(0), lines: AtomicU32::new(0) }
    }

    /// Takes the number of lines that were lost, for whoever can tell it now.
    #[must_use]
    pub fn take(&self) -> u32 {
        if self.lines.load(Relaxed) == 0 { 0 } else { self.lines.swap(0, Relaxed) }
    }

    /// So many lines could not be written.
    pub fn add(&self, lines: u32) {
        self.lines.fetch_add(lines, Relaxed);
    }
}

/// The reader of a log, as one process knows it.
#[derive(Debug)]
pub struct Reader<'a> {
    lost: &'a Lost,
    /// The log is a file: nobody is waited for.
    is_file: Cell<bool>,
    /// This process lost lines, and has not told so.
    owes: Cell<bool>,
    /// The last write ended in the middle of a line.
    torn: Cell<bool>,
}

impl<'a> Reader<'a> {
    /// A reader of which nothing else is known.
    #[must_use]
    pub const fn new(lost: &'a Lost, is_file: bool) -> Self {
        Reader { lost, is_file: Cell::new(is_file), owes: Cell::new(false), torn: Cell::new(false) }
    }

    /// Whether a write is known not to wait for anybody.
    #[must_use]
    pub fn is_file(&self) -> bool {
        self.is_file.get()
    }

    /// There is no writing without waiting to what the log is.
    pub fn take_as_file(&self) {
        self.is_file.set(true);
    }

    /// Whether the last line that was written has no end.
    #[must_use]
    pub fn is_torn(&self) -> bool {
        self.torn.get()
    }

    /// A line was begun and not ended, or its end was written now.
    pub fn tear(&self, torn: bool) {
        if self.torn.get() != torn {
            self.torn.set(torn);
        }
    }

    /// Whether the reader may be waited for: not again before it has read something.
    #[must_use]
    pub fn may_wait(&self) -> bool {
        self.lost.stalled.load(Relaxed) == 0
    }

    /// Nobody reads, after having been waited for.
    pub fn stall(&self) {
        self.lost.stalled.store(1, Relaxed);
    }

    /// A line could not be written.
    pub fn lose(&self, lines: u32) {
        self.lost.add(lines);
        self.owes.set(true);
    }

    /// How many lines were lost, if this process is to say so.
    #[must_use]
    pub fn owed(&self) -> u32 {
        if !self.owes.get() {
            return 0;
        }
        self.owes.set(false);
        self.lost.take()
    }

    /// Lines go out again.
    pub fn reads(&self) {
        self.lost.stalled.store(0, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_is_told_once_by_whoever_lost() {
        let lost = Lost::new();
        let (one, other) = (Reader::new(&lost, false), Reader::new(&lost, false));
        one.lose(1);
        one.lose(2);
        assert_eq!((other.owed(), one.owed(), one.owed()), (0, 3, 0));
        other.lose(1);
        assert_eq!((lost.take(), other.owed()), (1, 0));
        one.stall();
        assert!(!other.may_wait());
        other.reads();
        assert!(one.may_wait());
    }
}
