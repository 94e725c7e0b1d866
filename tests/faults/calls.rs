//! System calls that fail, as the kernel has them fail when something is short: strace(1) puts the failure in their way.

use std::{
    fs,
    process::{Child, Command, Stdio},
};

use nix::sys::signal::Signal;

use crate::{
    common::{Scratch, guard, peer, server::send, wait_until},
    harness::{Scenario, Stage},
};

/// accept(2) fails now and then, for want of something or because of the connection: nobody loses anything.
pub fn accept_fails() -> Scenario {
    Scenario {
        harm: |stage| {
            for error in ["ECONNABORTED", "EMFILE", "ENOBUFS", "EINTR"] {
                fail(stage, &everybody(stage), "accept4", &format!("error={error}:when=1+3"), 10);
            }
        },
        verdict: |_, tally| assert!(tally.cut.is_empty() && tally.refused.is_empty(), "{tally}"),
        ..Scenario::default()
    }
}

/// Every other fork(2) or clone(2) fails. A pool's children are killed meanwhile, so that there is something to make.
pub fn fork_fails() -> Scenario {
    Scenario {
        harm: |stage| {
            for error in ["EAGAIN", "ENOMEM"] {
                let how = format!("error={error}:when=1+2");
                fail(stage, &[stage.server.pid()], "?fork,?vfork,clone,clone3", &how, 3);
            }
        },
        verdict: |stage, tally| assert!(stage.mode.is_prefork() || tally.cut.is_empty(), "{tally}"),
        ..Scenario::default()
    }
}

/// What a child needs for an answer fails: a file cannot be opened, or not read, or a write is interrupted.
pub fn answers_fail() -> Scenario {
    Scenario {
        harm: |stage| {
            for (calls, error) in [
                ("openat2", "EMFILE"),
                ("openat2", "ENOMEM"),
                ("sendfile", "EIO"),
                ("sendfile,sendmsg,read,recvfrom", "EINTR"),
            ] {
                fail(stage, &everybody(stage), calls, &format!("error={error}:when=1+4"), 10);
            }
        },
        verdict: |_, tally| {
            assert!(tally.refused.keys().all(|&status| status == 503 || status == 500), "{:?}", tally.refused);
        },
        ..Scenario::default()
    }
}

/// The supervisor and its children.
fn everybody(stage: &Stage<'_>) -> Vec<u32> {
    let children = stage.server.children().into_iter().map(|child| child.pid);
    [stage.server.pid()].into_iter().chain(children).collect()
}

/// Has these system calls fail so often in these processes, and in those that they make, while the load goes on.
fn fail(stage: &Stage<'_>, processes: &[u32], calls: &str, how: &str, times: usize) {
    let Some(strace) = peer("strace") else { return };
    let injection = Injection::start(Command::new(strace), processes, calls, how);
    let is_of_children = calls.contains("clone") && stage.mode.is_prefork();
    wait_until(&format!("{calls} has failed {times} times ({how})"), || {
        if is_of_children && let Some(child) = stage.random.of(&stage.server.children()) {
            send(child.pid, Signal::SIGKILL);
        }
        injection.count() >= times
    });
    // A call that strace lets go of in the middle fails with what the filter of calls says to one that there is not.
    // The supervisor has no filter, and accept(2) is tried again after any error.
    if calls.contains("accept") || calls.contains("clone") {
        drop(injection)
    } else {
        stage.load.quietly(|| drop(injection))
    }
}

/// strace, while it is at some processes.
struct Injection {
    strace: Child,
    scratch: Scratch,
}

impl Injection {
    fn start(mut strace: Command, processes: &[u32], calls: &str, how: &str) -> Injection {
        let scratch = Scratch::new();
        strace.args(["-f", "-q", "-e", "signal=none", "-o"]).arg(scratch.join("trace"));
        strace.args(["-e", &format!("inject={calls}:{how}"), "-e", &format!("trace={calls}")]);
        strace.args(processes.iter().map(|pid| format!("--attach={pid}")));
        let strace = strace.stdin(Stdio::null()).stderr(Stdio::null()).spawn().expect("start strace");
        guard::add(strace.id());
        Injection { strace, scratch }
    }

    /// How many calls it had fail.
    fn count(&self) -> usize {
        fs::read_to_string(self.scratch.join("trace")).unwrap_or_default().matches("(INJECTED)").count()
    }
}

impl Drop for Injection {
    fn drop(&mut self) {
        send(self.strace.id(), Signal::SIGTERM);
        let _ = self.strace.wait();
        guard::remove(self.strace.id());
    }
}
