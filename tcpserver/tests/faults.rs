//! Promise: tcpserver stays up. Whatever runs out or breaks, it says so at a bounded rate, serves again when it can, idles
//! meanwhile, and leaves nothing behind.

#[path = "../../tests/common/mod.rs"]
mod common;

use std::{
    fs::{self, File},
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    os::fd::OwnedFd,
    process::{Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use common::{
    BOUND, Scratch, Server, built, guard, holds_within, peer, process::descriptors, say, scratch::is_root,
    unless_paused, wait_until,
};

/// tcpserver on a free port of 127.0.0.1, not started yet.
fn command(options: &[&str], program: &[&str]) -> Command {
    let mut command = Command::new(built("tcpserver"));
    command.args(["-1", "-RHl0"]).args(options).args(["127.0.0.1", "0"]).args(program);
    command
}

fn tcpserver(options: &[&str], program: &[&str]) -> Server {
    Server::printing_port(command(options, program))
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, BOUND).expect("connect to the server");
    stream.set_read_timeout(Some(BOUND)).expect("set a timeout");
    stream
}

/// Says a word to a program that sends it back. Whether it did.
fn is_served(stream: &mut TcpStream) -> bool {
    stream.write_all(b"?").is_ok() && stream.read_exact(&mut [0]).is_ok()
}

/// All that comes until the end, however it ends.
fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    match stream.read_to_end(&mut all) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => panic!("the connection did not end: {error}"),
        _ => all,
    }
}

/// Processor time that a process has used, in the kernel's ticks of 10 ms.
fn ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let fields: Vec<&str> = stat.rsplit_once(") ").expect("a name").1.split(' ').collect();
    [11, 12].map(|at| fields[at].parse::<u64>().expect("ticks")).iter().sum()
}

/// How often a process has gone to sleep of its own accord: as often as something woke it.
fn sleeps(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    line.and_then(|count| count.trim().parse().ok()).expect("a count")
}

/// Over a second in which nothing is asked of it, it may wake some times to try again, and use next to no time.
#[track_caller]
fn idles(server: &Server, most_wakes: u64) {
    unless_paused(|| {
        let before = (ticks(server.pid()), sleeps(server.pid()));
        thread::sleep(Duration::from_secs(1));
        let used = ticks(server.pid()) - before.0;
        let wakes = sleeps(server.pid()) - before.1;
        assert!(used <= 5, "it used {used} ticks of 10 ms in a second in which it had nothing to do");
        assert!(wakes <= most_wakes, "it woke {wakes} times in a second in which it had nothing to do");
    });
}

/// A supervisor may look about once more before it sleeps.
const FEW: u64 = 3;

/// Lines of the log with this in them.
fn lines(server: &Server, part: &str) -> usize {
    server.log().lines().filter(|line| line.contains(part)).count()
}

#[test]
fn it_sleeps_while_nobody_comes() {
    let server = tcpserver(&["-v", "-c", "5"], &["cat"]);
    idles(&server, FEW);
    let mut held: Vec<TcpStream> = (0..3).map(|_| connect(server.address())).collect();
    assert!(held.iter_mut().all(is_served));
    idles(&server, FEW);
    // At the limit with clients who wait.
    held.extend((0..4).map(|_| connect(server.address())));
    assert!(held[..5].iter_mut().all(is_served));
    idles(&server, FEW);
    drop(held);
    wait_until("all have ended", || server.log().ends_with("status: 0/5\n"));
    idles(&server, FEW);
}

/// Nobody else runs as this user: the limit of processes is counted for each user.
fn lonely_user() -> String {
    (61_000 + std::process::id() % 3000).to_string()
}

#[test]
fn a_full_process_table() {
    let [Some(prlimit), Some(setpriv)] = [peer("prlimit"), peer("setpriv")] else { return };
    if !is_root() {
        return say("SKIPPED a_full_process_table: only root changes its user");
    }
    let user = lonely_user();
    let inner = command(&["-v"], &["cat"]);
    let mut command = Command::new(setpriv);
    command.args(["--reuid", &user, "--regid", &user, "--clear-groups"]).arg(prlimit).arg("--nproc=3:3");
    command.arg(inner.get_program()).args(inner.get_args());
    let mut server = Server::printing_port(command);
    let before = descriptors(server.pid());

    let mut held: Vec<TcpStream> = (0..2).map(|_| connect(server.address())).collect();
    assert!(held.iter_mut().all(is_served), "two programs and the supervisor are three processes");
    // More come than there is room for. Each is kept or turned away, and it is said, not once for each try.
    let mut more: Vec<TcpStream> = (0..20).map(|_| connect(server.address())).collect();
    server.await_log(&["unable to fork"]);
    idles(&server, 40);
    let told = lines(&server, "unable to fork");
    assert!(told <= 25, "{told} lines about 20 connections:\n{}", server.log());
    // There is room again: who was kept is served now, and a newcomer in any case.
    drop(held);
    let mut served = 0;
    for stream in &mut more {
        stream.set_read_timeout(Some(Duration::from_millis(300))).expect("set a timeout");
        served += usize::from(is_served(stream));
    }
    drop(more);
    let mut late = connect(server.address());
    assert!(
        holds_within(BOUND, || is_served(&mut late) || {
            late = connect(server.address());
            false
        }),
        "a newcomer is served, as {served} of those were who waited"
    );
    drop(late);
    wait_until("all have ended", || server.log().ends_with("status: 0/40\n"));
    assert_eq!(server.children(), [], "no zombie");
    assert_eq!(descriptors(server.pid()), before, "no descriptor");
    server.stop();
}

#[test]
fn a_full_descriptor_table() {
    let Some(prlimit) = peer("prlimit") else { return };
    let mut server = tcpserver(&["-v"], &["cat"]);
    let mut first = connect(server.address());
    assert!(is_served(&mut first));
    let before = descriptors(server.pid());
    let limit = |most: u32| {
        let mut command = Command::new(&prlimit);
        command.args(["--pid", &server.pid().to_string(), &format!("--nofile={most}:")]);
        assert!(command.status().expect("run prlimit").success());
    };
    // The lowest number that is free: up to there all are taken.
    let taken = (0..).find(|number| !before.contains_key(number)).expect("a free number");
    limit(taken);

    let mut waiting: Vec<TcpStream> = (0..3).map(|_| connect(server.address())).collect();
    let said = server.await_log(&["warning", "accept"]);
    idles(&server, 40);
    let told = lines(&server, "accept");
    assert!(told <= 5, "{said:?} stands there {told} times");
    // Whoever is served already does not mind.
    assert!(is_served(&mut first));
    limit(20_000);
    assert!(waiting.iter_mut().all(is_served), "those who waited are served");
    drop((first, waiting));
    wait_until("all have ended", || server.log().ends_with("status: 0/40\n"));
    server.stop();
}

/// The log is a pipe that nobody reads: it fills, and all go on being served. What could not be written is counted and
/// told when there is room.
#[test]
fn a_stalled_log_reader() {
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    let mut command = command(&["-v"], &["cat"]);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(OwnedFd::from(writer))
        .spawn()
        .expect("start tcpserver");
    drop(command); // and with it our end for writing
    guard::add(child.id());
    let mut port = String::new();
    let mut stdout = std::io::BufReader::new(child.stdout.take().expect("a pipe"));
    std::io::BufRead::read_line(&mut stdout, &mut port).expect("a port");
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port.trim().parse().expect("a port")));

    // A pipe holds 64 KiB, and a connection leaves some 200 bytes there.
    for number in 0..1000 {
        let mut client = connect(address);
        assert!(is_served(&mut client), "the {number}th client while nobody reads the log");
    }
    let before = (ticks(child.id()), sleeps(child.id()));
    thread::sleep(Duration::from_secs(1));
    assert!(ticks(child.id()) - before.0 <= 5, "it spins while the log is full");

    // The reader comes back: whole lines, in the end one about those that are missing, and then all is as ever.
    let log = Mutex::new(String::new());
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut piece = [0; 4096];
            while let Ok(len @ 1..) = reader.read(&mut piece) {
                log.lock().expect("no poison").push_str(&String::from_utf8_lossy(&piece[..len]));
            }
        });
        let mut client = connect(address);
        assert!(is_served(&mut client));
        drop(client);
        let told = || {
            let log = log.lock().expect("no poison");
            log.contains("were lost") && log.ends_with("status: 0/40\n")
        };
        if !holds_within(BOUND, told) {
            say(&log.lock().expect("no poison")); // and the reader ends with the server
        }
        common::server::send(child.id(), nix::sys::signal::Signal::SIGTERM);
        assert!(child.wait().expect("wait for it").success());
        guard::remove(child.id());
    });
    let log = log.into_inner().expect("no poison");
    assert!(log.ends_with("status: 0/40\n"), "the log ends with {:?}", &log[log.len().saturating_sub(300)..]);
    assert!(log.lines().all(|line| line.starts_with("tcpserver: ")), "each line is whole:\n{log}");
    let missing = log.lines().find(|line| line.contains("were lost"));
    assert!(
        missing.is_some_and(|line| line.contains(|c: char| c.is_ascii_digit())),
        "it says how many are missing:\n{log}"
    );
}

/// A log that takes nothing at all, full disk or closed pipe, is no reason to stop.
#[test]
fn a_log_that_takes_nothing() {
    let (reader, closed) = std::io::pipe().expect("a pipe");
    drop(reader);
    for log in
        [OwnedFd::from(File::options().write(true).open("/dev/full").expect("open /dev/full")), OwnedFd::from(closed)]
    {
        let mut shell = Command::new("/bin/sh");
        let inner = command(&["-v"], &["cat"]);
        // Server keeps a file of its own as stderr: the shell takes ours from descriptor 0.
        shell.args(["-c", "exec 2>&0 0</dev/null; exec \"$@\"", "sh"]).arg(inner.get_program()).args(inner.get_args());
        let mut server = Server::spawn_with_input(shell, log).with_port();
        for _ in 0..50 {
            assert!(is_served(&mut connect(server.address())));
        }
        wait_until("all have ended", || server.children().is_empty());
        server.stop();
    }
}

/// A program that is not there, or cannot be executed, for a while.
#[test]
fn a_program_that_is_missing_for_a_while() {
    let scratch = Scratch::new();
    let path = scratch.join("program");
    let mut server = tcpserver(&["-v"], &[&path.display().to_string()]);
    let before = descriptors(server.pid());
    for _ in 0..200 {
        assert_eq!(rest(&mut connect(server.address())), b"");
    }
    wait_until("all have ended", || server.log().ends_with("status: 0/40\n"));
    assert_eq!(lines(&server, " status 28416"), 200, "111 each");
    idles(&server, FEW);
    // Each is told, or counted where there are too many.
    thread::sleep(Duration::from_secs(1));
    assert_eq!(rest(&mut connect(server.address())), b"");
    wait_until("all are told", || counted(&server.log()) == 201);
    scratch.file("program", "#!/bin/sh\necho here now\n");
    assert_eq!(rest(&mut connect(server.address())), b"", "it may not be executed yet");
    common::scratch::set_mode(&path, 0o755);
    assert_eq!(rest(&mut connect(server.address())), b"here now\n");
    assert_eq!(descriptors(server.pid()), before, "no descriptor");
    server.stop();
}

/// The warnings of a log, with those that were held back: `(5 more)`.
fn counted(log: &str) -> usize {
    let more = |line: &str| line.strip_suffix(" more)")?.rsplit_once('(')?.1.parse().ok();
    log.lines().filter(|line| line.contains(": warning: ")).map(|line| 1 + more(line).unwrap_or(0)).sum()
}

/// Rules that are replaced again and again under load: each connection is decided by the whole of one file.
///
/// One file knows the address, the other a prefix of it. Who looked for the first in one and for the second in the other
/// would find neither, and be denied, or be admitted without a variable.
#[test]
fn rules_are_replaced_under_load() {
    let scratch = Scratch::new();
    // So many others that a file is several pages long.
    let others: String = (0..2000).map(|n| format!("10.{}.{}.1:allow,V=\"other\"\n", n / 200, n % 200)).collect();
    let texts = ["127.0.0.1:allow,V=\"address\"\n:deny\n", "127.:allow,V=\"prefix\"\n"];
    for (name, text) in ["a", "b"].iter().zip(texts) {
        scratch.file(name, format!("{text}{others}"));
    }
    let compile = |name: &str| {
        let mut command = Command::new(built("tcprules"));
        command.current_dir(scratch.path()).args(["rules.cdb", "rules.tmp"]);
        command.stdin(File::open(scratch.join(name)).expect("open the rules"));
        assert!(command.status().expect("run tcprules").success());
    };
    compile("a");
    let cdb = scratch.join("rules.cdb").display().to_string();
    let server = tcpserver(&["-v", "-x", &cdb], &["sh", "-c", "echo \"$V\""]);
    let (stop, both) = (AtomicBool::new(false), [AtomicUsize::new(0), AtomicUsize::new(0)]);
    thread::scope(|scope| {
        let replacing = scope.spawn(|| {
            let mut replaced = 0;
            while !stop.load(Ordering::Relaxed) {
                compile(["b", "a"][replaced % 2]);
                replaced += 1;
            }
            replaced
        });
        let clients: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    for _ in 0..400 {
                        match rest(&mut connect(server.address())).as_slice() {
                            b"address\n" => both[0].fetch_add(1, Ordering::Relaxed),
                            b"prefix\n" => both[1].fetch_add(1, Ordering::Relaxed),
                            other => panic!("neither file decides {:?}", other.escape_ascii().to_string()),
                        };
                    }
                })
            })
            .collect();
        let ended: Vec<_> = clients.into_iter().map(thread::ScopedJoinHandle::join).collect();
        stop.store(true, Ordering::Relaxed);
        let replaced = replacing.join().expect("replacing");
        assert!(ended.iter().all(Result::is_ok), "a client met something else:\n{}", server.log());
        let counts = both.each_ref().map(|count| count.load(Ordering::Relaxed));
        assert!(
            replaced > 10 && counts.iter().all(|&count| count > 0),
            "{replaced} replacements, {counts:?} decisions"
        );
    });
}

/// As many as a busy server has in a day, in a row: the log tells each, and nothing is left.
#[test]
fn a_hundred_thousand_connections() {
    const CONNECTIONS: usize = 100_000;
    const CLIENTS: usize = 6;
    let program = built("tine-daytime");
    let mut server = tcpserver(&["-v", "-b", "100"], &[&program.display().to_string()]);
    let visit = || {
        let said = rest(&mut connect(server.address()));
        assert!(said.ends_with(b"\r\n"), "the time of day, not {:?}", said.escape_ascii().to_string());
    };
    visit();
    wait_until("it has ended", || server.log().ends_with("status: 0/40\n"));
    let (before, memory) = (descriptors(server.pid()), resident(server.pid()));
    let done = AtomicUsize::new(1);
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                while done.fetch_add(1, Ordering::Relaxed) < CONNECTIONS {
                    visit();
                }
            });
        }
    });
    wait_until("all have ended", || server.children().is_empty());
    assert_eq!(descriptors(server.pid()), before, "no descriptor");
    let grown = resident(server.pid()).saturating_sub(memory);
    assert!(grown <= 128, "{grown} KiB more than after one connection");
    idles(&server, FEW);
    server.stop();
    let log = server.log();
    let mut counts = [0; 4];
    for line in log.lines() {
        for (count, verb) in counts.iter_mut().zip(["pid", "ok", "end", "status:"]) {
            *count += usize::from(line.split(' ').nth(1) == Some(verb));
        }
    }
    assert_eq!(counts, [CONNECTIONS, CONNECTIONS, CONNECTIONS, 2 * CONNECTIONS + 1], "pid, ok, end, status lines");
    assert_eq!(log.lines().filter(|line| line.contains(": end ") && !line.ends_with(" status 0")).count(), 0);
    assert!(log.ends_with("status: 0/40\n"));
}

/// Resident memory of a process that is its own, in KiB.
fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|size| size.trim().strip_suffix(" kB")?.parse().ok()).expect("a size")
}
