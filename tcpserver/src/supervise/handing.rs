//! The supervisor hands connections to a pool's children, where it decides about each before a child has it.

use nix::sys::signal::Signal;

use super::{Crew, Supervisor};
use crate::admit::Admitted;
use crate::children::Child;
use crate::reap::Ended;
use crate::spawn::handed::{Handed, News};
use crate::sys;

impl Supervisor<'_> {
    /// Whether the children of a pool accept for themselves.
    pub(super) fn children_accept(&self) -> bool {
        self.handed.is_none() && matches!(self.crew, Crew::Pool(_))
    }

    /// Whether the ends of children are looked for when connections come, in a hurry, rather than waited for: where each
    /// connection is the end of a child.
    pub(super) fn looks_for_ends(&self) -> bool {
        let lives_on = matches!(&self.crew, Crew::Pool(pool) if pool.reuse != 1);
        self.hurried && !lives_on
    }

    /// Hears which children are done.
    pub(super) fn hear(&mut self) {
        let Some(mut handed) = self.handed.take() else { return };
        let stops = self.stopping.is_some();
        handed.hear(|handed, news| match news {
            News::Done(place, peer) => {
                self.porter.left(peer);
                let Crew::Pool(pool) = &self.crew else { return };
                // Who was told to leave is not given another; nor is anybody told twice for one connection.
                let is_told = pool.child_in(place).is_some_and(|pid| self.children.rest(pid));
                if !is_told && !stops {
                    handed.rests(place);
                }
            }
            News::Lied(place) => {
                let Crew::Pool(pool) = &self.crew else { return };
                if let Some(pid) = pool.child_in(place) {
                    self.log.warning(format_args!("child {pid} said what it has no cause to say: it is killed"));
                    let _ = sys::signal_process(pid, Signal::SIGKILL);
                }
            }
        });
        self.handed = Some(handed);
    }

    /// Gives an accepted connection to an idle child, or to one more; if that cannot be done now, it is tried again later.
    pub(super) fn hand(&mut self, at: usize, admitted: Admitted) {
        let before = self.porter.clock();
        if !self.handed.as_ref().is_some_and(Handed::has_idle) {
            self.add_child();
        }
        let Some(handed) = &mut self.handed else { return };
        match handed.give(at, &admitted) {
            Ok(place) => {
                let peer = admitted.peer;
                drop(admitted);
                let Crew::Pool(pool) = &self.crew else { return };
                if let Some(pid) = pool.child_in(place) {
                    self.children.serve(pid, peer, sys::micros());
                }
                self.porter.began(peer, handed.serving(), self.limit, before);
            }
            Err(error) => {
                self.waiting = Some((at, admitted));
                if error.kind() != std::io::ErrorKind::WouldBlock {
                    self.held_up("hand a connection over", &error);
                }
            }
        }
    }

    /// A child of the pool was reaped: whom it left, and what it did not take. Says whether its client is known.
    pub(super) fn release_seat(&mut self, child: &mut Child, ended: &Ended) {
        let Some(handed) = &mut self.handed else { return };
        let released = handed.release(child.slot, ended.is_abnormal());
        child.peer = released.serving.flatten();
        for peer in [released.done, released.returned].into_iter().flatten() {
            self.porter.left(peer);
        }
    }
}
