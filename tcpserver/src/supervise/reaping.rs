//! The supervisor reaps: who has ended, why, and what follows from it.

use super::{Crew, Supervisor};
use crate::error::describe;
use crate::listen::Listener;
use crate::reap::Ended;
use crate::reaper::Occasion;
use crate::sys;

/// A child that ends within this time of its birth, in microseconds, without having served anyone, died at start.
const INFANCY: u64 = 1_000_000;

impl Supervisor<'_> {
    /// Waits for every child that has ended, so that none is left a zombie.
    pub(super) fn reap(&mut self) {
        // In a hurry SIGCHLD is kept out, so its flag says nothing.
        let now = sys::micros();
        let is_due = self.reaper.due().is_some_and(|due| due <= now);
        let news = self.nest.signals.take_child() || self.looks_for_ends();
        if !news && !is_due {
            return;
        }
        self.reap_all(news, now);
    }

    /// The same without asking whether anybody has ended; `news` says that somebody may have since this was last done.
    pub(super) fn reap_all(&mut self, news: bool, now: u64) {
        self.tell_failures();
        let (named, must_know) = (self.nest.signals.take_named(), self.children.live() >= self.limit);
        self.reaper.begin(&self.children, Occasion { named, news, must_know, now });
        while let Some(ended) = self.reaper.next(&self.children) {
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
    pub(super) fn tell_failures(&mut self) {
        while let Some(failure) = self.failure() {
            match self.dropped.admit() {
                None => {}
                Some(0) => self.log.warning(format_args!("{failure}")),
                Some(more) => self.log.warning(format_args!("{failure} ({more} more)")),
            }
        }
    }

    /// Says how many failures were held back, when none has come since that would have said so.
    pub(super) fn tell_held_back(&mut self) {
        if self.dropped.owes().is_some_and(|due| due <= sys::micros()) {
            match self.dropped.admit() {
                None | Some(0) => {}
                Some(1) => self.log.warning(format_args!("dropping connection, as before")),
                Some(all) => self.log.warning(format_args!("dropping connection, as before ({} more)", all - 1)),
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
        let Some(mut child) = self.children.record_exit(ended.pid) else {
            self.heed_end_of_stranger(ended);
            return;
        };
        let age = sys::micros().saturating_sub(child.started);
        let (mut stillborn, mut served) = (false, false);
        if ended.is_abnormal() && self.children_accept() {
            self.reopen();
        }
        if let Crew::Pool(pool) = &mut self.crew {
            let slot = pool.slot(child.slot);
            if self.handed.is_none() {
                child.peer = slot.peer();
            }
            served = slot.taken() > 0;
            stillborn = ended.is_abnormal() && !served && age < INFANCY && self.stopping.is_none();
            let found_nothing = pool.release(child.slot);
            if let Some(stopping) = &mut self.stopping
                && found_nothing
                && self.handed.is_none()
                && !ended.is_abnormal()
                && !stopping.queue_empty
                // It may have had the signal before the socket was made non-blocking, from whoever signals a whole group.
                && self.listeners.iter().all(Listener::is_queue_empty)
            {
                stopping.queue_empty = true;
                self.listeners.iter().for_each(Listener::refuse);
            }
        }
        self.release_seat(&mut child, ended);
        self.books.ended(&child, ended, age);
        self.log.end(&child, ended, age);
        self.porter.ended(&child, ended, &mut self.log);
        if stillborn {
            let pause = self.hold.extend(sys::micros());
            let seconds = pause as f64 / 1e6;
            self.complain(format_args!("children die at start: next try in {seconds} s"));
        } else if !ended.is_abnormal() || served {
            // However it ended: to begin was possible.
            self.hold.lift();
        }
        if !self.is_pool() {
            self.log.status(self.children.live(), self.limit);
        }
    }
}
