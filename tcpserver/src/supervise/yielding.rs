//! When a pool is full and busy: idle connections yield to clients that wait.

use connection::Stage;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use super::{Crew, Supervisor};
use crate::children::Child;
use crate::listen::Listener;
use crate::signals::ASK;
use crate::spawn::handed::Handed;
use crate::spawn::strain::Look;
use crate::sys;

/// Whose client has said nothing for so long, in microseconds, may be asked for too: somewhat more than a handler gives it.
const SILENCE: u64 = 1_100_000;

impl Supervisor<'_> {
    /// Looks whether clients wait, if it is time to; asks for connections that are between two requests, as many as
    /// clients wait; and publishes the need. `came` says that a listening socket has somebody.
    pub(super) fn relieve(&mut self, came: bool) {
        let Crew::Pool(pool) = &mut self.crew else { return };
        if !pool.strain.is_on() {
            return;
        }
        if self.stopping.is_some() || pool.live() < pool.spares.size.max_children as usize {
            // There is room again, or nobody is to come any more.
            pool.strain.end();
            pool.notices.publish(pool.strain.need);
            return;
        }
        let (now, held) = (sys::micros(), self.held());
        if !matches!(&self.crew, Crew::Pool(pool) if pool.strain.is_due(now, came || held > 0)) {
            return;
        }
        let waiting = held + self.listeners.iter().map(queued).sum::<usize>();
        if waiting == 0 {
            self.nobody_waits();
        }
        let idle = self.handed.as_ref().map(Handed::idle).unwrap_or_else(|| self.recount());
        let asked = self.ask(waiting.saturating_sub(idle), now);
        let Crew::Pool(pool) = &mut self.crew else { return };
        pool.strain.looked(Look { waiting, idle, asked }, pool.live(), now);
        pool.notices.publish(pool.strain.need);
    }

    /// How many connections were accepted and lack nothing but a child.
    fn held(&self) -> usize {
        let returned = self.handed.as_ref().map_or(0, Handed::returned);
        usize::from(self.waiting.is_some()) + returned + self.porter.complete()
    }

    /// Asks so many children for the connections that they keep, the longest idle first, and behind these for those whose
    /// clients have said nothing yet. Says how many of the former, but for those who were asked in vain; of the latter some
    /// may speak in this instant. Children say who that is: whoever lies about it keeps a connection, or loses one.
    fn ask(&mut self, wanted: usize, now: u64) -> usize {
        let Crew::Pool(pool) = &self.crew else { return 0 };
        let yields = |child: &Child| {
            let (slot, is_handed) = (pool.slot(child.slot), self.handed.is_some());
            let is_busy = if is_handed { child.is_serving() } else { slot.is_busy() };
            let (stage, (_, moved)) = (slot.progress().stage(), slot.progress().times());
            let is_silent = stage == Stage::Waiting && moved != 0 && moved + SILENCE <= now;
            // Asked already since it last did anything: stopped, or it lies, and others are asked before it. One that
            // says that it did something since has not been idle for long.
            let is_deaf = child.asked != 0 && moved <= child.asked;
            (is_busy && (stage == Stage::Kept || is_silent)).then_some((is_deaf, is_silent, moved, child.pid))
        };
        let mut all: Vec<_> = self.children.iter().filter(|_| wanted > 0).filter_map(yields).collect();
        let wanted = wanted.min(all.len());
        if wanted < all.len() {
            all.select_nth_unstable(wanted);
        }
        for &(.., pid) in &all[..wanted] {
            // It has not been reaped, so the number is still its own.
            let _ = kill(Pid::from_raw(pid), ASK);
            self.children.ask(pid, now);
        }
        all[..wanted].iter().filter(|(is_deaf, is_silent, ..)| !is_deaf && !is_silent).count()
    }
}

/// How many clients wait in a listener's queue; one, where the kernel does not tell.
fn queued(listener: &Listener) -> usize {
    sys::queue(listener).map_or(1, |(waiting, _)| waiting as usize)
}
