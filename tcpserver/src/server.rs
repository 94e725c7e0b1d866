//! A server: from addresses to a supervised service.

use std::cell::Cell;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use connection::{Fd, Handler, Host, Lost, Outcome, Reader, Title};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::Builder;
use crate::admit::{self, Nothing};
use crate::children::Children;
use crate::error::{Error, describe};
use crate::listen::{Address, Listener, Tuning};
use crate::log::{Log, is_file};
use crate::memory::Floor;
use crate::porter::{self, Porter};
use crate::resources::ResourceLimit;
use crate::restart::Restart;
use crate::sandbox::Sandbox;
use crate::scoreboard::{Board, Books, Slot};
use crate::signals::Signals;
use crate::spawn::handed::Handed;
use crate::spawn::prefork::Pool;
use crate::spawn::{Mode, Nest, Private, alarm_clock, child_host};
use crate::supervise::{Crew, Service, supervise};
use crate::sys::{self, OneThread};
use crate::window::Window;

/// How many addresses one server listens on at most.
pub const MOST_LISTENERS: usize = 16;

/// What the supervisor never exceeds.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Children at once in the modes `fork` and `vfork`; further clients wait in the kernel's queue.
    pub connections: usize,
    /// Seconds that open connections get when the service is told to stop.
    pub drain: u32,
    /// While less memory is available, in bytes, no further child is made; 0 for no such floor.
    pub memory_floor: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { connections: 1000, drain: 30, memory_floor: 0 }
    }
}

/// A server that listens and is not yet supervising.
pub struct Server {
    listeners: Vec<Listener>,
    limits: Limits,
    /// It is opened before a new root hides what it looks at.
    floor: Option<Floor>,
    policy: porter::Policy,
    sandbox: Option<Rc<Sandbox>>,
    resources: Vec<ResourceLimit>,
    /// Where a child tells ps(1) what it does.
    title: Option<Title<'static>>,
    window: Option<Window>,
    log: Log,
}

impl Server {
    /// A server in a few lines. `program` begins each line of its log.
    pub fn builder(program: &'static str) -> Builder {
        Builder::new(program)
    }

    /// Listens on each address.
    pub fn bind(addresses: &[Address], tuning: Tuning, limits: Limits, log: Log) -> Result<Self, Error> {
        if addresses.is_empty() || addresses.len() > MOST_LISTENERS {
            let reason = format!("{} addresses given, 1 to {MOST_LISTENERS} are possible", addresses.len());
            return Err(Error::new("listen", "anywhere", reason));
        }
        let mut listeners = Vec::new();
        for address in addresses {
            match Listener::bind(address, tuning) {
                Ok(listener) => listeners.push(listener),
                Err(error) => {
                    listeners.iter().for_each(Listener::remove_name);
                    return Err(error);
                }
            }
        }
        Ok(Server::over(listeners, limits, log))
    }

    /// Asks for more than making children, in the modes `fork` and `vfork`.
    #[must_use]
    pub fn with(self, policy: porter::Policy) -> Self {
        Server { policy, ..self }
    }

    /// Serves at sockets that somebody else made: lent to us, or left to us by a process that we replace.
    pub fn adopt(sockets: Vec<OwnedFd>, lent: bool, tuning: Tuning, limits: Limits, log: Log) -> Result<Self, Error> {
        if sockets.is_empty() || sockets.len() > MOST_LISTENERS {
            let reason = format!("there are {}, 1 to {MOST_LISTENERS} are possible", sockets.len());
            return Err(Error::new("listen on", "inherited sockets", reason));
        }
        let adopt = |socket| {
            let listener = Listener::adopt_tuned(socket, tuning)?;
            Ok(if lent { listener } else { listener.take_over() })
        };
        let listeners = sockets.into_iter().map(adopt).collect::<Result<_, Error>>()?;
        Ok(Server::over(listeners, limits, log))
    }

    /// Has others look at what the service does, through a window that is open already.
    #[must_use]
    pub fn shown_at(self, window: Option<Window>) -> Self {
        Server { window, ..self }
    }

    /// Has children enter this sandbox, in the modes `fork` and `prefork`.
    #[must_use]
    pub fn confined(self, sandbox: Option<Rc<Sandbox>>) -> Self {
        Server { sandbox, ..self }
    }

    /// Limits the resources of each child.
    #[must_use]
    pub fn limiting(self, resources: Vec<ResourceLimit>) -> Self {
        Server { resources, ..self }
    }

    /// Has each child tell ps(1) whom it serves, and a handler that is called what it does for them: the command line that
    /// is shown there begins with `name`.
    ///
    /// # Errors
    /// /proc is not mounted.
    pub fn titled(self, name: &'static str) -> Result<Self, Error> {
        match sys::title_space() {
            Ok(space) => Ok(Server { title: Some(Title::new(name.as_bytes(), space)), ..self }),
            Err(error) => {
                self.abandon();
                Err(Error::os("find", "the memory for titles", error).remedy("mount /proc, or leave titles out"))
            }
        }
    }

    /// A server over sockets that listen already.
    pub(crate) fn over(listeners: Vec<Listener>, limits: Limits, mut log: Log) -> Self {
        let floor = Floor::open(limits.memory_floor).unwrap_or_else(|error| {
            let why = describe(&error);
            log.warning(format_args!("unable to open /proc/meminfo: {why}: no memory is kept free (mount /proc)"));
            None
        });
        let (policy, sandbox, resources, title, window) = (porter::Policy::default(), None, Vec::new(), None, None);
        Server { listeners, limits, floor, policy, sandbox, resources, title, window, log }
    }

    /// The listening sockets.
    #[must_use]
    pub fn listeners(&self) -> &[Listener] {
        &self.listeners
    }

    /// The log, for what is to be said before the first connection.
    pub fn log(&mut self) -> &mut Log {
        &mut self.log
    }

    /// Gives the service up before it began, and leaves nothing behind.
    pub fn abandon(self) {
        let window = self.window.iter().map(Window::listener);
        self.listeners.iter().chain(window).for_each(Listener::remove_name);
    }

    /// Serves until SIGTERM or SIGINT. `access_log` is where handlers write their lines; `ready` is called once, when
    /// connections are served.
    ///
    /// Children do not return from here. The process must have one thread: it forks.
    pub fn run(self, mode: Mode<'_>, access_log: Option<Fd>, ready: impl FnOnce(&[Listener])) -> Result<(), Error> {
        self.run_restartable(mode, access_log, ready, Restart::default())
    }

    /// The same for a service that can do more than serve.
    pub fn run_restartable<'a>(
        mut self,
        mode: Mode<'a>,
        access_log: Option<Fd>,
        ready: impl FnOnce(&[Listener]),
        restart: Restart<'a>,
    ) -> Result<(), Error> {
        let one_thread = OneThread::check()
            .map_err(|threads| Error::new("fork", "children", format!("this process has {threads} threads")))?;
        let mut signals = Signals::install(mode.manner()).map_err(|error| Error::os("handle", "signals", error))?;
        if self.policy.report.is_some() {
            signals.hear_requests().map_err(|error| Error::os("handle", "signals", error))?;
        }
        if restart.wants_signals() {
            signals.hear_restarts().map_err(|error| Error::os("handle", "signals", error))?;
        }
        if let Mode::Prefork { .. } = mode {
            signals.let_ask().map_err(|error| Error::os("handle", "signals", error))?;
        }
        sys::forget_processor();
        let fresh = matches!(mode, Mode::Fork(_) | Mode::Prefork { reuse: 1, .. });
        if fresh {
            sys::keep_time_pages();
        }
        let alarm = alarm_clock(fresh);
        let lost = sys::shared_lost().map_err(|error| Error::os("map", "the count of lost lines", error))?;
        self.log.tell_for(lost);
        let reader = Reader::new(lost, log_is_file(access_log));
        let board = self.board(&mode)?;
        let (progress, title) = (board.and_then(Board::own).map(Slot::progress), self.title.as_ref());
        let host = Host { progress, title, ..child_host(&alarm, &reader) };
        let (sandbox, resources, private) = (self.sandbox.as_deref(), &*self.resources, Private::new());
        let (signals, host, stack) = (&signals, &host, Cell::new(0));
        let nest = Nest { one_thread, signals, host, access_log, board, sandbox, resources, private, stack };
        let (crew, limit) = match mode {
            Mode::Fork(handler) => (Crew::Fork(handler), self.limits.connections),
            Mode::Vfork(program) => {
                let program = program.titled(title.is_some());
                (Crew::Vfork(Box::new(program.prepare(signals, resources, self.log.sink()))), self.limits.connections)
            }
            Mode::Ucspi(service) => {
                (Crew::Ucspi(Box::new(service.prepare(signals, self.log.sink()))), self.limits.connections)
            }
            Mode::Prefork { handler, size, reuse } => {
                let board = board.ok_or_else(|| Error::new("make", "a pool", "it has no scoreboard"))?;
                (Crew::Pool(Pool::new(handler, board, size, reuse)?), size.max_children as usize)
            }
        };
        // A pool's children accept for themselves, and nobody can stand before them, unless that is asked for.
        let accept_for_themselves = matches!(crew, Crew::Pool(_)) && !self.policy.decides();
        let handed = matches!(crew, Crew::Pool(_)) && self.policy.decides();
        if let Some(board) = board.filter(|_| !accept_for_themselves) {
            board.header().set_accepts();
        }
        let handed = handed.then(|| Handed::new(limit as u32, &self.listeners)).transpose()?;
        // The children of a pool wait in accept(2) itself when there is one socket: that one is left to block.
        let blocks = accept_for_themselves && self.listeners.len() == 1;
        for listener in &self.listeners {
            let set = if blocks { listener.set_blocking() } else { listener.set_nonblocking() };
            set.map_err(|error| Error::os("set up", listener.address().to_string(), error))?;
        }
        let children = Children::new(limit).map_err(|error| Error::os("map", "the table of children", error))?;
        let report = self.policy.report.filter(|_| !accept_for_themselves);
        let policy = porter::Policy { report, ..self.policy };
        let porter = Porter::new(policy, limit).map_err(|error| Error::os("make", "the tables of clients", error))?;
        if let Crew::Pool(_) = crew {
            // Children would copy each page of it to wipe what is ours, too.
            sys::wipe_stack();
        }
        let limits = Limits { connections: limit, ..self.limits };
        let books = Books::new(board, self.window.is_some());
        let Server { listeners, log, floor, window, .. } = self;
        let nest = &nest;
        let service =
            Service { nest, crew, handed, children, limits, listeners, log, floor, porter, books, window, restart };
        supervise(service, ready);
        Ok(())
    }

    /// The scoreboard of a service in this mode. It is there to the end of the process: children look at it.
    fn board(&self, mode: &Mode<'_>) -> Result<Option<&'static Board>, Error> {
        let Some(manner) = mode.on_board() else { return Ok(None) };
        let limit =
            if let Mode::Prefork { size, .. } = mode { size.max_children as usize } else { self.limits.connections };
        let board = Board::new(manner, limit).map_err(|error| Error::os("make", "the scoreboard", error))?;
        board.listens(&self.listeners);
        Ok(Some(Box::leak(Box::new(board))))
    }

    /// Serves one connection in this process, without making a child: for debuggers.
    pub fn run_single(
        self,
        handler: &mut dyn Handler,
        access_log: Option<Fd>,
        ready: impl FnOnce(&[Listener]),
    ) -> Result<Outcome, Error> {
        ready(&self.listeners);
        let (from, admitted) = loop {
            let mut polled: Vec<_> =
                self.listeners.iter().map(|listener| PollFd::new(listener.as_fd(), PollFlags::POLLIN)).collect();
            poll(&mut polled, PollTimeout::NONE).map_err(|error| Error::os("wait for", "a connection", error))?;
            let ready = polled.iter().position(|fd| fd.revents().is_some_and(|events| !events.is_empty()));
            match ready.map(|at| (&self.listeners[at], admit::accept(&self.listeners[at]))) {
                Some((from, Ok(admitted))) => break (from, admitted),
                Some((from, Err(Nothing::Exhausted(error) | Nothing::Closed(error)))) => {
                    return Err(Error::os("accept from", from.address().to_string(), error));
                }
                _ => {}
            }
        };
        self.listeners.iter().for_each(Listener::remove_name);
        let alarm = alarm_clock(true);
        let lost = Lost::new();
        let reader = Reader::new(&lost, log_is_file(access_log));
        let host = child_host(&alarm, &reader);
        Ok(handler.serve(&admit::connection(from, &admitted, access_log, &host)))
    }
}

/// Whether the log is a file, which never waits for a reader.
fn log_is_file(log: Option<Fd>) -> bool {
    log.is_some_and(is_file)
}
