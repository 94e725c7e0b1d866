//! The generator held to its word: what it must count, and when it must end.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use super::*;

/// How long the server of this test stands still, once.
const STALL: Duration = Duration::from_millis(400);

/// A server for one connection after the other, which answers at once, but stands still before its answer number 20.
fn stalling_server() -> Target {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let mut answers = 0;
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let mut request = [0; 1024];
            // A client that leaves at the end of the run is none of this server's business.
            while connection.read(&mut request).is_ok_and(|length| length > 0) {
                answers += 1;
                if answers == 20 {
                    thread::sleep(STALL);
                }
                let _ = connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
            }
        }
    });
    Target::new(address, "/")
}

fn outcome(pace: Pace) -> Outcome {
    let target = stalling_server();
    let load = Load { target: &target, kept: true, pace, connections: 1, seconds: 1.0 };
    let mut told = Vec::new();
    Generator::new(&load).unwrap().run(&mut told).unwrap();
    Outcome::read(told.as_slice()).unwrap()
}

/// How many requests took at least so long.
fn slow(outcome: &Outcome, at_least: Duration) -> u64 {
    let slow = |&&(value, _): &&(f64, u64)| value >= at_least.as_nanos() as f64;
    outcome.complete.iter().filter(slow).map(|(_, count)| count).sum()
}

/// While a server stands still for 400 ms, 80 requests of 200 a second come due. The first waits all of it, the last
/// nothing: half of them wait for longer than 200 ms. A generator that asks only when it was answered sees one.
#[test]
fn an_open_loop_omits_nothing() {
    let open = outcome(Pace::Open(200.0));
    assert!(slow(&open, STALL / 2) >= 20, "{} waited long", slow(&open, STALL / 2));
    assert_eq!((open.unanswered, open.problems.as_slice()), (0, &[][..]));
    assert!((100.0..300.0).contains(&open.rate), "{}", open.rate);
}

#[test]
fn a_closed_loop_asks_when_it_was_answered() {
    let closed = outcome(Pace::Closed);
    // The stall is within the warm-up: a fast server is at its answer number 20 at once.
    let total: u64 = closed.complete.iter().map(|(_, count)| count).sum();
    // One may have been asked before, and answered within, the measured time: it is in the rate and in no time.
    assert!(closed.rate > 0.0 && total + 1 >= closed.rate as u64, "{total} times, {} answers", closed.rate);
    assert!(slow(&closed, STALL) <= 1, "one client waited once, not {} times", slow(&closed, STALL));
}

#[test]
fn nobody_there_is_told_and_ends_early() {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let target = Target::new(free, "/");
    let load = Load { target: &target, kept: false, pace: Pace::Closed, connections: 4, seconds: 60.0 };
    let (mut told, start) = (Vec::new(), clock::now());
    Generator::new(&load).unwrap().run(&mut told).unwrap();
    let outcome = Outcome::read(told.as_slice()).unwrap();
    assert_eq!((outcome.rate, outcome.complete.as_slice()), (0.0, &[][..]));
    assert_eq!(outcome.problems[0].0, "connecting: Connection refused");
    assert!(clock::now() - start < 30_000_000_000, "it does not go on for the whole minute");
}
