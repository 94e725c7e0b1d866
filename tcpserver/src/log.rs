//! The supervisor's log lines, as ucspi-tcp writes them: `status`, `pid`, `end`; warnings; and nothing twice a second
//! for ever.
//!
//! A line is never split over two writes, so that the lines of many processes never mix. Several lines that follow each
//! other may be one write: see [`Log::gather`].

use std::fmt::{self, Write};

use connection::{Fd, Lost};

use crate::children::Child;
use crate::error::Error;
use crate::reap::Ended;
use crate::sys::{self, Beginnings, Sink};
use crate::syslog_sink::{Destination, Syslog};

/// Which lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// None at all.
    Silent,
    /// What went wrong.
    Errors,
    /// Each child's beginning and end too.
    Status,
}

/// Whether a log goes to a regular file: that never waits for a reader.
#[must_use]
pub fn is_file(log: Fd) -> bool {
    sys::is_file(log.0)
}

/// Where the supervisor's lines go.
pub struct Log {
    program: &'static str,
    sink: &'static Sink,
    verbosity: Verbosity,
    accounting: bool,
    /// Where the sink goes to syslogd.
    syslog: Option<Syslog>,
    /// Lines that children lost, which their own processes may not live to tell.
    of_children: Option<&'static Lost>,
    /// Whether lines wait for [`Log::flush`].
    gathers: bool,
    lines: String,
}

/// A pipe takes so many bytes in one piece (PIPE_BUF), and no line of ours is longer than the difference to the next
/// lower power of two.
const MOST: usize = 4096;
const ENOUGH: usize = 2048;

impl Log {
    /// A log whose lines begin with `program: `.
    pub fn new(program: &'static str, to: Fd, verbosity: Verbosity) -> Self {
        // For the life of the process: children write to it until they execute.
        let sink = Box::leak(Box::new(Sink::new(to.0)));
        let lines = String::with_capacity(MOST);
        Log { program, sink, verbosity, accounting: true, syslog: None, of_children: None, gathers: false, lines }
    }

    /// A log whose lines go to syslogd.
    pub fn to_syslog(program: &'static str, to: &Destination, verbosity: Verbosity) -> Result<Self, Error> {
        let syslog = Syslog::connect(to)?;
        let [warning, info] = to.beginnings(program);
        let beginnings = Beginnings { name: program.len() + 2, warning, info };
        let sink = Box::leak(Box::new(Sink::to_syslogd(syslog.number(), beginnings)));
        Ok(Log { sink, syslog: Some(syslog), ..Log::new(program, Fd(-1), verbosity) })
    }

    /// Leaves out what ucspi-tcp does not have behind `end PID status W`, and the warning about an abnormal end.
    #[must_use]
    pub fn without_accounting(self) -> Self {
        Log { accounting: false, ..self }
    }

    /// Which lines are written.
    #[must_use]
    pub fn verbosity(&self) -> Verbosity {
        self.verbosity
    }

    /// Where they are written.
    pub(crate) fn sink(&self) -> &'static Sink {
        self.sink
    }

    /// How many connections are served, of how many at most.
    pub fn status(&mut self, live: usize, limit: usize) {
        self.line(Verbosity::Status, format_args!("status: {live}/{limit}"));
    }

    /// A child was made for a client.
    pub fn pid(&mut self, pid: i32, peer: sys::Peer) {
        match peer {
            Some(peer) => self.line(Verbosity::Status, format_args!("pid {pid} from {}", peer.ip().to_canonical())),
            None => self.line(Verbosity::Status, format_args!("pid {pid} from unix")),
        }
    }

    /// A child has ended. The raw wait status first, as ucspi-tcp has it, then what people ask for: whose child it was,
    /// how old (`age`, microseconds), how it ended and what it used.
    pub fn end(&mut self, child: &Child, ended: &Ended, age: u64) {
        if !self.accounting {
            return self.line(Verbosity::Status, format_args!("end {} status {}", ended.pid, ended.status));
        }
        let (age, fate, usage, peer) = (Age(age), ended.fate(), ended.usage, Peer(child.peer));
        if ended.is_abnormal() {
            self.warning(format_args!("child {}{peer} {fate} after {age} s {usage}", ended.pid));
        }
        let (pid, status) = (ended.pid, ended.status);
        self.line(Verbosity::Status, format_args!("end {pid} status {status}{peer} {fate} after {age} s {usage}"));
    }

    /// Something that somebody should look at.
    pub fn warning(&mut self, what: fmt::Arguments<'_>) {
        self.line(Verbosity::Errors, format_args!("warning: {what}"));
    }

    /// Something that everybody should know.
    pub fn note(&mut self, what: fmt::Arguments<'_>) {
        self.line(Verbosity::Errors, what);
    }

    /// Tells also of lines that children lost.
    pub(crate) fn tell_for(&mut self, children: &'static Lost) {
        self.of_children = Some(children);
    }

    /// From now on lines wait for [`Log::flush`], which saves a system call for each but one.
    pub(crate) fn gather(&mut self) {
        // To syslogd each is a message of its own.
        self.gathers = self.syslog.is_none();
    }

    /// Writes the lines that wait.
    pub(crate) fn flush(&mut self) {
        self.tell_for_children();
        if self.lines.is_empty() {
            return;
        }
        if self.sink.is_broken()
            && let Some(syslog) = &mut self.syslog
        {
            syslog.reconnect();
        }
        // Where lines are missing, before those that follow.
        let lost = self.sink.lost();
        if lost > 0 {
            let program = self.program;
            let told = format!("{program}: warning: {lost} lines were lost: nobody read them\n");
            // One that could not be written is none of them.
            let lost = if self.sink.write(&[told.as_bytes()]) { lost } else { 1 };
            self.sink.forget(lost);
        }
        self.sink.write(&[self.lines.as_bytes()]);
        self.lines.clear();
    }

    fn tell_for_children(&mut self) {
        let Some(children) = self.of_children else { return };
        let lines = children.take();
        if lines == 0 {
            return;
        }
        let program = self.program;
        let told = format!(
            "{program}: warning: {lines} lines of children were lost: nobody read them, or there was no room\n"
        );
        if !self.sink.write(&[told.as_bytes()]) {
            self.sink.forget(1);
            children.add(lines);
        }
    }

    fn line(&mut self, verbosity: Verbosity, what: fmt::Arguments<'_>) {
        if verbosity > self.verbosity {
            return;
        }
        // Writing to a String cannot fail.
        let begin = self.lines.len();
        let _ = writeln!(self.lines, "{}: {what}", self.program);
        shorten(&mut self.lines, begin);
        if !self.gathers || self.lines.len() > ENOUGH {
            self.flush();
        }
    }
}

/// Cuts the line that begins there, and ends the text, to [`ENOUGH`] bytes: no more than [`MOST`] are written at once then,
/// and of so many a pipe takes all or nothing (PIPE_BUF, pipe(7)).
pub(crate) fn shorten(text: &mut String, begin: usize) {
    const CUT: &str = "...\n";
    if text.len() - begin > ENOUGH {
        text.truncate(text.floor_char_boundary(begin + ENOUGH - CUT.len()));
        text.push_str(CUT);
    }
}

/// `from IP:PORT` where there is an address.
pub(crate) struct Peer(pub(crate) sys::Peer);

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(mut address) => {
                address.set_ip(address.ip().to_canonical());
                write!(f, " from {address}")
            }
            None => Ok(()),
        }
    }
}

/// Microseconds, shown as seconds.
pub(crate) struct Age(pub(crate) u64);

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1_000_000, self.0 / 1_000 % 1_000)
    }
}

/// Lets a repeated complaint through once a second, or so many times, with the number of those held back.
#[derive(Default)]
pub struct Limiter {
    /// How many may follow the first within a second, and did.
    more: u32,
    followed: u32,
    /// When the next may be written, in microseconds of the monotonic clock.
    next: u64,
    held_back: u64,
}

impl Limiter {
    /// Lets `most` through in a second.
    #[must_use]
    pub fn per_second(most: u32) -> Self {
        Limiter { more: most.saturating_sub(1), ..Limiter::default() }
    }

    /// `Some(number held back since the last)` when the complaint may be written now.
    pub fn admit(&mut self) -> Option<u64> {
        let now = sys::micros();
        if now >= self.next {
            self.next = now + 1_000_000;
            self.followed = 0;
        } else if self.followed < self.more {
            self.followed += 1;
        } else {
            self.held_back += 1;
            return None;
        }
        Some(std::mem::take(&mut self.held_back))
    }

    /// When a number that was held back may be told, in microseconds of the monotonic clock, if there is one.
    pub fn owes(&self) -> Option<u64> {
        (self.held_back > 0).then_some(self.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_cut_and_still_a_line() {
        let mut text = String::from("before\n");
        text.push_str(&"ä".repeat(ENOUGH));
        text.push('\n');
        shorten(&mut text, 7);
        assert!(
            text.starts_with("before\nä")
                && text.ends_with("ä...\n")
                && (ENOUGH - 1..=ENOUGH).contains(&(text.len() - 7))
        );
        let whole = format!("{}\n", "x".repeat(ENOUGH - 1));
        let mut same = whole.clone();
        shorten(&mut same, 0);
        assert_eq!(same, whole);
    }
}
