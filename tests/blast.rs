//! Promise: what befalls a child ends its own connection and nothing else, and the log says so with the client.

mod common;

use std::{fs::File, net::TcpStream, time::Duration};

use common::{Client, Mode, Scratch, Server, holds_within, launch, process, server, unless_paused, wait_until};
use nix::sys::{
    signal::Signal,
    socket::{setsockopt, sockopt},
};

/// More than the buffers of both sockets hold, so that a child is in the middle of it until the client reads on.
const LARGE: u64 = 32 << 20;

/// A small file and a large one. The large one is a hole: it costs no disk.
fn site() -> Scratch {
    let site = Scratch::new();
    site.file("hello.txt", "hello\n");
    let large = site.file("large.bin", "");
    File::options().write(true).open(large).and_then(|file| file.set_len(LARGE)).expect("make a large file");
    site
}

/// Asks for the large file and reads no further than the head, so that the child waits in the middle of it.
fn in_the_middle(server: &Server) -> Client {
    let mut client = server.connect();
    client.send("GET /large.bin HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let (head, length) = client.try_head().expect("the head of the response");
    assert_eq!((head.status, length), (200, Some(LARGE as usize)));
    client
}

fn killed_in_the_middle(mode: Mode, signal: Signal) {
    let site = site();
    let server = launch::serve(mode, 4, &[], site.path());
    let mut other = in_the_middle(&server);
    let mut victim = in_the_middle(&server);
    let (child, name) = (server.child_of(&victim), victim.name());
    assert_ne!(child, server.child_of(&other));

    server::send(child, signal);

    let came = victim.drain();
    assert!((came as u64) < LARGE, "the response was cut, not completed");
    let line = server.await_log(&["tine: warning: ", &format!("child {child} from {name}")]);
    let fate = format!("killed by signal {} ({})", signal as i32, signal.as_str());
    assert!(line.contains(&fate), "{line:?} does not say {fate:?}");
    assert!(line.contains(" after "), "{line:?} does not say how old it was");
    // The neighbour in the middle of the same file, and a newcomer.
    assert_eq!(other.take(LARGE as usize).expect("the whole file").len() as u64, LARGE);
    assert_eq!(other.get("/hello.txt").expect(200).text(), "hello\n");
    server.connect().get("/hello.txt").expect(200);
    let warnings = server.log().lines().filter(|line| line.contains("warning")).count();
    assert_eq!(warnings, 1, "one death, one line");
}

#[test]
fn killed_by_sigkill() {
    for mode in Mode::ALL {
        killed_in_the_middle(mode, Signal::SIGKILL);
    }
}

#[test]
fn killed_by_sigsegv() {
    for mode in Mode::ALL {
        killed_in_the_middle(mode, Signal::SIGSEGV);
    }
}

/// A child that is asked to end finishes what it does and goes, and that is no cause for alarm.
#[test]
fn a_child_ends_gently_by_sigterm() {
    for mode in [Mode::Prefork, Mode::OneShot, Mode::Fork] {
        let site = site();
        let server = launch::serve(mode, 2, &[], site.path());
        let mut client = in_the_middle(&server);
        let child = server.child_of(&client);
        server::send(child, Signal::SIGTERM);
        assert_eq!(client.take(LARGE as usize).expect("the whole file").len() as u64, LARGE, "{mode:?}");
        client.expect_end();
        wait_until("the child is gone", || process::find(child).is_none());
        server.connect().get("/hello.txt").expect(200);
        assert!(!server.log().contains("warning"), "{mode:?}: {}", server.log());
    }
}

/// A file that shrinks while it is sent: its length was promised, and what follows must not be taken for its bytes.
#[test]
fn a_file_that_shrinks_ends_the_connection() {
    for mode in Mode::ALL {
        let site = site();
        let server = launch::serve(mode, 4, &[], site.path());
        let mut client = in_the_middle(&server);
        client.send("GET /hello.txt HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let file = File::options().write(true).open(site.join("large.bin")).expect("open the file");
        file.set_len(1 << 20).expect("shrink it");

        let mut body = Vec::new();
        let mut chunk = vec![0; 1 << 20];
        while let Ok(n @ 1..) = std::io::Read::read(&mut client.stream, &mut chunk) {
            body.extend_from_slice(&chunk[..n]);
        }
        assert!((body.len() as u64) < LARGE, "{mode:?}: the response was cut");
        assert!(!body.windows(5).any(|w| w == b"HTTP/"), "{mode:?}: another response follows the unfinished one");
        server.connect().get("/hello.txt").expect(200);
    }
}

/// A client that never says anything, and one that says a byte now and then, meet the deadline of the request head.
#[test]
fn a_silent_or_slow_head_meets_its_deadline() {
    for mode in Mode::ALL {
        unless_paused(|| {
            let site = site();
            let server = launch::serve(mode, 4, &["--header-timeout", "1"], site.path());
            let silent = server.connect();
            let mut slow = server.connect();
            slow.send("GET /hello.txt HTTP/1.1\r\nHost: localhost\r\nX-Slow: ");
            // Each byte is progress, and does not count.
            let ended = holds_within(common::BOUND, || {
                let sent = std::io::Write::write_all(&mut slow.stream, b"x");
                std::thread::sleep(Duration::from_millis(20));
                sent.is_err() || !slow.is_open()
            });
            assert!(ended, "{mode:?}: a trickle of bytes holds the child for ever");
            wait_until("the silent client is let go", || !silent.is_open());
            server.connect().get("/hello.txt").expect(200);
        });
    }
}

/// The same deadline holds for each further request of a connection.
#[test]
fn a_later_head_meets_its_deadline() {
    for mode in Mode::ALL {
        unless_paused(|| {
            let site = site();
            let server = launch::serve(mode, 4, &["--header-timeout", "1", "--idle-timeout", "60"], site.path());
            let mut client = server.connect();
            client.get("/hello.txt").expect(200);
            client.send("GET /hello.txt HTTP/1.1\r\nHost: loc");
            wait_until("the unfinished request is let go", || !client.is_open());
        });
    }
}

/// A client that keeps its connection and asks for nothing more is let go quietly.
#[test]
fn an_idle_connection_is_let_go() {
    for mode in Mode::ALL {
        unless_paused(|| {
            let site = site();
            let server = launch::serve(mode, 4, &["--idle-timeout", "1"], site.path());
            let mut client = server.connect();
            client.get("/hello.txt").expect(200);
            client.expect_end();
            assert!(
                !server.log().contains("killed by"),
                "{mode:?}: an idle client is no cause for alarm: {}",
                server.log()
            );
        });
    }
}

/// A client that stops reading in the middle holds its child for the write timeout, and the log says how far it came.
#[test]
fn a_client_that_stops_reading_meets_its_deadline() {
    for mode in Mode::ALL {
        unless_paused(|| {
            let site = site();
            let server = launch::serve(mode, 4, &["--write-timeout", "1"], site.path());
            let mut client = in_the_middle(&server);
            let (child, name) = (server.child_of(&client), client.name());
            wait_until("the child has given up", || process::serving(server.pid(), &client.stream) != Some(child));
            assert!((client.drain() as u64) < LARGE, "{mode:?}: the response was cut");
            let told = |line: &str| {
                (line.contains(&name) && line.contains("timeout")) || sent(line).is_some_and(|n| n < LARGE)
            };
            wait_until("the log tells it", || server.log().lines().any(told));
            server.connect().get("/hello.txt").expect(200);
        });
    }
}

/// How many bytes of the large file an access line says were sent.
fn sent(line: &str) -> Option<u64> {
    let (_, rest) = line.split_once("\"GET /large.bin HTTP/1.1\" 200 ")?;
    rest.split(' ').next()?.parse().ok()
}

/// What a child does not notice itself, its alarm does: SIGALRM ends it, and the supervisor calls that a timeout.
#[test]
fn a_death_by_alarm_is_called_a_timeout() {
    for mode in Mode::ALL {
        let site = site();
        let server = launch::serve(mode, 4, &[], site.path());
        let mut client = in_the_middle(&server);
        let (child, name) = (server.child_of(&client), client.name());
        server::send(child, Signal::SIGALRM);
        assert!((client.drain() as u64) < LARGE);
        server.await_log(&[&child.to_string(), &name, "timeout"]);
        server.connect().get("/hello.txt").expect(200);
    }
}

/// A client that reads slowly but steadily makes progress, and gets everything, however long it takes.
#[test]
fn a_slow_reader_gets_everything() {
    unless_paused(|| {
        let site = site();
        let mode = Mode::Prefork;
        let server = launch::serve(mode, 4, &["--write-timeout", "1"], site.path());
        let mut client = in_the_middle(&server);
        // Some 5 seconds in all, in steps much shorter than the timeout: longer than an alarm that is never set again.
        let steps = 100;
        for _ in 0..steps {
            client.take(LARGE as usize / steps).expect("the next part");
            std::thread::sleep(Duration::from_millis(50));
        }
        client.take(LARGE as usize % steps).expect("the end");
        client.get("/hello.txt").expect(200);
    });
}

/// A child that hangs harms its own client: the others are served, and when it goes on, so does the client.
#[test]
fn a_stopped_child_holds_up_nobody_else() {
    for mode in Mode::ALL {
        let site = site();
        let server = launch::serve(mode, 3, &[], site.path());
        let mut client = in_the_middle(&server);
        let child = server.child_of(&client);
        server::send(child, Signal::SIGSTOP);
        wait_until("it is stopped", || process::find(child).is_some_and(|p| p.state == 'T'));
        for _ in 0..10 {
            server.connect().request("GET", "/hello.txt", "Connection: close\r\n").expect(200);
        }
        assert!(process::is_alive(child), "{mode:?}: a stopped child is no dead child");
        server::send(child, Signal::SIGCONT);
        assert_eq!(client.take(LARGE as usize).expect("the whole file").len() as u64, LARGE);
    }
}

/// A client that resets its connection in the middle is no cause for alarm, and its child is free again.
#[test]
fn a_reset_in_the_middle_is_survived() {
    for mode in Mode::ALL {
        let site = site();
        let server = launch::serve(mode, 1, &[], site.path());
        for _ in 0..5 {
            let client = in_the_middle(&server);
            reset(client.stream);
            server.connect().request("GET", "/hello.txt", "Connection: close\r\n").expect(200);
        }
        assert!(!server.log().contains("warning"), "{mode:?}: {}", server.log());
    }
}

/// Closes with a reset instead of an end: the peer's next write fails.
fn reset(stream: TcpStream) {
    let linger = nix::libc::linger { l_onoff: 1, l_linger: 0 };
    setsockopt(&stream, sockopt::Linger, &linger).expect("set SO_LINGER");
}

/// All children killed again and again under load: the clients that lose their connection see it end, nobody hangs,
/// and every death has its line.
#[test]
fn random_deaths_under_load() {
    for mode in Mode::ALL {
        let site = site();
        let server = launch::serve(mode, 4, &[], site.path());
        let mut cut = 0;
        for round in 0..30 {
            let mut clients: Vec<Client> = (0..3).map(|_| in_the_middle(&server)).collect();
            let victim = &mut clients[round % 3];
            let child = server.child_of(victim);
            server::send(child, Signal::SIGKILL);
            assert!((victim.drain() as u64) < LARGE);
            cut += 1;
            let rest = clients.iter().filter(|client| client.is_open()).count();
            assert!(rest <= 2, "{mode:?}: only the victim's connection ends");
        }
        let deaths = || server.log().lines().filter(|line| line.contains("killed by signal 9")).count();
        wait_until("every death has its line", || deaths() >= cut);
        assert_eq!(deaths(), cut, "{mode:?}");
    }
}
