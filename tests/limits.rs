//! Promise: a limit of `tine serve` falls on whoever reaches it and on nobody else, tells why, and never turns the service
//! off; in every mode that has it.

mod common;

use std::{fs, process::Command, thread, time::Duration};

use common::{Client, Mode, Scratch, Server, launch, server, unless_paused, wait_until};
use nix::sys::signal::Signal;

/// The modes in which clients are limited.
const MODES: [Mode; 4] = Mode::ALL;

const PROXY: &str = "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n";

fn site() -> Scratch {
    let site = Scratch::new();
    site.file("index.html", "hello\n");
    site
}

fn serve(mode: Mode, options: &[&str], site: &Scratch) -> Server {
    // On a busy machine a held connection may idle long.
    launch::serve(mode, 8, &[&["--idle-timeout", "120"], options].concat(), site.path())
}

fn from(ip: &str, server: &Server) -> Client {
    Client::connect_from(ip, server.address())
}

/// A connection that was served once and is kept.
fn held(mut client: Client) -> Client {
    let response = client.get("/").expect(200);
    assert!(response.keeps_alive(), "{response:?}");
    client
}

/// The status of a request that is alone on its connection, with something before it.
fn ask_with(before: &str, mut client: Client) -> u16 {
    client.send(format!("{before}GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
    client.response("GET").status
}

fn ask(client: Client) -> u16 {
    ask_with("", client)
}

/// Whether the connection ends without a word, be it closed or reset.
fn is_denied(mut client: Client) -> bool {
    client.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    client.drain() == 0
}

#[test]
fn a_client_over_its_number_is_told_and_others_are_served() {
    let site = site();
    for mode in MODES {
        let server = serve(mode, &["--per-ip", "2"], &site);
        let both = [held(server.connect()), held(server.connect())];
        let mut third = server.connect();
        let response = third.get("/").expect(503);
        assert_eq!(response.expect_header("retry-after"), "5", "{mode:?}");
        assert_eq!(response.expect_header("connection"), "close", "{mode:?}");
        third.expect_end();
        assert_eq!(ask(from("127.0.0.2", &server)), 200, "{mode:?}: another client is served");
        server.await_log(&["tine: warning: refused connection from 127.0.0.1:", ": per-ip: 127.0.0.1 has 2 (0 more)"]);
        drop(both);
        wait_until("a place is free", || ask(server.connect()) == 200);
    }
}

#[test]
fn a_network_is_a_client_with_many_addresses() {
    let site = site();
    for mode in MODES {
        let server = serve(mode, &["--per-net", "2", "--exempt", "127.0.0.9"], &site);
        let _both = [held(from("127.0.0.1", &server)), held(from("127.0.0.2", &server))];
        assert_eq!(ask(from("127.0.0.3", &server)), 503, "{mode:?}");
        assert_eq!(ask(from("127.0.1.3", &server)), 200, "{mode:?}: another network");
        assert_eq!(ask(from("127.0.0.9", &server)), 200, "{mode:?}: who is exempt");
        server.await_log(&[": per-net: 127.0.0.0/24 has 2"]);
    }
}

/// Over the rate one is turned away, and served again in time: the service is never off, and for others never less.
#[test]
fn a_rate_lets_through_what_it_says() {
    let site = site();
    for mode in MODES {
        let server = serve(mode, &["--rate", "3/3600"], &site);
        let answers: Vec<u16> = (0..5).map(|_| ask(server.connect())).collect();
        assert_eq!(answers, [200, 200, 200, 503, 503], "{mode:?}");
        assert_eq!(ask(from("127.0.0.2", &server)), 200, "{mode:?}");
        let server = serve(mode, &["--net-rate", "1/1"], &site);
        let mut served = 0;
        wait_until("whoever hammers is served at the rate", || {
            served += u32::from(ask(server.connect()) == 200);
            served == 3
        });
    }
}

/// The file is looked at for each connection. One that cannot be read leaves the rules before it in force.
#[test]
fn rules_deny() {
    let site = site();
    let cdb = site.join("rules.cdb");
    let make = |text: &str| {
        let text = fs::File::open(site.file("rules", text)).expect("open the rules");
        let mut tcprules = Command::new(common::built("tcprules"));
        tcprules.arg(&cdb).arg(site.join("rules.tmp")).stdin(text);
        assert!(tcprules.status().expect("run tcprules").success());
        common::scratch::set_mode(&cdb, 0o644);
    };
    for mode in MODES {
        make("127.0.0.2:deny\n127.0.1.:deny\n:allow,NAME=\"it means nothing here\"\n");
        let server = serve(mode, &["--rules", &cdb.display().to_string()], &site);
        assert_eq!(ask(server.connect()), 200, "{mode:?}");
        assert!(is_denied(from("127.0.0.2", &server)) && is_denied(from("127.0.1.7", &server)), "{mode:?}");
        server.await_log(&["refused connection from 127.0.", ": rules: they deny it"]);
        fs::rename(site.file("bad", "no cdb"), &cdb).expect("rename");
        assert_eq!(ask(server.connect()), 200, "{mode:?}");
        assert!(is_denied(from("127.0.0.2", &server)), "{mode:?}");
        server.await_log(&["unable to read", "the rules before it hold"]);
        make("127.0.0.2:allow\n:deny\n");
        assert_eq!(ask(from("127.0.0.2", &server)), 200, "{mode:?}");
        assert!(is_denied(server.connect()), "{mode:?}");
    }
}

#[test]
fn a_client_whose_child_crashes_waits_and_nobody_else() {
    let site = site();
    for mode in MODES {
        let server = serve(mode, &["--penalty", "600", "--exempt", "127.0.0.9"], &site);
        for (ip, after) in [("127.0.0.1", 503), ("127.0.0.9", 200)] {
            let mut client = held(from(ip, &server));
            let child = server.child_of(&client);
            server::send(child, Signal::SIGSEGV);
            client.drain();
            server.await_log(&[&format!("child {child} from {ip}:")]);
            assert_eq!(ask(from(ip, &server)), after, "{mode:?} {ip}");
        }
        assert_eq!(ask(from("127.0.0.2", &server)), 200, "{mode:?}");
        server.await_log(&["penalty: 127.0.0.1 waits 600.000 s: killed by signal 11 (SIGSEGV), 1 not forgiven yet"]);
        assert!(!server.log().contains("penalty: 127.0.0.9"), "{mode:?}: {}", server.log());
    }
}

#[test]
fn nobody_is_served_longer_than_a_lifetime() {
    let site = site();
    for mode in MODES {
        unless_paused(|| {
            let server = serve(mode, &["--lifetime", "1,0"], &site);
            let mut client = held(server.connect());
            let (child, name) = (server.child_of(&client), client.name());
            client.drain();
            server.await_log(&[&format!("lifetime: child {child} from {name} had its 1 s: SIGTERM")]);
            assert_eq!(ask(server.connect()), 200, "{mode:?}");
        });
    }
}

/// Limits and log see the client that the balancer names; whoever is not trusted is not believed.
#[test]
fn behind_a_balancer() {
    let site = site();
    for mode in MODES {
        let options = ["--proxy-protocol", "required", "--proxy-from", "127.0.0.1", "--per-ip", "1"];
        let server = serve(mode, &options, &site);
        let mut first = server.connect();
        first.send(PROXY);
        let first = held(first);
        assert_eq!(ask_with(PROXY, server.connect()), 503, "{mode:?}");
        assert_eq!(ask_with("PROXY TCP4 192.0.2.2 198.51.100.7 1 443\r\n", server.connect()), 200, "{mode:?}");
        server.await_log(&["refused connection from 192.0.2.1:56324: per-ip"]);
        server.await_log(&["192.0.2.1", "GET /"]);
        assert!(is_denied(from("127.0.0.2", &server)), "{mode:?}: a stranger");
        server.await_log(&["closed connection from 127.0.0.2:", "PROXY header: none is taken from this address"]);
        drop(first);
        wait_until("the place is free", || ask_with(PROXY, server.connect()) == 200);
    }
}

/// A header that lies about its form, is too long or never ends: one line, and nobody else waits.
#[test]
fn bad_headers_delay_nobody() {
    let site = site();
    for mode in MODES {
        unless_paused(|| {
            let options = ["--proxy-protocol", "required", "--proxy-from", "127.0.0.1", "--proxy-timeout", "3"];
            let server = serve(mode, &options, &site);
            let mut endless: Vec<Client> = (0..20).map(|_| server.connect()).collect();
            endless.iter_mut().for_each(|client| client.send("PROXY TCP4 192.0."));
            for wrong in
                ["GET / HTTP/1.1\r\n\r\n", "PROXY TCP4 999.0.2.1 1.2.3.4 1 2\r\n", &format!("PROXY {:200}", "x")]
            {
                let mut client = server.connect();
                client.send(wrong);
                assert_eq!(client.drain(), 0, "{mode:?} {wrong:?}");
            }
            for _ in 0..20 {
                assert_eq!(ask_with(PROXY, server.connect()), 200, "{mode:?}");
            }
            endless.iter_mut().for_each(|client| assert_eq!(client.drain(), 0));
            server.await_log(&["PROXY header: it did not arrive in time"]);
            let told = server.log().lines().filter(|line| line.contains("PROXY header")).count();
            assert!(told <= 10, "one line a second: {}", server.log());
        });
    }
}

/// One address floods; another is served all the while, and the log tells all of it in few lines.
#[test]
fn a_flood_is_turned_away_in_few_lines() {
    const FLOOD: usize = 300;
    let site = site();
    for mode in MODES {
        let server = serve(mode, &["--per-ip", "1"], &site);
        let _held = held(server.connect());
        thread::scope(|scope| {
            let flood = scope.spawn(|| (0..FLOOD).filter(|_| ask(server.connect()) == 503).count());
            for _ in 0..20 {
                wait_until("another is served", || ask(from("127.0.0.2", &server)) == 200);
            }
            assert_eq!(flood.join().expect("the flood"), FLOOD, "{mode:?}: each was told");
        });
        wait_until("all are told of", || told(&server, "per-ip") >= FLOOD as u64);
        thread::sleep(Duration::from_millis(10));
        let lines = server.log().lines().filter(|line| line.contains("refused connection")).count();
        assert!(lines < FLOOD / 4, "{lines} lines of {FLOOD}");
    }
}

/// How many refusals for a reason the log tells of.
fn told(server: &Server, reason: &str) -> u64 {
    let log = server.log();
    let lines = log.lines().filter(|line| line.contains(&format!(": {reason}: ")));
    let more = |line: &str| {
        let words: Vec<&str> = line.split([' ', '(', ')']).collect();
        let at = words.iter().position(|&word| word == "more").expect("a count of those not told");
        words[at - 1].parse::<u64>().expect("a number")
    };
    lines.map(|line| u64::from(line.contains(" from ")) + more(line)).sum()
}

/// One line each, with what is wrong and how to mend it.
/// Each child has the limits, the supervisor its own; and who has them can serve.
#[test]
fn resources_of_children_are_limited() {
    let site = site();
    let limit = ["as=64M", "core=0", "cpu=50", "data=48M", "fsize=1G", "nofile=64", "nproc=100", "stack=1M"];
    let known = [
        ("Max address space", 64 << 20),
        ("Max core file size", 0),
        ("Max cpu time", 50),
        ("Max data size", 48 << 20),
        ("Max file size", 1 << 30),
        ("Max open files", 64),
        ("Max processes", 100),
        ("Max stack size", 1 << 20),
    ];
    for (mode, more) in
        [(Mode::OneShot, &[][..]), (Mode::OneShot, &["--per-ip", "100"]), (Mode::Fork, &[]), (Mode::Vfork, &[])]
    {
        let limits = limit.iter().flat_map(|limit| ["--limit", limit]);
        // On a busy machine a held connection may idle long.
        let options: Vec<&str> = limits.chain(more.iter().copied()).chain(["--idle-timeout", "120"]).collect();
        let server = launch::serve(mode, 3, &options, site.path());
        let mut client = server.connect();
        client.get("/index.html").expect(200);
        let of = |pid: u32| fs::read_to_string(format!("/proc/{pid}/limits")).expect("read its limits");
        let (own, child) = (of(server.pid()), of(server.child_of(&client)));
        for (name, value) in known {
            let line = child.lines().find(|line| line.starts_with(name)).expect("a line");
            // A child that makes no processes has that for its limit, unless it is executed.
            let value = if name == "Max processes" && mode != Mode::Vfork { 0 } else { value };
            let values: Vec<&str> = line[name.len()..].split_whitespace().take(2).collect();
            assert_eq!(values, [value.to_string(), value.to_string()], "{mode:?}: {name}");
        }
        assert!(
            ["67108864", " 50 ", " 64 "].iter().all(|value| !own.contains(value)),
            "the supervisor's are its own: {own}"
        );
    }
    let server = launch::serve(Mode::Prefork, 2, &["--limit", "nofile=99"], site.path());
    for child in server.children() {
        wait_until("a child of a pool has its own", || {
            fs::read_to_string(format!("/proc/{}/limits", child.pid)).is_ok_and(|l| l.contains(" 99 "))
        });
    }
}

/// A limit that a child could not be given, or could not live with, is told at the start.
#[test]
fn limits_that_nobody_can_have_are_refused() {
    let site = site();
    for (options, code, says) in [
        (&["--limit", "nofile=63"][..], 100, "a child cannot serve with 63: 64 or more"),
        (&["--limit", "as=1M"], 100, "33554432 or more"),
        (&["--limit", "memory=1M"], 100, "as, core, cpu, data, fsize, nofile, nproc, stack"),
        (&["--limit", "core=0", "--limit", "core=1"], 100, "--limit core=1: it was limited before"),
        (&["--limit", "cpu=5"], 100, "--limit cpu counts what a child did for all its clients"),
        (&["--limit", "core=0", "--inetd"], 100, "--limit has no meaning with it"),
        (&["--titles", "--single"], 100, "--titles has no meaning with it"),
        (&["--limit", "nofile=99999999999"], 111, "unable to set the limit nofile: "),
        (&["--limit", "nofile=99999999999", "--check"], 111, "unable to set the limit nofile: "),
    ] {
        let output = common::run(Command::new(common::tine()).arg("serve").args(options).arg(site.path()));
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{options:?}: {said}");
        assert!(said.lines().count() == 1 && said.contains(says), "{options:?}: {said}");
    }
    let check = ["serve", "--limit", "core=0", "--limit", "as=1G", "--titles", "--check"];
    let output = common::run(Command::new(common::tine()).args(check).arg(site.path()));
    let said = String::from_utf8_lossy(&output.stdout);
    for line in ["limit: core=0", "limit: as=1G", "titles: true"] {
        assert!(said.lines().any(|said| said == line), "{line}: {said}");
    }
}

#[test]
fn contradictions_are_refused() {
    for (words, says) in [
        ("--per-ip 0", "--per-ip"),
        ("--rate 10", "expected CONNECTIONS/SECONDS"),
        ("--rate 0/10", "expected CONNECTIONS/SECONDS"),
        ("--per-ip 5 --per-net 3", "--per-net: 3 is less than the 5 of --per-ip"),
        ("--exempt 10.0.0.0/8", "--exempt: it needs a limit"),
        ("--per-ip 1 --exempt 10.0.0.1/8", "10.0.0.0/8 is meant?"),
        ("--penalty 10,5", "expected FIRST"),
        ("--net-prefix 24,56", "--net-prefix: it needs --per-net or --net-rate"),
        ("--proxy-protocol required", "--proxy-protocol: it needs --proxy-from"),
        ("--proxy-from 10.0.0.0/8", "--proxy-from: it needs --proxy-protocol"),
        ("--proxy-protocol sometimes", "off, optional, required"),
        ("--proxy-protocol required --proxy-from 10.0.0.1 --proxy-timeout 2", "--proxy-timeout"),
        ("--lifetime 0", "expected SECONDS"),
        ("--overload panic", "wait, reject"),
        ("--inetd --per-ip 3", "--per-ip has no meaning with it"),
        ("--single --overload reject", "--overload has no meaning with it"),
    ] {
        let mode: &[&str] =
            if words.contains("--inetd") || words.contains("--single") { &[] } else { &["--mode", "fork"] };
        let output = common::run(Command::new(common::tine()).arg("serve").args(mode).args(words.split(' ')));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(100), "{words}: {said}");
        assert!(said.starts_with("tine: fatal: ") && said.contains(says), "{words}: {said}");
        assert_eq!(said.lines().count(), 1, "{words}: {said}");
    }
    let site = site();
    let rules = site.file("rules.cdb", "no cdb");
    for missing in [rules, site.join("missing.cdb")] {
        for check in [&["--check"][..], &[]] {
            let mut command =
                launch::serve_command(&["--mode", "fork", "--rules", &missing.display().to_string()], site.path());
            let output = common::run(command.args(check));
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(111), "{said}");
            assert!(said.contains(&format!("tine: fatal: unable to read {}: ", missing.display())), "{said}");
        }
    }
}

#[test]
fn check_shows_what_holds() {
    let options =
        "--check --mode fork --per-ip 3 --rate 10/60 --proxy-protocol optional --proxy-from unix --overload reject";
    let output = common::run(Command::new(common::tine()).arg("serve").args(options.split(' ')));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    for line in ["per-ip: 3", "rate: 10/60", "proxy-protocol: optional", "proxy-timeout: 5", "overload: reject"] {
        assert!(said.lines().any(|said| said == line), "{line}: {said}");
    }
}
