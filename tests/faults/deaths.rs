//! Children that are killed and stopped by somebody else.

use std::{
    io::Write,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;

use crate::{
    common::{process, server::send, wait_until},
    harness::{Scenario, Stage},
};

/// For so long harm is done.
const WHILE: Duration = Duration::from_millis(1500);

/// Every few milliseconds some child gets some signal: each that there is, but for those that stop it.
pub fn every_signal() -> Scenario {
    Scenario {
        harm: |stage| {
            let stopping = [19, 20, 21, 22];
            // 32 and 33 are glibc's own, which has no interface to send them.
            let signals: Vec<u64> = (1..=31).chain(34..=64).filter(|number| !stopping.contains(number)).collect();
            let mut shell = Shell::start();
            let mut sent = 0;
            let start = Instant::now();
            while start.elapsed() < WHILE {
                if let Some(child) = stage.random.of(&stage.server.children()) {
                    let signal = stage.random.of(&signals).copied().unwrap_or(9);
                    shell.kill(signal, child.pid);
                    sent += 1;
                }
                thread::sleep(Duration::from_millis(1 + stage.random.below(5)));
            }
            assert!(sent > 10, "{sent} signals were sent");
        },
        ..Scenario::default()
    }
}

/// SIGHUP comes in storms, and children die meanwhile.
pub fn killed_while_reloading() -> Scenario {
    Scenario {
        harm: |stage| {
            for _ in 0..100 {
                stage.server.signal(Signal::SIGHUP);
                if let Some(child) = stage.random.of(&stage.server.children()) {
                    send(child.pid, Signal::SIGKILL);
                }
                thread::sleep(Duration::from_millis(stage.random.below(10)));
            }
        },
        ..Scenario::default()
    }
}

/// Some children are stopped for a while and go on: nobody loses anything.
pub fn stopped_for_a_while() -> Scenario {
    Scenario {
        harm: |stage| stop_and(stage, 18),
        verdict: |_, tally| assert!(tally.cut.is_empty(), "{:?}", tally.cut),
        ..Scenario::default()
    }
}

/// Some children are stopped and killed: whom they served is in the log.
pub fn stopped_then_killed() -> Scenario {
    Scenario { harm: |stage| stop_and(stage, 9), ..Scenario::default() }
}

/// Again and again stops up to half of the children, and sends them another signal a little later.
fn stop_and(stage: &Stage<'_>, then: u64) {
    let mut shell = Shell::start();
    let start = Instant::now();
    let mut stopped = 0;
    while start.elapsed() < WHILE {
        let children = stage.server.children();
        let some: Vec<u32> = (0..3).filter_map(|_| stage.random.of(&children).map(|child| child.pid)).collect();
        some.iter().for_each(|&pid| shell.kill(19, pid));
        thread::sleep(Duration::from_millis(20));
        stopped += some.iter().filter(|&&pid| process::find(pid).is_some_and(|p| p.state == 'T')).count();
        let so_far = stage.load.answered();
        wait_until("others are served meanwhile", || stage.load.answered() > so_far || children.len() <= some.len());
        some.iter().for_each(|&pid| shell.kill(then, pid));
    }
    assert!(stopped > 0, "no child was found stopped");
}

/// A shell that sends signals: it knows those that have no name.
struct Shell(Child);

impl Shell {
    fn start() -> Shell {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "while read -r signal pid; do kill -$signal $pid; done 2>/dev/null"]);
        Shell(command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("start a shell"))
    }

    fn kill(&mut self, signal: u64, pid: u32) {
        let stdin = self.0.stdin.as_mut().expect("the shell's pipe");
        writeln!(stdin, "{signal} {pid}").expect("tell the shell");
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
