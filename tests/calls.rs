//! Promise: the budgets of system calls. They are counts, so they hold on any machine; strace counts them, with the log
//! switched on, as it is by default.

mod common;

use std::thread;

use common::{
    Mode, Scratch, launch, process,
    strace::{Call, Traced},
    wait_until,
};

const LARGE: usize = 8 << 20;

fn site() -> Scratch {
    let site = Scratch::new();
    site.file("small.txt", "x".repeat(512));
    site.file("large.bin", vec![b'x'; LARGE]);
    site
}

fn traced(mode: Mode, site: &Scratch) -> Option<Traced> {
    // One child, so that a pool's calls are all its; room for more where children are made for each connection. That
    // children tell ps(1) what they do costs no call.
    let mut options = mode.options(if mode.is_prefork() { 1 } else { 8 });
    options.push("--titles".into());
    if mode.is_prefork() {
        options.extend(["--reuse".into(), "0".into()]);
    }
    Traced::start(&launch::serve_command(&options, site.path()))
}

/// The lines of a trace, for a failure's story.
fn story(calls: &[Call]) -> String {
    calls.iter().map(|call| format!("\n  {}", call.line)).collect()
}

/// How the child waits for a connection, and how for a request.
const ACCEPT: &str = "accept4(";
const READ: [&str; 4] = ["read(", "recvfrom(", "recvmsg(", "recv("];

/// A pool of one child, warmed up, and its number.
fn warm_pool(site: &Scratch) -> Option<(Traced, u32)> {
    let traced = traced(Mode::Prefork, site)?;
    for _ in 0..3 {
        let mut client = traced.server.connect();
        client.request("GET", "/small.txt", "Connection: close\r\n").expect(200);
        client.expect_end();
    }
    let children = traced.server.children();
    assert_eq!(children.len(), 1, "one child serves all: {children:?}");
    let child = children[0].pid;
    Some((traced, child))
}

/// The calls from one accept that returned to the next one that waits.
fn connection_calls(traced: &Traced, child: u32, request: impl FnOnce(&Traced)) -> Vec<Call> {
    let before = traced.calls_until_waiting(child, ACCEPT).len();
    request(traced);
    // The accept that waits has returned, and after the connection another one waits.
    wait_until("the connection is accepted", || traced.calls(child).len() > before);
    traced.calls_until_waiting(child, ACCEPT).split_off(before)
}

#[test]
fn a_new_connection_in_prefork() {
    let site = site();
    let Some((traced, child)) = warm_pool(&site) else { return };
    for _ in 0..5 {
        let calls = connection_calls(&traced, child, |traced| {
            let mut client = traced.server.connect();
            client.request("GET", "/small.txt", "Connection: close\r\n").expect(200);
            client.expect_end();
        });
        assert!(calls.len() <= 10, "{} calls, 10 allowed:{}", calls.len(), story(&calls));
        assert_eq!(data_writes(&calls), 1, "one segment:{}", story(&calls));
    }
}

/// While others wait ahead of connections, the supervisor has no part in them; a pool of one has none to spare.
#[test]
fn the_supervisor_in_prefork() {
    let site = site();
    let reject = &["--children", "3", "--overload", "reject"][..];
    for options in [&["--children", "3"][..], &["--min-spare", "2", "--max-spare", "3"], reject] {
        let Some(traced) = Traced::start(&launch::serve_command(options, site.path())) else { return };
        let supervisor = traced.server.pid();
        let visit = || {
            let mut client = traced.server.connect();
            client.request("GET", "/small.txt", "Connection: close\r\n").expect(200);
            client.expect_end();
        };
        // A pool that follows the load makes another when it has fewer spares than it should.
        let mut kept = traced.server.connect();
        kept.get("/small.txt").expect(200);
        let children = || process::children(supervisor).len();
        wait_until("there are spare children", || children() >= 3);
        drop(kept);
        wait_until("none is too many", || children() == 3);
        let waits = |line: String| line.starts_with("ppoll(") && !line.contains(" = ") && !line.contains("tv_sec");
        let rests = || wait_until("the supervisor waits", || traced.last_line(supervisor).is_some_and(waits));
        rests();
        let before = traced.calls(supervisor).len();
        for _ in 0..10 {
            visit();
            wait_until("all children wait", || {
                let idle =
                    |child: &process::Process| traced.last_line(child.pid).is_some_and(|l| l.starts_with(ACCEPT));
                process::children(supervisor).iter().all(idle)
            });
        }
        let calls = traced.calls(supervisor).split_off(before);
        assert!(calls.is_empty(), "{options:?}: the supervisor has no part in it:{}", story(&calls));
    }
}

/// Calls that send to the connection, which is the descriptor that the accept returned.
fn data_writes(calls: &[Call]) -> usize {
    let accept = calls.iter().find(|call| call.name() == "accept4" || call.name() == "accept").expect("an accept");
    let connection = accept.result().and_then(|fd| i32::try_from(fd).ok());
    sends_to(calls, connection)
}

fn sends_to(calls: &[Call], connection: Option<i32>) -> usize {
    let sends = ["write", "writev", "sendto", "sendmsg", "sendfile", "splice", "send"];
    let to_it = |call: &&Call| sends.contains(&call.name()) && call.descriptor() == connection;
    calls.iter().filter(to_it).count()
}

#[test]
fn a_request_on_a_kept_connection() {
    let site = site();
    let Some((traced, child)) = warm_pool(&site) else { return };
    let mut client = traced.server.connect();
    // The first fills what may be cached for a connection. A full pool may take who has just come for one who waits, and say
    // that the answer is the last.
    let mut kept = 0;
    while kept < 3 {
        kept += 1;
        if !client.get("/small.txt").expect(200).keeps_alive() {
            (client, kept) = (traced.server.connect(), 0);
        }
    }
    let waits = |line: String| !line.contains(" = ") && READ.iter().any(|read| line.starts_with(read));
    let settle = || wait_until("the child waits for a request", || traced.last_line(child).is_some_and(waits));
    settle();
    let before = traced.calls(child).len();
    let requests = 10;
    for _ in 0..requests {
        client.get("/small.txt").expect(200);
        settle();
    }
    let calls = traced.calls(child).split_off(before);
    assert!(!calls.is_empty());
    assert!(calls.len() <= 4 * requests, "{} calls for {requests}, 4 each allowed:{}", calls.len(), story(&calls));
}

/// The supervisor's calls for so many connections, of so many clients at once; `between` runs after each.
fn supervisor_calls(traced: &Traced, clients: usize, connections: usize, between: impl Fn() + Sync) -> Vec<Call> {
    let supervisor = traced.server.pid();
    let rests = || traced.last_line(supervisor).is_some_and(|line| !line.contains(" = ") && !line.starts_with('-'));
    // All reaped, and it waits without an end.
    let idle = || {
        wait_until("the supervisor is idle", || {
            process::children(supervisor).is_empty() && rests() && waits_for_ever(&traced.last_line(supervisor))
        });
    };
    let visit = || {
        let mut client = traced.server.connect();
        client.request("GET", "/small.txt", "Connection: close\r\n").expect(200);
        client.expect_end();
    };
    visit();
    idle();
    let before = traced.calls(supervisor).len();
    thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| {
                for _ in 0..connections / clients {
                    visit();
                    between();
                }
            });
        }
    });
    idle();
    let mut calls = traced.calls(supervisor).split_off(before);
    // A debug build looks whether a descriptor is open before it closes it; a release does not.
    calls.retain(|call| !(cfg!(debug_assertions) && call.line.contains(", F_GETFD)")));
    assert!(calls.len() >= 2 * connections, "strace saw too little:{}", story(&calls));
    calls
}

/// Whether a call that has not returned has no timeout.
fn waits_for_ever(line: &Option<String>) -> bool {
    line.as_ref().is_some_and(|line| !line.contains("tv_sec"))
}

/// Under load: the budget. Where this machine lets the next one wait for more than ten
/// milliseconds, the supervisor rightly goes to sleep, and is woken by time or by the end of a child: such lulls are
/// counted, and of several batches the one with the fewest is looked at.
fn supervisor_per_connection(mode: Mode) {
    let site = site();
    let Some(traced) = traced(mode, &site) else { return };
    let connections = 100;
    let batch = || {
        let calls = supervisor_calls(&traced, 4, connections, || ());
        let lull = |call: &&Call| call.line.ends_with("(Timeout)") || call.line.contains("ERESTARTNOHAND");
        let lulls = calls.iter().filter(|call| call.name() == "ppoll").filter(lull).count();
        (calls, lulls)
    };
    let (calls, lulls) = (0..5).map(|_| batch()).min_by_key(|(_, lulls)| *lulls).expect("five batches");
    assert!(lulls <= connections / 2, "{lulls} lulls in {connections} connections: this machine is too busy to tell");
    // What the last one costs more, before the supervisor sleeps, is not the connections'.
    let limit = 6 * connections + 6 + 4 * lulls;
    let story = story(&calls[..calls.len().min(40)]);
    assert!(calls.len() <= limit, "{} calls for {connections}, 6 each allowed, {lulls} lulls:{story}", calls.len());
}

/// A lone connection costs the supervisor two wake-ups more: for the end of its child, and to see that nobody else comes.
fn supervisor_for_a_lone_connection(mode: Mode) {
    let site = site();
    let Some(traced) = traced(mode, &site) else { return };
    let supervisor = traced.server.pid();
    let connections = 10;
    let calls = supervisor_calls(&traced, 1, connections, || {
        wait_until("the supervisor is idle", || {
            process::children(supervisor).is_empty() && waits_for_ever(&traced.last_line(supervisor))
        });
    });
    let limit = 9 * connections;
    assert!(calls.len() <= limit, "{} calls for {connections}, 9 each allowed:{}", calls.len(), story(&calls));
}

#[test]
fn the_supervisor_for_a_lone_connection() {
    supervisor_for_a_lone_connection(Mode::Fork);
    supervisor_for_a_lone_connection(Mode::Vfork);
}

#[test]
fn the_supervisor_in_fork_mode() {
    supervisor_per_connection(Mode::Fork);
}

#[test]
fn the_supervisor_in_vfork_mode() {
    supervisor_per_connection(Mode::Vfork);
}

/// The bytes of a large file never come to user space: sendfile moves all of them, and nothing else does.
#[test]
fn a_large_file_is_not_copied() {
    let site = site();
    let Some((traced, child)) = warm_pool(&site) else { return };
    let calls = connection_calls(&traced, child, |traced| {
        let mut client = traced.server.connect();
        let response = client.request("GET", "/large.bin", "Connection: close\r\n").expect(200);
        assert_eq!(response.body.len(), LARGE);
    });
    let sum = |names: &[&str]| -> i64 {
        calls.iter().filter(|call| names.contains(&call.name())).filter_map(Call::result).filter(|&n| n > 0).sum()
    };
    assert_eq!(sum(&["sendfile", "sendfile64", "splice"]), LARGE as i64, "{}", story(&calls));
    let copied = sum(&["read", "pread64", "readv", "preadv", "write", "writev", "sendto", "sendmsg", "recvfrom"]);
    assert!(copied < 4096, "{copied} bytes through user space:{}", story(&calls));
    assert!(!calls.iter().any(|call| call.name() == "mmap"), "nor by a mapping:{}", story(&calls));
}

/// Pipelined requests come in one read, and each answer goes out in one call at most.
#[test]
fn answers_go_out_in_one_call() {
    let site = site();
    let Some((traced, child)) = warm_pool(&site) else { return };
    let mut sent = 0;
    let calls = connection_calls(&traced, child, |traced| {
        let mut client = traced.server.connect();
        let line = "Host: localhost\r\n";
        for request in ["GET /small.txt", "HEAD /small.txt", "GET /missing", "POST /small.txt", "GET /"] {
            let method = request.split(' ').next().unwrap_or_default();
            let length = if method == "POST" { "Content-Length: 0\r\n" } else { "" };
            client.send(format!("{request} HTTP/1.1\r\n{line}{length}\r\n"));
            sent += 1;
            if !client.response(method).keeps_alive() {
                return;
            }
        }
    });
    assert_eq!(data_writes(&calls), sent, "one call for each answer:{}", story(&calls));
}

/// What a connection in vfork mode costs `tine-http` from exec to exit: a mark that may only sink.
#[test]
fn the_executable_starts_lean() {
    let site = site();
    let Some(traced) = traced(Mode::Vfork, &site) else { return };
    let mut client = traced.server.connect();
    client.request("GET", "/small.txt", "Connection: close\r\n").expect(200);
    client.expect_end();
    wait_until("the child is reaped", || traced.server.children().is_empty());
    let child = traced.processes().into_iter().find(|&pid| {
        pid != traced.server.pid() && traced.calls(pid).iter().any(|call| call.name().starts_with("execve"))
    });
    let child = child.expect("the trace of the child");
    let calls = traced.calls(child);
    let exec = calls.iter().position(|call| call.name().starts_with("execve") && call.result() == Some(0));
    let life = &calls[exec.expect("its execve") + 1..];
    // fnord with dietlibc takes 14, and sets no timeouts; without a vDSO the clock is a call too.
    assert!(life.len() <= 22, "{} calls from start to exit, 22 allowed:{}", life.len(), story(life));
}
