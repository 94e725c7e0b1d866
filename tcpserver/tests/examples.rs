//! The library's examples are servers that work.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;
use support::{Scratch, Server, exchange, peer};

/// Cargo builds examples with the tests, beside the programs.
fn start(name: &str, more: &[&str]) -> Server {
    let program = Path::new(support::TCPSERVER).with_file_name("examples").join(name);
    let mut command = Command::new(program);
    command.arg("127.0.0.1:0").args(more);
    Server::run(Scratch::new(), command)
}

#[test]
fn hello() {
    let server = start("hello", &[]);
    assert_eq!((server.ask(), server.ask()), ("hello\n".into(), "hello\n".into()));
    assert!(server.end(Signal::SIGTERM).success());
}

#[test]
fn finger() {
    let plans = Scratch::new();
    fs::write(plans.join("anna"), "to sail\n").expect("write a plan");
    let server = start("finger", &[plans.path().to_str().expect("UTF-8")]);
    let ask = |line: &str| exchange(server.connect(), line.as_bytes());
    assert_eq!(ask("anna\r\n"), "to sail\n");
    assert_eq!(ask("/W anna\r\n"), "to sail\n");
    assert_eq!(ask("anna"), "to sail\n", "a client that leaves out the end of the line");
    for nobody in ["", "bert\r\n", "../anna\r\n", "/etc/passwd\r\n", "anna\0\r\n", &"a".repeat(4000), "\u{e4}\r\n"] {
        assert_eq!(ask(nobody), "nobody of that name has a plan\r\n", "{nobody:?}");
    }
    // As a client that others wrote asks it.
    if let Some(finger) = peer("busybox") {
        let port = server.connect().peer_addr().expect("an address").port().to_string();
        let said = support::run("sh", ["-c", &format!("echo anna | {} nc 127.0.0.1 {port}", finger.display())]);
        assert_eq!(String::from_utf8_lossy(&said.stdout), "to sail\n");
    }
}

#[test]
fn gopher() {
    let Some(curl) = peer("curl") else { return };
    let hole = Scratch::new();
    fs::create_dir(hole.join("hole")).expect("make a directory");
    fs::write(hole.join("hole/deep"), "far down\n").expect("write");
    fs::write(hole.join("a"), "on top\n").expect("write");
    fs::write(hole.join(".hidden"), "not to be seen\n").expect("write");
    let server = start("gopher", &[hole.path().to_str().expect("UTF-8")]);
    let port = server.connect().peer_addr().expect("an address").port();
    let get = |selector: &str| {
        let url = format!("gopher://127.0.0.1:{port}/{selector}");
        let output = support::run(curl.to_str().expect("UTF-8"), ["-sS", "--path-as-is", &url]);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let menu = format!("0a\ta\t127.0.0.1\t{port}\r\n1hole\thole\t127.0.0.1\t{port}\r\n.\r\n");
    assert_eq!(get(""), menu);
    assert_eq!(get("1hole"), format!("0deep\thole/deep\t127.0.0.1\t{port}\r\n.\r\n"));
    assert_eq!(get("0hole/deep"), "far down\n");
    for nothing in ["0.hidden", "0../a", "0hole/../a", "0b", "1/hole/.."] {
        assert!(get(nothing).starts_with('3'), "{nothing}");
    }
}

/// All children count in one place, each beside it for itself.
#[test]
fn counter() {
    let server = start("counter", &[]);
    let said: BTreeSet<String> =
        (0..50).map(|_| server.ask().split(',').next().expect("a first part").to_owned()).collect();
    let expected: BTreeSet<String> = (1..=50).map(|number| format!("visitor {number}")).collect();
    assert_eq!(said, expected);
}

/// The hole in the handler is real, and nothing comes through it.
#[test]
fn sandboxed() {
    let place = Scratch::new();
    fs::create_dir(place.join("root")).expect("make a directory");
    fs::write(place.join("root/page"), "to be seen\n").expect("write");
    fs::write(place.join("secret"), "not to be seen\n").expect("write");
    let server = start("sandboxed", &[place.join("root").to_str().expect("UTF-8")]);
    let ask = |line: &str| exchange(server.connect(), format!("{line}\n").as_bytes());
    assert_eq!(ask("page"), "to be seen\n");
    let whole = !server.log().contains("the sandbox is not whole");
    for way_out in ["../secret", place.join("secret").to_str().expect("UTF-8"), "/etc/passwd"] {
        let said = ask(way_out);
        assert_eq!(said.starts_with("no: "), whole, "{said}");
    }
    assert!(whole || !peers_required(), "{}", server.log());
    assert_eq!(ask("page"), "to be seen\n");
}

/// Where everything must be there that tests need, a kernel with Landlock must be, too.
fn peers_required() -> bool {
    std::env::var_os("TINE_PEERS").is_some_and(|value| value == "required")
}

#[test]
fn an_address_that_is_none_is_told() {
    let program = Path::new(support::TCPSERVER).with_file_name("examples").join("hello");
    let output = Command::new(program).arg("nowhere").output().expect("run it");
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("nowhere"), "{said}");
}
