//! Signals to the supervisor: SIGTERM ends it at once with exit 0, others as they do by default; programs live on.

use nix::sys::signal::Signal;

use crate::{
    case::{Act, CLIENT, Case, PLAIN},
    story::same,
};

const SIGNALS: &[Signal] = &[
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGALRM,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGVTALRM,
    Signal::SIGXCPU,
    Signal::SIGKILL,
];

#[test]
fn each_ends_it_and_leaves_programs_alone() {
    for &signal in SIGNALS {
        // Whether a core file is written is up to the machine, and told apart by the wait status only.
        let case = Case::new(PLAIN).prelude("ulimit -c 0").end(signal);
        same(&case);
        same(&case.clone().acts(Vec::new()));
        same(&case.acts(vec![Act::Stay { from: CLIENT }, Act::Stay { from: CLIENT }]));
    }
}

/// At the limit the supervisor waits elsewhere.
#[test]
fn at_the_limit_too() {
    for &signal in SIGNALS {
        let case = Case::new("-vRHl0 -c1").prelude("ulimit -c 0").end(signal);
        same(&case.acts(vec![Act::Stay { from: CLIENT }]));
    }
}

/// Those that do nothing by default do nothing.
#[test]
fn others_do_nothing() {
    let script = "kill -PIPE $PPID; kill -CHLD $PPID; kill -URG $PPID; kill -WINCH $PPID; kill -CONT $PPID; echo told";
    for options in [PLAIN, "-vRHl0 -c1"] {
        same(&Case::new(options).shell(script).talk_from(&[[127, 0, 0, 1], [127, 0, 0, 1]]));
    }
}

/// Ignored or blocked before it was started, a signal stays so.
#[test]
fn what_it_was_started_with() {
    let ignoring = "trap '' HUP INT USR1";
    let script = "kill -HUP $PPID; kill -INT $PPID; kill -USR1 $PPID; echo told";
    same(&Case::new(PLAIN).prelude(ignoring).shell(script).talk_from(&[[127, 0, 0, 1], [127, 0, 0, 1]]));
    let blocking = "exec env --block-signal=HUP,USR2 \"$@\"";
    let script = "kill -HUP $PPID; kill -USR2 $PPID; echo told";
    same(&Case::new(PLAIN).prelude(blocking).shell(script).talk_from(&[[127, 0, 0, 1], [127, 0, 0, 1]]));
    // The original takes SIGTERM even if it was ignored.
    same(&Case::new(PLAIN).prelude("trap '' TERM CHLD PIPE"));
}
