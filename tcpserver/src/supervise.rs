//! The supervisor's loop: wait, heed signals, reap, admit, spawn. Each has a file in this folder.

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
mod waiting;
mod yielding;

use std::fmt;
use std::io;

use connection::Handler;
use nix::sys::signal::Signal;

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
use crate::restart::Restart;
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
use restarting::Restarting;

/// A connection that comes this soon after the one before, in microseconds, has the supervisor expect the next as soon,
/// and reap then what has ended meanwhile, rather than be woken by each end.
const HURRY: u64 = 10_000;

/// So many lines a second about connections that could not be given to the program; more are counted.
const DROPPED: u32 = 10;

/// What makes children, in each mode.
#[expect(clippy::large_enum_variant, reason = "what the supervisor writes lies together: see sys::own_stack")]
pub(crate) enum Crew<'a> {
    Fork(&'a mut dyn Handler),
    Vfork(Box<Starter>),
    Pool(Pool<'a>),
    Ucspi(Box<Door>),
}

/// What a supervisor works on and with.
pub(crate) struct Service<'a> {
    pub(crate) nest: &'a Nest<'a>,
    pub(crate) crew: Crew<'a>,
    /// The seats of a pool whose children are given their connections by the supervisor.
    pub(crate) handed: Option<Handed>,
    pub(crate) children: Children,
    pub(crate) limits: Limits,
    pub(crate) listeners: Vec<Listener>,
    pub(crate) log: Log,
    /// Memory that children leave to others.
    pub(crate) floor: Option<Floor>,
    pub(crate) porter: Porter,
    pub(crate) books: Books,
    /// For others to look through.
    pub(crate) window: Option<Window>,
    /// More than serving.
    pub(crate) restart: Restart<'a>,
}

pub(crate) struct Supervisor<'a> {
    nest: &'a Nest<'a>,
    crew: Crew<'a>,
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
    restarting: Restarting<'a>,
    /// Told to stop as ucspi-tcp does: at once, and children live on.
    over: bool,
    complaints: Limiter,
    /// What is said of each connection that is dropped: ucspi-tcp says it every time.
    dropped: Limiter,
}

/// Supervises until the service was told to stop and nobody is left. `ready` is called once, when connections are served.
// In a frame of its own, so that what is written for each child lies together: see `sys::own_stack`.
#[inline(never)]
pub(crate) fn supervise(service: Service<'_>, ready: impl FnOnce(&[Listener])) {
    let mut supervisor = Supervisor::new(service);
    let last = (&raw const supervisor).addr() + size_of::<Supervisor<'_>>() - 1;
    supervisor.nest.stack.set(last);
    supervisor.run(ready);
}

impl<'a> Supervisor<'a> {
    // Elsewhere, or the room in which it is put together would lie there, too.
    #[inline(never)]
    fn new(service: Service<'a>) -> Self {
        let Service { nest, crew, handed, children, limits, listeners, mut log, floor, porter, books, window, restart } =
            service;
        // The loop writes them before it waits, and before a child could write.
        log.gather();
        nest.private.set(window.iter().flat_map(Window::descriptors));
        let dropped = Limiter::per_second(if matches!(crew, Crew::Ucspi(_)) { DROPPED } else { 1 });
        Supervisor {
            nest,
            crew,
            handed,
            limit: limits.connections,
            drain: limits.drain,
            children,
            reaper: Reaper::default(),
            accepting: std::array::from_fn(|at| at < listeners.len()),
            listeners,
            log,
            hold: Hold::default(),
            lull: Hold::default(),
            floor,
            porter,
            books,
            window,
            metrics: Metrics::default(),
            waiting: None,
            accepted: 0,
            hurried: false,
            unheard: 0,
            alone: 0,
            stopping: None,
            restarting: Restarting::new(restart),
            over: false,
            complaints: Limiter::default(),
            dropped,
        }
    }

    fn run(&mut self, ready: impl FnOnce(&[Listener])) {
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
        self.remove_names();
        self.log.flush();
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
