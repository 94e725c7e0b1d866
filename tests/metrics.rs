//! Promise: how full the service is, is told by the supervisor itself, in a form that Prometheus reads, and nobody who
//! asks holds it up.

mod common;

use std::collections::HashMap;
use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use common::{Client, Mode, Scratch, Server, launch, peer, process, wait_until};
use nix::sys::signal::Signal;

fn site() -> Scratch {
    let site = Scratch::new();
    site.file("small.txt", "x".repeat(512));
    site
}

/// A service that can be asked, and where.
fn start(mode: Mode, children: u32, more: &[&str], site: &Scratch) -> (Server, SocketAddr) {
    start_with([mode.options(children), more.iter().map(|&option| option.into()).collect()].concat(), site)
}

fn start_with(mut options: Vec<String>, site: &Scratch) -> (Server, SocketAddr) {
    options.extend(["--metrics".into(), "127.0.0.1:0".into()]);
    let server = Server::ready(launch::serve_command(&options, site.path()));
    let said = server.log();
    let url = said.split("http://").nth(1).and_then(|rest| rest.split('/').next()).expect("where the page is");
    (server, url.parse().expect("an address"))
}

fn page(address: SocketAddr) -> String {
    let mut client = Client::connect(address);
    let page = client.request("GET", "/metrics", "").expect(200).text();
    client.expect_end();
    page
}

/// The samples of a page by name and labels.
fn samples(page: &str) -> HashMap<String, f64> {
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| line.rsplit_once(' ').expect("a value"))
        .map(|(name, value)| (name.into(), value.parse().expect("a number")))
        .collect()
}

fn sample(address: SocketAddr, name: &str) -> f64 {
    let page = page(address);
    *samples(&page).get(name).unwrap_or_else(|| panic!("no {name} in\n{page}"))
}

#[test]
fn prometheus_reads_it() {
    let Some(promtool) = peer("promtool") else { return };
    let site = site();
    for mode in [Mode::Prefork, Mode::Fork, Mode::Vfork] {
        let (server, metrics) = start(mode, 3, &[], &site);
        let mut client = server.connect();
        client.get("/small.txt").expect(200);
        let text = page(metrics);
        // The check is able to fail: a page that is cut is none.
        for (text, good) in [(text.as_str(), true), (&text[..text.len() - 3], false)] {
            let mut check = Command::new(&promtool);
            let mut check = check
                .args(["check", "metrics"])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("start promtool");
            check.stdin.take().expect("its stdin").write_all(text.as_bytes()).expect("write the page");
            let output = check.wait_with_output().expect("wait for promtool");
            let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
            assert_eq!(output.status.success(), good, "{said}\n{text}");
        }
    }
}

#[test]
fn what_is_done_is_counted() {
    let site = site();
    let (server, metrics) = start(Mode::Prefork, 3, &["--reuse", "2"], &site);
    for _ in 0..5 {
        let mut client = server.connect();
        client.get("/small.txt").expect(200);
        client.request("GET", "/small.txt", "Connection: close\r\n").expect(200);
        client.expect_end();
    }
    wait_until("all is told", || sample(metrics, "tine_requests_total") == 10.0);
    assert_eq!(sample(metrics, "tine_connections_total"), 5.0);
    let bytes = sample(metrics, "tine_sent_bytes_total");
    assert!((5120.0..20_000.0).contains(&bytes), "{bytes}");
    // A client that stays is seen, and its child's end by a signal.
    let mut client = server.connect();
    client.get("/small.txt").expect(200);
    wait_until("it is kept", || sample(metrics, "tine_children{state=\"kept\"}") == 1.0);
    common::server::send(server.child_of(&client), Signal::SIGSEGV);
    wait_until("its end is counted", || sample(metrics, "tine_children_killed_total{signal=\"SIGSEGV\"}") == 1.0);
    assert!(sample(metrics, "tine_connections_total") >= 6.0, "a sum never sinks");
}

#[test]
fn a_full_service_tells_so() {
    let site = site();
    let (server, metrics) = start(Mode::Fork, 2, &["--overload", "wait"], &site);
    let mut held: Vec<Client> = (0..2).map(|_| server.connect()).collect();
    held.iter_mut().for_each(|client| drop(client.get("/small.txt").expect(200)));
    let mut queued: Vec<Client> = (0..3).map(|_| server.connect()).collect();
    queued.iter_mut().for_each(|client| client.send("GET"));
    let address = server.address();
    let queue = format!("tine_queue_length{{listen=\"{address}\"}}");
    wait_until("the queue is seen", || sample(metrics, &queue) == 3.0);
    assert_eq!(sample(metrics, "tine_children{state=\"serving\"}"), 2.0);
    assert_eq!(sample(metrics, "tine_children_spare_fewest"), 0.0);
    wait_until("time at the limit is counted", || sample(metrics, "tine_full_seconds_total") > 0.0);
    assert_eq!(sample(metrics, "tine_spawn_seconds_count"), 2.0);
}

/// What every mode tells, and what is absent where nobody knows it.
#[test]
fn each_mode_tells_how_full_it_is() {
    let site = site();
    let following = ["--min-spare", "2", "--max-spare", "2", "--max-children", "2"];
    for (mode, more) in [
        (Some(Mode::Prefork), &[][..]),
        (None, &following[..]),
        (Some(Mode::Prefork), &["--per-ip", "100"]),
        (Some(Mode::OneShot), &[]),
        (Some(Mode::OneShot), &["--per-ip", "100"]),
        (Some(Mode::Fork), &[]),
        (Some(Mode::Vfork), &[]),
    ] {
        let case = format!("{mode:?} {more:?}");
        let mut options = mode.map_or_else(Vec::new, |mode| mode.options(2));
        // On a busy machine a held connection may idle long.
        options.extend(more.iter().chain(&["--idle-timeout", "120"]).map(|&word| word.to_owned()));
        let (server, metrics) = start_with(options, &site);
        let is_pool = mode.is_none_or(Mode::is_prefork);
        let (state, rest) = if is_pool { ("idle", 2.0) } else { ("serving", 0.0) };
        let at_rest = || sample(metrics, &format!("tine_children{{state=\"{state}\"}}")) == rest;
        wait_until("it rests", at_rest);
        let mut held: Vec<Client> = (0..2).map(|_| server.connect()).collect();
        held.iter_mut().for_each(|client| drop(client.get("/small.txt").expect(200)));
        wait_until("time at the limit is counted", || sample(metrics, "tine_full_seconds_total") > 0.0);
        assert_eq!(sample(metrics, "tine_children_spare_fewest"), 0.0, "{case}");
        drop(held);
        wait_until("all have left", at_rest);
        let full = sample(metrics, "tine_full_seconds_total");
        thread::sleep(Duration::from_millis(20));
        assert_eq!(sample(metrics, "tine_full_seconds_total"), full, "{case}: the time has ended");
        // Between two pages: one child is taken and comes back, or another for it.
        let mut client = server.connect();
        client.get("/small.txt").expect(200);
        drop(client);
        let pid = server.pid().to_string();
        let ended = if is_pool { "children 2/2: 2 idle" } else { "children 0/2" };
        wait_until("it rests again", || {
            let output = common::run(Command::new(common::tine()).args(["status", "--once", &pid]));
            String::from_utf8_lossy(&output.stdout).contains(ended)
        });
        let page = page(metrics);
        let told = samples(&page);
        assert_eq!(told["tine_children_spare_fewest"], 1.0, "{case}: the fewest since the last page");
        assert_eq!(told["tine_connections_total"], 3.0, "{case}");
        assert!(told["tine_spawn_seconds_count"] >= 2.0, "{case}");
        assert!(told.keys().any(|name| name.starts_with("tine_queue_length{")), "{case}");
        let counts = ["tine_requests_total", "tine_sent_bytes_total"].map(|name| told.get(name).copied());
        assert!(if is_pool { counts[0] == Some(3.0) } else { counts == [None; 2] }, "{case}: {counts:?}");
    }
}

#[test]
fn refusals_are_told_by_their_reason_in_each_mode() {
    let site = site();
    for mode in Mode::ALL {
        let (server, metrics) = start(mode, 3, &["--per-ip", "1", "--idle-timeout", "120"], &site);
        let mut client = server.connect();
        client.get("/small.txt").expect(200);
        server.connect().get("/small.txt").expect(503);
        assert_eq!(sample(metrics, "tine_refused_total{reason=\"per-ip\"}"), 1.0, "{mode:?}");
    }
}

/// Places are few: whoever sits on one without a word is driven out, and costs nobody anything.
#[test]
fn who_asks_slowly_delays_nobody() {
    let site = site();
    let (server, metrics) = start(Mode::Prefork, 2, &[], &site);
    let mut slow: Vec<Client> = (0..40).map(|_| Client::connect(metrics)).collect();
    slow.iter_mut().for_each(|client| drop(client.stream.write(b"GET /met")));
    let mut client = server.connect();
    for _ in 0..20 {
        client.get("/small.txt").expect(200);
        assert!(page(metrics).contains("tine_children"));
    }
    // Who asks for too much, or for something else, has an answer.
    let mut long = Client::connect(metrics);
    long.send(format!("GET /{} HTTP/1.1\r\n", "x".repeat(5000)));
    long.response("GET").expect(431);
    Client::connect(metrics).get("/other").expect(404);
    Client::connect(metrics).request("DELETE", "/metrics", "").expect(405);
}

/// A child has no descriptor of the window, nor of the scoreboard.
#[test]
fn children_have_no_part_in_it() {
    let site = site();
    for mode in [Mode::Prefork, Mode::Fork] {
        let (server, metrics) = start(mode, 2, &[], &site);
        let waiting = Client::connect(metrics);
        page(metrics);
        let mut client = server.connect();
        client.get("/small.txt").expect(200);
        let own = |pid| process::descriptors(pid).into_values().filter(|what| what.contains("tine-scoreboard")).count();
        assert_eq!(own(server.pid()), 1, "the check is able to fail");
        let children = process::children(server.pid());
        assert!(!children.is_empty());
        for child in children {
            wait_until("a child has let go", || own(child.pid) == 0);
            let descriptors = process::descriptors(child.pid);
            assert!(!descriptors.values().any(|what| what.contains("eventpoll")), "{descriptors:?}");
        }
        drop(waiting);
    }
}

#[test]
fn an_address_in_use_is_one_line() {
    let site = site();
    let (_server, metrics) = start(Mode::Prefork, 1, &[], &site);
    let options = ["--listen", "127.0.0.1:0", "--metrics", &metrics.to_string()].map(String::from);
    let output = common::run(Command::new(common::tine()).arg("serve").args(options).arg(site.path()));
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(111), "{said}");
    assert!(said.lines().count() == 1 && said.contains("in use") && said.contains(&metrics.to_string()), "{said}");
}

/// A new program takes over the window with the sockets: its address stays, and is asked without a pause.
#[test]
fn an_upgrade_takes_the_window_along() {
    let site = site();
    let (mut server, metrics) = start(Mode::Prefork, 2, &[], &site);
    let old = server.pid();
    server.signal(Signal::SIGUSR2);
    let log = server.await_log(&["anew: process "]);
    let new = log.split("anew: process ").nth(1).and_then(|rest| rest.lines().next()).expect("its number");
    let new: u32 = new.parse().expect("a number");
    common::guard::add(new);
    // Nobody is refused, though whom the old one has just let in may be cut off by its end.
    wait_until("the old one has left", || {
        let mut client = Client::connect(metrics);
        let _ = client.stream.write(b"GET /metrics HTTP/1.1\r\n\r\n");
        let _ = client.try_response("GET");
        server.poll_exit().is_some()
    });
    assert!(page(metrics).contains("tine_children") && process::is_alive(new) && !process::is_alive(old));
    common::server::send(new, Signal::SIGTERM);
    wait_until("the new one has left", || !process::is_alive(new));
    common::guard::remove(new);
}
