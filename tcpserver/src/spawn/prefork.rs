//! Mode `prefork`: a pool of children that accept for themselves.
//!
//! The supervisor has no part in a connection: it keeps children waiting ahead of them (`spares`) and reaps. All children
//! wait in accept(2) on the same socket, of which the kernel wakes one for each connection. Whoever takes one of the last
//! spares rings a bell (`notice`).

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use connection::{Handler, Host, Outcome};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;

use super::Nest;
use super::handed::{Handed, Hatch};
use super::notice::Notices;
use super::spares::{PoolSize, Spares};
use super::strain::Strain;
use crate::admit::{self, Admitted, Nothing};
use crate::error::Error;
use crate::listen::Listener;
use crate::porter::Porter;
use crate::scoreboard::{Board, Slot};
use crate::sys::{self, Forked, Table};

/// The children of a pool, by their slots in the scoreboard.
pub(crate) struct Pool<'a> {
    supervisor: i32,
    handler: &'a mut dyn Handler,
    pub(crate) reuse: u32,
    board: &'static Board,
    /// Slots without a child: the first `vacant` of these.
    free: Table<u32>,
    vacant: usize,
    /// The child in each slot; 0 where there is none.
    pids: Table<i32>,
    /// At which socket the next child begins to look, so that none of them is always the last.
    turn: usize,
    /// Children made.
    made: u64,
    pub(crate) notices: Notices,
    pub(crate) spares: Spares,
    pub(crate) strain: Strain,
    /// By how much their own count of idle children was wrong when it was last looked at.
    pub(crate) error: Option<i32>,
    /// When it is looked at again without anybody ringing; see `check`.
    pub(crate) check: Option<u64>,
    /// How often the bell was rung without a cause, and until when it is not listened to.
    pub(crate) false_alarms: u32,
    pub(crate) deaf_until: u64,
}

impl<'a> Pool<'a> {
    pub(crate) fn new(
        handler: &'a mut dyn Handler,
        board: &'static Board,
        size: PoolSize,
        reuse: u32,
    ) -> Result<Self, Error> {
        let children = size.max_children as usize;
        let failed = |error| Error::os("map", "the places of a pool", error);
        let mut free = Table::new(children).map_err(failed)?;
        // From the end, so that the first child has the first slot.
        free.iter_mut().zip((0..size.max_children).rev()).for_each(|(free, slot)| *free = slot);
        Ok(Pool {
            supervisor: std::process::id().cast_signed(),
            handler,
            reuse,
            board,
            free,
            pids: Table::new(children).map_err(failed)?,
            vacant: children,
            turn: 0,
            made: 0,
            notices: Notices::new().map_err(failed)?,
            spares: Spares::new(size),
            strain: Strain::default(),
            error: None,
            check: None,
            false_alarms: 0,
            deaf_until: 0,
        })
    }

    /// The child in `slot`.
    pub(crate) fn child_in(&self, slot: u32) -> Option<i32> {
        self.pids.get(slot as usize).copied().filter(|&pid| pid != 0)
    }

    /// How many children it has.
    pub(crate) fn live(&self) -> usize {
        self.free.len() - self.vacant
    }

    /// How many of them wait for a connection, as they say.
    pub(crate) fn idle(&self) -> usize {
        self.notices.idle(self.live())
    }

    /// What the child in `slot` says of itself.
    pub(crate) fn slot(&self, slot: u32) -> &'static Slot {
        self.board.slot(slot)
    }

    /// How many children were made so far.
    pub(crate) fn made(&self) -> u64 {
        self.made
    }

    /// The child in `slot` has been reaped. Says whether it left because there was nothing to accept any more, which a
    /// child does when the pool drains.
    pub(crate) fn release(&mut self, slot: u32) -> bool {
        self.pids[slot as usize] = 0;
        self.free[self.vacant] = slot;
        self.vacant += 1;
        if !self.slot(slot).is_busy() {
            self.notices.gone();
        }
        let taken = self.slot(slot).taken();
        self.reuse == 0 || taken < u64::from(self.reuse)
    }

    /// Makes one more child: its number and slot. Where children are `handed` their connections, it has a seat there.
    pub(crate) fn spawn(
        &mut self,
        nest: &Nest<'_>,
        listeners: &[Listener],
        porter: &Porter,
        handed: &mut Option<Handed>,
    ) -> io::Result<(i32, u32)> {
        let Some(vacant) = self.vacant.checked_sub(1) else { return Err(io::ErrorKind::StorageFull.into()) };
        let slot = self.free[vacant];
        self.board.hand_out(slot)?;
        let hatch = handed.as_mut().map(|handed| handed.hatch(slot)).transpose()?;
        self.turn = (self.turn + 1) % listeners.len();
        self.notices.born();
        let forked = sys::fork(&nest.one_thread).inspect_err(|_| self.notices.gone())?;
        match forked {
            Forked::Parent(pid) => {
                self.made += 1;
                self.vacant = vacant;
                self.pids[slot as usize] = pid;
                if let Some(handed) = handed {
                    handed.joined(slot);
                }
                Ok((pid, slot))
            }
            Forked::Child => {
                nest.leave();
                porter.descriptors().for_each(sys::close);
                let Some(page) = self.board.own() else { sys::exit(Outcome::Fault.status()) };
                let (supervisor, reuse, notices) = (self.supervisor, self.reuse, &self.notices);
                let work = Work { nest, supervisor, listeners, slot: page, reuse, hatch, notices };
                work.run(self.handler, self.turn)
            }
        }
    }
}

// ---- In the child: system calls and the handler. ----

/// What a child of a pool is told.
struct Work<'w> {
    nest: &'w Nest<'w>,
    supervisor: i32,
    listeners: &'w [Listener],
    slot: &'w Slot,
    reuse: u32,
    /// Where it is handed its connections, if it does not accept for itself.
    hatch: Option<Hatch>,
    notices: &'w Notices,
}

impl Work<'_> {
    fn run(&self, handler: &mut dyn Handler, mut turn: usize) -> ! {
        let Work { nest, supervisor, reuse, listeners, hatch, .. } = *self;
        nest.signals.enter_child();
        // A pool whose supervisor was killed must not go on accepting for ever. The second check is for a supervisor that
        // ended before the first call.
        if !sys::end_with_parent(Signal::SIGTERM, supervisor) {
            sys::exit(Outcome::Fault.status());
        }
        if let Some(hatch) = hatch {
            hatch.close_the_rest(listeners);
        }
        nest.enter_sandbox();
        nest.idle();
        let mut left = reuse;
        loop {
            left = left.wrapping_sub(1);
            self.serve_one(handler, &mut turn, left == 0);
            // The next client's connection is made in a process that knows nothing of this one's.
            sys::wipe_stack();
        }
    }

    /// Waits for a connection and serves it. A frame of its own: nothing of a client is in the caller's.
    #[inline(never)]
    fn serve_one(&self, handler: &mut dyn Handler, turn: &mut usize, last: bool) {
        let Work { nest, listeners, slot, hatch, notices, .. } = *self;
        let next = match hatch {
            Some(hatch) => hatch.next_connection(nest, listeners),
            None => next_connection(nest, listeners, turn),
        };
        let (listener, admitted) = match next {
            Ok(Some(next)) => next,
            Ok(None) => sys::exit(Outcome::Served.status()),
            Err(_) => sys::exit(Outcome::Fault.status()),
        };
        slot.begin(admitted.peer);
        notices.take();
        if last && hatch.is_none() {
            // What others share is given up before a byte of the client is read: whoever takes this child over harms none.
            listeners.iter().for_each(|listener| sys::close(listener.as_fd_number()));
            sys::close(notices.bell().as_raw_fd());
        }
        nest.host.pressure.take_another();
        let host = Host { demand: Some(notices.demand()), ..*nest.host };
        let connection = admit::connection(listener, &admitted, nest.access_log, &host);
        host.title.inspect(|title| title.serve(&connection.peer));
        let outcome = handler.serve(&connection);
        // The last one is closed by the kernel; and a process in which something failed is not trusted with another.
        if last || outcome == Outcome::Fault {
            sys::exit(if outcome == Outcome::Fault { outcome.status() } else { Outcome::Served.status() });
        }
        drop(admitted);
        slot.end();
        nest.idle();
        notices.give();
        if let Some(hatch) = hatch {
            hatch.done();
        }
    }
}

/// Waits for a connection; `None` when the pool drains and none is queued any more.
fn next_connection<'l>(
    nest: &Nest<'_>,
    listeners: &'l [Listener],
    turn: &mut usize,
) -> io::Result<Option<(&'l Listener, Admitted)>> {
    // O_NONBLOCK belongs to all who share the socket, and one of them may have been taken over.
    let mut polls = listeners.len() > 1;
    loop {
        match listeners[0].receive_timeout() {
            // Every wait below ends after this time at the latest, so the alarm never finds an idle child; a minute more,
            // for a machine that is slow to wake it, costs nothing.
            Some(tick) => nest.host.alarm.allow(tick + 60),
            None => nest.host.alarm.cancel(),
        }
        if nest.host.pressure.is_retired() {
            // What is queued is for those who come after us.
            return Ok(None);
        }
        let draining = nest.host.pressure.is_draining();
        if draining && !listeners[0].is_nonblocking() {
            // SIGTERM came from somebody else than the supervisor: this child alone is to go, or the supervisor is gone.
            return Ok(None);
        }
        let listener = match listeners {
            [only] if !polls => only,
            several => match wait_for_one(several, draining, turn)? {
                Some(ready) => ready,
                None if draining => return Ok(None),
                None => continue,
            },
        };
        match admit::accept(listener) {
            Ok(admitted) => return Ok(Some((listener, admitted))),
            // To drain, the supervisor makes the socket non-blocking and then sends its signal, in this order: so here
            // the queue is empty, and not just the time of SO_RCVTIMEO over.
            Err(Nothing::Gone | Nothing::Closed(_)) if draining && listeners.len() == 1 => return Ok(None),
            // Asked anew: the signal may have come with the end.
            Err(Nothing::Closed(_)) if nest.host.pressure.is_draining() => {}
            Err(Nothing::Gone) => polls = polls || listeners[0].is_nonblocking(),
            Err(Nothing::Interrupted) => {}
            Err(Nothing::Exhausted(error) | Nothing::Closed(error)) => return Err(error),
        }
    }
}

/// Several sockets are non-blocking, and a child may find that another was faster. They take turns: a flood at one of
/// them leaves the others their share.
fn wait_for_one<'l>(listeners: &'l [Listener], draining: bool, turn: &mut usize) -> io::Result<Option<&'l Listener>> {
    /// As many addresses as one server may listen on; see [`crate::Server::bind`].
    const MOST: usize = crate::server::MOST_LISTENERS;
    let mut polled: [PollFd<'_>; MOST] =
        std::array::from_fn(|i| PollFd::new(listeners[i.min(listeners.len() - 1)].as_fd(), PollFlags::POLLIN));
    let polled = &mut polled[..listeners.len().min(MOST)];
    let seconds = listeners[0].receive_timeout().unwrap_or(60);
    let timeout =
        if draining { PollTimeout::ZERO } else { PollTimeout::try_from(seconds * 1000).unwrap_or(PollTimeout::MAX) };
    match poll(polled, timeout) {
        Ok(_) | Err(nix::errno::Errno::EINTR) => {}
        Err(error) => return Err(error.into()),
    }
    // A socket whose queue was found empty refuses, and is for ever ready to say so.
    let has_one = |events: PollFlags| !events.is_empty() && !events.contains(PollFlags::POLLHUP);
    let from = |i| (*turn + i) % listeners.len();
    let ready = (0..polled.len()).map(from).find(|&at| polled[at].revents().is_some_and(has_one));
    if let Some(at) = ready {
        *turn = at + 1;
    }
    Ok(ready.map(|at| &listeners[at]))
}
