//! The load generator: one process, which never waits but for all of its connections together (epoll).

mod connection;
mod pace;
mod tally;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeSpec, TimeValLike};
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use super::target::Target;
use crate::bench::clock;
use crate::bench::helper::Helper;
use crate::bench::trouble::{Trouble, trouble};
use connection::{Connection, Progress};
pub use pace::Pace;
use pace::Schedule;
pub use tally::Outcome;
use tally::{Phase, Tally};

/// Nanoseconds in a second.
const SECOND: f64 = 1e9;

/// How long answers are waited for after the last request was due, in an open loop.
const GRACE: u64 = 2_000_000_000;

/// What is to be asked, how, and for how long.
pub struct Load<'t> {
    /// Whom.
    pub target: &'t Target,
    /// Over connections that are kept, or over a new one each time.
    pub kept: bool,
    /// When.
    pub pace: Pace,
    /// The most connections at once.
    pub connections: u32,
    /// How long is measured, in seconds. A quarter of it goes before to warm up, and is not counted.
    pub seconds: f64,
}

/// Makes the load, in a process of its own.
pub fn run(load: &Load<'_>) -> Result<Outcome, Trouble> {
    let (told, tell) = io::pipe().map_err(trouble("make", "a pipe"))?;
    let helper = Helper::start("a load generator", || Generator::new(load)?.run(&tell))?;
    drop(tell);
    let outcome = Outcome::read(told).map_err(trouble("read", "what the load generator counted"));
    let done = helper.finish().map_err(trouble("wait for", "the load generator"))?;
    if done { outcome } else { Err(Trouble::new("complete", "the load", "its generator failed")) }
}

/// A place for a connection, and the request that it is busy with.
#[derive(Default)]
struct Slot {
    connection: Option<Connection>,
    /// Tells an event of this connection from one of another that had the place before.
    generation: u32,
    /// When the request was due.
    due: u64,
    /// When connecting began.
    opened: u64,
    /// Whether a byte of the answer has come.
    answered: bool,
}

struct Generator<'l> {
    load: &'l Load<'l>,
    request: Vec<u8>,
    epoll: Epoll,
    timer: TimerFd,
    /// For when the timer is set.
    armed: Option<u64>,
    slots: Vec<Slot>,
    /// Those that are not busy, the longest idle first.
    free: VecDeque<usize>,
    schedule: Schedule,
    tally: Tally,
    /// Between these it is counted.
    window: (u64, u64),
    /// Which address of this machine connections come from, when the ports of the first one are used up.
    source: Option<Ipv4Addr>,
    buffer: Vec<u8>,
}

/// The timer's mark among the events; a slot's is its number and generation.
const TIMER: u64 = u64::MAX;

impl<'l> Generator<'l> {
    fn new(load: &'l Load<'l>) -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC)?;
        epoll.add(&timer, EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, TIMER))?;
        let start = clock::now();
        let measured = (load.seconds * SECOND) as u64;
        let window = (start + measured / 4, start + measured / 4 + measured);
        Ok(Generator {
            load,
            request: load.target.request(load.kept),
            epoll,
            timer,
            armed: None,
            slots: (0..load.connections).map(|_| Slot::default()).collect(),
            free: (0..load.connections as usize).collect(),
            schedule: Schedule::new(load.pace, start, window.1),
            tally: Tally::default(),
            window,
            source: None,
            buffer: vec![0; 256 * 1024],
        })
    }

    fn run(mut self, tell: impl Write) -> io::Result<()> {
        let mut events = vec![EpollEvent::empty(); 256];
        let mut used = None;
        let mut busy = None;
        loop {
            let now = clock::now();
            if now >= self.window.0 && used.is_none() {
                used = Some((now, processor_time()?));
            }
            if now >= self.window.1
                && let (Some((since, before)), None) = (used, busy)
            {
                busy = Some((processor_time()? - before) as f64 / (now - since) as f64);
            }
            if self.is_over(now) {
                break;
            }
            self.begin_due(now)?;
            self.arm()?;
            let count = self.epoll.wait(&mut events, self.patience(now)).or_else(interrupted)?;
            for event in &events[..count] {
                if event.data() != TIMER {
                    self.see(event)?;
                    // At once, as a client would; not when all that happened has been seen.
                    self.begin_due(clock::now())?;
                }
            }
        }
        let late = self.slots.len() - self.free.len();
        self.tally.unanswered += if self.load.pace == Pace::Closed { 0 } else { late as u64 };
        while self.schedule.take(self.window.1).is_some() && self.load.pace != Pace::Closed {
            self.tally.unanswered += 1;
        }
        self.tally.tell((self.window.1 - self.window.0) as f64 / SECOND, busy.unwrap_or(0.0), tell)
    }

    /// A closed loop ends on time; an open one waits for the answers to what was due. Where nothing succeeds, both end.
    fn is_over(&self, now: u64) -> bool {
        let hopeless = self.tally.problems() > 100 + self.tally.answers;
        let idle = self.free.len() == self.slots.len();
        let complete = self.load.pace == Pace::Closed || idle || now >= self.window.1 + GRACE;
        hopeless || (now >= self.window.1 && self.schedule.is_over(now) && complete) || now >= self.window.1 + GRACE
    }

    /// How long to sleep when nothing happens.
    fn patience(&self, now: u64) -> EpollTimeout {
        let until = if now < self.window.1 { self.window.1 } else { self.window.1 + GRACE };
        EpollTimeout::try_from((until.saturating_sub(now) / 1_000_000 + 1) as i32).unwrap_or(EpollTimeout::ZERO)
    }

    /// Has the timer go off when the next request is due, if there is a connection for it. epoll's own timeout counts in
    /// milliseconds.
    fn arm(&mut self) -> io::Result<()> {
        let Some(due) = self.schedule.next().filter(|_| !self.free.is_empty()) else { return Ok(()) };
        if self.armed != Some(due) {
            self.armed = Some(due);
            let time = TimeSpec::nanoseconds(due.max(1) as i64);
            self.timer.set(Expiration::OneShot(time), TimerSetTimeFlags::TFD_TIMER_ABSTIME)?;
        }
        Ok(())
    }

    /// Begins with the requests that are due, as far as there are connections for them.
    fn begin_due(&mut self, now: u64) -> io::Result<()> {
        // Each free one at most once: one that fails at once is free again.
        for _ in 0..self.free.len() {
            let Some(due) = self.schedule.take(now) else { break };
            if let Some(slot) = self.free.pop_front() {
                self.begin(slot, due)?;
            }
        }
        Ok(())
    }

    /// Begins with a request.
    fn begin(&mut self, index: usize, due: u64) -> io::Result<()> {
        let slot = &mut self.slots[index];
        (slot.due, slot.answered) = (due, false);
        match &mut slot.connection {
            Some(connection) => {
                let progress = connection.ask(&self.request);
                self.go_on(index, progress)
            }
            None => self.open(index),
        }
    }

    fn open(&mut self, index: usize) -> io::Result<()> {
        let opened = clock::now();
        let mut connection = Connection::open(self.load.target.address, self.source);
        if connection.as_ref().is_err_and(|&error| error == Errno::EADDRNOTAVAIL) {
            // All ports from here to there are in use, or were within the last minute.
            self.source = next_source(self.load.target.address, self.source);
            if self.source.is_some() {
                connection = Connection::open(self.load.target.address, self.source);
            }
        }
        let connection = match connection {
            Ok(connection) => connection,
            Err(error) => return self.go_on(index, Progress::Failed(format!("connecting: {}", error.desc()))),
        };
        let slot = &mut self.slots[index];
        slot.generation = slot.generation.wrapping_add(1);
        slot.opened = opened;
        let mark = u64::from(slot.generation) << 32 | index as u64;
        let interest = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLET;
        self.epoll.add(&connection, EpollEvent::new(interest, mark))?;
        let connecting = connection.is_connecting();
        slot.connection = Some(connection);
        if connecting { Ok(()) } else { self.ask_first(index) }
    }

    /// The connection is there.
    fn ask_first(&mut self, index: usize) -> io::Result<()> {
        let slot = &mut self.slots[index];
        let Some(connection) = &mut slot.connection else { return Ok(()) };
        if slot.due >= self.window.0 {
            self.tally.time(Phase::Connect, clock::now() - slot.opened);
        }
        let progress = connection.ask(&self.request);
        self.go_on(index, progress)
    }

    /// Something happened on a connection.
    fn see(&mut self, event: &EpollEvent) -> io::Result<()> {
        let (index, generation) = ((event.data() & 0xFFFF_FFFF) as usize, (event.data() >> 32) as u32);
        let slot = &mut self.slots[index];
        let Some(connection) = slot.connection.as_mut().filter(|_| slot.generation == generation) else {
            return Ok(());
        };
        if connection.is_connecting() {
            return match connection.connected() {
                Ok(()) => self.ask_first(index),
                Err(error) => self.go_on(index, Progress::Failed(format!("connecting: {}", error.desc()))),
            };
        }
        if !event.events().intersects(EpollFlags::EPOLLIN | EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR) {
            return Ok(());
        }
        if connection.is_idle() {
            // The server closes it: the next request will need another one.
            slot.connection = None;
            return Ok(());
        }
        let (bytes, progress) = connection.receive(&mut self.buffer);
        let now = clock::now();
        if (self.window.0..self.window.1).contains(&now) {
            self.tally.bytes += bytes;
        }
        if !slot.answered && bytes > 0 {
            slot.answered = true;
            if slot.due >= self.window.0 {
                self.tally.time(Phase::First, now.saturating_sub(slot.due));
            }
        }
        if matches!(progress, Progress::Done { status: 200, .. }) {
            if slot.due >= self.window.0 {
                self.tally.time(Phase::Complete, now.saturating_sub(slot.due));
            }
            self.tally.answers += u64::from((self.window.0..self.window.1).contains(&now));
        }
        self.go_on(index, progress)
    }

    /// What follows from how far an exchange is.
    fn go_on(&mut self, index: usize, progress: Progress) -> io::Result<()> {
        let keep = match progress {
            Progress::More => return Ok(()),
            Progress::Stale => {
                self.slots[index].connection = None;
                return self.open(index);
            }
            Progress::Done { status: 200, keep } => keep && self.load.kept,
            Progress::Done { status, .. } => {
                self.tally.problem(format_args!("status {status}"));
                false
            }
            Progress::Failed(reason) => {
                self.tally.problem(reason);
                false
            }
        };
        if !keep {
            self.slots[index].connection = None;
        }
        self.free.push_back(index);
        Ok(())
    }
}

/// User and system time of this process, in nanoseconds.
fn processor_time() -> io::Result<i64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    Ok((usage.user_time() + usage.system_time()).num_nanoseconds())
}

/// A signal is no event.
fn interrupted(error: Errno) -> Result<usize, Errno> {
    if error == Errno::EINTR { Ok(0) } else { Err(error) }
}

/// To a server on loopback, connections may come from anywhere in 127.0.0.0/8: each address has all the ports.
fn next_source(to: SocketAddr, from: Option<Ipv4Addr>) -> Option<Ipv4Addr> {
    match to.ip() {
        IpAddr::V4(address) if address.is_loopback() => {
            Some(from.map_or(Ipv4Addr::new(127, 0, 1, 1), |from| Ipv4Addr::from(from.to_bits() + 1)))
        }
        _ => None,
    }
}
