//! A server in a few lines, for programs that use this crate as a library.

use std::rc::Rc;

use connection::{Fd, Handler};

use crate::error::Error;
use crate::listen::{Address, Listener, Tuning};
use crate::log::{Log, Verbosity};
use crate::porter::Policy;
use crate::sandbox::{Plan, Sandbox, probe};
use crate::server::{Limits, Server};
use crate::spawn::{Mode, PoolSize, Program};

/// What is done once, when connections are served.
type Ready = Box<dyn FnOnce(&[Listener])>;

/// Says step by step what a server is to be; [`Builder::prefork`], [`Builder::one_shot`], [`Builder::fork`] or
/// [`Builder::vfork`] then serve until SIGTERM or SIGINT.
///
/// ```no_run
/// use tcpserver::{Connection, Outcome, Server, Stream};
/// use std::io::Write;
///
/// fn main() -> Result<(), tcpserver::Error> {
///     Server::builder("hello").listen("127.0.0.1:4000").prefork(4, &mut |connection: &Connection<'_>| {
///         match Stream::new(connection).write_all(b"hello\n") {
///             Ok(()) => Outcome::Served,
///             Err(_) => Outcome::Fault,
///         }
///     })
/// }
/// ```
#[must_use = "nothing listens before one of the modes is chosen"]
pub struct Builder {
    program: &'static str,
    addresses: Vec<String>,
    tuning: Tuning,
    limits: Limits,
    policy: Policy,
    sandbox: Option<Plan>,
    verbosity: Verbosity,
    ready: Ready,
}

impl Builder {
    pub(crate) fn new(program: &'static str) -> Self {
        Builder {
            program,
            addresses: Vec::new(),
            tuning: Tuning::default(),
            limits: Limits::default(),
            policy: Policy::default(),
            sandbox: None,
            verbosity: Verbosity::Errors,
            ready: Box::new(|_| ()),
        }
    }

    /// Listens at `ADDR:PORT`, `[ADDR6]:PORT` or `unix:PATH`, beside what was said before. Port 0 picks a free one.
    pub fn listen(mut self, address: impl Into<String>) -> Self {
        self.addresses.push(address.into());
        self
    }

    /// What each connection inherits: the queue's length, timeouts of reads and writes.
    pub fn tuning(mut self, tuning: Tuning) -> Self {
        self.tuning = tuning;
        self
    }

    /// Seconds that open connections get when the service is told to stop. 30 if nothing is said.
    pub fn drain(mut self, seconds: u32) -> Self {
        self.limits.drain = seconds;
        self
    }

    /// Limits and rates for each client, the PROXY protocol, a lifetime.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Keeps children from all that this plan does not name, in the modes that call a handler. What the kernel cannot keep
    /// them from is said in the log once.
    pub fn sandbox(mut self, plan: Plan) -> Self {
        self.sandbox = Some(plan);
        self
    }

    /// Logs each child's beginning and end on stderr, beside what goes wrong.
    pub fn verbose(mut self) -> Self {
        self.verbosity = Verbosity::Status;
        self
    }

    /// Called once, when connections are served: for a line that says where.
    pub fn ready(mut self, ready: impl FnOnce(&[Listener]) + 'static) -> Self {
        self.ready = Box::new(ready);
        self
    }

    /// Serves with processes that are made ahead and accept for themselves, one connection at a time. A number is always so
    /// many; a [`PoolSize`] follows the load.
    ///
    /// # Errors
    ///
    /// When an address is none or cannot be listened at, or the process has more than one thread.
    pub fn prefork(self, size: impl Into<PoolSize>, handler: &mut dyn Handler) -> Result<(), Error> {
        self.run(Mode::Prefork { handler, size: size.into(), reuse: 0 })
    }

    /// Likewise, but each process serves one connection, and a fresh one takes its place.
    ///
    /// # Errors
    ///
    /// As for [`Builder::prefork`].
    pub fn one_shot(self, size: impl Into<PoolSize>, handler: &mut dyn Handler) -> Result<(), Error> {
        self.run(Mode::Prefork { handler, size: size.into(), reuse: 1 })
    }

    /// Forks a process for each connection, `most` at once.
    ///
    /// # Errors
    ///
    /// As for [`Builder::prefork`].
    pub fn fork(mut self, most: usize, handler: &mut dyn Handler) -> Result<(), Error> {
        self.limits.connections = most;
        self.run(Mode::Fork(handler))
    }

    /// Executes a program for each connection, `most` at once, with the connection on its descriptors 0 and 1.
    ///
    /// # Errors
    ///
    /// As for [`Builder::prefork`].
    pub fn vfork(mut self, most: usize, program: Program) -> Result<(), Error> {
        self.limits.connections = most;
        self.run(Mode::Vfork(program))
    }

    fn run(self, mode: Mode<'_>) -> Result<(), Error> {
        let parse = |text: &String| text.parse().map_err(|why| Error::new("listen on", text.clone(), why));
        let addresses: Vec<Address> = self.addresses.iter().map(parse).collect::<Result<_, Error>>()?;
        let log = Log::new(self.program, Fd(2), self.verbosity);
        let mut server = Server::bind(&addresses, self.tuning, self.limits, log)?.with(self.policy);
        if let Some(plan) = self.sandbox {
            let (sandbox, findings) = Sandbox::new(plan.at(server.listeners()))?;
            if let Some(gaps) = probe::gaps(&findings) {
                server.log().warning(format_args!("the sandbox is not whole: whoever breaks a child can {gaps}"));
            }
            server = server.confined(Some(Rc::new(sandbox)));
        }
        server.run(mode, Some(Fd(2)), self.ready)
    }
}
