//! Promise: a child of a pool is kept from what it does not need, and hands no byte of one client to the next.

mod common;

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    process::Command,
};

use common::{Mode, Scratch, Server, launch, run, tine, wait_until};

/// What the first client sends, in places of its own each.
const SECRETS: [&str; 9] = [
    "SecretInPath",
    "SecretInQuery",
    "SecretInHost",
    "SecretInField",
    "SecretInCookie",
    "SecretInBody",
    "SecretInAuthorization",
    "SecretInLongHead",
    "SecretHalfSent",
];

/// A site, and a pool of one child that serves many.
fn pool(options: &[&str]) -> (Scratch, Server) {
    let site = Scratch::new();
    site.file("index.html", "hello");
    site.file("large.bin", vec![b'x'; 1 << 20]);
    let options = [&["--reuse", "0"], options].concat();
    let server = launch::serve(Mode::Prefork, 1, &options, site.path());
    (site, server)
}

/// What this process could write to, as the kernel shows it, while it waits for a connection.
fn writable_memory(pid: u32) -> Vec<(String, Vec<u8>)> {
    let accepts = || {
        let call = fs::read_to_string(format!("/proc/{pid}/syscall")).expect("read what it waits in");
        // accept4(2) on x86-64 and on those that have the new table.
        call.split(' ').next().is_some_and(|number| number == if cfg!(target_arch = "x86_64") { "288" } else { "242" })
    };
    wait_until("the child waits for a connection", accepts);
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).expect("read its maps");
    let memory = File::open(format!("/proc/{pid}/mem")).expect("open its memory");
    let read = |line: &str| {
        let mut words = line.split_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        if !words.next()?.contains('w') {
            return None;
        }
        let bound = |text| u64::from_str_radix(text, 16).expect("an address");
        let mut bytes = vec![0; (bound(end) - bound(start)) as usize];
        memory.read_exact_at(&mut bytes, bound(start)).unwrap_or_else(|e| panic!("read {line}: {e}"));
        Some((line.to_owned(), bytes))
    };
    maps.lines().filter_map(read).collect()
}

/// Where these words lie in a child's memory.
fn find<'w>(pid: u32, words: &[&'w str]) -> Vec<(&'w str, String)> {
    let memory = writable_memory(pid);
    assert!(memory.iter().any(|(name, _)| name.contains("[stack]")), "a process has a stack");
    let is_in = |word: &str, bytes: &[u8]| {
        // Most of it is zero.
        bytes.windows(word.len()).any(|window| window[0] == word.as_bytes()[0] && window == word.as_bytes())
    };
    let hits = |word: &'w str| memory.iter().filter(move |(_, bytes)| is_in(word, bytes));
    words.iter().flat_map(|&word| hits(word).map(move |(name, _)| (word, name.clone()))).collect()
}

/// Sends each secret, on connections of several kinds.
fn confide(server: &Server) {
    let long = "SecretInLongHead".repeat(300);
    for head in [
        "GET /SecretInPath/x?SecretInQuery HTTP/1.1\r\nHost: secretinhost.SecretInHost\r\nX-Secret: SecretInField\r\n\
         Cookie: c=SecretInCookie\r\nAuthorization: Basic SecretInAuthorization\r\nConnection: close\r\n\r\n"
            .to_owned(),
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\nConnection: close\r\n\r\nSecretInBody".to_owned(),
        format!("GET / HTTP/1.1\r\nHost: a\r\nX-Long: {long}\r\nConnection: close\r\n\r\n"),
        format!("GET /{long} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
        "GET /large.bin?SecretInQuery HTTP/1.1\r\nHost: SecretInHost\r\nRange: bytes=0-1,5-6\r\nConnection: close\r\n\r\n"
            .to_owned(),
        "SecretInField is no request\r\n\r\n".to_owned(),
    ] {
        let mut client = server.connect();
        client.send(head);
        client.finish();
        assert!(client.drain() > 0, "it is answered");
    }
    let mut client = server.connect();
    client.send("GET /SecretHalfSent HTTP/1.1\r\nSecretHalfSent: x");
    client.finish();
    client.drain();
}

#[test]
fn nothing_of_a_client_is_left_for_the_next() {
    for options in [&["--quiet"][..], &["--listing", "--sandbox", "off"], &["--titles"]] {
        let (_site, server) = pool(options);
        let child = server.children()[0].pid;
        confide(&server);
        assert_eq!(find(child, &SECRETS), [], "with {options:?}");
        let mut client = server.connect();
        client.get("/").expect(200);
        assert_eq!(server.children()[0].pid, child, "one child served them all");
    }
}

/// The search is able to fail: what a client sends is in the child's memory while it is there.
#[test]
fn what_is_looked_for_can_be_found() {
    let (_site, server) = pool(&["--idle-timeout", "60", "--header-timeout", "60"]);
    let child = server.children()[0].pid;
    let mut client = server.connect();
    client.request("GET", "/", "X-Secret: SecretInField\r\n").expect(200);
    let maps = fs::read_to_string(format!("/proc/{child}/maps")).expect("read its maps");
    let stack = maps.lines().find(|line| line.ends_with("[stack]")).and_then(|line| line.split_once(' ')).expect("one");
    let (start, end) = stack.0.split_once('-').expect("two addresses");
    let bound = |text| u64::from_str_radix(text, 16).expect("an address");
    let mut bytes = vec![0; (bound(end) - bound(start)) as usize];
    let memory = File::open(format!("/proc/{child}/mem")).expect("open its memory");
    memory.read_exact_at(&mut bytes, bound(start)).expect("read its stack");
    assert!(bytes.windows(13).any(|window| window == b"SecretInField"));
}

/// Credentials that were good are remembered for a connection, and no longer.
#[test]
fn credentials_are_forgotten_with_their_connection() {
    let scratch = Scratch::new();
    // By `openssl passwd -5 -salt saltsalt SecretPassword`.
    let users = scratch.file("users", "user:$5$saltsalt$WX5QsdGGnZMSr0UWAdJ8yGdtaopQ7.wSq0JcErXRncD\n");
    let users = users.display().to_string();
    let (_site, server) = pool(&["--auth", &users, "--user", "root"]);
    let child = server.children()[0].pid;
    let mut client = server.connect();
    let shown = "Authorization: Basic dXNlcjpTZWNyZXRQYXNzd29yZA==\r\nConnection: close\r\n";
    client.request("GET", "/", shown).expect(200);
    client.expect_end();
    drop(client);
    assert_eq!(find(child, &["dXNlcjpTZWNyZXRQYXNzd29yZA==", "SecretPassword"]), []);
}

/// Which layers a process is in, as the kernel shows it: new privileges given up, how many filters beside those that this
/// test is in, no processes.
fn layers(pid: u32) -> (bool, u32, bool) {
    let status = |pid: &str| fs::read_to_string(format!("/proc/{pid}/status")).expect("read its status");
    let field = |status: &str, name: &str| {
        let value = status.lines().find_map(|line| line.strip_prefix(name)).expect("a field");
        value.trim().parse::<u32>().expect("a number")
    };
    let (ours, its) = (status("self"), status(&pid.to_string()));
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).expect("read its limits");
    let processes = limits.lines().find(|line| line.starts_with("Max processes")).expect("a limit on processes");
    (
        field(&its, "NoNewPrivs:") == 1,
        field(&its, "Seccomp_filters:") - field(&ours, "Seccomp_filters:"),
        processes.split_whitespace().nth(2) == Some("0"),
    )
}

#[test]
fn children_are_confined_and_the_supervisor_is_not() {
    let (_site, server) = pool(&[]);
    // A child that waits for a connection has entered.
    writable_memory(server.children()[0].pid);
    assert_eq!(layers(server.children()[0].pid), (true, 2, true));
    // It makes processes, and may become another program: no filter but the one that it has for others' sake.
    assert_eq!(layers(server.pid()), (true, 1, false));
    for (options, expect) in [
        (&[][..], (true, 1, true)),
        (&["--sandbox", "strict"], (true, 2, true)),
        (&["--sandbox", "off"], (false, 0, false)),
    ] {
        let site = Scratch::new();
        site.file("index.html", "hello");
        let server = launch::serve(Mode::Fork, 4, options, site.path());
        let client = server.connect();
        let mut client = client;
        client.get("/").expect(200);
        assert_eq!(layers(server.child_of(&client)), expect, "{options:?}");
    }
}

/// A directory that takes the root's name is served after SIGHUP by children who may read it.
#[test]
fn a_new_root_is_within_the_walls_after_a_reload() {
    let scratch = Scratch::new();
    scratch.file("one/index.html", "one");
    scratch.file("two/index.html", "two");
    let link = scratch.join("site");
    std::os::unix::fs::symlink(scratch.join("one"), &link).expect("a link");
    let server = launch::serve(Mode::Prefork, 2, &[], &link);
    let asked = || server.connect().request("GET", "/", "Connection: close\r\n").text();
    assert_eq!(asked(), "one");
    fs::remove_file(&link).expect("remove the link");
    std::os::unix::fs::symlink(scratch.join("two"), &link).expect("another link");
    server.signal(nix::sys::signal::Signal::SIGHUP);
    wait_until("the new root is served", || asked() == "two");
}

#[test]
fn check_says_what_holds() {
    let site = Scratch::new();
    let check = |options: &[&str]| {
        let output = run(Command::new(tine()).args(["serve", "--check"]).args(options).arg(site.path()));
        (output.status.code(), [output.stdout, output.stderr].concat())
    };
    let (code, said) = check(&[]);
    let said = String::from_utf8_lossy(&said).into_owned();
    assert_eq!(code, Some(0), "{said}");
    let line = said.lines().find_map(|line| line.strip_prefix("a child: cannot ")).expect("what a child cannot do");
    for act in [
        "read files elsewhere",
        "write files",
        "connect",
        "open sockets",
        "make processes",
        "signal others",
        "limit others",
    ] {
        assert!(line.contains(act), "{line}");
    }
    assert!(!line.contains("; can "), "{line}");
    for options in [&["--mode", "vfork"][..], &["--inetd"], &["--single"]] {
        let (code, said) = check(&[options, &["--sandbox", "on"]].concat());
        let said = String::from_utf8_lossy(&said).into_owned();
        assert_eq!((code, said.lines().count()), (Some(100), 1), "{said}");
        assert!(said.contains("--sandbox confines the children"), "{said}");
    }
}
