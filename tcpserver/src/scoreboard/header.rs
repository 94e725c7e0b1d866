//! The first page of a scoreboard: whose it is, what the rest looks like, and what is counted.

use std::mem;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::counters::{Count, Counters};
use super::row::Row;
use super::slot::Slot;

/// `tine-sb` and a NUL, in the machine's order.
const MAGIC: u64 = u64::from_ne_bytes(*b"tine-sb\0");

/// So many bytes of the addresses are told.
const PLACES: usize = 1024;

/// How children are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Manner {
    /// Ahead of the connections.
    Prefork = 1,
    /// For each, of the supervisor's own image.
    Fork = 2,
    /// For each, as a program.
    Vfork = 3,
}

impl Manner {
    /// As on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Manner::Prefork => "prefork",
            Manner::Fork => "fork",
            Manner::Vfork => "vfork",
        }
    }
}

/// What a reader looks at first.
#[repr(C, align(4096))]
#[derive(Debug, Default)]
pub struct Header {
    magic: Count,
    /// Changes with the layout of any part: who knows another one reads nothing.
    layout: Count,
    pid: Count,
    /// When the service began, in microseconds of the monotonic clock.
    started: Count,
    manner: Count,
    /// Children at once.
    limit: Count,
    rows: Count,
    slots: Count,
    /// Whether the supervisor accepts each connection, and children tell of those that it gave them.
    accepts: Count,
    /// The addresses that are listened on, with a space between them.
    places: Places,
    /// What is counted.
    pub counters: Counters,
}

#[derive(Debug)]
#[repr(transparent)]
struct Places([AtomicU64; PLACES / 8]);

impl Default for Places {
    fn default() -> Self {
        Places(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

/// What only one layout has.
fn layout() -> u64 {
    let sizes = [mem::size_of::<Header>(), mem::size_of::<Counters>(), mem::size_of::<Row>(), mem::size_of::<Slot>()];
    let inner = [mem::size_of::<connection::Progress>(), PLACES];
    // Bytes of the version, then the sizes: a change that keeps the sizes comes with another version.
    let version = env!("CARGO_PKG_VERSION").bytes().map(usize::from);
    version
        .chain(sizes)
        .chain(inner)
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, part| (hash ^ part as u64).wrapping_mul(0x0100_0000_01b3))
}

/// Why a scoreboard cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// It is none.
    Foreign,
    /// Another version made it.
    Version,
}

impl Header {
    /// For the supervisor: what does not change.
    pub(super) fn set_up(&self, manner: Manner, limit: usize, rows: usize, slots: usize, now: u64) {
        self.layout.set(layout());
        self.pid.set(std::process::id().into());
        self.started.set(now);
        self.manner.set(manner as u64);
        self.limit.set(limit as u64);
        self.rows.set(rows as u64);
        self.slots.set(slots as u64);
        self.magic.set(MAGIC);
    }

    /// For the supervisor: it accepts each connection itself.
    pub(crate) fn set_accepts(&self) {
        self.accepts.set(1);
    }

    /// Connections that were accepted, when children say that they took so many.
    #[must_use]
    pub fn connections(&self, taken: u64) -> u64 {
        let taken = if self.accepts.get() == 0 { taken } else { 0 };
        self.counters.accepted.get().saturating_add(taken)
    }

    /// For the supervisor: where it listens.
    pub(super) fn set_places(&self, text: &str) {
        let mut bytes = text.bytes().chain(std::iter::repeat(0));
        for word in &self.places.0 {
            word.store(u64::from_ne_bytes(std::array::from_fn(|_| bytes.next().unwrap_or(0))), Relaxed);
        }
    }

    /// For a reader: whether it can be read, and if so how many rows and slots there are.
    pub(crate) fn shape(&self) -> Result<(usize, usize), Unreadable> {
        if self.magic.get() != MAGIC {
            return Err(Unreadable::Foreign);
        }
        let number = |count: &Count| usize::try_from(count.get()).map_err(|_| Unreadable::Foreign);
        if self.layout.get() != layout() {
            Err(Unreadable::Version)
        } else {
            Ok((number(&self.rows)?, number(&self.slots)?))
        }
    }

    /// The supervisor's process number.
    #[must_use]
    pub fn pid(&self) -> u64 {
        self.pid.get()
    }

    /// When the service began, in microseconds of the monotonic clock.
    #[must_use]
    pub fn started(&self) -> u64 {
        self.started.get()
    }

    /// How children are made; `None` if it is not known here.
    #[must_use]
    pub fn manner(&self) -> Option<Manner> {
        [Manner::Prefork, Manner::Fork, Manner::Vfork].into_iter().find(|&manner| manner as u64 == self.manner.get())
    }

    /// How many children there may be at once.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.limit.get()
    }

    /// The addresses that are listened on, as they were written: whoever shows them cleans them.
    #[must_use]
    pub fn places(&self) -> Vec<u8> {
        let bytes = self.places.0.iter().flat_map(|word| word.load(Relaxed).to_ne_bytes());
        bytes.take_while(|&byte| byte != 0).collect()
    }
}
