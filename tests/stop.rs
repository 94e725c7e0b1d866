//! Promise: stopping is gentle. What the kernel accepted is served, what is under way may finish until the deadline, what
//! is idle goes at once, and nothing is left behind.

mod common;

use std::{
    fs::File,
    io::{ErrorKind, Write},
    net::SocketAddr,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use common::{Client, Mode, Scratch, Server, launch, process::is_alive, wait_until};
use nix::sys::signal::Signal;

const LARGE: usize = 64 << 20;

fn site() -> Scratch {
    let site = Scratch::new();
    site.file("hello.txt", "hello\n");
    let large = site.file("large.bin", "");
    File::options().write(true).open(large).and_then(|file| file.set_len(LARGE as u64)).expect("make a large file");
    site
}

/// A client in the middle of the large file.
fn in_the_middle(server: &Server) -> Client {
    let mut client = server.connect();
    client.send("GET /large.bin HTTP/1.1\r\nHost: localhost\r\n\r\n");
    client.try_head().expect("the head of the response");
    client
}

/// How a connection under load ended.
#[derive(Default)]
struct Tally {
    served: AtomicUsize,
    /// The signal is about to be sent.
    stopping: AtomicBool,
}

/// Connects again and again until nobody listens any more. What was asked before the signal must be answered; who comes
/// in the instant of the stop is answered, refused or cut off, but not left to wait.
fn visit_until_refused(address: SocketAddr, tally: &Tally) {
    loop {
        let mut client = match Client::try_connect(address) {
            Ok(client) => client,
            Err(e) => {
                assert!(tally.stopping.load(Ordering::SeqCst), "refused before the stop: {e}");
                assert!(matches!(e.kind(), ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset), "{e}");
                return;
            }
        };
        let sent = client.stream.write_all(b"GET /hello.txt HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        // Over loopback the request has arrived when it is sent.
        let in_time = !tally.stopping.load(Ordering::SeqCst);
        match sent.and_then(|()| client.try_response("GET")) {
            Ok(response) => {
                assert_eq!(response.expect(200).text(), "hello\n");
                tally.served.fetch_add(1, Ordering::SeqCst);
            }
            Err(e) => {
                assert!(!in_time, "a request that came in time was lost: {e}, {}", client.name());
                let cut = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe, ErrorKind::UnexpectedEof];
                assert!(cut.contains(&e.kind()), "left to wait: {e}");
            }
        }
    }
}

/// The clients are more than the children: connections wait in the kernel's queue when the signal comes.
fn nothing_is_lost(mode: Mode, signal: Signal) {
    for _ in 0..5 {
        let site = site();
        let mut server = launch::serve(mode, 3, &[], site.path());
        let address = server.address();
        let tally = Tally::default();
        thread::scope(|scope| {
            let clients: Vec<_> = (0..12).map(|_| scope.spawn(|| visit_until_refused(address, &tally))).collect();
            wait_until("the load is on", || {
                tally.served.load(Ordering::SeqCst) > 100 || clients.iter().any(|client| client.is_finished())
            });
            tally.stopping.store(true, Ordering::SeqCst);
            server.signal(signal);
        });
        assert_eq!(server.wait().code(), Some(0), "{mode:?}: a gentle stop is exit 0");
        let lines = server.log().lines().filter(|line| line.contains("\" 200 6 ")).count();
        assert_eq!(lines, tally.served.into_inner(), "{mode:?}: every connection has its line");
    }
}

#[test]
fn under_load_nothing_is_lost_in_prefork() {
    nothing_is_lost(Mode::Prefork, Signal::SIGTERM);
}

#[test]
fn under_load_nothing_is_lost_one_shot() {
    nothing_is_lost(Mode::OneShot, Signal::SIGTERM);
}

#[test]
fn under_load_nothing_is_lost_in_fork() {
    nothing_is_lost(Mode::Fork, Signal::SIGTERM);
}

#[test]
fn under_load_nothing_is_lost_in_vfork() {
    nothing_is_lost(Mode::Vfork, Signal::SIGTERM);
}

#[test]
fn sigint_is_as_gentle() {
    nothing_is_lost(Mode::Prefork, Signal::SIGINT);
    nothing_is_lost(Mode::Fork, Signal::SIGINT);
}

/// More clients than can be served, and room for more children than there ever are: whenever the supervisor looks, somebody
/// waits. It hears the signal nevertheless.
#[test]
fn a_flood_does_not_drown_the_signal() {
    for mode in [Mode::Fork, Mode::Vfork] {
        let site = site();
        let mut server = launch::serve(mode, 4000, &["--quiet"], site.path());
        let address = server.address();
        let (on, ended) = (AtomicBool::new(true), AtomicBool::new(false));
        thread::scope(|scope| {
            for _ in 0..200 {
                scope.spawn(|| {
                    while on.load(Ordering::SeqCst) {
                        let Ok(mut client) = Client::try_connect(address) else { break };
                        let _ = client.stream.write_all(b"GET /hello.txt HTTP/1.0\r\n\r\n");
                        client.drain();
                    }
                });
            }
            thread::sleep(std::time::Duration::from_millis(500));
            server.signal(Signal::SIGTERM);
            ended.store(common::holds_within(common::BOUND, || server.poll_exit().is_some()), Ordering::SeqCst);
            on.store(false, Ordering::SeqCst);
        });
        assert!(ended.into_inner(), "{mode:?}: the signal was not heard");
    }
}

/// A response under way is completed; the connection is not kept for another.
#[test]
fn what_is_under_way_is_completed() {
    for mode in Mode::ALL {
        let site = site();
        let mut server = launch::serve(mode, 4, &[], site.path());
        let mut client = in_the_middle(&server);
        server.signal(Signal::SIGTERM);
        wait_until("new clients are refused", || !common::process::listens(server.address().port()));
        assert_eq!(client.take(LARGE).expect("the whole file").len(), LARGE, "{mode:?}");
        client.expect_end();
        assert_eq!(server.wait().code(), Some(0), "{mode:?}");
    }
}

/// A keep-alive connection between two requests has nothing to finish: with a minute's grace, it is gone at once.
#[test]
fn idle_connections_are_closed_at_once() {
    for mode in Mode::ALL {
        let site = site();
        let options = ["--idle-timeout", "600", "--header-timeout", "600", "--drain", "600"];
        let mut server = launch::serve(mode, 4, &options, site.path());
        let mut clients: Vec<Client> = (0..3).map(|_| server.connect()).collect();
        for client in &mut clients {
            client.get("/hello.txt").expect(200);
        }
        server.signal(Signal::SIGTERM);
        for client in &mut clients {
            client.expect_end();
        }
        assert_eq!(server.wait().code(), Some(0), "{mode:?}");
    }
}

/// Who does not finish in time is told in the log, and ended.
#[test]
fn the_drain_ends_at_its_deadline() {
    for mode in Mode::ALL {
        let site = site();
        let mut server = launch::serve(mode, 4, &["--drain", "1"], site.path());
        let mut client = in_the_middle(&server);
        let (child, name) = (server.child_of(&client), client.name());
        server.signal(Signal::SIGTERM);
        assert_eq!(server.wait().code(), Some(0), "{mode:?}: stopped as asked");
        assert!(client.drain() < LARGE, "{mode:?}: the response was cut");
        assert!(!is_alive(child), "{mode:?}: nothing is left");
        assert!(server.log().contains(&name), "{mode:?}: the log names who was cut off: {}", server.log());
    }
}

/// A child that is stopped by a debugger, or hangs, does not hold the stop up beyond the deadline.
#[test]
fn a_stopped_child_does_not_outlast_the_drain() {
    for mode in Mode::ALL {
        let site = site();
        let mut server = launch::serve(mode, 4, &["--drain", "1"], site.path());
        let client = in_the_middle(&server);
        let child = server.child_of(&client);
        common::server::send(child, Signal::SIGSTOP);
        server.signal(Signal::SIGTERM);
        assert_eq!(server.wait().code(), Some(0), "{mode:?}");
        assert!(!is_alive(child), "{mode:?}: nothing is left");
    }
}

/// Who sends a second signal is in a hurry.
#[test]
fn a_second_signal_ends_at_once() {
    for mode in Mode::ALL {
        for second in [Signal::SIGTERM, Signal::SIGINT] {
            let site = site();
            let mut server = launch::serve(mode, 4, &["--drain", "600"], site.path());
            let client = in_the_middle(&server);
            let child = server.child_of(&client);
            server.signal(Signal::SIGTERM);
            wait_until("new clients are refused", || !common::process::listens(server.address().port()));
            assert!(server.poll_exit().is_none(), "{mode:?}: the first waits for the client");
            // One at once would be taken for the first, which some send to a process and to its group.
            wait_until("it ends at once", || {
                server.signal(second);
                server.poll_exit().is_some()
            });
            wait_until("its child is gone", || !is_alive(child));
            drop(client);
        }
    }
}

/// timeout(1) signals a process, and then the group that it is in: that is one signal, not two.
#[test]
fn a_signal_that_comes_twice_at_once_is_one() {
    for mode in Mode::ALL {
        let site = site();
        let mut server = launch::serve(mode, 4, &["--drain", "600"], site.path());
        let mut client = in_the_middle(&server);
        server.signal(Signal::SIGTERM);
        server.signal(Signal::SIGTERM);
        wait_until("new clients are refused", || !common::process::listens(server.address().port()));
        assert!(client.drain() > 0, "{mode:?}: the rest of the answer comes");
        assert!(server.wait().success(), "{mode:?}");
    }
}

/// A service manager signals all processes of a service: a child may leave before the supervisor has heard of it.
#[test]
fn a_child_that_leaves_early_leaves_the_queue_to_others() {
    for options in [&["--listen", "127.0.0.1:0"][..], &["--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0"]] {
        let site = site();
        let mut server = launch::serve(Mode::Prefork, 1, options, site.path());
        let busy = in_the_middle(&server);
        let mut queued: Vec<Client> = (0..5).map(|_| server.connect()).collect();
        queued.iter_mut().for_each(|client| client.send("GET /hello.txt HTTP/1.0\r\n\r\n"));
        let child = server.child_of(&busy);
        server.signal(Signal::SIGSTOP);
        common::server::send(child, Signal::SIGTERM);
        drop(busy);
        wait_until("the child has left", || !is_alive(child));
        server.signal(Signal::SIGTERM);
        server.signal(Signal::SIGCONT);
        for client in &mut queued {
            assert_eq!(client.try_response("GET").expect("an answer").expect(200).text(), "hello\n");
        }
        assert_eq!(server.wait().code(), Some(0));
    }
}

/// Who waits in the queue takes the place of nobody that was killed: there would be no time left to end it.
#[test]
fn an_impatient_stop_leaves_nobody_behind() {
    for mode in Mode::ALL {
        let site = site();
        let mut server = launch::serve(mode, 1, &["--drain", "600"], site.path());
        let under_way = in_the_middle(&server);
        let mut queued: Vec<Client> = (0..3).map(|_| server.connect()).collect();
        queued.iter_mut().for_each(|client| client.send("GET /large.bin HTTP/1.0\r\n\r\n"));
        server.signal(Signal::SIGTERM);
        let told = server.await_log(&["still here"]);
        let mut seen = Vec::new();
        wait_until("it ends", || {
            server.signal(Signal::SIGTERM);
            seen.extend(server.children());
            server.poll_exit().is_some()
        });
        assert!(seen.iter().all(|child| !is_alive(child.pid)), "{mode:?}: {seen:?} after {told}");
        drop((under_way, queued));
    }
}

/// Idle children and nobody connected: the stop is immediate, and no process is left.
#[test]
fn nothing_is_left_behind() {
    for mode in Mode::ALL {
        let site = site();
        let mut server = launch::serve(mode, 8, &["--drain", "600"], site.path());
        server.connect().get("/hello.txt").expect(200);
        let children = server.children();
        server.stop();
        for child in children {
            assert!(!is_alive(child.pid), "{mode:?}: {child:?} is left");
        }
    }
}

/// The file of a Unix socket is removed by the one who made it; the next start finds the place free.
#[test]
fn the_socket_file_is_removed() {
    let site = site();
    let place = site.dir("place").join("socket");
    common::scratch::set_mode(&site.join("place"), 0o777);
    for _ in 0..2 {
        let listen = format!("unix:{}", place.display());
        let mut server = launch::serve(Mode::Prefork, 2, &["--listen", &listen], site.path());
        assert_eq!(server.urls(), [listen]);
        assert!(place.exists());
        server.stop();
        assert!(!place.exists(), "the socket file is left");
    }
}
