//! The monotonic clock jumps: for processes that were stopped, or whose machine was, as much time has passed as was lost.
//!
//! What people read follows the other clock, CLOCK_REALTIME, and nothing else does (`tests/shape.rs`).

use std::{thread, time::Duration};

use nix::sys::signal::Signal;

use crate::{
    common::{server::send, wait_until},
    harness::{Scenario, Stage},
};

/// A jump over every deadline that a client has: who has sent what he was to send is answered nevertheless.
pub fn the_clock_jumps() -> Scenario {
    Scenario {
        options: &["--header-timeout", "2", "--idle-timeout", "2", "--write-timeout", "2"],
        harm: |stage| {
            jump(stage);
            let so_far = stage.load.answered();
            wait_until("all goes on", || stage.load.answered() > so_far + 20);
            jump(stage);
        },
        verdict: |_, tally| assert!(tally.cut.is_empty() && tally.refused.is_empty(), "{tally}"),
        ..Scenario::default()
    }
}

/// All processes are stopped for longer than anything may take.
fn jump(stage: &Stage<'_>) {
    let server = stage.server;
    send(server.pid(), Signal::SIGSTOP);
    let mut children = Vec::new();
    wait_until("all are stopped", || {
        children = server.children();
        children.iter().filter(|child| child.state != 'T').for_each(|child| send(child.pid, Signal::SIGSTOP));
        children.iter().all(|child| matches!(child.state, 'T' | 'Z'))
    });
    thread::sleep(Duration::from_secs(3));
    children.iter().for_each(|child| send(child.pid, Signal::SIGCONT));
    send(server.pid(), Signal::SIGCONT);
}
