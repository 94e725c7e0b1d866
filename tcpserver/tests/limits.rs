//! Promise: a limit falls on whoever reaches it and on nobody else, tells why, and never turns the service off.

mod support;

use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use support::{Scratch, Server, connect_to, exchange, is_served, peer, read_all, refused, wait_until};

const BUSY: &str = "421 too many connections\r\n";

/// How many children the log says were turned away for `reason`, told and suppressed.
fn refusals(server: &Server, reason: &str) -> u64 {
    let lines = server.lines_with(&format!(": {reason}: "));
    lines.iter().map(|line| u64::from(line.contains(" from ")) + more(line)).sum()
}

/// The number before `more`.
fn more(line: &str) -> u64 {
    let words: Vec<&str> = line.split([' ', '(', ')']).collect();
    let at = words.iter().position(|&word| word == "more").expect("a count of those not told");
    words[at - 1].parse().expect("a number")
}

#[test]
fn a_client_over_its_number_is_told_and_others_are_served() {
    let cap = format!("2:{BUSY}");
    let server = Server::start(&["--per-ip", &cap], &["cat"]);
    let mut held = [server.connect(), server.connect()];
    assert!(held.iter_mut().all(is_served));
    assert_eq!(server.ask(), BUSY);
    assert!(is_served(&mut server.connect_from("127.0.0.2")), "another address is served");
    server.wait_for_log("refused connection");
    let told = server.lines_with("refused connection");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("tcpserver: warning: refused connection from 127.0.0.1:"), "{told:?}");
    assert!(told[0].ends_with(": per-ip: 127.0.0.1 has 2 (0 more)"), "{told:?}");
    let [first, _second] = held;
    drop(first);
    wait_until("a place is free", || is_served(&mut server.connect()));
}

/// The same of ipsvd, which has had this longest.
#[test]
fn as_ipsvd_does_it() {
    let Some(tcpsvd) = peer("tcpsvd") else { return };
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|probe| probe.local_addr()).expect("a free port");
    let mut command = std::process::Command::new(tcpsvd);
    command.args(["-C", &format!("2:{BUSY}"), "127.0.0.1", &free.port().to_string(), "cat"]);
    let ipsvd = Server::spawn(Scratch::new(), command);
    wait_until("tcpsvd listens", || std::net::TcpStream::connect(free).is_ok());
    let ours = Server::start(&["--per-ip", &format!("2:{BUSY}")], &["cat"]);
    for address in [free, ours.address] {
        let mut held: Vec<std::net::TcpStream> = Vec::new();
        wait_until("two are served", || {
            let mut client = connect_to(address, "127.0.0.1");
            if is_served(&mut client) {
                held.push(client);
            }
            held.len() == 2
        });
        assert_eq!(read_all(connect_to(address, "127.0.0.1")), BUSY, "{}", ipsvd.story());
        assert!(is_served(&mut connect_to(address, "127.0.0.2")), "{}", ipsvd.story());
    }
}

/// A reset would take the message away that the client has not read yet.
#[test]
fn the_word_reaches_a_client_that_has_spoken_already() {
    let server = Server::start(&["--per-ip", &format!("1:{BUSY}")], &["cat"]);
    let mut held = server.connect();
    assert!(is_served(&mut held));
    for _ in 0..20 {
        assert_eq!(exchange(server.connect(), &[b'x'; 20_000]), BUSY);
    }
}

#[test]
fn a_network_is_a_client_with_many_addresses() {
    let server = Server::start(&["--per-net", "2"], &["cat"]);
    let mut held = [server.connect_from("127.0.0.1"), server.connect_from("127.0.0.2")];
    assert!(held.iter_mut().all(is_served));
    assert_eq!(server.ask_from("127.0.0.3"), "", "closed, with nothing to say");
    assert!(is_served(&mut server.connect_from("127.0.1.3")));
    server.wait_for_log(": per-net: 127.0.0.0/24 has 2 (0 more)");
    let wider = Server::start(&["--per-net", "1", "--net-prefix", "16,48"], &["cat"]);
    let mut held = wider.connect_from("127.0.0.1");
    assert!(is_served(&mut held));
    assert_eq!(wider.ask_from("127.0.9.9"), "");
    assert!(is_served(&mut wider.connect_from("127.1.0.1")));
}

#[test]
fn whoever_is_exempt_is_not_limited() {
    let options = ["--per-ip", "1", "--rate", "1/3600", "--exempt", "127.0.0.9", "--exempt=127.1.0.0/16"];
    let server = Server::start(&options, &["cat"]);
    for ip in ["127.0.0.9", "127.1.2.3"] {
        let mut held: Vec<_> = (0..5).map(|_| server.connect_from(ip)).collect();
        assert!(held.iter_mut().all(is_served), "{}", server.story());
    }
    let mut held = server.connect_from("127.0.0.8");
    assert!(is_served(&mut held));
    assert_eq!(server.ask_from("127.0.0.8"), "");
}

#[test]
fn an_ipv6_client_is_its_network() {
    let place = ["--per-ip", "1", "--listen", "[::1]:0"];
    let mut server = Server::start_in(Scratch::new(), &place, &[], &["cat"]);
    server.address.set_ip("::1".parse().expect("an address"));
    let mut held = server.connect_from("::1");
    assert!(is_served(&mut held));
    assert_eq!(server.ask_from("::1"), "");
    server.wait_for_log(": per-ip: ::/64 has 1 (0 more)");
}

#[test]
fn a_rate_lets_through_what_it_says() {
    let server = Server::start(&["--rate", "3/3600"], &["echo", "hello"]);
    for ip in ["127.0.0.1", "127.0.0.2"] {
        let answers: Vec<String> = (0..5).map(|_| server.ask_from(ip)).collect();
        assert_eq!(answers, ["hello\n", "hello\n", "hello\n", "", ""], "{}", server.story());
    }
    server.wait_for_log(": rate: 127.0.0.1 had 3 in 3600 s (0 more)");
    let networks = Server::start(&["--net-rate", "2/3600"], &["echo", "hello"]);
    let answers = ["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.1.1"].map(|ip| networks.ask_from(ip));
    assert_eq!(answers, ["hello\n", "hello\n", "", "hello\n"], "{}", networks.story());
}

#[test]
fn a_rate_never_turns_anybody_off() {
    let server = Server::start(&["--rate", "2/2"], &["echo", "hello"]);
    let start = Instant::now();
    let mut served = 0;
    // Whoever hammers is served at the rate all the same.
    wait_until("six are served", || {
        served += u32::from(server.ask() == "hello\n");
        served == 6
    });
    // Two at once, and one each second.
    assert!(start.elapsed() >= Duration::from_millis(3900), "{:?}", start.elapsed());
}

/// One address floods; another is served all the while; the log tells all of it in few lines.
#[test]
fn a_flood_is_turned_away_in_few_lines() {
    const FLOOD: usize = 2000;
    let server = Server::start(&["--per-ip", "1:no\n", "-c", "5"], &["cat"]);
    let mut held = server.connect();
    assert!(is_served(&mut held));
    let start = Instant::now();
    let descriptors = server.descriptors();
    thread::scope(|scope| {
        let flood = scope.spawn(|| (0..FLOOD).filter(|_| server.ask() == "no\n").count());
        for _ in 0..50 {
            wait_until("another is served", || is_served(&mut server.connect_from("127.0.0.2")));
        }
        assert_eq!(flood.join().expect("the flood"), FLOOD, "each was told");
    });
    wait_until("all is told", || refusals(&server, "per-ip") >= FLOOD as u64);
    let mine = server.lines_with("refused connection").len() as u64;
    assert!(mine <= start.elapsed().as_secs() + 2, "{mine} lines: {}", server.story());
    wait_until("nothing is left of them", || server.descriptors() <= descriptors);
    let children = server.lines_with(" from 127.0.0.1").iter().filter(|line| line.contains(": pid ")).count();
    assert_eq!(children, 1, "no child was made for any of them");
}

#[test]
fn a_client_whose_programs_crash_waits_and_nobody_else() {
    let crash = "case $TCPREMOTEIP in 127.0.0.1 | 127.0.0.9) kill -SEGV $$;; *) echo fine;; esac";
    let options = ["--penalty", "600", "--exempt", "127.0.0.9"];
    let server = Server::start(&options, &["sh", "-c", crash]);
    assert_eq!(server.ask(), "");
    server.wait_for_log("penalty: 127.0.0.1 waits 600.000 s: killed by signal 11 (SIGSEGV), 1 not forgiven yet");
    let children = server.lines_with(": pid ").len();
    for _ in 0..5 {
        assert_eq!(server.ask(), "");
    }
    assert_eq!(server.lines_with(": pid ").len(), children, "no child was made");
    server.wait_for_log(": penalty: 127.0.0.1 waits 5");
    assert_eq!(server.ask_from("127.0.0.2"), "fine\n");
    for _ in 0..3 {
        assert_eq!(server.ask_from("127.0.0.9"), "");
    }
    assert_eq!(server.lines_with(": pid ").len(), children + 4, "who is exempt may crash: {}", server.story());
}

#[test]
fn a_penalty_ends_and_the_next_is_longer() {
    let server = Server::start(&["--penalty", "1,2"], &["sh", "-c", "kill -ABRT $$"]);
    wait_until("it crashes again and again", || {
        server.ask();
        server.lines_with("warning: penalty: 127.0.0.1 waits").len() >= 3
    });
    let waits: Vec<String> = server.lines_with("warning: penalty: 127.0.0.1 waits");
    assert!(waits[0].ends_with(" waits 1.000 s: killed by signal 6 (SIGABRT), 1 not forgiven yet"), "{waits:?}");
    for (wait, crash) in waits.iter().zip(1..).skip(1) {
        assert!(
            wait.ends_with(&format!(" waits 2.000 s: killed by signal 6 (SIGABRT), {crash} not forgiven yet")),
            "{waits:?}"
        );
    }
}

#[test]
fn exit_statuses_count_where_they_are_named() {
    let by_bytes = ["sh", "-c", "read -r status; exit $status"];
    let server = Server::start(&["--penalty", "600", "--penalty-exit", "99"], &by_bytes);
    for status in ["0", "1", "100", "111"] {
        exchange(server.connect(), format!("{status}\n").as_bytes());
    }
    server.wait_until_no_child();
    assert_eq!(server.lines_with("penalty").len(), 0, "{}", server.story());
    exchange(server.connect(), b"99\n");
    server.wait_for_log("penalty: 127.0.0.1 waits 600.000 s: exit 99, 1 not forgiven yet");
}

#[test]
fn bad_values_are_refused() {
    for (option, value, says) in [
        ("--per-ip", "0", "expected N"),
        ("--per-ip", "many", "expected N"),
        ("--per-net", "-1", "expected N"),
        ("--rate", "10", "expected CONNECTIONS/SECONDS"),
        ("--net-rate", "0/10", "expected CONNECTIONS/SECONDS"),
        ("--exempt", "127.0.0.1/8", "127.0.0.0/8 is meant?"),
        ("--exempt", "localhost", "expected an address"),
        ("--ip-prefix", "24", "expected two lengths"),
        ("--net-prefix", "33,56", "expected two lengths"),
        ("--penalty", "10,5", "expected FIRST"),
        ("--penalty-exit", "256", "0 to 255"),
    ] {
        refused(&[option, value, "0", "0", "true"], says);
        refused(&[&format!("{option}={value}"), "0", "0", "true"], says);
    }
    refused(&["--exempt", "127.0.0.1", "0", "0", "true"], "--exempt");
    refused(&["--penalty-exit", "99", "0", "0", "true"], "--penalty");
    refused(&["--net-prefix", "24,56", "0", "0", "true"], "--net-prefix");
    // What is at odds: no client could reach the narrower of the two.
    refused(&["--per-ip", "5", "--per-net", "3", "0", "0", "true"], "--per-net");
}

/// However children end, their places are free again, and no more than those.
#[test]
fn places_do_not_leak() {
    let fates = "read -r fate; case $fate in kill*) $fate $$;; exit*) $fate;; *) exec $fate;; esac";
    let server = Server::start(&["--per-ip", "3:full", "--per-net", "3:full"], &["sh", "-c", fates]);
    for round in 0..40 {
        for fate in ["kill -9", "kill -SEGV", "exit 0", "exit 111", "/nonexistent", "true"] {
            let answer = exchange(server.connect(), format!("{fate}\n").as_bytes());
            // A child may not be reaped yet when its client has seen the end.
            assert!(answer.is_empty() || answer == "full", "{round} {fate}: {answer:?}");
        }
    }
    let missing = Server::start(&["--per-ip", "3:full"], &["/nonexistent/program"]);
    (0..40).for_each(|_| drop(missing.ask()));
    for server in [&server, &missing] {
        server.wait_until_no_child();
    }
    let mut held: Vec<std::net::TcpStream> = Vec::new();
    wait_until("three are held", || {
        let mut client = server.connect();
        let served = client.write_all(b"cat\n").is_ok() && is_served(&mut client);
        if served {
            held.push(client);
        }
        held.len() == 3
    });
    for _ in 0..5 {
        assert_eq!(server.ask(), "full");
    }
    assert!(server.idles(), "{} ticks", server.ticks());
}

/// What was said before a connection is turned away is a secret of nobody: the word is the same for all.
#[test]
fn a_message_is_sent_as_it_is() {
    let server = Server::start(&["--per-ip", "1:a:b %s \\n"], &["cat"]);
    let mut held = server.connect();
    assert!(is_served(&mut held));
    let mut other = server.connect();
    let _ = other.write_all(b"hello");
    assert_eq!(read_all(other), "a:b %s \\n");
}
