//! The seam: all that crosses between a supervisor and a handler.
//!
//! A supervisor (crate `tcpserver`) knows processes and no protocol; a handler (crate `handlers`) knows a protocol and
//! no process. They meet in this file: a [`Connection`] goes in, an [`Outcome`] comes out, and [`Handler`] is the one
//! function between them. It is plain data without `std`, so that the same handler is called as a function in a forked
//! child and is the whole of a freestanding executable that inetd starts.

#![no_std]
#![forbid(unsafe_code)]

mod alarm;
mod endpoint;
mod pressure;
mod program;
mod progress;
mod reader;
mod title;

pub use alarm::Alarm;
pub use endpoint::Endpoint;
pub use pressure::{Demand, Need, Pressure};
pub use program::{Programs, Script, Started};
pub use progress::{LINE, Progress, Stage};
pub use reader::{Lost, Reader};
pub use title::Title;

/// A descriptor number. A newtype of our own, because without `std` there is no type that both sides know: rustix's
/// `BorrowedFd` is the standard library's only when rustix is built with it.
///
/// It borrows: nothing is closed when it goes out of scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fd(pub i32);

/// One accepted connection, as it is handed to a [`Handler`].
#[derive(Clone, Copy)]
pub struct Connection<'a> {
    /// Where the client's bytes are read from. The same descriptor as `output` for a socket; another one for a pair of
    /// pipes (`printf '…' | tine-http`).
    pub input: Fd,
    /// Where the answer goes.
    pub output: Fd,
    /// The client's end, for the log and for protocols that tell it.
    pub peer: Endpoint,
    /// Our end.
    pub local: Endpoint,
    /// Where log lines go, each as one `write`; `None` when no log is wanted.
    pub log: Option<Fd>,
    /// What the handler asks of the process that it runs in.
    pub host: &'a Host<'a>,
}

/// What a handler needs of the process around it: time, a deadline, and whether others wait.
pub struct Host<'a> {
    /// Reads a clock. A system call where there is no vDSO, so a handler asks when it must.
    pub now: fn(Clock) -> Time,
    /// The process's alarm clock.
    pub alarm: &'a Alarm,
    /// Whether this process is wanted back; handlers only read it.
    pub pressure: &'a Pressure,
    /// Whether clients wait for a child, where a supervisor tells.
    pub demand: Option<&'a Demand>,
    /// Runs programs for the handler, where that is possible.
    pub programs: Option<Programs>,
    /// Where the handler tells what it does, if somebody may look.
    pub progress: Option<&'a Progress>,
    /// Where the same is told to everybody, if that is wanted.
    pub title: Option<&'a Title<'a>>,
    /// What is known of whoever reads the log.
    pub reader: &'a Reader<'a>,
}

impl Host<'_> {
    /// Whether this connection is to end at the next boundary between requests, though its client idles: this process is to
    /// leave, was asked for by the supervisor, or clients wait for a child.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.pressure.is_draining() || self.pressure.is_asked() || self.is_needed()
    }

    /// Whether the next answer is the last one on this connection.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.pressure.is_leaving() || self.is_needed()
    }

    /// Tells those who look: this request is answered now.
    pub fn tell_request(&self, line: &[u8]) {
        if let Some(progress) = self.progress {
            progress.request(line);
        }
        if let Some(title) = self.title {
            title.request(line);
        }
    }

    /// Tells those who look what is done now.
    pub fn tell_stage(&self, stage: Stage) {
        if let Some(progress) = self.progress {
            progress.enter(stage);
        }
        if let Some(title) = self.title {
            title.enter(stage);
        }
    }

    fn is_needed(&self) -> bool {
        self.demand.is_some_and(|demand| demand.need() != Need::None)
    }
}

/// Which clock (clock_gettime(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// CLOCK_REALTIME: for what people read. It may jump.
    Wall,
    /// CLOCK_MONOTONIC: for durations and deadlines. It never jumps.
    Monotonic,
}

/// A point in time: seconds and nanoseconds since the clock's epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time {
    /// Whole seconds.
    pub seconds: i64,
    /// The rest, below 1,000,000,000.
    pub nanoseconds: u32,
}

impl Time {
    /// Microseconds since `earlier`, 0 if that lies ahead.
    #[must_use]
    pub fn micros_since(self, earlier: Time) -> u64 {
        let micros = (self.seconds - earlier.seconds) * 1_000_000
            + (i64::from(self.nanoseconds) - i64::from(earlier.nanoseconds)) / 1_000;
        u64::try_from(micros).unwrap_or(0)
    }
}

/// How a connection ended. The number is the exit status of a process that served just this one, so that the reaper
/// reads the same report whether the handler was called or executed (the numbers are ucspi-tcp's).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Outcome {
    /// The protocol was spoken to its end, which includes a client that went away or stayed silent too long.
    Served = 0,
    /// The client was turned away: what it sent was not the protocol.
    Refused = 100,
    /// We failed: a system call did what it should not.
    Fault = 111,
}

impl Outcome {
    /// The exit status that reports this outcome.
    #[must_use]
    pub const fn status(self) -> i32 {
        self as i32
    }
}

/// Speaks a protocol on one connection.
///
/// A handler is called in a process that was forked from one with no other thread. It leaves the descriptors of the
/// connection open (the caller closes them) and whatever else it opened closed. It may be called again, for the next
/// connection, in a child that is reused.
pub trait Handler {
    /// Serves this connection and says how it ended.
    fn serve(&mut self, connection: &Connection<'_>) -> Outcome;
}

impl<F: FnMut(&Connection<'_>) -> Outcome> Handler for F {
    fn serve(&mut self, connection: &Connection<'_>) -> Outcome {
        self(connection)
    }
}
