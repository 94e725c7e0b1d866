//! Making children: three ways, one interface.
//!
//! What runs in a child is in the same file as what makes it, below a line that says so, and with the calls that are
//! allowed there: system calls, the handler, and no allocation, lock or buffer of the standard library, whose state was
//! copied at an instant that nobody chose.

pub(crate) mod fork;
pub(crate) mod handed;
pub(crate) mod notice;
pub(crate) mod prefork;
mod reserve;
pub(crate) mod spares;
pub(crate) mod strain;
pub(crate) mod vfork;

use std::cell::Cell;

use connection::{Alarm, Handler, Host, Outcome, Reader};

pub use spares::PoolSize;
pub use vfork::Program;

use crate::resources::ResourceLimit;
use crate::sandbox::Sandbox;
use crate::scoreboard::{Board, Manner};
use crate::{signals, sys, ucspi};

/// What serves a connection, and in what kind of process.
pub enum Mode<'a> {
    /// The supervisor accepts and forks; the child runs the handler and exits.
    Fork(&'a mut dyn Handler),
    /// The supervisor accepts and makes a child that shares its memory until it executes the program.
    Vfork(Program),
    /// Children are forked ahead and accept for themselves, one connection at a time.
    Prefork {
        /// What each child runs.
        handler: &'a mut dyn Handler,
        /// How many there are.
        size: PoolSize,
        /// How many connections a child serves before a fresh one takes its place; 0 for no limit.
        reuse: u32,
    },
    /// As ucspi-tcp's tcpserver does it, signals too: a program for each client that the rules admit.
    Ucspi(Box<ucspi::Service>),
}

impl Mode<'_> {
    /// What the signals that end the service mean.
    pub(crate) fn manner(&self) -> signals::Manner {
        if let Mode::Ucspi(_) = self { signals::Manner::Abrupt } else { signals::Manner::Gentle }
    }
}

impl Mode<'_> {
    /// How it stands on a scoreboard; `None` for a mode that has none.
    pub(crate) fn on_board(&self) -> Option<Manner> {
        match self {
            Mode::Prefork { .. } => Some(Manner::Prefork),
            Mode::Fork(_) => Some(Manner::Fork),
            Mode::Vfork(_) => Some(Manner::Vfork),
            Mode::Ucspi(_) => None,
        }
    }
}

/// What a handler finds around it in a process of this crate.
#[must_use]
pub fn child_host<'a>(alarm: &'a Alarm, reader: &'a Reader<'a>) -> Host<'a> {
    let programs = Some(sys::PROGRAMS);
    let (now, pressure) = (alarm.clock(), signals::pressure());
    Host { now, alarm, pressure, demand: None, programs, progress: None, title: None, reader }
}

/// The alarm clock of this process, not set. `fresh` says that the process serves one connection: then time is asked of
/// the kernel, which is cheaper there than to touch the vDSO for the first time.
#[must_use]
pub fn alarm_clock(fresh: bool) -> Alarm {
    Alarm::new(sys::alarm, if fresh { sys::now_by_call } else { sys::now })
}

/// What every child needs and no connection changes.
pub(crate) struct Nest<'a> {
    pub(crate) one_thread: sys::OneThread,
    pub(crate) signals: &'a signals::Signals,
    pub(crate) host: &'a Host<'a>,
    /// Where handlers write their log lines.
    pub(crate) access_log: Option<connection::Fd>,
    /// The scoreboard, if the mode has one.
    pub(crate) board: Option<&'static Board>,
    /// What children are kept from.
    pub(crate) sandbox: Option<&'a Sandbox>,
    /// How much they may use.
    pub(crate) resources: &'a [ResourceLimit],
    pub(crate) private: Private,
    /// The last byte on the stack that the supervisor writes to while it supervises.
    pub(crate) stack: Cell<usize>,
}

impl Nest<'_> {
    /// In a child, first of all: what the supervisor works with is copied or closed.
    pub(crate) fn leave(&self) {
        sys::own_stack(self.stack.get());
        if let Some(board) = self.board {
            sys::close(board.descriptor());
        }
        self.private.close();
    }

    /// In a child of a pool: its title says that it waits for a connection.
    pub(crate) fn idle(&self) {
        self.host.title.inspect(|title| title.idle());
    }

    /// In a fresh child: takes its limits, and enters the sandbox if there is one. A child that cannot ends.
    pub(crate) fn enter_sandbox(&self) {
        let limited = self.resources.iter().all(|limit| sys::limit(limit.raw()).is_ok());
        if !limited || self.sandbox.is_some_and(|sandbox| !sandbox.enter()) {
            sys::exit(Outcome::Fault.status());
        }
    }
}

/// Descriptors that the supervisor has for itself, beside those that others tell of.
pub(crate) struct Private([Cell<i32>; Private::MOST]);

impl Private {
    const MOST: usize = 16;

    pub(crate) fn new() -> Self {
        Private([const { Cell::new(-1) }; Self::MOST])
    }

    /// From now on it is these.
    pub(crate) fn set(&self, descriptors: impl Iterator<Item = i32>) {
        let all = descriptors.chain(std::iter::repeat(-1));
        self.0.iter().zip(all).for_each(|(place, descriptor)| place.set(descriptor));
    }

    fn close(&self) {
        self.0.iter().map(Cell::get).take_while(|&descriptor| descriptor >= 0).for_each(sys::close);
    }
}
