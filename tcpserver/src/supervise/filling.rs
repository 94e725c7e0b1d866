//! The supervisor keeps children waiting ahead of connections: it makes more when spares run out, and has one after the
//! other leave when there are too many.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{Crew, Supervisor};
use crate::children::Child;
use crate::sys;

/// So many wake-ups by the bell without a cause are taken for bad luck; after more of them it is not listened to for this
/// time, in microseconds. A child under somebody else's control can ring it as often as it likes.
const FALSE_ALARMS: u32 = 16;
const DEAF: u64 = 10_000;

/// The time between two looks at a pool in which somebody is busy, and to the second look at a count that seems wrong, in
/// microseconds.
const CHECK: u64 = 1_000_000;
const SECOND_LOOK: u64 = 10_000;

impl Supervisor<'_> {
    /// Makes children that a pool lacks, as many as one burst has. Says whether it made any.
    pub(super) fn fill(&mut self) -> bool {
        let now = sys::micros();
        if !self.lacks_children() || self.hold.is_on(now) {
            return false;
        }
        let idle = self.spare();
        let Crew::Pool(pool) = &mut self.crew else { return false };
        let burst = pool.spares.burst(pool.live(), idle, now);
        (0..burst).take_while(|_| self.add_child()).count() > 0
    }

    /// Makes one more child of a pool, and says whether there is one.
    pub(super) fn add_child(&mut self) -> bool {
        if self.is_short_of_memory() {
            return false;
        }
        let Crew::Pool(pool) = &mut self.crew else { return false };
        let before = self.books.clock();
        let room = self.children.make_room();
        let spawned = room.and_then(|()| pool.spawn(self.nest, &self.listeners, &self.porter, &mut self.handed));
        match spawned {
            Ok((pid, slot)) => {
                self.reaper.born(pid);
                let child = Child { pid, slot, started: sys::micros(), ..Child::default() };
                self.books.joined(&child, before);
                self.children.register(child);
                true
            }
            Err(error) => {
                self.held_up("fork", &error);
                false
            }
        }
    }

    /// Whether a pool is to be filled.
    pub(super) fn lacks_children(&self) -> bool {
        // Those who are handed connections are made for them while the service stops.
        let wanted = self.stopping.as_ref().is_none_or(|stopping| !stopping.queue_empty && self.handed.is_none());
        matches!(&self.crew, Crew::Pool(pool) if wanted && pool.spares.are_lacking(pool.live(), self.spare()))
    }

    /// How many children wait for a connection: where they are handed them, nobody needs to ask the children.
    pub(super) fn spare(&self) -> usize {
        match (&self.crew, &self.handed) {
            (_, Some(handed)) => handed.idle(),
            (Crew::Pool(pool), None) => pool.idle(),
            _ => 0,
        }
    }

    /// Tells a spare child to leave, if there have been too many for some time. One that has just taken a connection serves
    /// it, and leaves then.
    pub(super) fn thin(&mut self) {
        let idle = self.spare();
        let Crew::Pool(pool) = &mut self.crew else { return };
        if self.stopping.is_some() || !pool.spares.is_one_too_many(idle, sys::micros()) {
            return;
        }
        if self.handed.is_none() {
            self.recount();
        }
        let Crew::Pool(pool) = &self.crew else { return };
        let leaver = match &mut self.handed {
            Some(handed) => handed.dismiss_one().and_then(|place| pool.child_in(place)),
            // The same one again, if it missed the signal.
            None => {
                let idle = self.children.iter().filter(|child| !pool.slot(child.slot).is_busy());
                idle.max_by_key(|child| child.slot).map(|child| child.pid)
            }
        };
        if let Some(pid) = leaver {
            // The one that leaves a connection open which idles, where it is known.
            let leave = if self.nest.signals.hears_restarts() { Signal::SIGHUP } else { Signal::SIGTERM };
            let _ = kill(Pid::from_raw(pid), leave);
        }
    }

    /// Looks at a pool that may still grow or shrink, once in a while as long as somebody is busy: whether the children's
    /// count is right, which could be wrong without anybody ringing; or, where they are handed connections, who is done,
    /// which is not heard while others are idle. Nothing is done about a pool that idles, or has all the children it may.
    pub(super) fn check(&mut self) {
        let now = sys::micros();
        let Crew::Pool(pool) = &mut self.crew else { return };
        let (size, live) = (pool.spares.size, pool.live());
        let can_change = match &self.handed {
            Some(handed) => !size.is_fixed() && live > size.max_spare as usize && handed.serving() > 0,
            None => live < size.max_children as usize,
        };
        if !can_change || self.stopping.is_some() {
            pool.check = None;
        } else if pool.check.is_none_or(|due| due <= now) {
            let is_idle = self.handed.is_none() && self.recount() == live;
            let Crew::Pool(pool) = &mut self.crew else { return };
            pool.check = match pool.error {
                Some(_) => Some(now + SECOND_LOOK),
                None => (!is_idle).then_some(now + CHECK),
            };
        }
    }

    /// Before a wait: has the children ring the bell for what matters now. Says whether that has come already.
    pub(super) fn settle(&mut self, now: u64) -> bool {
        let (is_open, is_strained, accept) = (self.stopping.is_none(), self.is_full(), self.children_accept());
        let Crew::Pool(pool) = &mut self.crew else { return false };
        if is_open && is_strained {
            pool.strain.begin();
        }
        if !is_open || !accept {
            // Who is handed connections says when it is done.
            pool.notices.wait_for(i32::MIN, i32::MAX);
            return false;
        }
        let size = pool.spares.size;
        let is_full = pool.live() >= size.max_children as usize;
        let floor = match () {
            // It is known, and waited for: by time, or by a look at the queues.
            () if self.hold.is_on(now) || pool.strain.is_on() => i32::MIN,
            () if is_full => 1,
            () => size.min_spare.cast_signed(),
        };
        let is_thinning = size.is_fixed() || pool.spares.next_leave().is_some();
        let ceiling = if is_thinning { size.max_children } else { size.max_spare };
        // More than there are cannot be idle: then the count is wrong.
        let ceiling = ceiling.min(u32::try_from(pool.live()).unwrap_or(u32::MAX));
        pool.notices.wait_for(floor, ceiling.cast_signed())
    }

    /// When a pool wants something done without anybody ringing.
    pub(super) fn next_of_pool(&self, now: u64) -> Option<u64> {
        let Crew::Pool(pool) = &self.crew else { return None };
        let deaf = (pool.deaf_until > now).then_some(pool.deaf_until);
        let next = [pool.strain.next(now), pool.spares.next_leave(), pool.check, deaf].into_iter().flatten().min();
        next.filter(|_| self.stopping.is_none()).map(|next| next.saturating_sub(now))
    }

    /// The bell was rung.
    pub(super) fn heed_bell(&mut self, now: u64) {
        let Crew::Pool(pool) = &mut self.crew else { return };
        pool.notices.silence();
        let (live, idle) = (pool.live(), pool.idle());
        let is_cause = pool.spares.are_lacking(live, idle) || idle == 0 || idle > pool.spares.size.max_spare as usize;
        pool.false_alarms = if is_cause { 0 } else { pool.false_alarms + 1 };
        if pool.false_alarms > FALSE_ALARMS {
            pool.deaf_until = now + DEAF;
        }
        if pool.notices.is_absurd(live) {
            self.recount();
        }
    }

    /// Counts the idle children by the scoreboard, and corrects their own count by that.
    pub(super) fn recount(&mut self) -> usize {
        let Crew::Pool(pool) = &mut self.crew else { return 0 };
        let idle = self.children.iter().filter(|child| !pool.slot(child.slot).is_busy()).count();
        let error = pool.notices.error(idle);
        // A child between its page and the count is an error for an instant: one that stays is corrected. It need not be
        // the same: who lies may do so again.
        let stays = pool.error.is_some_and(|before| before.signum() == error.signum());
        if stays || pool.notices.is_absurd(pool.live()) {
            pool.notices.correct(error);
        }
        pool.error = (error != 0).then_some(error);
        idle
    }
}
