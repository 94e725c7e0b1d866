//! A run that is ended in the middle: what was measured is kept, and nobody stays.

use std::fs;
use std::path::PathBuf;

use nix::sys::signal::Signal;

use super::bench;
use super::common::{Scratch, Server, process, server::send, wait_until};

/// A run that would take very long, in its second round: what the first told is there.
fn running(out: &Scratch) -> Server {
    let words = ["spawn", "--quick", "--rounds", "1000", "--children", "300"];
    let server = Server::spawn(bench(&words, out.path()));
    wait_until("the second round makes children", || {
        let second = processes(&server).into_iter().filter(|&pid| {
            let line = command_line(pid);
            line.split_once("bench-role ").is_some_and(|(_, role)| role.split(' ').nth(1) == Some("1"))
        });
        // The one that makes them, and some of them.
        second.count() > 10
    });
    server
}

/// The processes of a run: all that it starts from its own executable know its directory for temporary files.
fn processes(server: &Server) -> Vec<u32> {
    let own = format!("TMPDIR={}", temporary(server).display());
    let is_own = |pid: u32| {
        let environment = fs::read(format!("/proc/{pid}/environ"));
        environment.is_ok_and(|all| all.split(|&byte| byte == 0).any(|variable| variable == own.as_bytes()))
    };
    process::all().into_iter().map(|process| process.pid).filter(|&pid| is_own(pid)).collect()
}

fn command_line(pid: u32) -> String {
    String::from_utf8_lossy(&fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default()).replace('\0', " ")
}

fn temporary(server: &Server) -> PathBuf {
    std::env::temp_dir().join(format!("tine-bench-{}", server.pid()))
}

#[test]
fn what_was_measured_is_written_and_nobody_stays() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let out = Scratch::new();
        let mut server = running(&out);
        server.signal(signal);
        assert_eq!(server.wait().code(), Some(130), "{signal}");
        assert_eq!(processes(&server), [0; 0], "processes stay after {signal}");
        assert!(!temporary(&server).exists(), "its temporary files stay after {signal}");
        assert!(server.stdout().contains("interrupted: what was measured until then is kept"), "{}", server.stdout());
        assert_eq!(server.log(), "", "an interruption is no failure");
        let samples = fs::read_to_string(out.join("samples.csv")).expect("read samples.csv");
        assert!(samples.contains("\nspawn,first,fork,1,0,"), "{samples}");
        let page = fs::read_to_string(out.join("report.html")).expect("read the page");
        assert!(page.contains("The run was interrupted"));
    }
}

/// Servers are in process groups of their own, and as root somebody else's.
#[test]
fn servers_end_with_the_run() {
    let out = Scratch::new();
    let words = ["memory", "--quick", "--rounds", "1", "--children", "400"];
    let mut server = Server::spawn(bench(&words, out.path()));
    let serving = |pid: &u32| command_line(*pid).contains(" serve --listen ");
    wait_until("a server has children", || processes(&server).iter().filter(|pid| serving(pid)).count() > 10);
    server.signal(Signal::SIGINT);
    assert_eq!(server.wait().code(), Some(130));
    assert_eq!(processes(&server), [0; 0], "processes stay");
    assert!(!temporary(&server).exists(), "its temporary files stay");
}

/// Nobody can tidy up after a SIGKILL but the kernel.
#[test]
fn nobody_outlives_a_run_that_was_killed() {
    let out = Scratch::new();
    let mut server = running(&out);
    send(server.pid(), Signal::SIGKILL);
    server.wait();
    wait_until("all of its processes have gone", || processes(&server).is_empty());
    let _ = fs::remove_dir_all(temporary(&server));
}
