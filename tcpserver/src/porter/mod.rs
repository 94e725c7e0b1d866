//! What stands between the queue and a child, as far as it was asked for: PROXY headers, then the limits; and beside the
//! children, their lifetime and the count of how full it is.
//!
//! It is one thing for the loop to call, and each call is nothing where nothing was asked for.

mod asked;

use std::io;
use std::os::fd::{BorrowedFd, RawFd};

pub use asked::{Asked, PROXY_TIMEOUT};

use crate::admit::Admitted;
use crate::children::{Child, Children};
use crate::gate::{self, Gate, Patience, Reason};
use crate::lifetime::{Lifetime, Watch};
use crate::listen::Listener;
use crate::log::Log;
use crate::proxy::{self, Pending};
use crate::reap::Ended;
use crate::saturation::Saturation;
use crate::scoreboard::Counters;
use crate::sys::{self, Peer};

/// What is asked of the supervisor beyond making children. By default, nothing.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Who may have a child.
    pub gate: gate::Policy,
    /// Who speaks for others.
    pub proxy: Option<proxy::Policy>,
    /// How long a child may live.
    pub lifetime: Option<Lifetime>,
    /// Whether it is told how full the service is: on request, and every so many seconds if that is not 0.
    pub report: Option<u32>,
}

impl Policy {
    /// Whether each connection is decided about before it has a child, or watched while it has one.
    #[must_use]
    pub fn decides(&self) -> bool {
        self.gate.decides() || self.proxy.is_some() || self.lifetime.is_some()
    }
}

pub(crate) struct Porter {
    pending: Option<Pending>,
    gate: Option<Gate>,
    watch: Option<Watch>,
    saturation: Option<Saturation>,
    /// Microseconds between reports; 0 for none but those that are asked for.
    every: u64,
    next_report: u64,
}

impl Porter {
    /// For a service with up to `limit` children.
    pub(crate) fn new(policy: Policy, limit: usize) -> io::Result<Self> {
        let every = u64::from(policy.report.unwrap_or(0)) * 1_000_000;
        Ok(Porter {
            pending: policy.proxy.map(Pending::new).transpose()?,
            gate: Gate::new(policy.gate, limit)?,
            watch: policy.lifetime.map(Watch::new),
            saturation: policy.report.map(|_| Saturation::default()),
            every,
            next_report: if every > 0 { sys::micros() + every } else { u64::MAX },
        })
    }

    /// A connection was accepted. It comes back if it may have a child now.
    pub(crate) fn enter(&mut self, from: usize, admitted: Admitted, log: &mut Log) -> Option<Admitted> {
        if let Some(saturation) = &mut self.saturation {
            saturation.accepted += 1;
        }
        let admitted = match &mut self.pending {
            Some(pending) => pending.enter(from, admitted, sys::micros(), log)?,
            None => admitted,
        };
        self.check(admitted, log)
    }

    /// A connection that waited for its header, has it, and may have a child now; and where it came from.
    pub(crate) fn next_complete(&mut self, log: &mut Log) -> Option<(usize, Admitted)> {
        loop {
            let (from, admitted) = self.pending.as_mut()?.take()?;
            if let Some(admitted) = self.check(admitted, log) {
                return Some((from, admitted));
            }
        }
    }

    /// How many of these there are.
    pub(crate) fn complete(&self) -> usize {
        self.pending.as_ref().map_or(0, Pending::complete)
    }

    fn check(&mut self, admitted: Admitted, log: &mut Log) -> Option<Admitted> {
        let Some(gate) = &mut self.gate else { return Some(admitted) };
        let now = sys::micros();
        match gate.ask_rules(admitted.peer, log).and_then(|()| gate.check(admitted.peer, now)) {
            Ok(()) => Some(admitted),
            Err(reason) => {
                gate.turn_away(admitted.socket, admitted.peer, reason, now, log);
                None
            }
        }
    }

    /// How long clients wait when no child is free, if not for ever.
    pub(crate) fn patience(&mut self) -> Option<&mut Patience> {
        self.gate.as_mut()?.patience()
    }

    /// A connection was accepted for which there is no child: it is told so.
    pub(crate) fn turn_away(&mut self, admitted: Admitted, log: &mut Log) {
        if let Some(saturation) = &mut self.saturation {
            saturation.accepted += 1;
        }
        if let Some(gate) = &mut self.gate {
            gate.turn_away(admitted.socket, admitted.peer, Reason::Overload, sys::micros(), log);
        }
    }

    /// Microseconds before a child is made, for those who want to know how long that takes.
    pub(crate) fn clock(&self) -> u64 {
        if self.saturation.is_some() { sys::micros() } else { 0 }
    }

    /// A child was made for `peer`, of `live` now; making it began at `before`.
    pub(crate) fn began(&mut self, peer: Peer, live: usize, limit: usize, before: u64) {
        if let Some(gate) = &mut self.gate {
            gate.began(peer);
        }
        if self.watch.is_none() && self.saturation.is_none() {
            return;
        }
        let now = sys::micros();
        if let Some(watch) = &mut self.watch {
            watch.born(now);
        }
        if let Some(saturation) = &mut self.saturation {
            saturation.born(live, limit, now, now.saturating_sub(before));
        }
    }

    /// The child of `peer` is done with it, and lives on.
    pub(crate) fn left(&mut self, peer: Peer) {
        if let Some(gate) = &mut self.gate {
            gate.left(peer);
        }
        if let Some(saturation) = &mut self.saturation {
            saturation.reaped(sys::micros());
        }
    }

    /// A child was reaped.
    pub(crate) fn ended(&mut self, child: &Child, ended: &Ended, log: &mut Log) {
        if let Some(gate) = &mut self.gate {
            gate.ended(child.peer, ended.fate(), sys::micros(), log);
        }
        if let Some(saturation) = &mut self.saturation {
            saturation.reaped(sys::micros());
        }
    }

    /// What becomes readable when a header arrives.
    pub(crate) fn arrivals(&self) -> Option<BorrowedFd<'_>> {
        self.pending.as_ref()?.arrivals()
    }

    /// When [`Porter::work`] has something to do although nothing arrived, in microseconds of the monotonic clock.
    pub(crate) fn next(&self) -> Option<u64> {
        let headers = self.pending.as_ref().and_then(Pending::next);
        let gate = self.gate.as_ref().and_then(Gate::next);
        let watch = self.watch.as_ref().and_then(Watch::next);
        let report = (self.every > 0).then_some(self.next_report);
        [headers, gate, watch, report].into_iter().flatten().min()
    }

    /// Does what is due.
    pub(crate) fn work(&mut self, children: &mut Children, limit: usize, listeners: &[Listener], log: &mut Log) {
        if self.pending.is_none() && self.next().is_none() {
            return;
        }
        let now = sys::micros();
        if let Some(pending) = &mut self.pending {
            pending.look(now, log);
        }
        if let Some(gate) = &mut self.gate {
            gate.tidy(now, log);
        }
        if let Some(watch) = &mut self.watch {
            watch.press_on(children, now, log);
        }
        if self.next_report <= now {
            self.next_report = now + self.every;
            self.report(children.live(), limit, listeners, log);
        }
    }

    /// Says how full the service is.
    pub(crate) fn report(&mut self, live: usize, limit: usize, listeners: &[Listener], log: &mut Log) {
        let refused = self.gate.as_ref().map(|gate| gate.refused);
        let headerless = self.pending.as_ref().map(|pending| pending.refused);
        if let Some(saturation) = &mut self.saturation {
            log.note(format_args!("{}", saturation.report(live, limit, listeners, refused, headerless, sys::micros())));
        }
    }

    /// Writes down how many were turned away.
    pub(crate) fn write_down(&self, counters: &Counters) {
        let gate = self.gate.iter().flat_map(|gate| gate.refused);
        counters.refused.iter().zip(gate).for_each(|(count, refused)| count.set(refused));
        if let (Some(pending), Some(last)) = (&self.pending, counters.refused.last()) {
            last.set(pending.refused);
        }
    }

    /// Whether nobody waits here for a header, or with one for a child.
    pub(crate) fn is_empty(&self) -> bool {
        self.pending.as_ref().is_none_or(Pending::is_empty)
    }

    /// Descriptors of others that a forked child must not keep while it lives on without executing.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = RawFd> {
        let gate = self.gate.iter().flat_map(Gate::descriptors);
        self.pending.iter().flat_map(Pending::descriptors).chain(gate)
    }
}
