//! Promise: whoever takes a child over cannot do with it what the service does not do. `examples/hostile.rs` is a
//! handler that tries.

#[path = "../../tests/common/mod.rs"]
mod common;

use std::{net::TcpListener, os::unix::net::UnixListener, process::Command};

use common::{Client, Scratch, Server, built, process, wait_until};

fn hostile(mode: &str, site: &Scratch) -> Server {
    let program = built("tcprules").with_file_name("examples").join("hostile");
    assert!(program.exists(), "{} is missing; `cargo build -p tcpserver --examples` makes it", program.display());
    let mut command = Command::new(program);
    command.arg(mode).arg(site.path());
    Server::ready(command)
}

/// Has the child try, and hears what came of it.
fn attempt(client: &mut Client, act: &str, argument: &str) -> String {
    client.send(format!("{act} {argument}\n"));
    let mut said = Vec::new();
    while said.last() != Some(&b'\n') {
        said.extend(client.take(1).unwrap_or_else(|e| panic!("{act} {argument}: {e}")));
    }
    String::from_utf8_lossy(&said).trim_end().to_owned()
}

/// What is tried, and in which modes it is refused: in a pool and with `strict`, and in a fork without a filter.
const ACTS: [(&str, bool, bool); 16] = [
    ("read", true, true),
    ("write", true, true),
    ("remove", true, true),
    ("mode", true, false),
    ("connect", true, true),
    ("unix", true, false),
    ("datagram", true, false),
    ("execute", true, true),
    ("kill supervisor", true, true),
    ("kill sibling", true, true),
    ("trace supervisor", true, true),
    ("trace sibling", true, true),
    ("look supervisor", true, true),
    ("look sibling", true, true),
    ("limit", true, false),
    ("shut", true, true),
];

/// Everything that can be tried without harm to who tries, in the order of the table.
fn try_all(mode: &str) -> Vec<(&'static str, String)> {
    let site = Scratch::new();
    let file = site.file("file", "hello").display().to_string();
    let elsewhere = Scratch::new();
    let secret = elsewhere.file("secret", "hello").display().to_string();
    let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
    let port = listener.local_addr().expect("an address").to_string();
    let socket = elsewhere.join("socket").display().to_string();
    let _unix = UnixListener::bind(&socket).expect("listen");
    let server = hostile(mode, &site);
    let mut client = server.connect();
    // The child that has answered has the connection.
    attempt(&mut client, "nothing", "");
    let own = server.child_of(&client);
    // In the modes that fork, a sibling is there as long as its client.
    let mut bystander = server.connect();
    attempt(&mut bystander, "nothing", "");
    let sibling = server.child_of(&bystander);
    assert_ne!(own, sibling);
    let (supervisor, sibling) = (server.pid().to_string(), sibling.to_string());
    let argument = |act: &str| match act {
        "read" => secret.clone(),
        "write" => site.join("new").display().to_string(),
        "remove" | "mode" => file.clone(),
        "connect" => port.clone(),
        "unix" => socket.clone(),
        "execute" => "/bin/true".into(),
        "supervisor" => supervisor.clone(),
        "sibling" => sibling.clone(),
        _ => String::new(),
    };
    // Without a sandbox these would end the test's own subject.
    let harms = |act: &str| act.starts_with("kill") || act.starts_with("trace") || ["shut", "remove"].contains(&act);
    let mut results = Vec::new();
    for (act, ..) in ACTS.into_iter().filter(|(act, ..)| mode != "open" || !harms(act)) {
        let (verb, whom) = act.split_once(' ').unwrap_or((act, act));
        results.push((act, attempt(&mut client, verb, &argument(whom))));
    }
    if mode != "open" {
        assert_eq!(attempt(&mut client, "scribble", ""), "done");
    }
    drop((client, bystander));
    // Nobody was harmed: others are served, by the process that was there, and all is well with the supervisor.
    assert!(process::is_alive(server.pid()));
    for _ in 0..6 {
        let mut client = server.connect();
        assert_eq!(attempt(&mut client, "nothing", ""), "UnknownErrno");
    }
    let mut server = server;
    wait_until("no zombie is left", || server.children().iter().all(|child| child.state != 'Z'));
    server.stop();
    results
}

#[test]
fn a_child_of_a_pool_can_do_nothing() {
    for (act, result) in try_all("pool") {
        assert!(["EPERM", "EACCES"].contains(&&*result), "{act}: {result}");
    }
}

#[test]
fn with_strict_so_it_is_in_every_child() {
    for (act, result) in try_all("strict") {
        assert!(["EPERM", "EACCES"].contains(&&*result), "{act}: {result}");
    }
}

/// Without a filter Landlock alone stands there.
#[test]
fn a_child_for_one_connection_reaches_nobody() {
    let results = try_all("fork");
    for ((act, result), (_, _, refused)) in results.iter().zip(ACTS) {
        // Who may raise a limit is between root and the kernel.
        if refused {
            assert!(["EPERM", "EACCES", "EAGAIN"].contains(&&**result), "{act}: {result}");
        } else if *act != "limit" {
            assert_eq!(result, "done", "{act}: the table above says that it is not refused");
        }
    }
}

/// A child without a filter shuts down the socket of all, again and again: the supervisor listens anew, at once.
#[test]
fn a_socket_that_was_shut_down_listens_again() {
    let site = Scratch::new();
    let server = hostile("open", &site);
    for round in 0..3 {
        let mut client = server.connect();
        assert_eq!(attempt(&mut client, "shut", ""), "done");
        drop(client);
        wait_until("others are served", || {
            std::net::TcpStream::connect(server.address()).is_ok_and(|mut socket| {
                use std::io::{Read, Write};
                socket.write_all(b"nothing\n").is_ok() && socket.read(&mut [0]).is_ok_and(|read| read == 1)
            })
        });
        assert!(server.log().contains("somebody has shut down"), "{round}: {}", server.log());
    }
}

/// The acts are real: without a sandbox they are done.
#[test]
fn without_a_sandbox_all_of_it_is_done() {
    for (act, result) in try_all("open") {
        // Yama, where it is, keeps relatives from looking; and a limit that is lower cannot be raised by all.
        if !act.starts_with("look") && act != "limit" {
            assert_eq!(result, "done", "{act}");
        }
    }
}
