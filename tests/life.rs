//! Promise: in the life of ten thousand connections nothing is lost and nothing is left: each is answered and logged,
//! no child becomes a zombie, no descriptor leaks, and there are never more children than the limit.

mod common;

use std::{
    collections::BTreeMap,
    process::Command,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use common::{
    BOUND, Client, Mode, Scratch, Server, holds_within, launch, peer,
    process::{descriptors, is_alive},
    server, wait_until,
};
use nix::sys::signal::Signal;

const CONNECTIONS: usize = 10_000;
const CLIENTS: usize = 8;
const LIMIT: u32 = 12;

fn site() -> Scratch {
    let site = Scratch::new();
    site.file("index.html", "hello\n");
    site
}

/// One connection with one request; the answer must be whole.
fn visit(server: &Server) {
    let mut client = server.connect();
    let response = client.request("GET", "/", "Connection: close\r\n").expect(200);
    assert_eq!(response.text(), "hello\n");
    client.expect_end();
}

/// So many connections from several clients at once.
fn visits(server: &Server, count: usize) {
    let done = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                while done.fetch_add(1, Ordering::Relaxed) < count {
                    visit(server);
                }
            });
        }
    });
}

/// What a process holds, without the numbers that differ between two of its kind.
fn held(pid: u32) -> BTreeMap<u32, String> {
    descriptors(pid)
}

fn ten_thousand(mode: Mode) {
    let site = site();
    let mut server = launch::serve(mode, LIMIT, &[], site.path());
    visits(&server, 10);
    server.settles(mode, LIMIT);
    let before = held(server.pid());
    let counts = || server.children().iter().map(|child| held(child.pid).len()).collect::<Vec<_>>();
    // One that was just made may not have closed yet what is not its own, and one that served not its connection.
    wait_until("all children hold the same", || counts().windows(2).all(|two| two[0] == two[1]));
    let child_before = counts().first().copied();

    visits(&server, CONNECTIONS);

    server.settles(mode, LIMIT);
    assert_eq!(held(server.pid()), before, "the supervisor's descriptors");
    // A fresh child, or one that has served its share: both hold what the first one held.
    wait_until("no child holds more", || counts().iter().all(|&count| Some(count) <= child_before));
    let lines = || server.log().lines().filter(|line| line.contains("\"GET / HTTP/1.1\" 200 6")).count();
    wait_until("each connection has its line in the log", || lines() >= CONNECTIONS + 10);
    assert_eq!(lines(), CONNECTIONS + 10);
    assert!(!server.log().contains("warning"), "nothing went wrong");
    server.stop();
}

#[test]
fn ten_thousand_in_prefork() {
    ten_thousand(Mode::Prefork);
}

#[test]
fn ten_thousand_one_shot() {
    ten_thousand(Mode::OneShot);
}

#[test]
fn ten_thousand_in_fork() {
    ten_thousand(Mode::Fork);
}

#[test]
fn ten_thousand_in_vfork() {
    ten_thousand(Mode::Vfork);
}

/// More clients than the limit: the others wait, are served too, and /proc never shows more children.
#[test]
fn never_more_children_than_the_limit() {
    for mode in Mode::ALL {
        let site = site();
        let limit = 3;
        let server = launch::serve(mode, limit, &[], site.path());
        let over = AtomicBool::new(false);
        let most = AtomicUsize::new(0);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    most.fetch_max(server.children().len(), Ordering::Relaxed);
                }
            });
            visits(&server, 400);
            over.store(true, Ordering::Relaxed);
        });
        let most = most.into_inner();
        assert!((1..=limit as usize).contains(&most), "{mode:?}: {most} children, {limit} allowed");
    }
}

/// At the limit a client waits in the queue of the kernel, and is served when another leaves.
#[test]
fn at_the_limit_clients_wait() {
    for mode in Mode::ALL {
        let site = site();
        let server = launch::serve(mode, 2, &["--idle-timeout", "600"], site.path());
        let mut held: Vec<Client> = (0..2).map(|_| server.connect()).collect();
        for client in &mut held {
            client.get("/").expect(200);
            // In the middle of a request nobody yields to those who wait.
            client.send("GET / HTTP/1.1\r\n");
        }
        let mut waiting = server.connect();
        waiting.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        // Both children are taken by connections that go on; the third is not refused.
        assert!(waiting.is_open(), "{mode:?}: the third client must wait");
        drop(held.pop());
        waiting.response("GET").expect(200);
    }
}

/// When the table of processes is full, an accepted connection is kept until there is room for its child.
#[test]
fn a_full_process_table_loses_nobody() {
    // The limit counts the processes of a user, so it takes one that nobody else is; and root to become it.
    const USER: &str = "54321";
    if !common::scratch::is_root() || peer("prlimit").is_none() {
        return common::say("skipped: a limit for processes takes root, who can become a user of its own");
    }
    let site = site();
    let limited = |mode: Mode, processes: u32| {
        let tine = launch::serve_command(&mode.options(50), site.path());
        let mut command = Command::new("prlimit");
        command.arg(format!("--nproc={processes}")).arg(tine.get_program()).args(tine.get_args());
        command.args(["--user", USER, "--group", USER, "--idle-timeout", "600"]);
        command
    };
    if launch::user(Some(site.path())).next().is_some() {
        return common::say("skipped: this place is closed to other users");
    }
    for mode in [Mode::Fork, Mode::Vfork] {
        // The supervisor and two children.
        let server = Server::ready(limited(mode, 3));
        let mut clients: Vec<Client> = (0..5).map(|_| server.connect()).collect();
        for client in &mut clients[..2] {
            client.get("/").expect(200);
        }
        for client in &mut clients[2..] {
            client.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        }
        server.await_log(&["unable to fork: Resource temporarily unavailable"]);
        clients.drain(..2);
        for mut client in clients {
            // Each leaves room for the next.
            client.response("GET").expect(200);
        }
        assert!(!server.log().contains("dropping"), "{}", server.log());
    }
}

/// A child leaves after its share, and another takes its place at once.
#[test]
fn a_child_is_replaced_after_its_share() {
    let site = site();
    let server = launch::serve(Mode::Prefork, 1, &["--reuse", "5", "--idle-timeout", "600"], site.path());
    let mut served: BTreeMap<u32, usize> = BTreeMap::new();
    for _ in 0..20 {
        // In the middle of a head: whose answer has come may have been the last one, for the sake of who waited then.
        let mut client = server.connect();
        client.send("GET / HTTP/1.1\r\n");
        *served.entry(server.child_of(&client)).or_default() += 1;
        client.send("Host: localhost\r\n\r\n");
        client.response("GET").expect(200);
        drop(client);
    }
    assert_eq!(served.values().copied().collect::<Vec<_>>(), [5, 5, 5, 5], "connections by child: {served:?}");
}

/// Every connection has a process of its own, in every mode but a pool that is reused.
#[test]
fn a_fresh_process_for_each_connection() {
    for mode in [Mode::OneShot, Mode::Fork, Mode::Vfork] {
        let site = site();
        let server = launch::serve(mode, 4, &["--idle-timeout", "600"], site.path());
        let mut seen = Vec::new();
        for _ in 0..20 {
            let mut client = server.connect();
            client.get("/").expect(200);
            client.get("/").expect(200);
            let child = server.child_of(&client);
            assert!(!seen.contains(&child), "{mode:?}: child {child} served two connections");
            seen.push(child);
        }
    }
}

/// A waiting child that is killed is replaced, each time, and the pool never stays smaller.
#[test]
fn a_killed_child_is_replaced() {
    for mode in [Mode::Prefork, Mode::OneShot] {
        let site = site();
        let server = launch::serve(mode, 4, &[], site.path());
        for _ in 0..5 {
            settle_to(&server, 4);
            let victims: Vec<_> = server.children().into_iter().filter(|child| child.state != 'Z').collect();
            for victim in &victims {
                server::send(victim.pid, Signal::SIGKILL);
            }
            wait_until("four others are there", || {
                let children = server.children();
                children.len() == 4
                    && children
                        .iter()
                        .all(|c| c.state != 'Z' && !victims.contains(c) && !victims.iter().any(|v| v.pid == c.pid))
            });
            visit(&server);
        }
    }
}

/// Children do not outlive a supervisor that was killed: nobody would reap, log or stop them.
#[test]
fn waiting_children_end_with_their_supervisor() {
    for mode in [Mode::Prefork, Mode::OneShot] {
        let site = site();
        let mut server = launch::serve(mode, 4, &[], site.path());
        visit(&server);
        settle_to(&server, 4);
        let children = server.children();
        server.signal(Signal::SIGKILL);
        server.wait();
        let gone = holds_within(BOUND, || !children.iter().any(|child| is_alive(child.pid)));
        for child in children.iter().filter(|child| is_alive(child.pid)) {
            server::send(child.pid, Signal::SIGKILL);
        }
        assert!(gone, "{mode:?}: children live on without their supervisor");
    }
}

fn settle_to(server: &Server, count: usize) {
    wait_until("the pool is full", || server.children().iter().filter(|c| c.state != 'Z').count() == count);
}

/// With --verbose the log tells the life of each connection as ucspi-tcp does: status, pid, end.
#[test]
fn the_log_tells_each_life() {
    for mode in [Mode::Fork, Mode::Vfork] {
        let site = site();
        let server = launch::serve(mode, 7, &["--verbose", "--idle-timeout", "600"], site.path());
        for _ in 0..3 {
            let mut client = server.connect();
            client.get("/").expect(200);
            let child = server.child_of(&client);
            server.await_log(&[&format!("tine: pid {child} from 127.0.0.1")]);
            let name = client.name();
            drop(client);
            let end = server.await_log(&[&format!("tine: end {child} status 0")]);
            assert!(end.contains(&format!(" from {name}")), "the end names the client: {end}");
            assert!(end.contains(" after "), "the end says how long it took: {end}");
        }
        server.await_log(&["tine: status: 1/7"]);
        server.await_log(&["tine: status: 0/7"]);
    }
}
