//! The supervisor's signals, and which of them are let in when.
//!
//! | signal | in the supervisor | in a child that runs a handler | in a program |
//! | --- | --- | --- | --- |
//! | SIGCHLD | children have ended: reap | nothing | default |
//! | SIGTERM | stop gently; the second time at once | finish this connection, then leave | default; blocked if it ends gently |
//! | SIGINT | likewise | likewise | default; ignored if it ends gently |
//! | SIGALRM | default | default: a deadline passed | default |
//! | SIGSEGV, SIGBUS | default | default: a crash is a crash | default |
//! | SIGPIPE | ignored: the error of the write says it | ignored | default |
//! | SIGXFSZ | ignored: a log that may not grow is lost lines | ignored | default; ignored if it ends gently |
//! | SIGURG | nothing | of a pool: give this connection up between two requests, and take another | default |
//! | SIGUSR1 | default; says how full the service is, where that was asked for | default | default |
//! | SIGHUP | default; reads its files anew, where it can | default; with the supervisor: take no further connection, and end this one behind its next answer | default; blocked if it ends gently |
//! | SIGUSR2 | default; starts the program anew, where it can | default; nothing | default; blocked if it ends gently |
//!
//! That is [`Manner::Gentle`]. As ucspi-tcp does it ([`Manner::Abrupt`]), SIGTERM ends the supervisor at once and leaves
//! its children alone, and every signal but SIGCHLD, SIGTERM and SIGPIPE is what it was when we were started.
//!
//! They are blocked but while the supervisor waits in ppoll(2), which lets them in and waits in one step. So none is
//! missed between looking at a flag and going to sleep, and none interrupts a fork.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering::Relaxed};

use connection::Pressure;
use nix::poll::ppoll;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::time::{TimeSpec, TimeValLike};

use crate::sys;

/// What the signals that end the service mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// SIGTERM and SIGINT: children finish what they do.
    Gentle,
    /// SIGTERM: the supervisor ends and its children live on.
    Abrupt,
}

impl Manner {
    /// The signals that end the service.
    fn stop(self) -> &'static [Signal] {
        match self {
            Manner::Gentle => &[Signal::SIGTERM, Signal::SIGINT],
            Manner::Abrupt => &[Signal::SIGTERM],
        }
    }
}

/// What a program finds of the signals whose handling is not the default here: the default.
pub(crate) const FOR_PROGRAMS: [(i32, libc::sighandler_t); 5] = [
    (libc::SIGCHLD, libc::SIG_DFL),
    (libc::SIGTERM, libc::SIG_DFL),
    (libc::SIGINT, libc::SIG_DFL),
    (libc::SIGPIPE, libc::SIG_DFL),
    (libc::SIGXFSZ, libc::SIG_DFL),
];

/// What a program finds that was started in the manner of ucspi-tcp.
pub(crate) const FOR_UCSPI_PROGRAMS: [(i32, libc::sighandler_t); 3] =
    [FOR_PROGRAMS[0], FOR_PROGRAMS[1], FOR_PROGRAMS[3]];

/// The same when SIGUSR1 asks the supervisor how full it is.
pub(crate) const FOR_UCSPI_PROGRAMS_AND_REPORTS: [(i32, libc::sighandler_t); 4] =
    [FOR_PROGRAMS[0], FOR_PROGRAMS[1], FOR_PROGRAMS[3], (libc::SIGUSR1, libc::SIG_DFL)];

/// What a program finds that ends gently. It is told by SIGTERM when the service stops, so a terminal's SIGINT, which
/// goes to us and all our children, is not for it.
pub(crate) const FOR_GENTLE_PROGRAMS: [(i32, libc::sighandler_t); 4] =
    [FOR_PROGRAMS[0], FOR_PROGRAMS[1], (libc::SIGINT, libc::SIG_IGN), FOR_PROGRAMS[3]];

/// Asks a child of a pool for the connection that it serves.
pub(crate) const ASK: Signal = Signal::SIGURG;

/// Raised in a child by SIGTERM; a static, because a signal handler knows nothing else.
static PRESSURE: Pressure = Pressure::new();

/// Signals as the loop sees them.
pub struct Signals {
    manner: Manner,
    child: Arc<AtomicBool>,
    /// The child that the last SIGCHLD came from; 0 for none.
    named: Arc<AtomicI32>,
    stop: Arc<AtomicBool>,
    report: Option<Arc<AtomicBool>>,
    /// SIGHUP and SIGUSR2, where they mean something.
    restart: Option<[Arc<AtomicBool>; 2]>,
    /// The mask that the process was started with.
    original: SigSet,
    /// While waiting: all of ours are let in.
    open: SigSet,
    /// While waiting in a hurry: all of ours but SIGCHLD.
    hurried: SigSet,
}

impl Signals {
    /// Installs the handlers and blocks the signals.
    pub fn install(manner: Manner) -> io::Result<Self> {
        let mut ours = SigSet::empty();
        ours.add(Signal::SIGCHLD);
        manner.stop().iter().for_each(|&signal| ours.add(signal));
        // Before there are handlers: a flag that is raised while nobody waits would be seen at the next wake-up only.
        let mut original = SigSet::empty();
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&ours), Some(&mut original))?;
        let flag = || Arc::new(AtomicBool::new(false));
        let (child, stop) = (flag(), flag());
        signal_hook::flag::register(libc::SIGCHLD, Arc::clone(&child))?;
        let named = Arc::new(AtomicI32::new(0));
        sys::keep_sender(libc::SIGCHLD, Arc::clone(&named))?;
        for &signal in manner.stop() {
            signal_hook::flag::register(signal as i32, Arc::clone(&stop))?;
            if manner == Manner::Gentle {
                sys::drain_on_signal(signal as i32, &PRESSURE)?;
            }
        }
        if manner == Manner::Gentle {
            default_alarm()?;
            sys::ignore(Signal::SIGXFSZ)?;
        }
        for signal in [Signal::SIGSEGV, Signal::SIGBUS] {
            // The standard library's handler would let a child live on after the first such signal from outside.
            sys::set_default_unless_ignored(signal)?;
        }
        let mut open = original;
        match manner {
            Manner::Gentle => ours.iter().for_each(|signal| open.remove(signal)),
            // Whoever started us with SIGTERM blocked is not told of it.
            Manner::Abrupt => open.remove(Signal::SIGCHLD),
        }
        let mut hurried = open;
        hurried.add(Signal::SIGCHLD);
        Ok(Signals { manner, child, named, stop, report: None, restart: None, original, open, hurried })
    }

    /// Takes SIGUSR1 as a wish to be told how full the service is.
    pub(crate) fn hear_requests(&mut self) -> io::Result<()> {
        let mut request = SigSet::empty();
        request.add(Signal::SIGUSR1);
        // The masks for waiting and for programs are of the time before, and let it in.
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&request), None)?;
        let flag = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(libc::SIGUSR1, Arc::clone(&flag))?;
        self.report = Some(flag);
        Ok(())
    }

    /// Takes SIGHUP as a wish to read the files anew, and SIGUSR2 to start the program anew. In children SIGHUP says that
    /// no further connection is to be taken.
    pub(crate) fn hear_restarts(&mut self) -> io::Result<()> {
        const BOTH: [Signal; 2] = [Signal::SIGHUP, Signal::SIGUSR2];
        let blocked: SigSet = BOTH.into_iter().collect();
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&blocked), None)?;
        let flags = BOTH.map(|_| Arc::new(AtomicBool::new(false)));
        for (signal, flag) in BOTH.into_iter().zip(&flags) {
            signal_hook::flag::register(signal as i32, Arc::clone(flag))?;
            self.open.remove(signal);
            self.hurried.remove(signal);
        }
        sys::retire_on_signal(libc::SIGHUP, &PRESSURE)?;
        self.restart = Some(flags);
        Ok(())
    }

    /// Whether SIGHUP says to children what it says in [`Signals::hear_restarts`].
    pub(crate) fn hears_restarts(&self) -> bool {
        self.restart.is_some()
    }

    /// Whether it was asked to read its files anew since this was last asked.
    pub(crate) fn take_reload(&self) -> bool {
        let asked = self.restart.as_ref().is_some_and(|[reload, _]| take(reload));
        if asked {
            PRESSURE.stay();
        }
        asked
    }

    /// Whether it was asked to start the program anew since this was last asked.
    pub(crate) fn take_upgrade(&self) -> bool {
        self.restart.as_ref().is_some_and(|[_, upgrade]| take(upgrade))
    }

    /// Has SIGURG ask a child for the connection that it serves. Its default action is to be ignored: so it harms nobody
    /// who does not know it.
    pub(crate) fn let_ask(&mut self) -> io::Result<()> {
        let mut ask = SigSet::empty();
        ask.add(ASK);
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&ask), None)?;
        sys::ask_on_signal(ASK as i32, &PRESSURE)?;
        // Children find it let in, whoever started us.
        self.open.remove(ASK);
        self.hurried.remove(ASK);
        Ok(())
    }

    /// Whether it was asked how full the service is since this was last asked.
    pub(crate) fn take_request(&self) -> bool {
        self.report.as_deref().is_some_and(take)
    }

    /// Whether children have ended since this was last asked.
    pub fn take_child(&self) -> bool {
        take(&self.child)
    }

    /// The child that the last SIGCHLD came from, if one came since this was last asked. Of signals that came together one
    /// is left.
    pub(crate) fn take_named(&self) -> Option<i32> {
        let pid = self.named.load(Relaxed);
        if pid != 0 {
            self.named.store(0, Relaxed);
        }
        (pid > 0).then_some(pid)
    }

    /// Whether the service was told to stop since this was last asked.
    pub fn take_stop(&self) -> bool {
        take(&self.stop)
    }

    /// Lets in what is pending, without waiting.
    pub fn let_in(&self) {
        // EINTR is what a signal makes of it; there is nothing else to be told.
        let _ = ppoll(&mut [], Some(TimeSpec::zero()), Some(self.open));
    }

    /// What to let in while waiting. In a hurry SIGCHLD stays out: a supervisor that is about to be woken by the next
    /// connection reaps then, and is not woken twice.
    pub fn wait_mask(&self, hurried: bool) -> &SigSet {
        if hurried { &self.hurried } else { &self.open }
    }

    /// What the signals that end the service mean.
    pub(crate) fn manner(&self) -> Manner {
        self.manner
    }

    /// The signals that a program in the manner of ucspi-tcp finds changed back.
    pub(crate) fn ucspi_actions(&self) -> &'static [(i32, libc::sighandler_t)] {
        if self.report.is_some() { &FOR_UCSPI_PROGRAMS_AND_REPORTS } else { &FOR_UCSPI_PROGRAMS }
    }

    /// The mask for programs in the manner of ucspi-tcp: that which this process was started with, but for SIGCHLD, which
    /// is let in.
    pub(crate) fn ucspi_mask(&self) -> SigSet {
        self.open
    }

    /// For a forked child that looks names up before it becomes the program: signals are what the program will find, but
    /// for SIGPIPE.
    pub(crate) fn enter_lookup(&self) -> nix::Result<()> {
        for signal in [Signal::SIGCHLD, Signal::SIGTERM] {
            sys::set_default(signal)?;
        }
        sys::set_mask(&self.open);
        Ok(())
    }

    /// The mask for programs: that which this process was started with. One that `ends_gently` begins with SIGTERM
    /// blocked, so that it is not ended by it before it could say so; and who signals a whole service with SIGHUP or
    /// SIGUSR2 does not mean to end it.
    pub(crate) fn program_mask(&self, ends_gently: bool) -> SigSet {
        let mut mask = self.original;
        if ends_gently {
            mask.add(Signal::SIGTERM);
            if self.restart.is_some() {
                mask.add(Signal::SIGHUP);
                mask.add(Signal::SIGUSR2);
            }
        }
        mask
    }

    /// For a child that runs a handler: lets the signals in.
    pub fn enter_child(&self) {
        sys::set_mask(&self.open);
    }
}

/// Reads before it writes: after each fork the first write to a page copies it.
fn take(flag: &AtomicBool) -> bool {
    flag.load(Relaxed) && flag.swap(false, Relaxed)
}

/// The pressure on this process, for its handler.
pub fn pressure() -> &'static Pressure {
    &PRESSURE
}

/// SIGALRM ends the process, whatever the one that executed us thought of it.
pub fn default_alarm() -> io::Result<()> {
    sys::set_default(Signal::SIGALRM)?;
    let mut alarm = SigSet::empty();
    alarm.add(Signal::SIGALRM);
    Ok(sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&alarm), None)?)
}
