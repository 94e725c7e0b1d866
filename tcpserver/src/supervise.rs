//! The supervisor's loop: wait, heed signals, reap, admit, spawn. Each has a file in this folder; the wait is here.

mod admitting;
mod filling;
mod handing;
mod reaping;
mod reopening;
mod restarting;
mod showing;
mod sparing;
mod stopping;
mod turning_away;
mod yielding;

use std::fmt;
use std::io;
use std::os::fd::AsFd;

use connection::Handler;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::signal::Signal;
use nix::sys::time::TimeSpec;

use crate::admit::Admitted;
use crate::children::Children;
use crate::error::describe;
use crate::hold::Hold;
use crate::listen::Listener;
use crate::log::{Limiter, Log};
use crate::memory::Floor;
use crate::metrics::Metrics;
use crate::porter::Porter;
use crate::reaper::Reaper;
use crate::rules::reason::reason;
use crate::scoreboard::Books;
use crate::server::{Limits, MOST_LISTENERS};
use crate::spawn::Nest;
use crate::spawn::handed::Handed;
use crate::spawn::prefork::Pool;
use crate::spawn::vfork::Starter;
use crate::stop::Stopping;
use crate::sys;
use crate::ucspi::Door;
use crate::window::Window;

/// A connection that comes this soon after the one before, in microseconds, has the supervisor expect the next as soon,
/// and reap then what has ended meanwhile, rather than be woken by each end.
const HURRY: u64 = 10_000;

/// After so many waits that found a connection ready at once, signals are let in by themselves: ppoll(2) delivers none
/// when it has something else to tell, and under load it always has.
const UNHEARD: u32 = 64;

/// So many lines a second about connections that could not be given to the program; more are counted.
const DROPPED: u32 = 10;

/// What makes children, in each mode.
pub(crate) enum Crew<'a> {
    Fork(&'a mut dyn Handler),
    Vfork(Box<Starter>),
    Pool(Box<Pool<'a>>),
    Ucspi(Box<Door>),
}

pub(crate) struct Supervisor<'a> {
    nest: &'a Nest<'a>,
    crew: Crew<'a>,
    /// The seats of a pool whose children are given their connections by this process.
    handed: Option<Handed>,
    /// Children at once.
    limit: usize,
    /// Seconds that open connections get when the service is told to stop.
    drain: u32,
    children: Children,
    reaper: Reaper,
    listeners: Vec<Listener>,
    /// From which of them this process still accepts.
    accepting: [bool; MOST_LISTENERS],
    log: Log,
    hold: Hold,
    /// The same for accepting, where children wait to be handed connections: these need nothing that is made.
    lull: Hold,
    /// Memory that children leave to others.
    floor: Option<Floor>,
    porter: Porter,
    books: Books,
    window: Option<Window>,
    metrics: Metrics,
    /// A connection that was accepted and found no child yet, and from which listener: it is next.
    waiting: Option<(usize, Admitted)>,
    /// When a connection was last accepted here, in microseconds.
    accepted: u64,
    hurried: bool,
    /// Connections and waits since signals were surely let in.
    unheard: u32,
    /// Wake-ups for which a second connection is not asked for.
    alone: u32,
    stopping: Option<Stopping>,
    restarting: restarting::Restarting<'a>,
    /// Told to stop as ucspi-tcp does: at once, and children live on.
    over: bool,
    complaints: Limiter,
    /// What is said of each connection that is dropped: ucspi-tcp says it every time.
    dropped: Limiter,
}

impl<'a> Supervisor<'a> {
    #[allow(clippy::too_many_arguments, reason = "called once, with what the loop works on")]
    pub(crate) fn new(
        nest: &'a Nest<'a>,
        crew: Crew<'a>,
        children: Children,
        limits: Limits,
        listeners: Vec<Listener>,
        mut log: Log,
        porter: Porter,
        books: Books,
    ) -> Self {
        // The loop writes them before it waits, and before a child could write.
        log.gather();
        let dropped = Limiter::per_second(if matches!(crew, Crew::Ucspi(_)) { DROPPED } else { 1 });
        Supervisor {
            nest,
            crew,
            handed: None,
            limit: limits.connections,
            drain: limits.drain,
            children,
            reaper: Reaper::default(),
            accepting: std::array::from_fn(|at| at < listeners.len()),
            listeners,
            log,
            hold: Hold::default(),
            lull: Hold::default(),
            floor: None,
            porter,
            books,
            window: None,
            metrics: Metrics::default(),
            waiting: None,
            accepted: 0,
            hurried: false,
            unheard: 0,
            alone: 0,
            stopping: None,
            restarting: restarting::Restarting::default(),
            over: false,
            complaints: Limiter::default(),
            dropped,
        }
    }

    /// With memory that is not to be used up.
    pub(crate) fn sparing(self, floor: Option<Floor>) -> Self {
        Supervisor { floor, ..self }
    }

    /// With a window for others to look through.
    pub(crate) fn shown_at(self, window: Option<Window>) -> Self {
        self.nest.private.set(window.iter().flat_map(Window::descriptors));
        Supervisor { window, ..self }
    }

    /// Supervises until the service was told to stop and nobody is left. `ready` is called once, when connections are
    /// served.
    pub(crate) fn run(mut self, ready: impl FnOnce(&[Listener])) {
        while self.fill() {}
        self.log.flush();
        ready(&self.listeners);
        self.tell_ready();
        while !self.is_done() {
            let (connections, asked) = self.wait();
            self.heed_stop();
            if self.over {
                break;
            }
            self.heed_restart();
            self.hear();
            self.reap();
            self.tell_held_back();
            if self.nest.signals.take_request() {
                self.porter.report(self.children.live(), self.limit, &self.listeners, &mut self.log);
            }
            self.porter.work(&mut self.children, self.limit, &self.listeners, &mut self.log);
            self.show(asked);
            self.retry();
            self.thin();
            self.check();
            for at in (0..self.listeners.len()).filter(|&at| connections[at]) {
                self.admit_queued(at);
            }
            self.relieve(connections.contains(&true));
            self.fill();
            self.press_on();
        }
        // One that is still there in the end hangs.
        self.signal_called_off(Signal::SIGKILL);
        let window = self.window.iter().map(Window::listener);
        for listener in self.listeners.iter().chain(window) {
            listener.remove_name();
            if listener.left_name() {
                let name = listener.address();
                self.log.warning(format_args!("unable to remove {name}: it stays, and the next start takes it over"));
            }
        }
        self.log.flush();
    }

    /// Waits for a connection, a signal, or the time of something to do. Says which listeners have a connection, and
    /// whether somebody is at the window.
    fn wait(&mut self) -> ([bool; MOST_LISTENERS], bool) {
        self.log.flush();
        let now = sys::micros();
        self.note_level(now);
        let room = !self.children_accept() && self.has_room(now) && !self.lull.is_on(now) && self.waiting.is_none();
        self.hurried = self.hurried && room;
        let full = !self.hold.is_on(now) && self.is_full_for_good();
        let patience = if full { self.porter.patience() } else { None };
        let (looks, patience) = patience.map_or((false, None), |patience| (patience.looks(now), patience.next()));
        self.unheard += 1;
        let let_in = self.unheard > UNHEARD;
        if let_in {
            self.unheard = 0;
            self.nest.signals.let_in();
        }
        if room && self.stopping.is_some() && self.accepting.contains(&true) {
            // What is queued is served before anything else, and an accept that finds nothing is what tells the end.
            return (self.accepting, false);
        }
        // Children ring a bell from here on; what has happened before is not rung for.
        let is_rung = self.settle(now);
        let timeout = [
            is_rung.then_some(0),
            self.next_of_pool(now),
            // What was let in is heeded before any wait: the wait would not be told of it again.
            let_in.then_some(0),
            self.looks_for_ends().then_some(HURRY),
            self.hold.left(now),
            self.lull.left(now),
            // The time to hold back may have ended since `retry` and `fill` looked.
            (self.lacks_children() || self.can_retry()).then(|| self.hold.left(now).unwrap_or(0)),
            self.stopping.as_ref().map(|stopping| stopping.next().saturating_sub(now)),
            self.porter.next().map(|next| next.saturating_sub(now)),
            patience.filter(|_| !looks).map(|next| next.saturating_sub(now)),
            self.next_of_restarting().map(|next| next.saturating_sub(now)),
            self.reaper.due().map(|due| due.saturating_sub(now)),
            self.dropped.owes().map(|due| due.saturating_sub(now)),
            self.window.as_ref().and_then(Window::next).map(|next| next.saturating_sub(now)),
        ];
        let timeout = timeout.into_iter().flatten().min();
        let timeout = timeout.map(|micros| TimeSpec::from(std::time::Duration::from_micros(micros)));
        let last = self.listeners.len() - 1;
        let mut polled: [PollFd<'_>; MOST_LISTENERS + 4] = std::array::from_fn(|at| {
            let wanted = if self.accepting.get(at) == Some(&true) { PollFlags::POLLIN } else { PollFlags::empty() };
            PollFd::new(self.listeners[at.min(last)].as_fd(), wanted)
        });
        // While stopping there is nothing to be told: the queues are tried, and a socket that refuses is for ever ready.
        let is_strained = matches!(&self.crew, Crew::Pool(pool) if pool.strain.is_watching(now));
        let watched = if (room || looks || is_strained) && self.stopping.is_none() { self.listeners.len() } else { 0 };
        // Headers, the bell and questions come behind the connections that are watched, if any are waited for.
        let mut used = watched;
        // While some children are idle it is early enough to hear of others when the next connection comes.
        let words = self.handed.as_ref().filter(|handed| !handed.has_idle()).map(Handed::words);
        let window = self.window.as_ref().map(Window::events);
        let bell = match &self.crew {
            Crew::Pool(pool) if now >= pool.deaf_until && self.children_accept() => Some(pool.notices.bell()),
            _ => None,
        };
        let arrivals = self.porter.arrivals();
        let bell_at = bell.map(|_| watched + usize::from(arrivals.is_some()));
        let window_at = window.map(|_| watched + usize::from(arrivals.is_some()) + usize::from(bell.is_some()));
        for beside in arrivals.into_iter().chain(bell).chain(window).chain(words) {
            polled[used] = PollFd::new(beside, PollFlags::POLLIN);
            used += 1;
        }
        let polled = &mut polled[..used];
        let mut ready = [false; MOST_LISTENERS];
        match ppoll(polled, timeout, Some(*self.nest.signals.wait_mask(self.looks_for_ends()))) {
            // The hurry is over: nobody came.
            Ok(0) => (self.hurried, self.unheard) = (self.hurried && let_in, 0),
            Ok(_) => {
                for (ready, fd) in ready.iter_mut().zip(&polled[..watched]) {
                    // Whatever it is, accept(2) tells; left alone, it would be told again at once.
                    *ready = fd.revents().is_some_and(|events| !events.is_empty());
                }
            }
            // A signal: its flag is set.
            Err(_) => self.unheard = 0,
        }
        let is_told = |at: Option<usize>| at.and_then(|at| polled[at].revents()).is_some_and(|e| !e.is_empty());
        let (asked, is_rung) = (is_told(window_at), is_told(bell_at));
        if is_rung {
            self.heed_bell(now);
        }
        (ready, asked)
    }

    /// Something is short. Trying again at once would spin.
    fn held_up(&mut self, verb: &str, error: &io::Error) {
        self.hold.extend(sys::micros());
        self.tell_held_up(verb, error);
    }

    fn tell_held_up(&mut self, verb: &str, error: &io::Error) {
        self.books.counters.held_up.add(1);
        let why = if let Crew::Ucspi(_) = self.crew { reason(error) } else { describe(error) };
        self.complain(format_args!("unable to {verb}: {why}"));
    }

    /// A warning that may come often: once a second, with the number of those held back since.
    fn complain(&mut self, what: fmt::Arguments<'_>) {
        match self.complaints.admit() {
            None => {}
            Some(0) => self.log.warning(what),
            Some(more) => self.log.warning(format_args!("{what} ({more} more)")),
        }
    }

    fn is_pool(&self) -> bool {
        matches!(self.crew, Crew::Pool(_))
    }
}
