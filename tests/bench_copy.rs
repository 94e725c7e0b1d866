//! Promise: `tine bench copy` tells the processor time that the sender really used. The only test of this file, because
//! it reads what the processes that it waited for have used.

mod common;

use common::laboratory::bench;
use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeValLike,
};

/// What a sample sends at least, or one file (`copy.rs` in `src/bench`).
const VOLUME: f64 = (8 << 20) as f64;

/// User and system time of all children that were waited for, and theirs, in nanoseconds.
fn children_used() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("getrusage");
    (usage.user_time() + usage.system_time()).num_nanoseconds() as f64
}

#[test]
fn it_agrees_with_what_the_kernel_accounts() {
    let before = children_used();
    let run = bench(&["copy"]).expect_success();
    let accounted = children_used() - before;
    assert_eq!(run.methods("copy"), ["mmap+write", "read+write", "sendfile", "splice"]);
    let sent = |size: f64| VOLUME.max(size) / 1e6;
    let sending: f64 = run.samples.iter().filter(|s| s.graph == "copy").map(|s| s.value * sent(s.x)).sum();
    // The rest: reading at the other end, warming up, making files, the report. Sending is a good part of it, and no more
    // than all of it.
    assert!(sending <= accounted, "{sending} ns of {accounted} ns");
    assert!(sending >= accounted * 0.1, "{sending} ns of {accounted} ns");
    // Calls that do not depend on the size weigh more in a small file: opening it, asking for its size, closing it.
    for method in run.methods("copy") {
        let (small, large) = (run.median("copy", method, 4096.0), run.median("copy", method, 1_048_576.0));
        assert!(small > large, "{method}: {small} and {large} ns a megabyte");
    }
}
