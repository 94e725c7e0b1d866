//! A child that was taken over, and is not kept from it by a filter of system calls, can shut down the socket that it shares
//! with all others: the supervisor listens anew.

use super::Supervisor;

impl Supervisor<'_> {
    /// Listens anew where somebody has shut a socket down, and says so. Called when something has failed that may come of it.
    pub(super) fn reopen(&mut self) {
        if self.stopping.is_some() {
            return;
        }
        for at in 0..self.listeners.len() {
            if !self.listeners[at].is_shut() {
                continue;
            }
            // The process before us shuts down what it leaves when it is told to stop, and has told us so before.
            self.nest.signals.let_in();
            self.heed_stop();
            if self.stopping.is_some() {
                return;
            }
            let listener = &mut self.listeners[at];
            let (name, reopened) = (listener.address().to_string(), listener.reopen());
            match reopened {
                Ok(()) => self.complain(format_args!("somebody has shut down {name}: listening anew")),
                Err(_) => self.complain(format_args!("somebody has shut down {name}: the service must be restarted")),
            }
        }
    }
}
