//! When a pool is full and busy: idle connections yield to clients that wait.

use connection::Stage;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use super::{Crew, Supervisor};
use crate::listen::Listener;
use crate::signals::ASK;
use crate::spawn::handed::Handed;
use crate::spawn::strain::Look;
use crate::sys;

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
        let asked = self.ask(waiting.saturating_sub(idle));
        let Crew::Pool(pool) = &mut self.crew else { return };
        pool.strain.looked(Look { waiting, idle, asked }, pool.live(), now);
        pool.notices.publish(pool.strain.need);
    }

    /// How many connections were accepted and lack nothing but a child.
    fn held(&self) -> usize {
        let returned = self.handed.as_ref().map_or(0, Handed::returned);
        usize::from(self.waiting.is_some()) + returned + self.porter.complete()
    }

    /// Asks so many children for the connections that they keep, the longest idle first. They say who that is: whoever
    /// lies about it keeps a connection, or loses one.
    fn ask(&self, wanted: usize) -> usize {
        let Crew::Pool(pool) = &self.crew else { return 0 };
        let kept = self.children.iter().filter_map(|child| {
            let slot = pool.slot(child.slot);
            let progress = slot.progress();
            let is_busy = if self.handed.is_some() { child.is_serving() } else { slot.is_busy() };
            (wanted > 0 && is_busy && progress.stage() == Stage::Kept).then(|| (progress.times().1, child.pid))
        });
        let mut kept: Vec<_> = kept.collect();
        let wanted = wanted.min(kept.len());
        if wanted < kept.len() {
            kept.select_nth_unstable(wanted);
        }
        for &(_, pid) in &kept[..wanted] {
            // It has not been reaped, so the number is still its own.
            let _ = kill(Pid::from_raw(pid), ASK);
        }
        wanted
    }
}

/// How many clients wait in a listener's queue; one, where the kernel does not tell.
fn queued(listener: &Listener) -> usize {
    sys::queue(listener).map_or(1, |(waiting, _)| waiting as usize)
}
