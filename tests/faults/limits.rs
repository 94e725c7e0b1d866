//! What runs out: descriptors, processes.

use std::{collections::BTreeMap, fs, os::unix::fs::MetadataExt, process::Command, time::Duration};

use nix::sys::signal::Signal;

use crate::{
    common::{Mode, holds_within, launch, peer, process::descriptors, say, scratch::is_root, server::send, wait_until},
    harness::{Scenario, Stage},
};

/// Sets a limit of the supervisor, which its children inherit, and then of those that are there (prlimit(1)).
pub fn limit(stage: &Stage<'_>, option: &str) {
    let [Some(prlimit), Some(setpriv)] = [peer("prlimit"), peer("setpriv")] else { return };
    let owner = fs::metadata(format!("/proc/{}", stage.server.pid())).expect("the server runs");
    let set = |pid: u32| {
        // Another user's limits take more than being root; to be that user is enough.
        let mut command = Command::new(if is_root() { &setpriv } else { &prlimit });
        if is_root() {
            command.args([format!("--reuid={}", owner.uid()), format!("--regid={}", owner.gid())]);
            command.arg("--clear-groups").arg(&prlimit);
        }
        command.args(["--pid", &pid.to_string(), option]).output().expect("run prlimit")
    };
    let output = set(stage.server.pid());
    assert!(output.status.success(), "prlimit {option}: {output:?}");
    // Others may have gone meanwhile.
    stage.server.children().iter().for_each(|child| drop(set(child.pid)));
}

/// Neither the supervisor nor a child gets another descriptor. Who is served already goes on, others wait, and all is as
/// before when there are descriptors again.
pub fn no_descriptors() -> Scenario {
    Scenario {
        harm: |stage| {
            let first_free = || {
                let all = stage.server.children().into_iter().map(|child| child.pid).chain([stage.server.pid()]);
                let free = |held: BTreeMap<u32, String>| (3..).find(|number| !held.contains_key(number));
                // Those who are gone by now hold nothing, and count for nothing.
                all.map(descriptors).filter(|held| !held.is_empty()).filter_map(free).min().unwrap_or(3)
            };
            let before = stage.server.log().len();
            // A pool's children that find none to accept with leave, and so do those that cannot open a file.
            let told = || stage.server.log()[before..].contains("warning");
            let mut free = u32::MAX;
            wait_until("it is told", || {
                // Whoever was just about to close something held more than it needs: then it is looked at again.
                free = first_free().min(free);
                limit(stage, &format!("--nofile={free}:"));
                holds_within(Duration::from_secs(1), told)
            });
            limit(stage, &format!("--nofile={}:", free + 200));
        },
        verdict: |stage, tally| {
            // What was accepted and found no descriptor for its file is told so.
            assert!(tally.refused.keys().all(|&status| status == 503 || status == 500), "{:?}", tally.refused);
            let warnings = stage.server.log().lines().filter(|line| line.contains("unable to")).count();
            assert!(warnings < 40, "{warnings} lines about what is short");
            assert!(stage.mode.is_prefork() || tally.cut.is_empty(), "{tally}");
        },
        ..Scenario::default()
    }
}

/// Nobody gets another process. A pool serves with those it has, as long as it has one; elsewhere connections wait.
pub fn no_processes() -> Scenario {
    Scenario {
        harm: |stage| {
            if is_root() && launch::user(Some(stage.site.path())).next().is_some() {
                return say("SKIPPED no_processes: the limit is not for root, and this place is closed to other users");
            }
            let limits = fs::read_to_string(format!("/proc/{}/limits", stage.server.pid())).expect("its limits");
            let most = limits.lines().find_map(|line| line.strip_prefix("Max processes")?.split_whitespace().nth(1));
            // What others run counts too: with less than one there is no room whatever they do.
            limit(stage, "--nproc=0:");
            for round in 0..3 {
                let told = || stage.server.log().matches("unable to fork").count() > round;
                wait_until("it is told", || {
                    if let [_, .., last] = &stage.server.children()[..] {
                        send(last.pid, Signal::SIGKILL);
                    }
                    told()
                });
                if stage.mode == Mode::Prefork {
                    let so_far = stage.load.answered();
                    wait_until("the rest serves", || stage.load.answered() > so_far + 5);
                }
            }
            limit(stage, &format!("--nproc={}:", most.expect("a limit")));
        },
        verdict: |stage, tally| {
            assert!(tally.refused.is_empty(), "{:?}", tally.refused);
            assert!(stage.mode.is_prefork() || tally.cut.is_empty(), "{tally}");
            let warnings = stage.server.log().matches("unable to fork").count();
            assert!(warnings < 40, "{warnings} lines about what is short");
        },
        ..Scenario::default()
    }
}
