//! What runs out: descriptors, processes.

use std::{collections::BTreeMap, fs, os::unix::fs::MetadataExt, process::Command};

use crate::{
    common::{Mode, peer, process::descriptors, scratch::is_root, wait_until},
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
            let all = stage.server.children().into_iter().map(|child| child.pid).chain([stage.server.pid()]);
            let free = |held: BTreeMap<u32, String>| (3..).find(|number| !held.contains_key(number));
            // Those who are gone by now hold nothing, and count for nothing.
            let free = all.map(descriptors).filter(|held| !held.is_empty()).filter_map(free).min().unwrap_or(3);
            let before = stage.server.log().len();
            limit(stage, &format!("--nofile={free}:"));
            // A pool's children that find none to accept with leave, and so do those that cannot open a file.
            let told = || stage.server.log()[before..].contains("warning");
            wait_until("it is told", told);
            limit(stage, &format!("--nofile={}:", free + 200));
        },
        verdict: |stage, tally| {
            // What was accepted and found no descriptor for its file is told so.
            assert!(tally.refused.keys().all(|&status| status == 503 || status == 500), "{:?}", tally.refused);
            let warnings = stage.server.log().lines().filter(|line| line.contains("unable to")).count();
            assert!(warnings < 40, "{warnings} lines about what is short");
            assert!(stage.mode == Mode::Prefork || tally.cut.is_empty() || stage.mode == Mode::OneShot, "{tally}");
        },
        ..Scenario::default()
    }
}
