//! Promise: a program starts with the limits, the root and the name that were asked for.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::Command;

use support::{Scratch, Server, is_served, refused, run, wait_until};

#[test]
fn resource_limits_are_the_programs_and_not_the_supervisors() {
    let options = [
        "--limit",
        "as=200M",
        "--limit",
        "core=0",
        "--limit",
        "cpu=7",
        "--limit",
        "data=100M",
        "--limit=fsize=4K",
        "--limit",
        "nofile=33",
        "--limit",
        "nproc=500",
        "--limit",
        "stack=1M",
    ];
    let own = |server: &Server| fs::read_to_string(format!("/proc/{}/limits", server.pid())).expect("its limits");
    let plain = Server::start(&[], &["cat", "/proc/self/limits"]);
    let server = Server::start(&options, &["cat", "/proc/self/limits"]);
    let limits = server.ask();
    for (name, value) in [
        ("Max address space", 200 << 20),
        ("Max core file size", 0),
        ("Max cpu time", 7),
        ("Max data size", 100 << 20),
        ("Max file size", 4096),
        ("Max open files", 33),
        ("Max processes", 500),
        ("Max stack size", 1 << 20),
    ] {
        let line = limits.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{limits}"));
        let values: Vec<&str> = line[name.len()..].split_whitespace().take(2).collect();
        assert_eq!(values, [value.to_string(), value.to_string()], "{name}");
    }
    assert_eq!(own(&server), own(&plain), "its own are what they were");
    assert_eq!(plain.ask(), own(&plain), "and nothing is changed that was not asked for");
}

/// Where names are looked up, a forked child does what otherwise one on shared memory does.
#[test]
fn a_child_that_looked_names_up_first_is_no_different() {
    let options = ["-h", "--titles", "--limit", "nofile=33", "--accounting", "--per-ip", "5"];
    let show = ["sh", "-c", "tr '\\0' ' ' < /proc/$$/cmdline | cut -c1-13; ulimit -n"];
    let server = Server::start(&options, &show);
    let answer = server.ask();
    assert_eq!(answer.lines().collect::<Vec<_>>(), ["sh: 127.0.0.1", "33"], "{}", server.story());
    server.wait_for_log(" exit 0 after ");
    server.wait_for_log(" localhost:127.0.0.1:");
    let descriptors = ["sh", "-c", "ls /proc/$$/fd"];
    let plain = Server::start(&[], &descriptors).ask();
    assert_eq!(
        Server::start(&["-h", "--status-every", "0"], &descriptors).ask(),
        plain,
        "nothing of ours is left open"
    );
}

#[test]
fn a_program_that_wants_more_ends() {
    let server = Server::start(&["--limit", "cpu=1", "--accounting"], &["sh", "-c", "while :; do :; done"]);
    let _client = server.connect();
    // SIGXCPU, or SIGKILL when the hard limit is the same.
    server.wait_for_log("killed by signal ");
}

#[test]
fn limits_that_make_no_sense_are_refused() {
    for (value, says) in [
        ("nofile", "expected NAME=VALUE"),
        ("memory=1M", "is no limit: as, core, cpu, data, fsize, nofile, nproc, stack"),
        ("nofile=2", "too little"),
        ("as=1K", "too little"),
        ("as=12X", "is no such number"),
        ("cpu=-1", "is no such number"),
        ("nofile=99999999999999999999", "is no such number"),
    ] {
        refused(&["--limit", value, "0", "0", "true"], says);
    }
    refused(&["--limit", "cpu=1", "--limit", "cpu=2", "0", "0", "true"], "--limit");
}

/// A limit that no child could be given would drop every connection. The kernel has no more descriptors than nr_open for
/// anybody, root or not; and who serves as another user cannot raise what root could have.
#[test]
fn limits_that_cannot_be_raised_are_a_failure_at_the_start() {
    let most: u64 = fs::read_to_string("/proc/sys/fs/nr_open").expect("it").trim().parse().expect("a number");
    let (beyond, above) = (format!("nofile={}", most + 1), format!("nofile={}", most.min(4096)));
    let tcpserver = env!("CARGO_BIN_EXE_tcpserver");
    for arguments in [
        &["--limit", &beyond, "127.0.0.1", "0", "true"][..],
        &["-u", "65534", "--limit", &above, "127.0.0.1", "0", "true"],
    ] {
        let output = run("prlimit", [&["--nofile=1024:1024", tcpserver], arguments].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(111), "{said}");
        assert!(said.starts_with("tcpserver: fatal: unable to set the limit nofile: "), "{said}");
    }
}

/// `ps` tells who is who.
#[test]
fn titles() {
    let server = Server::start(&["--titles"], &["sleep", "1000"]);
    let clients = [server.connect_from("127.0.0.1"), server.connect_from("127.0.0.2")];
    let title = |pid: u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|&b| b == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect::<Vec<_>>()
    };
    for client in &clients {
        let expected = format!("sleep: {}", client.local_addr().expect("its name"));
        wait_until("it has its title", || {
            server.children().iter().any(|&pid| title(pid) == [expected.as_str(), "1000", ""])
        });
        let ps = run("ps", ["-o", "args=", "--ppid", &server.pid().to_string()]);
        let ps = String::from_utf8_lossy(&ps.stdout).into_owned();
        assert!(ps.lines().any(|line| line == format!("{expected} 1000")), "{ps}");
    }
    let plain = Server::start(&[], &["sleep", "1000"]);
    let _client = plain.connect();
    wait_until("it runs", || plain.children().iter().any(|&pid| title(pid) == ["sleep", "1000", ""]));
}

#[test]
fn a_title_on_a_unix_socket() {
    let scratch = Scratch::new();
    let path = scratch.join("socket");
    let mut command = std::process::Command::new(support::TCPSERVER);
    command.args([
        "--titles",
        "--listen",
        &format!("unix:{}", path.display()),
        "sh",
        "-c",
        "echo $0; tr '\\0' ' ' < /proc/$$/cmdline",
    ]);
    let _server = Server::spawn(scratch, command);
    let mut answer = String::new();
    wait_until("it answers", || {
        let Ok(mut client) = UnixStream::connect(&path) else { return false };
        std::io::Read::read_to_string(&mut client, &mut answer).is_ok()
    });
    assert!(answer.starts_with("sh: unix\nsh: unix -c "), "{answer:?}");
}

/// Everything that names a file means one inside; what listens was made outside.
#[test]
fn locked_in() {
    if !nix::unistd::geteuid().is_root() {
        return support::say("SKIPPED locked_in: only root may change the root");
    }
    let scratch = Scratch::new();
    let root = scratch.join("root");
    scratch.dir("root/bin");
    // A static program, which needs nothing around it, and rules for it and for the supervisor.
    let check = scratch.join("root/bin/check");
    // By a process of its own: what is open for writing here, children of other tests hold for an instant (ETXTBSY).
    let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_tcprulescheck")).arg(&check).status().expect("run cp");
    assert!(copied.success(), "{copied}");
    fs::set_permissions(&check, fs::Permissions::from_mode(0o755)).expect("chmod");
    fs::rename(support::rules(&scratch, "127.0.0.1:allow,A=\"inside\"\n:deny\n"), root.join("rules.cdb"))
        .expect("move");
    let options = ["--chroot", root.to_str().expect("a name"), "-u65534", "-g65534", "-x", "/rules.cdb"];
    let place = ["127.0.0.1", "0"];
    let server = Server::start_in(scratch, &options, &place, &["/bin/check", "/rules.cdb"]);
    let seen = "rule 127.0.0.1:\nset environment variable A=inside\nallow connection\n";
    assert_eq!(server.ask(), seen, "{}", server.story());
    assert_eq!(server.ask_from("127.0.0.2"), "", "the rules inside hold");
    for link in ["root", "cwd"] {
        let is = fs::read_link(format!("/proc/{}/{link}", server.pid())).expect("a link");
        assert_eq!(is, fs::canonicalize(&root).expect("a name"), "{link}");
    }
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("its status");
    assert!(status.contains("Uid:\t65534\t65534\t65534\t65534"), "{status}");
}

#[test]
fn a_root_that_is_none_is_a_failure() {
    let output = run(support::TCPSERVER, ["--chroot", "/nonexistent", "127.0.0.1", "0", "true"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(111), "{said}");
    assert!(said.starts_with("tcpserver: fatal: unable to change the root to /nonexistent: "), "{said}");
}

/// All of it at once changes nothing about a connection.
#[test]
fn all_of_it_together() {
    let options = [
        "--per-ip",
        "100",
        "--per-net",
        "200",
        "--rate",
        "1000/1",
        "--net-rate",
        "2000/1",
        "--penalty",
        "1",
        "--lifetime",
        "600",
        "--limit",
        "core=0",
        "--titles",
        "--accounting",
        "--status-every",
        "600",
    ];
    let server = Server::start(&options, &["cat"]);
    let mut clients: Vec<_> = (0..30).map(|_| server.connect()).collect();
    assert!(clients.iter_mut().all(is_served), "{}", server.story());
    drop(clients);
    wait_until("all have ended", || server.lines_with(" exit 0 after ").len() == 30);
}
