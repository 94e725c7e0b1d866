//! Promise: no program outlives its time, whatever it does with its signals.

mod support;

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use support::{Server, is_served, refused, unless_paused, wait_until};

/// A program that ignores and blocks what it can, and says when it is ready.
const STUBBORN: [&str; 3] = ["sh", "-c", "trap '' TERM ALRM INT HUP QUIT; echo ready; exec sleep 1000"];

#[test]
fn sigterm_then_sigkill() {
    unless_paused(|| {
        let server = Server::start(&["--lifetime", "1,1", "--accounting"], &STUBBORN);
        let start = Instant::now();
        let mut client = server.connect();
        let mut ready = [0; 6];
        client.read_exact(&mut ready).expect("ready");
        server.wait_for_log(" had its 1 s: SIGTERM");
        assert!(start.elapsed() >= Duration::from_millis(900), "{:?}", start.elapsed());
        assert_eq!(server.children().len(), 1, "it does not mind: {}", server.story());
        server.wait_for_log(" had 1 s more: SIGKILL");
        server.wait_for_log(" status 9 ");
        assert!(start.elapsed() >= Duration::from_millis(1900), "{:?}", start.elapsed());
        let told = server.lines_with("lifetime: ");
        assert_eq!(told.len(), 2, "{told:?}");
        let port = client.local_addr().expect("its name").port();
        assert!(told[0].contains(&format!(" from 127.0.0.1:{port} had its 1 s")), "{told:?}");
        server.wait_until_no_child();
    });
}

#[test]
fn who_heeds_sigterm_is_not_killed() {
    unless_paused(|| {
        let server = Server::start(&["--lifetime", "1"], &["cat"]);
        let mut client = server.connect();
        assert!(is_served(&mut client));
        server.wait_for_log(" status 15");
        assert_eq!(client.read_to_end(&mut Vec::new()).expect("an end"), 0);
        assert_eq!(server.lines_with("SIGKILL").len(), 0, "{}", server.story());
    });
}

#[test]
fn each_has_its_own_time() {
    unless_paused(|| {
        let server = Server::start(&["--lifetime", "2"], &["cat"]);
        let mut old = server.connect();
        assert!(is_served(&mut old));
        std::thread::sleep(Duration::from_secs(1));
        let mut young = server.connect();
        assert!(is_served(&mut young));
        server.wait_for_log("SIGTERM");
        assert_eq!(old.read_to_end(&mut Vec::new()).expect("an end"), 0);
        let told = server.lines_with("SIGTERM");
        assert!(told[0].contains(&format!(":{} had", old.local_addr().expect("its name").port())), "{told:?}");
        assert_eq!(young.read_to_end(&mut Vec::new()).expect("an end"), 0);
        wait_until("both are told", || server.lines_with("SIGTERM").len() == 2);
        server.wait_until_no_child();
    });
}

/// No descriptor is held for anybody, and none is left.
#[test]
fn nothing_is_held_for_it() {
    unless_paused(|| {
        let server = Server::start(&["--lifetime", "4,0", "-c", "100", "-b", "500"], &["cat"]);
        assert!(is_served(&mut server.connect()), "it has begun for good");
        server.wait_until_no_child();
        let before = server.descriptors();
        let mut clients: Vec<_> = (0..60).map(|_| server.connect()).collect();
        assert!(clients.iter_mut().all(is_served));
        assert_eq!(server.descriptors(), before, "{}", server.story());
        server.wait_until_no_child();
        assert_eq!(server.descriptors(), before, "{}", server.story());
        wait_until("all are told", || server.lines_with("SIGTERM").len() == 60);
        for mut client in clients {
            let _ = client.write_all(b"x");
        }
    });
}

#[test]
fn bad_values_are_refused() {
    for value in ["0", "x", "5,", "5,-1", "1,2,3"] {
        refused(&["--lifetime", value, "0", "0", "true"], "expected SECONDS");
    }
}
