//! The supervisor is told to stop, and stops.

use super::{Crew, Supervisor};
use crate::children::Child;
use crate::listen::Listener;
use crate::server::MOST_LISTENERS;
use crate::signals::Manner;
use crate::spawn::handed::Handed;
use crate::stop::{Know, Sockets, Stopping};
use crate::window::Window;

impl Supervisor<'_> {
    /// SIGTERM and SIGINT: gently the first time, at once the second.
    pub(super) fn heed_stop(&mut self) {
        if !self.nest.signals.take_stop() {
            return;
        }
        if self.nest.signals.manner() == Manner::Abrupt {
            self.over = true;
            return;
        }
        self.stop_successor();
        match &mut self.stopping {
            Some(stopping) => stopping.hasten(),
            None if self.listeners.iter().any(Listener::is_lent) => self.leave(true),
            None => {
                for listener in &self.listeners {
                    // What is queued is served; what is not queued yet finds whoever listens next. The order matters
                    // for a pool: see `next_connection` in spawn/prefork.rs.
                    listener.close_queue();
                    if let Err(error) = listener.set_nonblocking() {
                        self.log.warning(format_args!("unable to drain {}: {error}", listener.address()));
                    }
                }
                self.stopping = Some(Stopping::begin(self.drain, Sockets::Ours, true));
            }
        }
    }

    /// While stopping: wakes those who idle, says who is still there, and loses patience in the end.
    pub(super) fn press_on(&mut self) {
        let Some(stopping) = &mut self.stopping else { return };
        if let Some(handed) = &mut self.handed {
            handed.dismiss();
        }
        let know = match &self.crew {
            Crew::Vfork(starter) if !starter.ends_gently => Know::Nothing,
            Crew::Fork(_) | Crew::Pool(_) if self.nest.signals.hears_restarts() => Know::Retire,
            _ => Know::Drain,
        };
        let handed = self.handed.is_some();
        let pool = if let Crew::Pool(pool) = &self.crew { Some(pool) } else { None };
        let client = |child: &Child| match pool.map(|pool| pool.slot(child.slot)) {
            Some(_) if handed => child.is_serving().then_some(child.peer),
            Some(slot) => slot.is_busy().then(|| slot.peer()),
            None => Some(child.peer),
        };
        stopping.press_on(&self.children, know, client, &mut self.log);
        if stopping.is_impatient() && !stopping.queue_empty {
            // Whoever were served now would have nobody to end it.
            if !self.listeners.iter().all(Listener::is_queue_empty) {
                self.log.warning(format_args!("stopping: no time is left for the connections that are still queued"));
            }
            if let Some((_, admitted)) = self.waiting.take() {
                self.log.warning(format_args!("dropping connection{}", crate::log::Peer(admitted.peer)));
            }
            while let Some((_, admitted)) = self.handed.as_mut().and_then(Handed::next_returned) {
                self.log.warning(format_args!("dropping connection{}", crate::log::Peer(admitted.peer)));
            }
            stopping.queue_empty = true;
            self.accepting = [false; MOST_LISTENERS];
            self.listeners.iter().for_each(Listener::refuse);
        }
    }

    pub(super) fn is_done(&self) -> bool {
        let Some(stopping) = &self.stopping else { return false };
        let waits = self.accepting.contains(&true) || self.waiting.is_some() || !self.porter.is_empty();
        let waits = waits || self.handed.as_ref().is_some_and(|handed| handed.returned() > 0);
        let queues_empty = self.children_accept() || !waits;
        (queues_empty && self.children.live() == 0 && !self.has_called_off()) || stopping.is_over()
    }

    /// The service is over: names of Unix sockets go, where that may be.
    pub(super) fn remove_names(&mut self) {
        let window = self.window.iter().map(Window::listener);
        for listener in self.listeners.iter().chain(window) {
            listener.remove_name();
            if listener.left_name() {
                let name = listener.address();
                self.log.warning(format_args!("unable to remove {name}: it stays, and the next start takes it over"));
            }
        }
    }
}
