//! Stopping gently: who idles is woken, who works gets time, who is still there is named, told to end, and killed.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::children::{Child, Children};
use crate::log::{Age, Log, Peer};
use crate::sys;

/// In microseconds: how often children are woken (one that fell asleep the instant before would miss a single signal),
/// how often it is said who is still there, and how long a child has from SIGTERM to SIGKILL, and from there to the end.
const NUDGE: u64 = 1_000_000;
const NUDGE_SHARE: u64 = 20;
const ROLL_CALL: u64 = 10_000_000;
const GRACE: u64 = 1_000_000;

/// A further signal within this time of the first, in microseconds, is the first.
const SECOND_THOUGHT: u64 = 300_000;

/// How many children a roll-call names.
const NAMED: usize = 10;

/// Whose are the connections that are still queued?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sockets {
    /// They are served before the end, and then nobody listens any more.
    Ours,
    /// They are for whoever accepts at the same sockets, now or later.
    Others,
}

/// What signals mean to children.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Know {
    /// The end, as to any program.
    Nothing,
    /// SIGTERM: finish what you do.
    Drain,
    /// SIGHUP too: take no further connection.
    Retire,
}

/// How far a stop has come.
pub(crate) struct Stopping {
    began: u64,
    sockets: Sockets,
    /// Told to stop, rather than having left by itself to make room.
    told: bool,
    drain: u64,
    nudge: u64,
    roll_call: u64,
    /// When those who are left are told to end.
    deadline: u64,
    /// When the next step beyond the deadline is due, and how many were made.
    last_steps: (u64, u32),
    /// Nothing is accepted any more: a pool's child found nothing, or the time is over.
    pub(crate) queue_empty: bool,
}

impl Stopping {
    /// A stop that gives open connections `drain` seconds.
    pub(crate) fn begin(drain: u32, sockets: Sockets, told: bool) -> Self {
        let now = sys::micros();
        let drain = u64::from(drain) * 1_000_000;
        let deadline = now + drain;
        Stopping {
            began: now,
            sockets,
            told,
            drain,
            nudge: now,
            roll_call: now,
            deadline,
            last_steps: (deadline, 0),
            queue_empty: sockets == Sockets::Others,
        }
    }

    /// No more patience, if this is a second thought: timeout(1) and many a script signal a process and then its group,
    /// and mean one signal.
    pub(crate) fn hasten(&mut self) {
        let now = sys::micros();
        if !self.told {
            // The first that we hear of it: who is still here has the same time as others whose service is stopped.
            (self.told, self.began, self.nudge) = (true, now, now);
            self.deadline = now + self.drain;
            self.last_steps.0 = self.deadline;
        } else if now >= self.began + SECOND_THOUGHT {
            self.last_steps = (now, 1);
            self.deadline = 0;
        }
    }

    /// Whether somebody told the service to stop.
    pub(crate) fn is_told(&self) -> bool {
        self.told
    }

    /// When [`Stopping::press_on`] has something to do.
    pub(crate) fn next(&self) -> u64 {
        self.nudge.min(self.roll_call).min(self.last_steps.0)
    }

    /// The time for draining is over.
    pub(crate) fn is_impatient(&self) -> bool {
        self.last_steps.1 > 0
    }

    /// Everybody was killed, and whoever is still there cannot be (it waits for a disk that does not answer).
    pub(crate) fn is_over(&self) -> bool {
        self.last_steps.1 > 2
    }

    /// What children are told with.
    fn words(&self, know: Know) -> &'static [Signal] {
        match (know, self.sockets) {
            (Know::Nothing, _) => &[],
            (Know::Drain, _) | (Know::Retire, Sockets::Ours) => &[Signal::SIGTERM],
            // The queue is not for them any more, which SIGTERM does not say.
            (Know::Retire, Sockets::Others) if self.told => &[Signal::SIGHUP, Signal::SIGTERM],
            // And nobody is in a hurry.
            (Know::Retire, Sockets::Others) => &[Signal::SIGHUP],
        }
    }

    /// Does what is due. `know` says which signals they understand; `client` says whom a child serves, and `None` if it
    /// serves nobody.
    pub(crate) fn press_on(
        &mut self,
        children: &Children,
        know: Know,
        client: impl Fn(&Child) -> Option<sys::Peer>,
        log: &mut Log,
    ) {
        let now = sys::micros();
        if now >= self.nudge {
            self.words(know).iter().for_each(|&signal| signal_all(children, signal));
            // To wake two hundred thousand takes its time, of which those who work need the most.
            let took = sys::micros().saturating_sub(now);
            self.nudge = now + NUDGE.max(NUDGE_SHARE * took);
        }
        if now >= self.roll_call {
            self.roll_call = now + ROLL_CALL;
            let busy = || children.iter().filter_map(|child| client(child).map(|peer| (child, peer)));
            let (left, seconds) = (busy().count(), self.deadline.saturating_sub(now).div_ceil(1_000_000));
            if left > 0 {
                log.note(format_args!("stopping: {seconds} s for open connections to finish: {left}"));
            }
            for (child, peer) in busy().take(NAMED) {
                let age = Age(now.saturating_sub(child.started));
                log.note(format_args!("still here: pid {}{} age {age} s", child.pid, Peer(peer)));
            }
        }
        if now >= self.last_steps.0 {
            match self.last_steps.1 {
                0 => signal_all(children, Signal::SIGTERM),
                1 => signal_all(children, Signal::SIGKILL),
                _ => {}
            }
            self.last_steps = (now + GRACE, self.last_steps.1 + 1);
        }
    }
}

/// One by one: a signal to the process group would reach the supervisor and whoever started it.
fn signal_all(children: &Children, signal: Signal) {
    for child in children.iter() {
        // It cannot have been reaped: it is in the table. It may have ended, which is what is wanted.
        let _ = kill(Pid::from_raw(child.pid), signal);
    }
}
