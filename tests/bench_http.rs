//! Promise: `tine bench http` measures our modes and whatever else it is given, and bad input ends it soon, with a reason,
//! without a process or a file left behind.

mod common;

use std::{
    fs,
    net::TcpListener,
    process::{Command, Stdio},
};

use common::{
    Mode, Scratch, guard,
    laboratory::{self, bench},
    launch, peer, process,
    server::send,
    tine, wait_until,
};
use nix::sys::signal::Signal;

const OWN: [&str; 4] = ["fork", "one-shot", "prefork", "vfork"];

/// Little of everything: each server held for three connections, one round.
const LITTLE: [&str; 5] = ["http", "--children", "30", "--rounds", "1"];

fn little(words: &[&str]) -> laboratory::Run {
    bench(&[&LITTLE[..], words].concat())
}

#[test]
fn our_modes_and_another_server_are_measured() {
    let Some(busybox) = peer("busybox") else { return };
    // The picture names what serves, not what came before it.
    let other = format!("cd {{root}}; exec {} httpd -f -p 127.0.0.1:{{port}}", busybox.display());
    let run = little(&["--against", &other]).expect_success();
    let with_other = ["busybox", "fork", "one-shot", "prefork", "vfork"];
    for graph in ["rate-new", "time-new", "connect", "first", "complete-new", "closed-new"] {
        assert_eq!(run.methods(graph), with_other, "{graph}: {}", run.text());
    }
    // busybox's server does not keep connections.
    assert!(run.text().contains("not measured: busybox: unable to keep a connection"), "{}", run.text());
    for graph in ["rate-kept", "time-kept", "complete-kept"] {
        assert_eq!(run.methods(graph), OWN, "{graph}: {}", run.text());
    }
    assert_eq!(run.methods("throughput"), with_other);
    for name in with_other {
        assert!(run.median("rate-new", name, 3.0) > 10.0, "{name}: {}", run.text());
        let (first, complete) = (run.median("first", name, 0.0), run.median("complete-new", name, 0.0));
        assert!(first <= complete, "{name}: first byte {first} ns, last byte {complete} ns");
    }
    assert!(run.text().contains("open loop over new connections:"), "{}", run.text());
}

/// What `cargo install` leaves out: the handlers' executables, one of which vfork starts.
#[test]
fn a_mode_that_cannot_start_is_told_and_left_out() {
    let alone = Scratch::new();
    let path = alone.join("tine");
    fs::hard_link(tine(), &path).expect("link the program");
    let mut command = Command::new(&path);
    command.args(["bench", "--quick"]);
    let run = laboratory::run(command, &LITTLE).expect_success();
    assert_eq!(run.methods("rate-new"), ["fork", "one-shot", "prefork"]);
    assert!(run.text().contains("not measured: vfork: unable to start 'vfork'"), "{}", run.text());
    assert!(run.text().contains("tine-http"), "{}", run.text());
}

#[test]
fn a_server_that_runs_already_is_measured() {
    let site = Scratch::new();
    site.file("page.html", "x".repeat(2000));
    let server = launch::serve(Mode::Prefork, 100, &[], site.path());
    let url = format!("http://{}/page.html", server.address());
    let run = little(&["--url", &url]).expect_success();
    assert!(run.methods("rate-new").contains(&url.as_str()), "{}", run.text());
    // It is another file than ours: unfair, and so labelled.
    assert!(run.text().contains(&format!("unfair: {url} answers with 2000 bytes")), "{}", run.text());
    assert_eq!(run.methods("throughput"), OWN);
}

#[test]
fn commands_that_do_not_serve_are_told() {
    little(&["--against", "no-such-command-{port}"]).expect_failure("it ended at once (exit status: 127)");
    little(&["--against", "echo cannot bind {port} >&2; exit 3"]).expect_failure("it said: cannot bind");
    little(&["--against", "sleep 100; : {port}"]).expect_failure("after 10 seconds it does not listen on 127.0.0.1:");
}

#[test]
fn a_command_without_a_port_is_wrong_usage() {
    let run = little(&["--against", "true"]);
    assert_eq!(run.output.status.code(), Some(100), "{}", run.text());
    let line = "tine: fatal: unable to use --against 'true': it has no {port} to listen on";
    assert!(run.text().starts_with(line), "{}", run.text());
}

#[test]
fn urls_that_do_not_answer_are_told() {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port");
    little(&["--url", &format!("http://{free}/")]).expect_failure("Connection refused");
    little(&["--url", "https://127.0.0.1/"]).expect_failure("it does not begin with http://");
    let site = Scratch::new();
    let server = launch::serve(Mode::Prefork, 10, &[], site.path());
    let missing = format!("http://{}/missing", server.address());
    little(&["--url", &missing]).expect_failure(&format!("unable to measure {missing}: it answers with status 404"));
}

/// Nobody can tidy up after a SIGKILL but those who remain.
#[test]
fn servers_do_not_outlive_a_run_that_was_killed() {
    let Some(busybox) = peer("busybox") else { return };
    let scratch = Scratch::new();
    let mut command = Command::new(tine());
    command.args(["bench"]).args(LITTLE).arg("--out").arg(scratch.join("out")).env("TMPDIR", scratch.dir("temporary"));
    // The shell that waits for it is what is started; the server is the shell's child.
    command.arg("--against").arg(format!("{} httpd -f -p 127.0.0.1:{{port}} -h {{root}}; true", busybox.display()));
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("start it");
    let pid = child.id();
    guard::add(pid);
    let shells_children = || servers(pid).into_iter().flat_map(|server| process::children(server).into_iter());
    wait_until("all servers run", || {
        servers(pid).len() > 2 * OWN.len() && shells_children().any(|process| process.name == "busybox")
    });
    let all: Vec<u32> = servers(pid).into_iter().chain(shells_children().map(|process| process.pid)).collect();
    send(pid, Signal::SIGKILL);
    child.wait().expect("wait for it");
    guard::remove(pid);
    wait_until("all servers have gone", || !all.iter().any(|&server| process::is_alive(server)));
}

/// The servers of the process with this number, and a watcher for each: children of the one that measures, which is its
/// child.
fn servers(bench: u32) -> Vec<u32> {
    let parts = process::children(bench).into_iter();
    parts.flat_map(|part| process::children(part.pid)).map(|server| server.pid).collect()
}

#[test]
fn an_interruption_ends_servers_and_keeps_what_was_measured() {
    let scratch = Scratch::new();
    let temporary = scratch.dir("temporary");
    let mut command = Command::new(tine());
    command.args(["bench"]).args(LITTLE).arg("--out").arg(scratch.join("out")).env("TMPDIR", &temporary);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("start it");
    let pid = child.id();
    guard::add(pid);
    wait_until("all servers run", || servers(pid).len() >= 2 * OWN.len());
    let servers = servers(pid);
    send(pid, Signal::SIGINT);
    let output = child.wait_with_output().expect("wait for it");
    guard::remove(pid);
    assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
    let alive: Vec<&u32> = servers.iter().filter(|&&server| process::is_alive(server)).collect();
    assert!(alive.is_empty(), "{alive:?} of {servers:?}");
    assert!(fs::read_dir(&temporary).expect("read it").next().is_none(), "a file is left");
    assert!(scratch.join("out/samples.csv").exists());
}
