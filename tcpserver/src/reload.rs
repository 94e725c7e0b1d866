//! The children of before: those that a reload found at work finish what they do, and who is still there is named.
//!
//! Nobody is ended for it. What a child of before holds is its place in the pool, which the next one takes when it is gone.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::children::{Child, Children};
use crate::log::{Age, Log, Peer};
use crate::sys;

/// In microseconds: how often children are told (one that fell asleep the instant before would miss a single signal).
const NUDGE: u64 = 1_000_000;

/// How many children a roll-call names.
const NAMED: usize = 10;

/// The generation that is leaving.
#[derive(Default)]
pub(crate) struct Leaving {
    /// When the next signal is due, and the next roll-call; `None` when everybody has left.
    due: Option<(u64, u64)>,
    /// The time to the roll-call behind it: each is twice as long as the one before.
    patience: u64,
}

impl Leaving {
    /// All children that there are now leave, each when it has finished; after `patience` seconds they are named.
    pub(crate) fn begin(&mut self, children: &mut Children, patience: u32) {
        let now = sys::micros();
        self.patience = u64::from(patience.max(1)) * 1_000_000;
        children.iter_mut().for_each(|child| child.retired = true);
        self.due = Some((now, now + self.patience));
    }

    /// When [`Leaving::press_on`] has something to do.
    pub(crate) fn next(&self) -> Option<u64> {
        self.due.map(|(nudge, roll_call)| nudge.min(roll_call))
    }

    /// Does what is due. `client` says whom a child serves, and `None` if it serves nobody.
    pub(crate) fn press_on(
        &mut self,
        children: &Children,
        client: impl Fn(&Child) -> Option<sys::Peer>,
        log: &mut Log,
    ) {
        let Some((mut nudge, mut roll_call)) = self.due else { return };
        let now = sys::micros();
        if now < nudge.min(roll_call) {
            return;
        }
        let left = || children.iter().filter(|child| child.retired);
        if left().next().is_none() {
            self.due = None;
            return;
        }
        if now >= nudge {
            nudge = now + NUDGE;
            // It cannot have been reaped: it is in the table.
            for child in left() {
                let _ = kill(Pid::from_raw(child.pid), Signal::SIGHUP);
            }
        }
        if now >= roll_call {
            self.patience *= 2;
            roll_call = now + self.patience;
            let busy = || left().filter_map(|child| client(child).map(|peer| (child, peer)));
            log.note(format_args!("connections of before the reload are still open: {}", busy().count()));
            for (child, peer) in busy().take(NAMED) {
                let age = Age(now.saturating_sub(child.started));
                log.note(format_args!("still here: pid {}{} age {age} s", child.pid, Peer(peer)));
            }
        }
        self.due = Some((nudge, roll_call));
    }
}
