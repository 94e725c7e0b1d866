//! The comparison itself: it finds nothing between the original and itself, and it does find what differs.

use crate::{
    case::{Act, CLIENT, Case, PLAIN, Whose},
    story::{assert_equal, run},
};

#[test]
fn the_original_is_as_itself() {
    for case in [
        Case::new(PLAIN),
        Case::new("-1 -v -R -H -l0 -Bwelcome"),
        Case::new(PLAIN).rules("127.0.0.2:deny\n").talk_from(&[[127, 0, 0, 1], [127, 0, 0, 2]]),
        Case::new(PLAIN).acts(vec![Act::Stay { from: CLIENT }, Act::Look { from: CLIENT }]),
        Case::new("-c"),
    ] {
        let Some(first) = run(Whose::Original, &case) else { return };
        let second = run(Whose::Original, &case).expect("it was there");
        assert_equal(&case, &first, &second);
        assert!(!first.all("end").is_empty(), "the story has an end: {first:?}");
    }
}

#[test]
fn a_difference_is_found() {
    let Some(plain) = run(Whose::Original, &Case::new(PLAIN)) else { return };
    for (what, case) in [
        ("env", Case::new("-vRHl1")),
        ("env", Case::new(PLAIN).env("MORE", "1")),
        ("log", Case::new("-RHl0")),
        ("log", Case::new("-vRHl0 -c 41")),
        ("received", Case::new("-vRHl0 -Bhello")),
        ("fd 7", Case::new(PLAIN).prelude("exec 7</dev/null")),
        ("status", Case::new(PLAIN).prelude("umask 0123")),
        ("status", Case::new(PLAIN).prelude("trap '' USR1")),
        ("limits", Case::new(PLAIN).prelude("ulimit -n 77")),
        ("cwd", Case::new(PLAIN).prelude("cd /")),
        ("argv", {
            let mut case = Case::new(PLAIN);
            case.program.push("-u".into());
            case
        }),
        ("nice", Case::new(PLAIN).prelude("exec nice \"$@\"")),
        ("stdout", Case::new("-1 -vRHl0")),
        ("end", Case::new(PLAIN).end(nix::sys::signal::Signal::SIGKILL)),
    ] {
        let other = run(Whose::Original, &case).expect("it was there");
        assert_ne!(plain.all(what), other.all(what), "{case:?}");
    }
}
