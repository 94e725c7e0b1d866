//! The service reads its files anew, a new program takes its place, a service manager hears of it, and nobody comes any
//! more.

use std::process;

use nix::sys::signal::Signal;

use super::{Crew, Supervisor};
use crate::children::Child;
use crate::error::describe;
use crate::listen::Listener;
use crate::notify::Manager;
use crate::reap::Ended;
use crate::reload::Leaving;
use crate::restart::Restart;
use crate::scoreboard::Slot;
use crate::server::MOST_LISTENERS;
use crate::stop::{Sockets, Stopping};
use crate::sys;
use crate::upgrade::{State, Successor};
use crate::window::Window;

/// Where a service stands with all that.
#[derive(Default)]
pub(super) struct Restarting<'a> {
    asked: Restart<'a>,
    leaving: Leaving,
    successor: Option<Successor>,
    /// One that was starting when the service was told to stop: this process ends after it.
    called_off: Option<Successor>,
    /// The one that serves, while we finish; and whether the sockets had been ours.
    heir: Option<(i32, bool)>,
    idle: Option<Idle>,
}

/// Whether somebody comes, as far as that is asked for.
struct Idle {
    /// So long nobody is to have come, in microseconds.
    period: u64,
    /// When it is looked next.
    due: u64,
    /// Since when nobody came, and how much had been served by then.
    since: u64,
    served: u64,
}

/// It is looked so often in a period: a pool's children accept for themselves, and tell nobody when.
const LOOKS: u64 = 8;

impl<'a> Restarting<'a> {
    pub(super) fn new(asked: Restart<'a>) -> Self {
        let (period, since) = (asked.idle.map(|seconds| u64::from(seconds) * 1_000_000), sys::micros());
        let idle = period.map(|period| Idle { period, due: since + period / LOOKS, since, served: 0 });
        Restarting { asked, idle, ..Restarting::default() }
    }
}

impl Supervisor<'_> {
    /// Connections are served: whoever waits for that is told.
    pub(super) fn tell_ready(&mut self) {
        if let Some(predecessor) = self.restarting.asked.predecessor.take() {
            // It lets go of the names of Unix sockets when it hears of this.
            let window = self.window.iter().map(Window::listener);
            self.listeners.iter().chain(window).for_each(Listener::take_over_name);
            predecessor.tell();
        }
        if let Some(handed) = &mut self.handed {
            // What the start alone needed is closed by now.
            handed.opens(|| ());
        }
        if let Some(manager) = &self.restarting.asked.manager {
            let places: Vec<String> = self.listeners.iter().map(|listener| listener.address().to_string()).collect();
            manager.ready(&places.join(" "));
        }
    }

    /// Who is told how it goes, unless it is another's to tell.
    fn manager(&self) -> Option<&Manager> {
        self.restarting.asked.manager.as_ref().filter(|_| self.restarting.heir.is_none())
    }

    /// When there is something to do although no signal came, in microseconds of the monotonic clock.
    pub(super) fn next_of_restarting(&self) -> Option<u64> {
        let Restarting { leaving, successor, idle, .. } = &self.restarting;
        let watchdog = self.manager().and_then(Manager::next);
        let idle = idle.as_ref().filter(|_| self.stopping.is_none()).map(|idle| idle.due);
        [watchdog, leaving.next(), successor.as_ref().map(Successor::next), idle].into_iter().flatten().min()
    }

    /// Heeds SIGHUP and SIGUSR2, and does what is due.
    pub(super) fn heed_restart(&mut self) {
        if self.nest.signals.take_reload() && self.stopping.is_none() {
            self.reload();
        }
        if self.nest.signals.take_upgrade() && self.stopping.is_none() {
            self.upgrade();
        }
        if self.next_of_restarting().is_none() {
            return;
        }
        let now = sys::micros();
        if let (Some(manager), None) = (&mut self.restarting.asked.manager, self.restarting.heir) {
            manager.beat(now);
        }
        self.look_for_successor();
        self.look_for_anybody(now);
        let pool = if let Crew::Pool(pool) = &self.crew { Some(pool) } else { None };
        let client = |child: &Child| match pool.map(|pool| pool.slot(child.slot)) {
            Some(slot) => slot.is_busy().then(|| slot.peer()),
            None => Some(child.peer),
        };
        self.restarting.leaving.press_on(&self.children, client, &mut self.log);
    }

    /// The next children are of what the files say now; a pool's children make room for them.
    fn reload(&mut self) {
        let asked = &mut self.restarting.asked;
        let Some(reload) = &mut asked.reload else { return };
        if let Some(manager) = &asked.manager {
            manager.reloading();
        }
        // What was said until now belongs where it was said: a reload may lead elsewhere.
        self.log.flush();
        let read = match &mut self.handed {
            Some(handed) => handed.opens(|| reload(&mut self.log)),
            None => reload(&mut self.log),
        };
        let told = match read {
            Ok(()) => {
                if let Crew::Pool(_) = self.crew {
                    self.restarting.leaving.begin(&mut self.children, self.drain);
                    if let Some(handed) = &mut self.handed {
                        handed.dismiss();
                    }
                }
                self.books.counters.reloads[0].add(1);
                self.log.note(format_args!("reloaded"));
                "reloaded".to_owned()
            }
            Err(error) => {
                self.books.counters.reloads[1].add(1);
                self.log.warning(format_args!("{error}; serving goes on as before"));
                format!("not reloaded: {error}")
            }
        };
        if let Some(manager) = &self.restarting.asked.manager {
            manager.reloaded(&told);
        }
    }

    /// Starts the program anew. Until it serves, nothing changes here.
    fn upgrade(&mut self) {
        if let Some(successor) = &self.restarting.successor {
            let pid = successor.pid();
            return self.complain(format_args!("a new program is starting already: process {pid}"));
        }
        let program = match &self.restarting.asked.program {
            Some(Ok(program)) => program,
            Some(Err(why)) => {
                let why = why.to_string();
                return self.complain(format_args!("{why}"));
            }
            None => return,
        };
        self.log.flush();
        let window = self.window.as_ref().map(Window::listener);
        match Successor::start(program, &self.listeners, window, &self.nest.one_thread) {
            Ok(successor) => {
                self.reaper.born(successor.pid());
                self.log.note(format_args!("starting {} anew: process {}", program.path().display(), successor.pid()));
                self.restarting.successor = Some(successor);
            }
            Err(error) => {
                let (path, reason) = (program.path().display().to_string(), describe(&error));
                self.complain(format_args!("unable to execute {path}: {reason}; serving goes on as before"));
            }
        }
    }

    /// Gives way to a new program that serves, and up on one that does not.
    fn look_for_successor(&mut self) {
        let Some(successor) = &mut self.restarting.successor else { return };
        let pid = successor.pid();
        match successor.look() {
            State::Starting => {}
            State::Hangs => {
                successor.signal(Signal::SIGKILL);
                self.restarting.successor = None;
                self.books.counters.upgrades_failed.add(1);
                let what = "the new program, process";
                self.log.warning(format_args!(
                    "{what} {pid}, does not come to serve: it was killed; serving goes on as before"
                ));
            }
            State::Serves => {
                // Who said before now that the service is to stop did not know of a new one, and means both.
                self.nest.signals.let_in();
                self.heed_stop();
                if self.restarting.successor.take().is_none() {
                    return;
                }
                self.log.note(format_args!("process {pid} serves now; open connections may finish here"));
                if let Some(manager) = self.manager() {
                    manager.main_pid(pid);
                }
                let ours = !self.listeners.iter().any(Listener::is_lent);
                self.restarting.heir = Some((pid, ours));
                self.listeners.iter().for_each(Listener::hand_over);
                // Who asks now asks the new one.
                if let Some(window) = &self.window {
                    window.hand_over();
                }
                self.leave(false);
            }
        }
    }

    /// A process has ended that is no child of the service: the new program, perhaps.
    pub(super) fn heed_end_of_stranger(&mut self, ended: &Ended) {
        let (pid, fate) = (ended.pid, ended.fate());
        let what = "the new program, process";
        if self.restarting.successor.take_if(|successor| successor.pid() == pid).is_some() {
            self.books.counters.upgrades_failed.add(1);
            self.log.warning(format_args!("{what} {pid}, ended before it served ({fate}): serving goes on as before"));
        }
        self.restarting.called_off.take_if(|called_off| called_off.pid() == pid);
        if let Some((_, ours)) = self.restarting.heir.take_if(|(heir, _)| *heir == pid)
            && self.stopping.as_ref().is_some_and(|stopping| !stopping.is_told())
            && ended.is_abnormal()
        {
            self.log.warning(format_args!("{what} {pid}, ended ({fate}): this one serves again"));
            self.stopping = None;
            self.accepting = std::array::from_fn(|at| at < self.listeners.len());
            if ours {
                self.listeners.iter().for_each(Listener::take_back);
            }
            if let Some(window) = &self.window {
                window.take_back();
            }
            if let Some(manager) = self.manager() {
                manager.main_pid(process::id().cast_signed());
            }
        }
    }

    /// The service is told to stop: a program that was just starting is, too. It is told before anything is done to the
    /// sockets, and waited for: whoever sees this process end finds nobody listening.
    pub(super) fn stop_successor(&mut self) {
        if let Some(successor) = self.restarting.successor.take() {
            self.log.note(format_args!("process {}, which was starting, is stopped too", successor.pid()));
            self.restarting.called_off = Some(successor);
        }
        self.signal_called_off(Signal::SIGTERM);
        if let Some(manager) = self.manager() {
            manager.stopping();
        }
    }

    /// Whether a program that was called off is still there.
    pub(super) fn has_called_off(&self) -> bool {
        self.restarting.called_off.is_some()
    }

    /// For a program that was called off.
    pub(super) fn signal_called_off(&self, signal: Signal) {
        if let Some(successor) = &self.restarting.called_off {
            successor.signal(signal);
        }
    }

    /// Ends the service when nobody came for long; whoever lent us the sockets listens on.
    fn look_for_anybody(&mut self, now: u64) {
        let Some(idle) = self.restarting.idle.as_mut().filter(|idle| now >= idle.due) else { return };
        if self.stopping.is_some() {
            return;
        }
        // A number that changes with each connection, as far as children tell the truth.
        let (served, busy) = match &self.crew {
            Crew::Pool(pool) => {
                let slots = || self.children.iter().map(|child| pool.slot(child.slot));
                let served = slots().fold(pool.made(), |sum, slot| sum.wrapping_add(slot.taken()));
                (served, slots().any(Slot::is_busy))
            }
            _ => (self.accepted, self.children.live() > 0 || self.waiting.is_some() || !self.porter.is_empty()),
        };
        if served != idle.served || busy || self.restarting.successor.is_some() {
            (idle.since, idle.served) = (now, served);
        } else if now >= idle.since + idle.period {
            self.log.note(format_args!("nobody came for {} s: leaving", idle.period / 1_000_000));
            return self.leave(false);
        }
        idle.due = (now + idle.period / LOOKS).min(idle.since + idle.period);
    }

    /// Stops without a word to those who are queued: somebody else accepts them. `told` says that it is not by our own
    /// will.
    pub(super) fn leave(&mut self, told: bool) {
        self.accepting = [false; MOST_LISTENERS];
        self.stopping = Some(Stopping::begin(self.drain, Sockets::Others, told));
    }
}
