//! Promise: it says where it listens when, and only when, connections are accepted there; on several addresses, of both
//! families, on Unix sockets, on a port of the kernel's choice, under a super-server, and once for a debugger.

mod common;

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    os::unix::{fs::FileTypeExt, net::UnixStream},
    process::{Command, Stdio},
};

use common::{Client, Mode, Scratch, Server, handler, launch, tine, wait_until};
use nix::sys::signal::Signal;

fn site() -> Scratch {
    let site = Scratch::new();
    site.file("index.html", "hello\n");
    site
}

#[test]
fn one_line_with_the_url() {
    let site = site();
    for mode in Mode::ALL {
        let server = launch::serve(mode, 3, &[], site.path());
        // Accepted by the kernel at once: the line had been printed before.
        server.connect().get("/").expect(200);
        let line = server.stdout();
        let url = format!("http://{}/", server.address());
        assert_ne!(server.address().port(), 0);
        assert!(line.starts_with(&format!("tine: serving {} on {url} (", site.path().display())), "{line}");
        assert!(line.ends_with(")\n") && line.lines().count() == 1, "{line}");
        if mode == Mode::Prefork {
            assert!(line.ends_with("(prefork, 3 children)\n"), "{line}");
        }
    }
}

fn has_ipv6() -> bool {
    let found = TcpListener::bind("[::1]:0").is_ok();
    if !found {
        common::say("note: this machine has no IPv6; that part is left out");
    }
    found
}

/// One child, which finds a queue at one place and a single client at the other.
#[test]
fn places_take_turns() {
    for mode in [Mode::Prefork, Mode::OneShot] {
        let site = site();
        let options = ["--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0"];
        let server = launch::serve(mode, 1, &options, site.path());
        let child = server.children()[0].pid;
        common::server::send(child, Signal::SIGSTOP);
        let mut clients: Vec<Client> =
            [0, 0, 0, 0, 0, 0, 0, 0, 1].map(|at| Client::connect(server.addresses()[at])).into();
        for (number, client) in clients.iter_mut().enumerate() {
            client.send(format!("GET /?{number} HTTP/1.0\r\n\r\n"));
        }
        common::server::send(child, Signal::SIGCONT);
        for client in &mut clients {
            client.try_response("GET").expect("an answer").expect(200);
        }
        server.await_log(&["/?7 "]);
        server.await_log(&["/?8 "]);
        let log = server.log();
        let place = log.lines().filter(|line| line.contains("GET /?")).position(|line| line.contains("/?8 "));
        assert!(place < Some(3), "{mode:?}: served as number {place:?}:\n{log}");
    }
}

#[test]
fn several_places_at_once() {
    let site = site();
    for mode in Mode::ALL {
        let mut options = vec!["--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0"];
        if has_ipv6() {
            options.extend(["--listen", "[::1]:0"]);
        }
        let mut server = launch::serve(mode, 3, &options, site.path());
        assert_eq!(server.addresses().len(), options.len() / 2, "{}", server.stdout());
        // Round about, so that one place that is looked at cannot hide another.
        for _ in 0..3 {
            for address in server.addresses() {
                let response = Client::connect(*address).request("GET", "/", "Connection: close\r\n");
                assert_eq!(response.expect(200).text(), "hello\n", "{mode:?} {address}");
            }
        }
        if has_ipv6() {
            server.await_log(&["::1 - - ["]);
        }
        server.stop();
    }
}

/// `[::]` is dual-stack: a client of IPv4 comes in too, and is called by its IPv4 address.
#[test]
fn the_ipv6_wildcard_is_dual_stack() {
    if !has_ipv6() {
        return;
    }
    let site = site();
    let server = launch::serve(Mode::Fork, 3, &["--listen", "[::]:0"], site.path());
    let port = server.address().port();
    Client::connect(SocketAddr::from(([127, 0, 0, 1], port))).get("/").expect(200);
    let line = server.await_log(&["127.0.0.1 - - ["]);
    assert!(!line.contains("::ffff"), "{line}");
}

fn ask(mut stream: UnixStream) -> String {
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").expect("ask");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("read the answer");
    answer
}

#[test]
fn a_unix_socket() {
    let site = site();
    let place = site.dir("place").join("socket");
    common::scratch::set_mode(&site.join("place"), 0o777);
    for mode in Mode::ALL {
        let listen = format!("unix:{}", place.display());
        let mut server = launch::serve(mode, 2, &["--listen", &listen, "--listen", "127.0.0.1:0"], site.path());
        for _ in 0..3 {
            assert!(ask(UnixStream::connect(&place).expect("connect")).ends_with("\r\n\r\nhello\n"), "{mode:?}");
        }
        server.connect().get("/").expect(200);
        server.stop();
    }
}

/// Connections of a Unix socket inherit no timeouts: a client that says nothing is let go all the same.
#[test]
fn a_silent_client_of_a_unix_socket_is_let_go() {
    let site = site();
    let place = site.dir("place").join("socket");
    common::scratch::set_mode(&site.join("place"), 0o777);
    for mode in Mode::ALL {
        let listen = format!("unix:{}", place.display());
        let options = ["--listen", &listen, "--header-timeout", "1", "--idle-timeout", "1"];
        let mut server = launch::serve(mode, 2, &options, site.path());
        let mut silent = UnixStream::connect(&place).expect("connect");
        silent.set_read_timeout(Some(common::BOUND)).expect("a timeout");
        // Which goes on when it is interrupted.
        assert_eq!(silent.read_to_end(&mut Vec::new()).expect("an end"), 0, "{mode:?}");
        assert!(!server.log().contains("killed by"), "{mode:?}: {}", server.log());
        server.stop();
    }
}

/// A socket file that a killed server left is no server: the next start takes its place.
#[test]
fn a_stale_socket_file_is_replaced() {
    let site = site();
    let place = site.dir("place").join("socket");
    common::scratch::set_mode(&site.join("place"), 0o777);
    drop(std::os::unix::net::UnixListener::bind(&place).expect("bind"));
    assert!(fs::metadata(&place).expect("it is there").file_type().is_socket());
    let listen = format!("unix:{}", place.display());
    let _server = launch::serve(Mode::Prefork, 2, &["--listen", &listen], site.path());
    assert!(ask(UnixStream::connect(&place).expect("connect")).ends_with("hello\n"));
}

/// The listening socket is shut for children that do not need it: nobody holds a port that the supervisor has left.
#[test]
fn children_hold_no_listener_in_fork_and_vfork() {
    for mode in [Mode::Fork, Mode::Vfork] {
        let site = site();
        let server = launch::serve(mode, 3, &["--idle-timeout", "600"], site.path());
        let mut first = server.connect();
        first.get("/").expect(200);
        let mut second = server.connect();
        second.get("/").expect(200);
        for client in [&first, &second] {
            let child = server.child_of(client);
            let held = common::process::descriptors(child);
            let sockets: std::collections::BTreeSet<_> = held.values().filter(|d| d.starts_with("socket:")).collect();
            assert_eq!(sockets.len(), 1, "{mode:?}: its own connection and nothing else: {held:?}");
        }
    }
}

/// What is plain is served by the plain executable, and by that at once: whatever the defaults of the rest are.
#[test]
fn vfork_executes_no_more_than_is_asked_for() {
    for (options, name) in [(&["--idle-timeout", "600"][..], "tine-http"), (&["--listing"], "tine-http-full")] {
        let site = site();
        let server = launch::serve(Mode::Vfork, 3, options, site.path());
        let mut client = server.connect();
        client.get("/").expect(200);
        let child = server.child_of(&client);
        let executable = std::fs::read_link(format!("/proc/{child}/exe")).expect("the child's executable");
        assert_eq!(executable.file_name(), Some(name.as_ref()), "{options:?}");
    }
}

/// What `tine` itself was started with, above 2, reaches nobody who speaks to a client.
#[test]
fn no_inherited_descriptor_reaches_a_child() {
    for mode in Mode::ALL {
        let site = site();
        let secret = site.file("secret", "not for children");
        let mut options = mode.options(2);
        options.extend(["--idle-timeout".into(), "600".into()]);
        let tine = launch::serve_command(&options, site.path());
        let mut command = Command::new("sh");
        command.args(["-c", "exec 7<\"$0\"; exec \"$@\""]).arg(&secret).arg(tine.get_program()).args(tine.get_args());
        let server = Server::ready(command);
        let mut client = server.connect();
        client.get("/").expect(200);
        for pid in [server.pid(), server.child_of(&client)] {
            let held = common::process::descriptors(pid);
            assert!(held.values().all(|what| !what.ends_with("secret")), "{mode:?}: {held:?}");
        }
    }
}

/// --single serves one connection in the very process, and exits.
#[test]
fn single_serves_one_and_exits() {
    let site = site();
    let mut server = Server::ready(launch::serve_command(&["--single"], site.path()));
    let mut client = server.connect();
    client.get("/").expect(200);
    assert_eq!(server.children(), [], "no fork");
    assert!(common::process::descriptors(server.pid()).len() > 3);
    client.get("/").expect(200);
    drop(client);
    assert_eq!(server.wait().code(), Some(0));
}

/// Both binaries speak on a pair of pipes, which makes a web server of `printf`.
#[test]
fn a_pair_of_pipes() {
    let site = site();
    let user: Vec<&str> = launch::user(Some(site.path())).collect();
    let mut big = Command::new(tine());
    big.args(["serve", "--inetd"]).args(user).arg(site.path());
    let mut lean = Command::new(handler("tine-http"));
    lean.arg(site.path());
    for command in [&mut big, &mut lean] {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("start it");
        let request = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\nGET / HTTP/1.0\r\n\r\n";
        child.stdin.take().expect("a pipe").write_all(request.as_bytes()).expect("write");
        let output = child.wait_with_output().expect("wait");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(0), "{command:?} {output:?}");
        assert_eq!(text.matches("HTTP/1.1 200 OK\r\n").count(), 2, "{text}");
        assert_eq!(text.matches("\r\n\r\nhello\n").count(), 2, "{text}");
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(log.matches("\"GET / HTTP/1.").count(), 2, "{log}");
    }
}

/// The super-server's word about the client is taken for the log.
#[test]
fn the_peer_is_taken_from_the_super_server() {
    let site = site();
    let mut command = Command::new(handler("tine-http"));
    command.arg(site.path()).envs([("PROTO", "TCP"), ("TCPREMOTEIP", "192.0.2.7"), ("TCPREMOTEPORT", "4711")]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("start it");
    child.stdin.take().expect("a pipe").write_all(b"GET / HTTP/1.0\r\n\r\n").expect("write");
    let output = child.wait_with_output().expect("wait");
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(log.starts_with("192.0.2.7 - - ["), "{log}");
}

/// Where ROOT and everything else is out of sight: the server in a chroot still serves.
#[test]
fn in_a_chroot() {
    if !common::scratch::is_root() {
        common::say("SKIPPED in_a_chroot: only root may");
        return;
    }
    let site = Scratch::new();
    site.file("www/index.html", "hello\n");
    for mode in [Mode::Prefork, Mode::OneShot, Mode::Fork] {
        let chroot = site.path().display().to_string();
        let mut command = Command::new(tine());
        command.args(["serve", "--listen", "127.0.0.1:0", "--chroot", &chroot]).args(mode.options(2)).arg("/www");
        command.args(launch::user(Some(site.path())));
        let server = Server::ready(command);
        assert_eq!(server.connect().get("/").expect(200).text(), "hello\n");
        let link = format!("/proc/{}/root", server.pid());
        wait_until("its root is the chroot", || fs::read_link(&link).is_ok_and(|root| root == site.path()));
    }
}
