//! Promise: `tine bench copy` tells the processor time that the sender really used. The only test of this file, because
//! it reads what the processes that it waited for have used.

mod common;

use common::laboratory::bench;
use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeValLike,
};

/// How many bytes a sample sends, with files of this size (`copy.rs` in `src/bench`): of large ones, one.
fn sent(size: f64) -> f64 {
    let volume = if size < 65_536.0 { 4 << 20 } else { 8 << 20 };
    size.max(f64::from(volume))
}

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
    let copies = run.samples.iter().filter(|sample| sample.graph == "copy");
    let sending: f64 = copies.map(|sample| sample.value * sent(sample.x) / 1e6).sum();
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
