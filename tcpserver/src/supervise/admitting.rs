//! The supervisor admits: from a queue to a child, where it accepts itself.

use super::{Crew, HURRY, Supervisor};
use crate::admit::{self, Admitted, Nothing};
use crate::children::Child;
use crate::spawn::fork;
use crate::spawn::handed::Handed;
use crate::sys::{self, Peer};

/// In a hurry, up to so many connections are taken from a queue before the supervisor looks at anything else.
const BURST: u32 = 16;

/// After a queue was found empty, so many wake-ups take one connection each, without asking whether there is another.
const ALONE: u32 = 8;

impl Supervisor<'_> {
    /// Accepts a connection; and, if they come in a hurry, those that are queued behind it, which saves a wait for each.
    pub(super) fn admit_queued(&mut self, at: usize) {
        if self.children_accept() || self.is_full() {
            return self.turn_away_queued(at);
        }
        self.alone = self.alone.saturating_sub(1);
        let mut admitted = 1;
        while self.admit(at) && self.hurried && self.alone == 0 && admitted < BURST {
            admitted += 1;
            self.unheard += 1;
        }
    }

    /// Accepts one connection and makes a child for it. Says whether there was one.
    fn admit(&mut self, at: usize) -> bool {
        if self.is_full() || self.waiting.is_some() {
            return false;
        }
        let admitted = match admit::accept(&self.listeners[at]) {
            Ok(admitted) => admitted,
            Err(Nothing::Exhausted(error)) => {
                self.lull.extend(sys::micros());
                self.held_up("accept", &error);
                return false;
            }
            Err(Nothing::Closed(error)) if self.stopping.is_none() => {
                self.reopen();
                if self.stopping.is_some() {
                    return false;
                }
                self.lull.extend(sys::micros());
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
        self.lull.lift();
        self.books.counters.accepted.add(1);
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
        if self.handed.is_some() {
            return self.hand(at, admitted);
        }
        if let Err(error) = self.children.make_room() {
            self.waiting = Some((at, admitted));
            return self.held_up("make room for a child", &error);
        }
        if self.is_short_of_memory() {
            self.waiting = Some((at, admitted));
            return;
        }
        let from = &self.listeners[at];
        let (before, timed) = (self.porter.clock(), self.books.clock());
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
                self.register(pid, peer, timed);
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
    pub(super) fn retry(&mut self) {
        if self.has_room(sys::micros())
            && let Some((at, admitted)) = self.waiting.take()
        {
            self.spawn(at, admitted);
        }
        while self.has_room(sys::micros())
            && self.waiting.is_none()
            && let Some((at, admitted)) = self.handed.as_mut().and_then(Handed::next_returned)
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
    pub(super) fn can_retry(&self) -> bool {
        self.waiting.is_some() && !self.is_full()
    }

    /// Whether one more child may be tried.
    pub(super) fn has_room(&self, now: u64) -> bool {
        self.spare() > 0 || (!self.is_full() && !self.hold.is_on(now))
    }

    /// Whether nobody can be served who is not.
    pub(super) fn is_full(&self) -> bool {
        self.children.live() >= self.limit && self.spare() == 0
    }

    fn register(&mut self, pid: i32, peer: Peer, before: u64) {
        self.reaper.born(pid);
        let started = sys::micros();
        let slot = self.books.began((pid, peer), before, started);
        self.children.register(Child { pid, slot, peer, started, since: started, ..Child::default() });
        if !matches!(self.crew, Crew::Ucspi(_)) {
            self.log.status(self.children.live(), self.limit);
            self.log.pid(pid, peer);
        }
    }
}
