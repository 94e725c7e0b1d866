//! What a child is kept from, should somebody take it over: Landlock, a filter of system calls, no further processes.
//!
//! Everything is made ready before there is a child: the rules of Landlock are a descriptor, the filter a program. A child
//! enters both at its birth and never leaves them, so that no connection pays for it. The supervisor itself stays
//! outside, for it makes processes, opens logs and may become another program; it only gives up new privileges
//! (PR_SET_NO_NEW_PRIVS), without which an ordinary user may not restrict itself, and what nobody in the service does, which
//! all that come of it inherit (`service`).
//!
//! To enter Landlock takes the kernel some microseconds, to take in a filter some forty, because it is compiled anew for
//! each process; to inherit one takes nothing. So a child that serves one connection alone has no filter of its own unless
//! it is asked for ([`Plan::strict`]): what is left open by that is told by [`probe`].
//!
//! Forbidden calls fail with EPERM: a child that was merely forgotten in a list answers with an error rather than dying.

mod calls;
pub mod probe;
mod service;

use std::cell::{Cell, RefCell};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::PathBuf;

use landlock::{
    ABI, Access, AccessFs, AccessNet, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError,
    Scope,
};
use nix::errno::Errno;

use crate::error::Error;
use crate::listen::Listener;
use crate::sys;

pub use probe::Finding;

/// The newest rules that this crate knows the meaning of; of them a kernel gets what it has.
const KNOWN: ABI = ABI::V7;

/// What the children of a service need, so that all else can be forbidden.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The directory beneath which files are read; `None` where no file is.
    pub root: Option<PathBuf>,
    /// The system calls of the handler, by name; the list of what a child of a pool needs itself is added.
    pub calls: &'static [&'static str],
    /// The handler starts programs, which need what only they know: then files, networks and processes stay open, and
    /// signals and tracing alone are forbidden towards processes that are not the child's own.
    pub programs: bool,
    /// A filter of system calls also for children that serve one connection.
    pub strict: bool,
    /// Children serve many connections each.
    pub reused: bool,
    /// The listening sockets, where children set the timeouts of what they accept ([`Plan::at`]).
    pub listeners: Vec<RawFd>,
}

impl Plan {
    /// The same for children that accept at these sockets. Connections of a Unix socket inherit no timeouts, so that
    /// children set them; those of the listening sockets are everybody's.
    #[must_use]
    pub fn at(mut self, listeners: &[Listener]) -> Plan {
        if !listeners.iter().all(Listener::passes_on) {
            self.listeners = listeners.iter().map(Listener::as_fd_number).collect();
        }
        self
    }

    /// Whether children have a filter of system calls.
    fn has_filter(&self) -> bool {
        !self.programs && (self.reused || self.strict)
    }
}

/// A sandbox that children enter.
pub struct Sandbox {
    plan: Plan,
    /// The rules of Landlock, if the kernel has it.
    rules: RefCell<Option<OwnedFd>>,
    /// Their number, for children: to borrow is to write, and each child would have a copy of the page.
    entry: Cell<Option<RawFd>>,
    /// The filter of system calls; empty for none.
    filter: Vec<libc::sock_filter>,
    /// The kernel takes no filter.
    unfiltered: bool,
    /// A child makes no processes.
    alone: bool,
}

impl Sandbox {
    /// Makes the sandbox of this plan, and finds out in a child what it holds. This process, and all that come of it, give
    /// up new privileges, what would change the limits, the priority or the processors of other processes, and, where no
    /// programs are run, namespaces, mounts, tracing, keys, io_uring, bpf and the like. A layer that the kernel lacks is
    /// left out; the findings say what stays open.
    ///
    /// # Errors
    ///
    /// The root cannot be opened, a child cannot be made, or this process has other threads.
    pub fn new(plan: Plan) -> Result<(Sandbox, Vec<Finding>), Error> {
        nix::sys::prctl::set_no_new_privs().map_err(|error| Error::os("give up", "new privileges", error))?;
        // A program that took over from another one like it has it already.
        let filtered = sys::attempt_limit(None) == Err(Errno::EPERM)
            || service::filter(plan.programs).is_some_and(|filter| sys::enter_filter(&filter));
        let rules = RefCell::new(rules(&plan)?);
        let filter = if plan.has_filter() { calls::filter(plan.calls, &plan.listeners)? } else { Vec::new() };
        let entry = Cell::new(number(&rules.borrow()));
        let mut sandbox = Sandbox { alone: !plan.programs, plan, rules, entry, filter, unfiltered: !filtered };
        let findings = sandbox.probe()?;
        Ok((sandbox, findings))
    }

    /// Does `change`, after which another directory may have the root's name, and has the children that are made from then
    /// on read what that directory holds. When anything fails nothing is changed here.
    ///
    /// # Errors
    ///
    /// Those of `change`, and a root that cannot be opened.
    pub fn renew(&self, change: impl FnOnce() -> Result<(), Error>) -> Result<(), Error> {
        let new = if self.rules.borrow().is_some() { rules(&self.plan)? } else { None };
        change()?;
        self.replace(new);
        Ok(())
    }

    fn replace(&self, rules: Option<OwnedFd>) {
        self.entry.set(number(&rules));
        self.rules.replace(rules);
    }

    /// What the kernel would not give, in words; empty when there is nothing.
    #[must_use]
    pub fn missing(&self) -> &'static str {
        match (self.rules.borrow().is_none(), self.unfiltered) {
            (true, true) => "Landlock and seccomp",
            (true, false) => "Landlock",
            (false, true) => "seccomp",
            (false, false) => "newer rules of Landlock",
        }
    }

    /// For a fresh child: enters, for good. `false` if the kernel refused, which it did not at the start of the service:
    /// then the child is to end.
    #[must_use]
    pub fn enter(&self) -> bool {
        self.enter_rules() && (!self.alone || sys::forbid_processes()) && self.enter_filter()
    }

    fn enter_rules(&self) -> bool {
        // The rules are closed behind us: they can be added to, and siblings are still to come.
        self.entry.get().is_none_or(sys::enter_landlock)
    }

    fn enter_filter(&self) -> bool {
        self.filter.is_empty() || sys::enter_filter(&self.filter)
    }
}

fn number(rules: &Option<OwnedFd>) -> Option<RawFd> {
    rules.as_ref().map(AsRawFd::as_raw_fd)
}

/// The rules of Landlock; `None` where the kernel has none.
fn rules(plan: &Plan) -> Result<Option<OwnedFd>, Error> {
    let failed = |error: RulesetError| Error::new("make", "the rules of Landlock", error);
    let mut rules = Ruleset::default().scope(Scope::from_all(KNOWN)).map_err(failed)?;
    if !plan.programs {
        let handled = rules.handle_access(AccessFs::from_all(KNOWN));
        rules = handled.and_then(|rules| rules.handle_access(AccessNet::from_all(KNOWN))).map_err(failed)?;
    }
    let mut rules = rules.create().map_err(failed)?;
    if let Some(root) = plan.root.as_ref().filter(|_| !plan.programs) {
        let open = PathFd::new(root).map_err(|error| Error::new("open", root.display().to_string(), error))?;
        let readable = PathBeneath::new(open, AccessFs::ReadFile | AccessFs::ReadDir);
        rules = rules.add_rule(readable).map_err(failed)?;
    }
    Ok(rules.into())
}
