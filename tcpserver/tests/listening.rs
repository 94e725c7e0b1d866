//! Promise: it listens in several places at once, and on sockets that others made.

mod support;

use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};

use support::{Scratch, Server, TCPSERVER, connect_to, peer, read_all, refused, run, wait_until};

const TELL: [&str; 3] =
    ["sh", "-c", "echo $PROTO $TCPLOCALIP:$TCPLOCALPORT; env | grep ^LISTEN_; ls -l /proc/$$/fd | grep -c socket"];

fn ask_unix(path: &Path) -> Option<String> {
    let mut text = String::new();
    UnixStream::connect(path).ok()?.read_to_string(&mut text).ok()?;
    Some(text)
}

fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|probe| probe.local_addr()).expect("a free port")
}

#[test]
fn several_places_in_one_supervisor() {
    let scratch = Scratch::new();
    let path = scratch.join("socket");
    let other = free_port();
    let listen =
        ["--listen", "127.0.0.1:0", "--listen", &other.to_string(), "--listen", &format!("unix:{}", path.display())];
    let server = Server::start_in(scratch, &listen, &[], &TELL);
    // The program has its connection, and none of the sockets that listen.
    assert_eq!(server.ask(), format!("TCP {}\n2\n", server.address), "{}", server.story());
    assert_eq!(read_all(connect_to(other, "127.0.0.1")), format!("TCP {other}\n2\n"));
    assert_eq!(ask_unix(&path).expect("an answer"), "UNIX :\n2\n", "{}", server.story());
    assert_eq!(server.lines_with(" from unix").len(), 1, "{}", server.story());
}

/// A number that was not handed over is not taken for that of a socket that was made meanwhile.
#[test]
fn ones_own_sockets_are_not_taken_for_others() {
    let mut command = Command::new("sh");
    let script = "exec 3<&- 4<&-; exec \"$0\" --listen 127.0.0.1:0 --listen fd:3 true";
    let output = command.args(["-c", script, TCPSERVER]).stdin(Stdio::null()).output().expect("run it");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said, "tcpserver: fatal: unable to listen on descriptor 3: it is not open\n");
}

/// One limit for all of them.
#[test]
fn the_limit_is_for_all_places_together() {
    let other = free_port();
    let listen = ["-c", "1", "--listen", "127.0.0.1:0", "--listen", &other.to_string()];
    let server = Server::start_in(Scratch::new(), &listen, &[], &["cat"]);
    let mut first = server.connect();
    assert!(support::is_served(&mut first));
    let second = TcpStream::connect(other).expect("connect");
    assert_eq!(server.children().len(), 1);
    drop(first);
    let mut second = second;
    assert!(support::is_served(&mut second), "{}", server.story());
}

#[test]
fn from_a_service_manager() {
    let Some(activate) = peer("systemd-socket-activate") else { return };
    let scratch = Scratch::new();
    let (path, tcp) = (scratch.join("socket"), free_port());
    let mut command = Command::new(activate);
    command.args(["-l", &tcp.to_string(), "-l"]).arg(&path).args(["--fdname=web:local", TCPSERVER, "-vHRl0"]);
    command.args(["--listen", "systemd"]).args(TELL);
    let server = Server::spawn(scratch, command);
    let mut answer = None;
    wait_until("it answers", || {
        answer = TcpStream::connect(tcp).ok().map(read_all);
        answer.is_some()
    });
    // Nothing of LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES is left for the program to misunderstand.
    assert_eq!(answer.as_deref(), Some(format!("TCP {tcp}\n2\n").as_str()), "{}", server.story());
    assert_eq!(ask_unix(&path).as_deref(), Some("UNIX :\n2\n"), "{}", server.story());
}

#[test]
fn from_whoever_executed_it() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
    let address = listener.local_addr().expect("its name");
    let mut command = Command::new(TCPSERVER);
    command.args(["-vHRl0", "--listen", "fd:0"]).args(TELL).stdin(Stdio::from(std::os::fd::OwnedFd::from(listener)));
    let scratch = Scratch::new();
    let log = std::fs::File::create(scratch.join("log")).expect("a log");
    let mut child = command.stderr(log).spawn().expect("start it");
    let answer = read_all(connect_to(address, "127.0.0.1"));
    child.kill().expect("kill it");
    child.wait().expect("wait for it");
    assert_eq!(answer, format!("TCP {address}\n2\n"));
}

#[test]
fn sockets_that_are_none_are_failures() {
    let fails = |set: &[(&str, &str)], options: &[&str], says: &str| {
        let mut command = Command::new(TCPSERVER);
        command.args(options).arg("true").env_remove("LISTEN_PID").env_remove("LISTEN_FDS").stdin(Stdio::null());
        let output = command.envs(set.iter().copied()).output().expect("run it");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(111), "{said}");
        assert!(said.starts_with("tcpserver: fatal: unable to ") && said.contains(says), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    };
    let manager = ["--listen", "systemd"];
    fails(&[], &manager, "LISTEN_PID is not set");
    fails(&[("LISTEN_PID", "1"), ("LISTEN_FDS", "1")], &manager, "they are for process 1");
    fails(&[], &["--listen", "fd:0"], "it is no socket");
    fails(&[], &["--listen", "fd:77"], "it is not open");
    fails(&[], &["--listen", "127.0.0.1:1", "--listen", "unix:/nonexistent/socket"], "/nonexistent/socket");
}

#[test]
fn a_name_that_is_taken_stays_and_ones_own_is_removed() {
    let scratch = Scratch::new();
    let path = scratch.join("socket");
    let _theirs = UnixListener::bind(&path).expect("listen");
    let listen = format!("unix:{}", path.display());
    let output = run(TCPSERVER, ["--listen", &listen, "true"]);
    assert_eq!(output.status.code(), Some(111));
    assert!(path.exists());
    let other = scratch.join("other");
    let mut command = Command::new(TCPSERVER);
    command.args(["--listen", &format!("unix:{}", other.display()), "true"]);
    let server = Server::spawn(Scratch::new(), command);
    // Who is served is served by a supervisor that heeds signals; between bind(2) and that, one would end it.
    wait_until("it serves", || ask_unix(&other).is_some());
    let status = server.end(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(status.code(), Some(0));
    assert!(!other.exists(), "its name is left");
}

#[test]
fn bad_values_are_refused() {
    for (value, says) in [
        ("localhost:80", "names are not looked up"),
        ("127.0.0.1", "expected"),
        ("127.0.0.1:99999", "is no port"),
        ("unix:", "a path must follow"),
        ("fd:x", "fd:"),
        ("", "expected"),
    ] {
        refused(&["--listen", value, "true"], says);
    }
    for (one, other) in [("fd:3", "fd:3"), ("systemd", "systemd"), ("fd:3", "systemd")] {
        refused(&["--listen", one, "--listen", other, "true"], "the same place is given twice");
    }
}
