//! The supervisor waits: for a connection, a signal, or the time of something to do.

use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use super::{Crew, HURRY, Supervisor};
use crate::server::MOST_LISTENERS;
use crate::spawn::handed::Handed;
use crate::stop::Stopping;
use crate::sys;
use crate::window::Window;

/// After so many waits that found a connection ready at once, signals are let in by themselves: ppoll(2) delivers none
/// when it has something else to tell, and under load it always has.
const UNHEARD: u32 = 64;

impl Supervisor<'_> {
    /// Waits for a connection, a signal, or the time of something to do. Says which listeners have a connection, and
    /// whether somebody is at the window.
    pub(super) fn wait(&mut self) -> ([bool; MOST_LISTENERS], bool) {
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
        // What was let in is heeded before any wait: the wait would not be told of it again.
        let at_once = is_rung || let_in;
        let later = patience.filter(|_| !looks).map(|next| next.saturating_sub(now));
        let left = if at_once { Some(0) } else { self.left(now).into_iter().chain(later).min() };
        let timeout = left.map(|micros| TimeSpec::from(std::time::Duration::from_micros(micros)));
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

    /// How long until something is to be done although nothing happens, in microseconds.
    fn left(&self, now: u64) -> Option<u64> {
        let due = [
            self.stopping.as_ref().map(Stopping::next),
            self.porter.next(),
            self.next_of_restarting(),
            self.reaper.due(),
            self.dropped.owes(),
            self.window.as_ref().and_then(Window::next),
        ];
        let left = [
            self.next_of_pool(now),
            self.looks_for_ends().then_some(HURRY),
            self.hold.left(now),
            self.lull.left(now),
            // The time to hold back may have ended since `retry` and `fill` looked.
            (self.lacks_children() || self.can_retry()).then(|| self.hold.left(now).unwrap_or(0)),
        ];
        let due = due.into_iter().flatten().map(|due| due.saturating_sub(now));
        due.chain(left.into_iter().flatten()).min()
    }
}
