//! Promise: `tine bench fd|bind|connect|mmap` time each call at each number, and a limit that is too low is told, with a
//! remedy, and does not end them.

mod common;

use std::process::Command;

use common::{
    laboratory::{self, bench},
    peer, tine,
};

const STEPS: [f64; 4] = [1.0, 10.0, 100.0, 1000.0];

#[test]
fn each_call_is_timed_at_each_number() {
    let run = bench(&["fd", "bind", "connect", "mmap"]).expect_success();
    let expected: [(&str, &[&str]); 4] = [
        ("fd", &["dup", "dup, lowest free", "dup, table grows", "open", "socket"]),
        ("bind", &["a named port", "a shared port", "port 0"]),
        ("connect", &["accept", "connect, another", "connect, same address"]),
        ("mmap", &["mmap", "munmap", "read fault", "write fault"]),
    ];
    for (graph, methods) in expected {
        assert_eq!(run.methods(graph), methods);
        for method in methods {
            assert_eq!(run.xs(graph, method), STEPS, "{graph} {method}");
            for x in STEPS {
                // No system call takes less, and none of these a tenth of a second.
                let median = run.median(graph, method, x);
                assert!((20.0..1e8).contains(&median), "{graph} {method} at {x}: {median} ns");
            }
        }
    }
}

#[test]
fn there_are_as_many_as_was_asked_for() {
    let run = bench(&["fd", "bind", "connect", "notify", "--children", "30", "--rounds", "1"]).expect_success();
    for (graph, method) in [("fd", "open"), ("bind", "port 0"), ("connect", "accept"), ("ready", "poll")] {
        assert_eq!(run.xs(graph, method), [1.0, 10.0, 30.0], "{graph}");
    }
}

/// As an ordinary user, or a root who may not raise limits, has it.
#[test]
fn a_limit_that_is_too_low_is_told() {
    let Some(setpriv) = peer("setpriv") else { return };
    let mut command = Command::new("/bin/sh");
    command.args(["-c", r#"ulimit -n 300; exec "$0" "$@""#]).arg(setpriv);
    command.args(["--inh-caps=-sys_resource", "--bounding-set=-sys_resource", "--"]).arg(tine());
    command.args(["bench", "--quick"]);
    let run = laboratory::run(command, &["fd", "bind"]);
    assert!(run.output.status.success(), "{}", run.text());
    for (should, instead, remedy) in [
        ("1,032", "went up to 268 descriptors", "ulimit -n 1032, as root"),
        ("2,032", "went up to 134 bound sockets", "ulimit -n 2032, as root"),
    ] {
        let line = format!("limit: ulimit -n (RLIMIT_NOFILE) is 300 and should be {should}: {instead}");
        assert!(run.text().contains(&line) && run.text().contains(remedy), "{line:?} in: {}", run.text());
    }
    assert_eq!(run.xs("fd", "open"), [1.0, 10.0, 100.0, 268.0]);
    assert_eq!(run.xs("bind", "port 0"), [1.0, 10.0, 100.0, 134.0]);
}
