//! Promise: `tine bench frames` counts segments as they are, and shows what Nagle's algorithm does to two writes.

mod common;

use common::laboratory::bench;

#[test]
fn segments_are_counted_and_the_delayed_acknowledgement_shows() {
    let run = bench(&["frames"]).expect_success();
    for graph in ["segments", "segments-nodelay"] {
        assert_eq!(run.methods(graph), ["MSG_MORE", "TCP_CORK", "write, write", "writev"]);
        // A head of 200 bytes and a body of 64 fit one segment of 1,448, with 1,024 too; 16,384 bytes need 12.
        for method in ["MSG_MORE", "TCP_CORK", "writev"] {
            let counts = [64.0, 1024.0, 16_384.0].map(|x| run.median(graph, method, x));
            assert_eq!(counts, [1.0, 1.0, 12.0], "{graph} {method}");
        }
        let counts = [64.0, 1024.0, 16_384.0].map(|x| run.median(graph, "write, write", x));
        assert_eq!(counts, [2.0, 2.0, 13.0], "{graph}");
    }
    // The second write waits until the first is acknowledged, which Linux delays by 40 ms at least.
    let stalled = run.median("time", "write, write", 64.0);
    assert!(stalled > 30e6, "{stalled} ns");
    for (graph, method) in [("time", "writev"), ("time", "MSG_MORE"), ("time-nodelay", "write, write")] {
        let median = run.median(graph, method, 64.0);
        assert!(median < stalled, "{graph} {method}: {median} ns");
    }
}
