//! The options singly and together, in every spelling.

use crate::{
    case::{Act, CLIENT, Case, PLAIN},
    story::same,
};

#[test]
fn options_together_and_apart() {
    for options in [
        "-vRHl0",
        "-v -R -H -l0",
        "-v -R -H -l 0",
        "-RvHl 0",
        "-HRvl 0 --",
        "-vRHl0 -c40",
        "-vRHl0 -c 40",
        "-vRHl0c40",
        "-vRHl0 -b20",
        "-vRHl0 -b 20",
        "-1vRHl0",
        "-vRHl0 -1",
        "-RHl0",
        "-QRHl0",
        "-qRHl0",
        "-vqRHl0",
        "-qvRHl0",
        "-vQRHl0",
        "-vRHl0 -oOdDpP",
        "-vhHrRPpRHl0",
        "-vRHl0 -l1 -l2",
        "-vRHl0 -c1 -c7",
        "-XvRHl0",
        "-vRHl0 -t 5",
        "-vRHl0 -t0",
        "-vRHl0 -b1",
        "-vRHl0 -b0",
        "-vRHl0 -b 100000",
    ] {
        same(&Case::new(options));
    }
}

#[test]
fn values_may_be_empty_or_begin_with_a_dash() {
    same(&Case::new("-vRHl0").option("-B").option(""));
    same(&Case::new("-vRHl0").option("-B").option("-v"));
    same(&Case::new("-vRHl0").option("-B").option("--"));
    same(&Case::new("-vRH").option("-l").option("-R"));
    same(&Case::new("-vRH").option("-l").option("--"));
    same(&Case::new("-vRHl0").option("-x").option(""));
    same(&Case::new("-vRHl0").option("-Xx").option(""));
}

/// A banner is sent as it is, without a newline, whatever is in it and however long.
#[test]
fn banners() {
    for banner in ["220 hello\r\n", "x", "\u{e9}\u{1}%", "two\nlines\n"] {
        same(&Case::new("-vRHl0").option("-B").option(banner));
        same(&Case::new("-vRHl0").option(&format!("-B{banner}")));
    }
    same(&Case::new("-vRHl0").option("-B").option(&"long".repeat(20_000)).program(&["true"]));
    same(&Case::new("-vRHl0 -B first -B second"));
}

/// A banner is sent before the rules are looked at, to those who are denied too, and before a program fails.
#[test]
fn the_banner_comes_before_all_else() {
    let hello = || Case::new("-vRHl0 -B").option("hello");
    same(&hello().rules(":deny\n").talk_from(&[[127, 0, 0, 1]]));
    same(&hello().rules("127.0.0.2:deny\n").talk_from(&[[127, 0, 0, 1], [127, 0, 0, 2]]));
    same(&hello().option("-x").option("missing.cdb").talk_from(&[[127, 0, 0, 1]]));
    same(&hello().program(&["no-such-program"]));
}

/// Status lines count children, and the last lines are the same when several are held.
#[test]
fn the_log_of_several() {
    let stay = || Act::Stay { from: CLIENT };
    same(&Case::new(PLAIN).acts(vec![stay(), stay(), stay()]));
    same(&Case::new(PLAIN).acts(vec![stay(), Act::Look { from: CLIENT }, stay(), Act::Look { from: CLIENT }]));
    same(&Case::new("-RHl0").acts(vec![stay(), Act::Look { from: CLIENT }]));
}

/// How a program ends is told as wait(2) says it.
#[test]
fn ends_of_programs() {
    for script in [
        "exit 0",
        "exit 1",
        "exit 3",
        "exit 100",
        "exit 111",
        "exit 255",
        "kill -9 $$",
        "kill -15 $$",
        "kill -1 $$",
        "kill -14 $$",
        "ulimit -c 0; kill -11 $$",
        "ulimit -c 0; kill -6 $$",
        "echo said; exit 7",
        "sleep 0.05",
        "exec >&- <&-; sleep 0.05; exit 5",
        "echo to the log >&2",
        "trap '' TERM; kill $$; exit 9",
        "kill -PIPE $$",
    ] {
        same(&Case::new(PLAIN).shell(script));
        same(&Case::new("-RHl0").shell(script));
    }
}

/// A program may leave children of its own, stop, or close everything: only its end is told.
#[test]
fn programs_with_children_of_their_own() {
    same(&Case::new(PLAIN).shell("(sleep 0.1 <&- >&- 2>&-) & exit 4"));
    same(&Case::new(PLAIN).shell("(sleep 0.1; echo late) & echo early"));
    same(&Case::new(PLAIN).shell("(exit 3) & (exit 4) & wait; echo waited"));
}
