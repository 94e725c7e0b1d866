//! The scoreboard: what a service does, in memory that others can look at.
//!
//! It has three parts. The [`Header`] and a [`Row`] for each child are the supervisor's: it knows them, and no child has
//! that memory. A [`Slot`] for each child of a pool is that child's own page, and all of it that a child has: what stands
//! there is a claim, for a child may be under somebody else's control. A claim names a client in a log line or a table,
//! and decides nothing but how soon a child's place is filled again. Every bit pattern is valid everywhere.
//!
//! The memory is a memfd of the supervisor, `tine-scoreboard`: whoever may look at that process's descriptors finds it
//! in /proc, and reads it without the service having any part in it ([`View`]).

mod books;
mod counters;
mod header;
mod row;
mod slot;
mod view;
mod whom;

use std::fmt::Write;
use std::io;
use std::os::fd::{AsRawFd, RawFd};

pub(crate) use books::Books;
pub use counters::{Count, Counters, Histogram, REFUSALS, SIGNALS};
pub use header::{Header, Manner, Unreadable};
pub use row::Row;
pub use slot::Slot;
pub use view::View;

use crate::listen::Listener;
use crate::sys::{self, Shared};

/// The name of the memory, as it is seen in /proc.
pub const NAME: &str = "tine-scoreboard";

/// The kernel numbers no more processes (proc(5), pid_max), whatever the limit says.
const MOST_PROCESSES: usize = 1 << 22;

/// The supervisor's end of a scoreboard.
pub struct Board {
    shared: Shared,
}

impl Board {
    /// A scoreboard for up to `limit` children, with pages for them if they are a pool's.
    ///
    /// # Errors
    /// The kernel gives no memory, or none that has a name.
    pub fn new(manner: Manner, limit: usize) -> io::Result<Board> {
        let rows = limit.min(MOST_PROCESSES);
        let slots = if manner == Manner::Prefork { rows } else { 0 };
        let shared = Shared::create(NAME, rows, slots)?;
        shared.header().set_up(manner, limit, rows, slots, sys::micros());
        shared.header().counters.fewest_idle.set(limit as u64);
        Ok(Board { shared })
    }

    /// Says where the service listens.
    pub(crate) fn listens(&self, listeners: &[Listener]) {
        let mut text = String::new();
        for listener in listeners {
            // Writing to a String cannot fail.
            let _ = write!(text, "{}{}", if text.is_empty() { "" } else { " " }, listener.address());
        }
        self.shared.header().set_places(&text);
    }

    /// What is counted.
    #[must_use]
    pub fn counters(&self) -> &'static Counters {
        &self.shared.header().counters
    }

    /// What the child in this place says of itself.
    #[must_use]
    pub fn slot(&self, place: u32) -> &'static Slot {
        &self.shared.slots()[place as usize]
    }

    /// For the supervisor, before it forks: the child that is made now has this page, and no other. One system call.
    ///
    /// # Errors
    /// mmap(2)'s.
    pub fn hand_out(&self, place: u32) -> io::Result<()> {
        self.slot(place).clear();
        self.shared.hand_out(place as usize)
    }

    /// For a child of a pool: its own page.
    #[must_use]
    pub fn own(&self) -> Option<&'static Slot> {
        self.shared.own()
    }

    /// Live children: what the supervisor knows, and what the child says if it is one of a pool.
    pub(crate) fn children(&self) -> impl Iterator<Item = (&'static Row, Option<&'static Slot>)> {
        children(&self.shared)
    }

    /// The first part.
    pub(crate) fn header(&self) -> &'static Header {
        self.shared.header()
    }

    /// The descriptor through which all of it can be had: a child closes it before it serves anybody.
    #[must_use]
    pub fn descriptor(&self) -> RawFd {
        self.shared.file().as_raw_fd()
    }
}

fn children(shared: &Shared) -> impl Iterator<Item = (&'static Row, Option<&'static Slot>)> + use<> {
    let slots = shared.slots();
    let rows = shared.rows().iter().enumerate();
    rows.filter(|(_, row)| row.pid().is_some()).map(|(at, row)| (row, slots.get(at)))
}

#[cfg(test)]
mod tests;
