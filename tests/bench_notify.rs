//! Promise: `tine bench notify` measures each way to wait for events, finds what is known of them, and says what this
//! kernel lacks.

mod common;

use common::laboratory::bench;

const INTERFACES: [&str; 6] = ["SIGIO", "epoll, edge", "epoll, level", "io_uring", "poll", "select"];

#[test]
fn each_interface_is_measured_and_poll_looks_at_everything() {
    let run = bench(&["notify"]).expect_success();
    for other in ["kqueue", "/dev/poll", "completion ports"] {
        assert!(run.text().contains(&format!("{other}: this kernel has none")), "{}", run.text());
    }
    for graph in ["ready", "woken"] {
        // A kernel or a sandbox may forbid io_uring; then that is told.
        let missing: Vec<&str> = INTERFACES.into_iter().filter(|name| !run.methods(graph).contains(name)).collect();
        assert!(missing.is_empty() || (missing == ["io_uring"] && run.text().contains("this kernel refuses")));
        for interface in run.methods(graph) {
            assert_eq!(run.xs(graph, interface), [1.0, 10.0, 100.0, 1000.0], "{graph} {interface}");
        }
        // A thousand descriptors that are looked at one by one cost more than one: a hundred times here; three are enough.
        for interface in ["poll", "select"] {
            let (one, thousand) = (run.median(graph, interface, 1.0), run.median(graph, interface, 1000.0));
            assert!(thousand > 3.0 * one, "{graph} {interface}: {one} ns, {thousand} ns");
        }
        let (epoll, poll) = (run.median(graph, "epoll, level", 1000.0), run.median(graph, "poll", 1000.0));
        assert!(epoll < poll, "{graph}: epoll {epoll} ns, poll {poll} ns");
    }
}
