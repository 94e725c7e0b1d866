//! The supervisor's loop: wait, heed signals, reap, admit, spawn.

use std::fmt;
use std::io;
use std::os::fd::AsFd;

use connection::Handler;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use crate::admit::{self, Admitted, Nothing};
use crate::children::{Child, Children};
use crate::error::describe;
use crate::hold::Hold;
use crate::listen::Listener;
use crate::log::{Limiter, Log};
use crate::porter::Porter;
use crate::reap::Ended;
use crate::reaper::Reaper;
use crate::rules::reason::reason;
use crate::server::{Limits, MOST_LISTENERS};
use crate::signals::Manner;
use crate::spawn::prefork::Pool;
use crate::spawn::vfork::Starter;
use crate::spawn::{Nest, fork};
use crate::stop::Stopping;
use crate::sys::{self, Peer};
use crate::ucspi::Door;

/// A connection that comes this soon after the one before, in microseconds, has the supervisor expect the next as soon,
/// and reap then what has ended meanwhile, rather than be woken by each end.
const HURRY: u64 = 10_000;

/// After so many waits that found a connection ready at once, signals are let in by themselves: ppoll(2) delivers none
/// when it has something else to tell, and under load it always has.
const UNHEARD: u32 = 64;

/// In a hurry, up to so many connections are taken from a queue before the supervisor looks at anything else.
const BURST: u32 = 16;

/// After a queue was found empty, so many wake-ups take one connection each, without asking whether there is another.
const ALONE: u32 = 8;

/// A child that ends within this time of its birth, in microseconds, without having served anyone, died at start.
const INFANCY: u64 = 1_000_000;

/// So many lines a second about connections that could not be given to the program; more are counted.
const DROPPED: u32 = 10;

/// What makes children, in each mode.
pub(crate) enum Crew<'a> {
    Fork(&'a mut dyn Handler),
    Vfork(Box<Starter>),
    Pool(Pool<'a>),
    Ucspi(Box<Door>),
}

pub(crate) struct Supervisor<'a> {
    nest: &'a Nest<'a>,
    crew: Crew<'a>,
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
    porter: Porter,
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
    /// Told to stop as ucspi-tcp does: at once, and children live on.
    over: bool,
    complaints: Limiter,
    /// What is said of each connection that is dropped: ucspi-tcp says it every time.
    dropped: Limiter,
}

impl<'a> Supervisor<'a> {
    pub(crate) fn new(
        nest: &'a Nest<'a>,
        crew: Crew<'a>,
        children: Children,
        limits: Limits,
        listeners: Vec<Listener>,
        mut log: Log,
        porter: Porter,
    ) -> Self {
        // The loop writes them before it waits, and before a child could write.
        log.gather();
        let dropped = Limiter::per_second(if matches!(crew, Crew::Ucspi(_)) { DROPPED } else { 1 });
        Supervisor {
            nest,
            crew,
            limit: limits.connections,
            drain: limits.drain,
            children,
            reaper: Reaper::default(),
            accepting: std::array::from_fn(|at| at < listeners.len()),
            listeners,
            log,
            hold: Hold::default(),
            porter,
            waiting: None,
            accepted: 0,
            hurried: false,
            unheard: 0,
            alone: 0,
            stopping: None,
            over: false,
            complaints: Limiter::default(),
            dropped,
        }
    }

    /// Supervises until the service was told to stop and nobody is left. `ready` is called once, when connections are
    /// served.
    pub(crate) fn run(mut self, ready: impl FnOnce(&[Listener])) {
        self.fill();
        self.log.flush();
        ready(&self.listeners);
        while !self.is_done() {
            let connections = self.wait();
            self.heed_stop();
            if self.over {
                break;
            }
            self.reap();
            if self.nest.signals.take_request() {
                self.porter.report(self.children.live(), self.limit, &self.listeners, &mut self.log);
            }
            self.porter.work(&mut self.children, self.limit, &self.listeners, &mut self.log);
            self.retry();
            for at in (0..self.listeners.len()).filter(|&at| connections[at]) {
                self.admit_queued(at);
            }
            self.fill();
            self.press_on();
        }
        for listener in &self.listeners {
            listener.remove_name();
            if listener.left_name() {
                let name = listener.address();
                self.log.warning(format_args!("unable to remove {name}: it stays, and the next start takes it over"));
            }
        }
        self.log.flush();
    }

    /// Waits for a connection, a signal, or the time of something to do. Says which listeners have a connection.
    fn wait(&mut self) -> [bool; MOST_LISTENERS] {
        self.log.flush();
        let now = sys::micros();
        let room = !self.is_pool() && self.has_room(now) && self.waiting.is_none();
        self.hurried = self.hurried && room;
        self.unheard += 1;
        let let_in = self.unheard > UNHEARD;
        if let_in {
            self.unheard = 0;
            self.nest.signals.let_in();
        }
        if room && self.stopping.is_some() && self.accepting.contains(&true) {
            // What is queued is served before anything else, and an accept that finds nothing is what tells the end.
            return self.accepting;
        }
        let timeout = [
            // What was let in is heeded before any wait: the wait would not be told of it again.
            let_in.then_some(0),
            self.hurried.then_some(HURRY),
            self.hold.left(now),
            // The time to hold back may have ended since `retry` and `fill` looked.
            (self.lacks_children() || self.can_retry()).then(|| self.hold.left(now).unwrap_or(0)),
            self.stopping.as_ref().map(|stopping| stopping.next().saturating_sub(now)),
            self.porter.next().map(|next| next.saturating_sub(now)),
            self.reaper.due().map(|due| due.saturating_sub(now)),
        ];
        let timeout = timeout.into_iter().flatten().min();
        let timeout = timeout.map(|micros| TimeSpec::from(std::time::Duration::from_micros(micros)));
        let last = self.listeners.len() - 1;
        let mut polled: [PollFd<'_>; MOST_LISTENERS + 1] = std::array::from_fn(|at| {
            let wanted = if self.accepting.get(at) == Some(&true) { PollFlags::POLLIN } else { PollFlags::empty() };
            PollFd::new(self.listeners[at.min(last)].as_fd(), wanted)
        });
        // While stopping there is nothing to be told: the queues are tried, and a socket that refuses is for ever ready.
        let watched = if room && self.stopping.is_none() { self.listeners.len() } else { 0 };
        // Headers arrive behind the connections that are watched, if any are waited for.
        let arrivals = self.porter.arrivals();
        if let Some(arrivals) = arrivals {
            polled[watched] = PollFd::new(arrivals, PollFlags::POLLIN);
        }
        let polled = &mut polled[..watched + usize::from(arrivals.is_some())];
        let mut ready = [false; MOST_LISTENERS];
        match ppoll(polled, timeout, Some(*self.nest.signals.wait_mask(self.hurried))) {
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
        ready
    }

    /// Waits for every child that has ended, so that none is left a zombie.
    fn reap(&mut self) {
        // In a hurry SIGCHLD is kept out, so its flag says nothing.
        let now = sys::micros();
        let is_due = self.reaper.due().is_some_and(|due| due <= now);
        if !self.nest.signals.take_child() && !self.hurried && !is_due {
            return;
        }
        self.tell_failures();
        self.reaper.begin(self.children.live(), self.children.live() >= self.limit, now);
        while let Some(ended) = self.reaper.next() {
            // It is told why a child ended before it is told that it did.
            self.tell_failures();
            self.record(&ended);
            // With no child of ours left there can be none to wait for, but for children that we were given by whoever
            // executed us, or as init: those are found the next time.
            if self.children.live() == 0 && self.hurried {
                break;
            }
        }
    }

    /// Says why children could not become the program.
    fn tell_failures(&mut self) {
        while let Some(failure) = self.failure() {
            match self.dropped.admit() {
                None => {}
                Some(0) => self.log.warning(format_args!("{failure}")),
                Some(more) => self.log.warning(format_args!("{failure} ({more} more)")),
            }
        }
    }

    /// What a child on shared memory could not do, once for each that could not.
    fn failure(&mut self) -> Option<String> {
        match &mut self.crew {
            Crew::Vfork(starter) => {
                let (path, error) = starter.failure()?;
                Some(format!("unable to execute {}: {}", path.to_string_lossy(), describe(&error)))
            }
            Crew::Ucspi(door) => door.failure(),
            Crew::Fork(_) | Crew::Pool(_) => None,
        }
    }

    fn record(&mut self, ended: &Ended) {
        let Some(mut child) = self.children.record_exit(ended.pid) else { return };
        let age = sys::micros().saturating_sub(child.started);
        let mut stillborn = false;
        if let Crew::Pool(pool) = &mut self.crew {
            let slot = pool.slot(child.slot);
            child.peer = slot.peer();
            stillborn = ended.is_abnormal() && slot.taken() == 0 && age < INFANCY && self.stopping.is_none();
            let found_nothing = pool.release(child.slot);
            if let Some(stopping) = &mut self.stopping
                && found_nothing
                && !ended.is_abnormal()
                && !stopping.queue_empty
                // It may have had the signal before the socket was made non-blocking, from whoever signals a whole group.
                && self.listeners.iter().all(Listener::is_queue_empty)
            {
                stopping.queue_empty = true;
                self.listeners.iter().for_each(Listener::refuse);
            }
        }
        self.log.end(&child, ended, age);
        self.porter.ended(&child, ended, &mut self.log);
        if stillborn {
            let pause = self.hold.extend(sys::micros());
            let seconds = pause as f64 / 1e6;
            self.complain(format_args!("children die at start: next try in {seconds} s"));
        } else if !ended.is_abnormal() {
            self.hold.lift();
        }
        if !self.is_pool() {
            self.log.status(self.children.live(), self.limit);
        }
    }

    /// Accepts a connection; and, if they come in a hurry, those that are queued behind it, which saves a wait for each.
    fn admit_queued(&mut self, at: usize) {
        self.alone = self.alone.saturating_sub(1);
        let mut admitted = 1;
        while self.admit(at) && self.hurried && self.alone == 0 && admitted < BURST {
            admitted += 1;
            self.unheard += 1;
        }
    }

    /// Accepts one connection and makes a child for it. Says whether there was one.
    fn admit(&mut self, at: usize) -> bool {
        if self.children.live() >= self.limit || self.waiting.is_some() {
            return false;
        }
        let admitted = match admit::accept(&self.listeners[at]) {
            Ok(admitted) => admitted,
            Err(Nothing::Exhausted(error)) => {
                self.held_up("accept", &error);
                return false;
            }
            Err(Nothing::Closed(error)) if self.stopping.is_none() => {
                self.held_up("accept", &error);
                return false;
            }
            Err(Nothing::Gone | Nothing::Interrupted | Nothing::Closed(_)) => {
                self.alone = ALONE;
                // While stopping, an empty queue is the end of this listener.
                if self.stopping.is_some() && self.accepting[at] {
                    self.accepting[at] = false;
                    self.listeners[at].refuse();
                }
                return false;
            }
        };
        let now = sys::micros();
        self.hurried = now.saturating_sub(self.accepted) < HURRY;
        self.accepted = now;
        if let Some(admitted) = self.porter.enter(at, admitted, &mut self.log) {
            self.spawn(at, admitted);
        }
        true
    }

    /// Makes a child for an accepted connection; if that cannot be done now, it is tried again later.
    fn spawn(&mut self, at: usize, admitted: Admitted) {
        if let Err(error) = self.children.make_room() {
            self.waiting = Some((at, admitted));
            return self.held_up("make room for a child", &error);
        }
        let from = &self.listeners[at];
        let before = self.porter.clock();
        if let Crew::Ucspi(_) = self.crew {
            // The child writes its lines itself, this one comes before them.
            self.log.status(self.children.live() + 1, self.limit);
        }
        self.log.flush();
        let spawned = match &mut self.crew {
            Crew::Fork(handler) => fork::spawn(self.nest, *handler, &self.listeners, &self.porter, from, &admitted),
            Crew::Vfork(starter) => starter.spawn(self.nest, from, &admitted),
            Crew::Ucspi(door) => door.spawn(self.nest, &self.listeners, &self.porter, from, &admitted),
            Crew::Pool(_) => return,
        };
        match spawned {
            Ok(pid) => {
                let peer = admitted.peer;
                // Our copy is closed before anything is written: a log that stalls must not keep the client's connection.
                drop(admitted);
                self.register(pid, peer);
                self.porter.began(peer, self.children.live(), self.limit, before);
            }
            Err(error) => {
                self.waiting = Some((at, admitted));
                if let Crew::Ucspi(_) = self.crew {
                    self.log.status(self.children.live(), self.limit);
                }
                self.held_up("fork", &error);
            }
        }
    }

    /// The connection that found no child, if there may be one now.
    fn retry(&mut self) {
        if self.has_room(sys::micros())
            && let Some((at, admitted)) = self.waiting.take()
        {
            self.spawn(at, admitted);
        }
        while self.has_room(sys::micros())
            && self.waiting.is_none()
            && let Some((at, admitted)) = self.porter.next_complete(&mut self.log)
        {
            self.spawn(at, admitted);
        }
    }

    /// Whether a connection waits for nothing but the time to hold back.
    fn can_retry(&self) -> bool {
        self.waiting.is_some() && self.children.live() < self.limit
    }

    /// Whether one more child may be tried.
    fn has_room(&self, now: u64) -> bool {
        self.children.live() < self.limit && !self.hold.is_on(now)
    }

    fn register(&mut self, pid: i32, peer: Peer) {
        self.reaper.born(pid);
        self.children.register(Child { pid, peer, started: sys::micros(), ..Child::default() });
        if !matches!(self.crew, Crew::Ucspi(_)) {
            self.log.status(self.children.live(), self.limit);
            self.log.pid(pid, peer);
        }
    }

    /// Makes the children that a pool lacks.
    fn fill(&mut self) {
        let wanted = self.lacks_children();
        let Crew::Pool(pool) = &mut self.crew else { return };
        let mut failure = None;
        while wanted && !pool.is_full() && !self.hold.is_on(sys::micros()) && failure.is_none() {
            match self.children.make_room().and_then(|()| pool.spawn(self.nest, &self.listeners)) {
                Ok((pid, slot)) => {
                    self.reaper.born(pid);
                    self.children.register(Child { pid, slot, started: sys::micros(), ..Child::default() });
                }
                Err(error) => failure = Some(error),
            }
        }
        if let Some(error) = failure {
            self.held_up("fork", &error);
        }
    }

    /// Whether a pool is to be filled.
    fn lacks_children(&self) -> bool {
        let wanted = self.stopping.as_ref().is_none_or(|stopping| !stopping.queue_empty);
        matches!(&self.crew, Crew::Pool(pool) if wanted && !pool.is_full())
    }

    /// Something is short. Trying again at once would spin.
    fn held_up(&mut self, verb: &str, error: &io::Error) {
        self.hold.extend(sys::micros());
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

    /// SIGTERM and SIGINT: gently the first time, at once the second.
    fn heed_stop(&mut self) {
        if !self.nest.signals.take_stop() {
            return;
        }
        if self.nest.signals.manner() == Manner::Abrupt {
            self.over = true;
            return;
        }
        match &mut self.stopping {
            Some(stopping) => stopping.hasten(),
            None => {
                for listener in &self.listeners {
                    // What is queued is served; what is not queued yet finds whoever listens next. The order matters
                    // for a pool: see `next_connection` in spawn/prefork.rs.
                    listener.close_queue();
                    if let Err(error) = listener.set_nonblocking() {
                        self.log.warning(format_args!("unable to drain {}: {error}", listener.address()));
                    }
                }
                self.stopping = Some(Stopping::begin(self.drain));
            }
        }
    }

    /// While stopping: wakes those who idle, says who is still there, and loses patience in the end.
    fn press_on(&mut self) {
        let Some(stopping) = &mut self.stopping else { return };
        let gentle = if let Crew::Vfork(starter) = &self.crew { starter.ends_gently } else { true };
        let pool = if let Crew::Pool(pool) = &self.crew { Some(pool) } else { None };
        let client = |child: &Child| match pool.map(|pool| pool.slot(child.slot)) {
            Some(slot) => slot.is_busy().then(|| slot.peer()),
            None => Some(child.peer),
        };
        stopping.press_on(&self.children, gentle, client, &mut self.log);
        if stopping.is_impatient() && !stopping.queue_empty {
            // Whoever were served now would have nobody to end it.
            if !self.listeners.iter().all(Listener::is_queue_empty) {
                self.log.warning(format_args!("stopping: no time is left for the connections that are still queued"));
            }
            if let Some((_, admitted)) = self.waiting.take() {
                self.log.warning(format_args!("dropping connection{}", crate::log::Peer(admitted.peer)));
            }
            stopping.queue_empty = true;
            self.accepting = [false; MOST_LISTENERS];
            self.listeners.iter().for_each(Listener::refuse);
        }
    }

    fn is_done(&self) -> bool {
        let Some(stopping) = &self.stopping else { return false };
        let waits = self.accepting.contains(&true) || self.waiting.is_some() || !self.porter.is_empty();
        let queues_empty = self.is_pool() || !waits;
        (queues_empty && self.children.live() == 0) || stopping.is_over()
    }
}
