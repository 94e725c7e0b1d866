//! Promise: a pool whose connections are decided about before a child has them loses none of them, however its children end;
//! and what a child holds is its own connection and nothing of its siblings'.

mod common;

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
};

use common::{Mode, Scratch, Server, launch, process, server, wait_until};
use nix::sys::signal::Signal;

const MODES: [Mode; 2] = [Mode::Prefork, Mode::OneShot];

fn site() -> Scratch {
    let site = Scratch::new();
    site.file("index.html", "hello\n");
    site
}

fn serve(mode: Mode, children: u32, site: &Scratch) -> Server {
    launch::serve(mode, children, &["--per-ip", "1000000", "--idle-timeout", "120"], site.path())
}

fn ask(server: &Server) -> u16 {
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    client.response("GET").status
}

/// Children that serve nobody are told to go, again and again: what one of them was given and did not take is another's.
#[test]
fn who_leaves_gives_back_what_it_did_not_take() {
    let site = site();
    for mode in MODES {
        let server = serve(mode, 4, &site);
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let nudge = scope.spawn(|| {
                let mut told = 0;
                while !is_over.load(Relaxed) {
                    server.children().iter().for_each(|child| server::send(child.pid, Signal::SIGTERM));
                    told += 1;
                }
                told
            });
            let clients: Vec<_> =
                (0..4).map(|_| scope.spawn(|| (0..100).filter(|_| ask(&server) == 200).count())).collect();
            let served: usize = clients.into_iter().map(|client| client.join().unwrap_or(0)).sum();
            is_over.store(true, Relaxed);
            assert!(nudge.join().expect("the nudges") > 0);
            assert_eq!(served, 400, "{mode:?}");
        });
        wait_until("the pool is full again", || server.children().len() == 4);
        assert!(!server.log().contains("warning"), "{mode:?}: {}", server.log());
    }
}

/// What is queued when the service is told to stop is served.
#[test]
fn a_stop_serves_who_had_asked() {
    let site = site();
    for mode in MODES {
        let mut server = serve(mode, 2, &site);
        let mut clients: Vec<_> = (0..20).map(|_| server.connect()).collect();
        for client in &mut clients {
            client.send("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        }
        // One has its answer: the others' requests, sent before, are here too.
        clients[0].response("GET").expect(200);
        server.stop();
        for client in &mut clients[1..] {
            client.response("GET").expect(200);
        }
    }
}

/// A child has its end of one pair, and neither the listening socket, nor a sibling's pair, nor a sibling's client.
#[test]
fn a_child_holds_nothing_of_others() {
    let site = site();
    let server = serve(Mode::Prefork, 4, &site);
    let mut held: Vec<_> = (0..3).map(|_| server.connect()).collect();
    held.iter_mut().for_each(|client| drop(client.get("/").expect(200)));
    let killed = server.child_of(&held[0]);
    server::send(killed, Signal::SIGKILL);
    held[0].drain();
    // One that was made while others serve.
    wait_until("the pool is full again", || {
        let children = server.children();
        children.len() == 4 && children.iter().all(|child| child.pid != killed)
    });
    for child in server.children() {
        let serves = held[1..].iter().any(|client| server.child_of(client) == child.pid);
        let sockets = || process::descriptors(child.pid).into_values().filter(|what| what.starts_with("socket:"));
        let expected = 1 + usize::from(serves);
        assert!(
            common::holds_within(common::BOUND, || sockets().count() == expected),
            "it holds its pair, and its client if it has one ({expected}): {:?}",
            sockets().collect::<Vec<_>>()
        );
        let others = |what: &String| what.contains("eventpoll") || what.contains("memfd");
        wait_until("nor anything else", || !process::descriptors(child.pid).values().any(others));
    }
}

/// The supervisor's calls for a connection, accepting, handing over and hearing that it is done.
#[test]
fn a_connection_costs_the_supervisor_six_calls() {
    let site = site();
    let mut options = Mode::Prefork.options(4);
    options.extend(["--per-ip", "1000"].map(String::from));
    let Some(traced) = common::strace::Traced::start(&launch::serve_command(&options, site.path())) else { return };
    let supervisor = traced.server.pid();
    for _ in 0..5 {
        ask(&traced.server);
    }
    let before = traced.calls(supervisor).len();
    let connections = 50;
    for _ in 0..connections {
        ask(&traced.server);
    }
    let mut calls = traced.calls(supervisor).split_off(before);
    // A debug build looks whether a descriptor is open before it closes it; a release does not.
    calls.retain(|call| !(cfg!(debug_assertions) && call.line.contains(", F_GETFD)")));
    let story: String = calls.iter().take(30).map(|call| format!("\n  {}", call.line)).collect();
    assert!(calls.len() >= 4 * connections, "strace saw too little:{story}");
    assert!(calls.len() <= 6 * connections + 12, "{} calls for {connections}:{story}", calls.len());
}
