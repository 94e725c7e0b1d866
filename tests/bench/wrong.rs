//! What is asked wrongly, and what this machine will not give.

use std::process::Command;

use super::common::{Scratch, peer, run, scratch, tine};
use super::{bench, story};

/// Exit code, and one line on stderr with all of these words.
#[track_caller]
fn fails(command: &mut Command, code: i32, words: &[&str]) {
    let output = run(command);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{command:?}: {}", story(&output));
    assert!(said.starts_with("tine: fatal: ") && said.lines().count() == 1, "{command:?}: {}", story(&output));
    for word in words {
        assert!(said.contains(word), "{command:?}: no {word:?} in {said}");
    }
}

#[test]
fn unknown_words() {
    let out = Scratch::new();
    fails(&mut bench(&["sleep"], out.path()), 100, &["'sleep'", "spawn", "memory", "all"]);
    fails(&mut bench(&["spawn", "--rounds", "0"], out.path()), 100, &["--rounds"]);
    fails(&mut bench(&["spawn", "--children", "many"], out.path()), 100, &["--children", "many"]);
    fails(&mut bench(&["spawn", "--childern", "3"], out.path()), 100, &["--children", "tine bench --help"]);
    // Without an experiment it tells what there is.
    let output = run(Command::new(tine()).arg("bench"));
    assert!(output.status.success() && story(&output).contains("Experiments:\n  spawn"), "{}", story(&output));
}

/// The help and the manual page have the same options and experiments.
#[test]
fn the_manual_page_says_what_the_help_says() {
    let help = story(&run(Command::new(tine()).args(["bench", "--help"])));
    let page = include_str!("../../man/tine-bench.1");
    let words = |line: &str| line.split_whitespace().map(String::from).collect::<Vec<_>>();
    let options = help.lines().filter_map(|line| words(line).into_iter().find(|word| word.starts_with("--")));
    let mut options: Vec<String> = options.filter(|option| option != "--help").collect();
    let described = page.lines().filter_map(|line| line.strip_prefix(".It Fl -")?.split(' ').next());
    let mut described: Vec<String> = described.map(|name| format!("--{name}")).collect();
    options.sort();
    options.dedup();
    described.sort();
    assert_eq!(options, described);
    assert!(options.len() > 5, "the check is able to fail");
    let experiments = help.split_once("Experiments:\n").expect("a list").1.lines();
    let mut experiments: Vec<String> = experiments.filter_map(|line| words(line).into_iter().next()).collect();
    let told = page.lines().filter_map(|line| line.strip_prefix(".It Cm ")).flat_map(|names| names.split(" , "));
    let mut told: Vec<String> = told.map(String::from).collect();
    experiments.sort();
    told.sort();
    assert_eq!(experiments, told);
}

#[test]
fn a_directory_that_nobody_may_write_to() {
    let out = Scratch::new();
    let file = out.file("file", "");
    fails(
        &mut bench(&["spawn"], &file.join("below")),
        111,
        &["unable to make", "file/below", "Not a directory", "--out"],
    );
    let closed = out.join("closed");
    out.dir("closed");
    scratch::set_mode(&closed, 0o555);
    if scratch::is_root() {
        // Who may write everywhere may not write there.
        fails(
            &mut bench(&["spawn"], "/proc/tine-bench".as_ref()),
            111,
            &["unable to make", "/proc/tine-bench", "--out"],
        );
    } else {
        fails(&mut bench(&["spawn"], &closed), 111, &["unable to write", "samples.csv", "Permission denied", "--out"]);
    }
}

#[test]
fn an_earlier_run_that_is_none() {
    let out = Scratch::new();
    let compare = |path: &str| bench(&["spawn", "--compare", path], &out.join("out"));
    fails(&mut compare("/no/such/file"), 111, &["unable to read", "/no/such/file", "No such file"]);
    let strange = out.file("strange.csv", "hello\n").display().to_string();
    fails(&mut compare(&strange), 111, &["unable to compare with", "line 1", "samples.csv"]);
    assert!(!out.join("out").exists(), "nothing is written before it is known that it can be compared");
}

#[test]
fn a_processor_that_is_not_there() {
    let out = Scratch::new();
    let output = run(&mut bench(&["spawn", "--quick", "--pin", "1000"], out.path()));
    assert_eq!(output.status.code(), Some(111), "{}", story(&output));
    assert!(story(&output).contains("failed: unable to stay on processor 1000"), "{}", story(&output));
}

/// What cannot be measured is told, and the rest is measured: here the handlers' executables are not beside the program.
#[test]
fn without_the_handlers_the_rest_is_measured() {
    let alone = Scratch::new();
    let program = alone.join("tine");
    scratch::copy_program(&tine(), &program);
    let words = ["bench", "spawn", "memory", "--quick", "--rounds", "1", "--children", "3", "--out"];
    let output = run(Command::new(&program).args(words).arg(alone.join("out")));
    let said = story(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    for part in
        ["not measured: vfork + exec: unable to execute", "not measured: vfork: unable to", "cargo build --workspace"]
    {
        assert!(said.contains(part), "no {part:?} in\n{said}");
    }
    let summary = super::summary(&alone.join("out"));
    assert!(super::median(&summary, "first", "fork", "1") > 0.0 && super::median(&summary, "pages", "fork", "3") > 0.0);
}

/// Which limit, which value, how to raise it, and what was done instead.
#[test]
fn limits_too_low_are_told_and_kept_to() {
    let (Some(prlimit), Some(setpriv)) = (peer("prlimit"), peer("setpriv")) else { return };
    let out = Scratch::new();
    scratch::set_mode(out.path(), 0o777);
    let mut command = Command::new(prlimit);
    command.arg("--nproc=1500:1500");
    if scratch::is_root() {
        if !scratch::reachable_by_nobody(&tine()) {
            super::common::say("SKIPPED limits_too_low_are_told_and_kept_to: nobody cannot reach the program");
            return;
        }
        // The limit does not hold for root.
        command.arg(setpriv).args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
    }
    command
        .arg(tine())
        .args(["bench", "spawn", "--quick", "--rounds", "1", "--children", "30000", "--out"])
        .arg(out.path());
    let output = run(&mut command);
    let said = story(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    for part in ["limit: ulimit -u (RLIMIT_NPROC) is 1,500 and should be", "measured with up to", "ulimit -u 3"] {
        assert!(said.contains(part), "no {part:?} in\n{said}");
    }
    // It went on with as many as it said.
    let told = said.split_once("measured with up to ").and_then(|(_, rest)| rest.split(' ').next()).expect("a number");
    let reached = super::summary(out.path()).into_iter().any(|line| line.graph == "first" && line.x == told);
    assert!(reached || said.contains("no more than"), "nothing was measured at {told}\n{said}");
}
