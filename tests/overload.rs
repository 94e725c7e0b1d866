//! Promise: overload is planned. When no child is free clients wait in the kernel's queue, or, where that was asked for, they
//! are told when to come back, by the supervisor and without a process; and nobody is left hanging.

mod common;

use std::{
    fs::File,
    sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    thread,
};

use common::{Client, Mode, Scratch, Server, launch, wait_until};

/// The modes in which clients can be turned away.
const MODES: [Mode; 4] = Mode::ALL;

fn site() -> Scratch {
    let site = Scratch::new();
    site.file("index.html", "hello\n");
    // More than the buffers of both sockets hold.
    let large = site.file("large.bin", "");
    File::options().write(true).open(large).and_then(|file| file.set_len(32 << 20)).expect("make a large file");
    site
}

fn serve(mode: Mode, limit: u32, options: &[&str], site: &Scratch) -> Server {
    launch::serve(mode, limit, &[&["--idle-timeout", "120"], options].concat(), site.path())
}

/// A client in the middle of a large file: its child cannot be asked for.
fn held(server: &Server) -> Client {
    let mut client = server.connect();
    client.send("GET /large.bin HTTP/1.1\r\nHost: localhost\r\n\r\n");
    client.try_head().expect("the head of the response");
    client
}

/// The status of a request that is alone on its connection.
fn ask(server: &Server) -> u16 {
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    client.response("GET").status
}

#[test]
fn who_finds_no_child_is_told_when_to_come_back() {
    let site = site();
    for mode in MODES {
        let server = serve(mode, 2, &["--overload", "reject"], &site);
        let both = [held(&server), held(&server)];
        let children = || server.children().iter().map(|child| child.pid).collect::<Vec<_>>();
        let before = children();
        for _ in 0..3 {
            let mut third = server.connect();
            let response = third.get("/").expect(503);
            assert_eq!(response.expect_header("retry-after"), "5", "{mode:?}");
            assert_eq!(response.expect_header("connection"), "close", "{mode:?}");
            third.expect_end();
        }
        assert_eq!(children(), before, "{mode:?}: no process was made for them");
        server.await_log(&["tine: warning: refused connection from 127.0.0.1:", ": overload: no child is free ("]);
        drop(both);
        wait_until("there is room", || ask(&server) == 200);
    }
}

/// A protocol without words for it ends the connection.
#[test]
fn a_protocol_without_words_is_silent() {
    let mut options = Mode::Fork.options(1);
    options.extend(["--handler", "echo", "--overload", "reject", "--idle-timeout", "120"].map(String::from));
    let mut command = std::process::Command::new(common::tine());
    command.args(["serve", "--listen", "127.0.0.1:0"]).args(launch::user(None)).args(options);
    let server = Server::ready(command);
    let mut first = server.connect();
    first.send("hello");
    assert_eq!(first.take(5).expect("an echo"), b"hello");
    let mut second = server.connect();
    second.send("hello");
    assert_eq!(second.drain(), 0);
    first.send("again");
    assert_eq!(first.take(5).expect("an echo"), b"again");
}

/// Far more clients than children: each has an answer, of the service or of the supervisor; there are never more children
/// than the limit; and as soon as there are fewer clients, all are served.
#[test]
fn under_overload_everybody_has_an_answer() {
    const LIMIT: u32 = 4;
    let site = site();
    for mode in MODES {
        let server = serve(mode, LIMIT, &["--overload", "reject"], &site);
        let (served, told) = (AtomicU32::new(0), AtomicU32::new(0));
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let watch = scope.spawn(|| {
                let mut most = 0;
                while !is_over.load(Relaxed) {
                    most = most.max(server.children().len());
                }
                most
            });
            let clients: Vec<_> = (0..16)
                .map(|_| {
                    scope.spawn(|| {
                        for _ in 0..30 {
                            match ask(&server) {
                                200 => served.fetch_add(1, Relaxed),
                                503 => told.fetch_add(1, Relaxed),
                                other => panic!("{other}"),
                            };
                        }
                    })
                })
                .collect();
            let ends: Vec<_> = clients.into_iter().map(|client| client.join()).collect();
            is_over.store(true, Relaxed);
            let most = watch.join().expect("the watch");
            assert!(ends.iter().all(Result::is_ok), "{mode:?}");
            assert!(most <= LIMIT as usize, "{mode:?}: {most} children");
        });
        assert_eq!(served.load(Relaxed) + told.load(Relaxed), 16 * 30);
        assert!(served.load(Relaxed) >= LIMIT, "{mode:?}: {served:?} were served");
        wait_until("there is room", || ask(&server) == 200);
    }
}

/// Full and idle, the supervisor sleeps; and so it does while it has turned somebody away.
#[test]
fn at_the_limit_it_sleeps() {
    let site = site();
    for mode in [Mode::Fork, Mode::Prefork] {
        let server = serve(mode, 1, &["--overload", "reject"], &site);
        let _held = held(&server);
        assert_eq!(ask(&server), 503);
        wait_until("nobody lingers", || {
            let before = ticks(server.pid());
            thread::sleep(std::time::Duration::from_millis(300));
            ticks(server.pid()) == before
        });
    }
}

/// Nobody is turned away for whom a kept connection makes room.
#[test]
fn idle_connections_yield_before_anybody_is_turned_away() {
    let site = site();
    for how in [&["--overload", "reject"][..], &["--overload", "reject", "--per-ip", "1000"]] {
        let server = serve(Mode::Prefork, 1, how, &site);
        let mut kept = server.connect();
        assert!(kept.get("/").expect(200).keeps_alive());
        // Its child says that it idles a moment after the answer is there, and a moment is what a client is left.
        wait_until("a newcomer is served", || ask(&server) == 200);
        kept.expect_end();
    }
}

/// The processor time of a process, in ticks of a hundredth of a second.
fn ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("its stat");
    let fields: Vec<&str> = stat.rsplit_once(')').expect("a name").1.split_whitespace().collect();
    fields[11].parse::<u64>().expect("user time") + fields[12].parse::<u64>().expect("system time")
}
