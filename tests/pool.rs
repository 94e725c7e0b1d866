//! Promise: a pool follows the load. It grows at once and shrinks slowly, has never more children than it may, and costs
//! nothing while nothing happens; and when it is full, idle connections yield to clients that wait.

mod common;

use std::{
    fs::{self, File},
    io::{Read, Write},
    os::unix::{fs::FileExt, net::UnixStream},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use nix::sys::signal::Signal;

use common::{
    Client, Scratch, Server, holds_within, launch, process, server::send, strace::Traced, unless_paused, wait_until,
};

/// More than the buffers of both sockets hold, so that a child is in the middle of it until the client reads on.
const LARGE: u64 = 32 << 20;

fn site() -> Scratch {
    let site = Scratch::new();
    site.file("hello.txt", "hello\n");
    let large = site.file("large.bin", "");
    File::options().write(true).open(large).and_then(|file| file.set_len(LARGE)).expect("make a large file");
    site
}

#[track_caller]
fn serve(options: &str, site: &Scratch) -> Server {
    let options: Vec<&str> = options.split_whitespace().collect();
    Server::ready(launch::serve_command(&options, site.path()))
}

/// A client that was answered and keeps its connection.
#[track_caller]
fn kept(server: &Server) -> Client {
    let mut client = server.connect();
    assert!(client.get("/hello.txt").expect(200).keeps_alive());
    client
}

/// A client in the middle of the large file: its child cannot be asked for.
#[track_caller]
fn busy(server: &Server) -> Client {
    let mut client = server.connect();
    client.send("GET /large.bin HTTP/1.1\r\nHost: localhost\r\n\r\n");
    client.try_head().expect("the head of the response");
    client
}

/// Connects, asks, is answered, and goes.
#[track_caller]
fn visit(server: &Server) {
    let mut client = server.connect();
    client.request("GET", "/hello.txt", "Connection: close\r\n").expect(200);
    client.expect_end();
}

#[test]
fn it_grows_with_the_load_and_never_beyond_its_limit() {
    let site = site();
    let server = serve("--min-spare 2 --max-spare 6 --max-children 24", &site);
    assert_eq!(server.children().len(), 2);
    let over = AtomicUsize::new(0);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                over.fetch_max(server.children().len(), Ordering::Relaxed);
            }
        });
        let clients: Vec<Client> = (0..24).map(|_| busy(&server)).collect();
        // All 24 are served at once; one more waits for one of them.
        let mut late = server.connect();
        late.send("GET /hello.txt HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(server.children().len(), 24);
        drop(clients);
        late.response("GET").expect(200);
        done.store(true, Ordering::Relaxed);
    });
    assert!(over.into_inner() <= 24, "more children than the limit");
}

/// From a few to many at once, faster than one by one: all that come together are served while they all stay.
#[test]
fn it_grows_at_once() {
    let site = site();
    let server = serve("--min-spare 1 --max-spare 32 --max-children 200", &site);
    let clients: Vec<Client> = thread::scope(|scope| {
        let starts: Vec<_> = (0..120).map(|_| scope.spawn(|| kept(&server))).collect();
        starts.into_iter().map(|start| start.join().expect("a client is served")).collect()
    });
    assert!(clients.iter().all(Client::is_open), "nobody had to yield: the pool was not full");
    assert!((120..=200).contains(&server.children().len()), "{}", server.children().len());
}

#[test]
fn it_shrinks_when_the_load_is_gone_and_cuts_nobody() {
    let site = site();
    let server = serve("--min-spare 1 --max-spare 4 --max-children 60", &site);
    let clients: Vec<Client> = (0..30).map(|_| kept(&server)).collect();
    assert!(server.children().len() >= 30);
    drop(clients);
    let visits = AtomicUsize::new(0);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                // Spare children are told to leave while they accept these.
                while !done.load(Ordering::Relaxed) {
                    visit(&server);
                    visits.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let shrunk = holds_within(common::BOUND, || server.children().len() <= 6);
        done.store(true, Ordering::Relaxed);
        assert!(shrunk, "{} children are left", server.children().len());
    });
    assert!(visits.into_inner() > 0);
    wait_until("no more than the spares are left", || server.children().len() <= 4);
    visit(&server);
    assert!(!server.log().contains("warning"), "{}", server.log());
}

/// The supervisor of a pool that grew and shrank, and its children, wait without an end and do nothing.
#[test]
fn an_idle_pool_makes_no_system_call() {
    let site = site();
    let options = ["--min-spare", "2", "--max-spare", "4", "--max-children", "20", "--idle-timeout", "600"];
    let options: Vec<&str> = options.into_iter().chain(["--header-timeout", "600"]).collect();
    unless_paused(|| {
        let Some(traced) = Traced::start(&launch::serve_command(&options, site.path())) else { return };
        let clients: Vec<Client> = (0..10).map(|_| kept(&traced.server)).collect();
        drop(clients);
        let supervisor = traced.server.pid();
        let children = || process::children(supervisor);
        wait_until("the pool has shrunk", || children().len() <= 4);
        let rests = |pid: u32, call: &str| {
            let waits = |line: String| line.starts_with(call) && !line.contains(" = ") && !line.contains("tv_sec");
            traced.last_line(pid).is_some_and(waits)
        };
        wait_until("all rest", || rests(supervisor, "ppoll(") && children().iter().all(|c| rests(c.pid, "accept4(")));
        let all = || -> Vec<u32> { children().iter().map(|child| child.pid).chain([supervisor]).collect() };
        let count = || all().into_iter().map(|pid| traced.calls(pid).len()).sum::<usize>();
        let before = (all(), count());
        // The time is what is promised about: nothing is waited for.
        thread::sleep(Duration::from_secs(3));
        assert_eq!((all(), count()), before, "nobody did anything");
    });
}

/// Has the supervisor hand the children their connections.
const HANDED: &str = "--per-ip 1000";

/// Four keep their connections and ask for nothing: a fifth is served, and costs the longest idle one its connection.
#[test]
fn idle_connections_yield() {
    let site = site();
    let accepting = ["--children 4", "--min-spare 1 --max-spare 4 --max-children 4", "--children 4 --reuse 1"];
    let all = accepting.map(String::from).into_iter().chain(accepting.map(|options| format!("{options} {HANDED}")));
    for options in all {
        let server = serve(&format!("{options} --idle-timeout 600 --header-timeout 600"), &site);
        // A child says that it idles a moment after the client has its answer.
        let sleeps = |child| process::find(child).is_some_and(|process| process.state == 'S');
        let rests = |client: &Client| {
            let child = server.child_of(client);
            wait_until("the child waits", || sleeps(child));
        };
        let mut clients: Vec<Client> = (0..4).map(|_| kept(&server)).inspect(rests).collect();
        // The first one is not the longest idle any more.
        clients[0].get("/hello.txt").expect(200);
        rests(&clients[0]);
        let mut fifth = kept(&server);
        assert_eq!(clients.iter().map(Client::is_open).collect::<Vec<_>>(), [true, false, true, true], "{options}");
        // As each newcomer is: they take turns, and everybody is served.
        for _ in 0..10 {
            visit(&server);
        }
        fifth.send("");
        assert!(server.children().len() <= 4);
        assert!(!server.log().contains("warning"), "{}", server.log());
    }
}

/// A child that does not hear, because it is stopped or because it lies, keeps its own connection and nobody else's.
#[test]
fn who_does_not_yield_is_passed_over() {
    let site = site();
    for how in ["", HANDED] {
        let server = serve(&format!("--children 3 --idle-timeout 600 {how}"), &site);
        let deaf = kept(&server);
        let child = server.child_of(&deaf);
        wait_until("the child waits", || process::find(child).is_some_and(|process| process.state == 'S'));
        send(child, Signal::SIGSTOP);
        let others = [kept(&server), kept(&server)];
        // The deaf one is the longest idle, and asked first.
        let newcomers = [kept(&server), kept(&server)];
        assert!(deaf.is_open() && newcomers.iter().all(Client::is_open), "{how}");
        assert!(!others.iter().any(Client::is_open), "{how}");
        send(child, Signal::SIGCONT);
    }
}

/// What is under way is not what yields.
#[test]
fn no_request_under_way_yields() {
    let site = site();
    for how in ["", HANDED] {
        let server = serve(&format!("--children 3 --idle-timeout 600 {how}"), &site);
        let mut large = busy(&server);
        let mut half = server.connect();
        half.send("GET /hello.txt HTTP/1.1\r\nHost: loc");
        let idle = kept(&server);
        for _ in 0..5 {
            visit(&server);
        }
        assert!(!idle.is_open());
        assert_eq!(large.take(LARGE as usize).expect("the whole file").len() as u64, LARGE);
        half.send("alhost\r\n\r\n");
        half.response("GET").expect(200);
    }
}

/// A client that connected and says nothing has a child (at a Unix socket at once, where nobody defers it), and yields too.
#[test]
fn silent_newcomers_yield() {
    let site = site();
    let place = site.dir("place").join("socket");
    common::scratch::set_mode(&site.join("place"), 0o777);
    for how in ["", HANDED] {
        let listen = format!("unix:{}", place.display());
        let mut server = serve(&format!("--listen {listen} --children 1 --header-timeout 600 {how}"), &site);
        let connect = || {
            let client = UnixStream::connect(&place).expect("connect");
            client.set_read_timeout(Some(common::BOUND)).expect("a timeout");
            client
        };
        let (mut silent, mut other) = (connect(), connect());
        other.write_all(b"GET /hello.txt HTTP/1.0\r\n\r\n").expect("ask");
        let mut answer = String::new();
        other.read_to_string(&mut answer).expect("read the answer");
        assert!(answer.ends_with("\r\n\r\nhello\n"), "{how}: {answer}");
        assert_eq!(silent.read_to_end(&mut Vec::new()).expect("an end"), 0, "{how}");
        server.stop();
    }
}

/// Who has sent its balancer's header by the time that no child is free waits in the supervisor, and counts as well.
#[test]
fn who_waits_behind_a_balancer_is_made_room_for() {
    const HEADER: &str = "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n";
    let site = site();
    let options = "--proxy-protocol required --proxy-from 127.0.0.1 --proxy-timeout 600 --idle-timeout 600";
    let server = serve(&format!("--children 1 {options}"), &site);
    let mut late = server.connect();
    late.send(&HEADER[..10]);
    let mut first = server.connect();
    first.send(HEADER);
    assert!(first.get("/hello.txt").expect(200).keeps_alive());
    late.send(&HEADER[10..]);
    late.get("/hello.txt").expect(200);
    first.expect_end();
}

/// The byte of the page that the supervisor publishes its need on, as a child has it; and where.
fn need(pid: u32) -> u8 {
    let (address, _) = mapping(pid, |line| line.contains("tine-notice"));
    let mut need = [0];
    let memory = File::open(format!("/proc/{pid}/mem")).expect("the memory of a process");
    memory.read_exact_at(&mut need, address).expect("read a page");
    need[0]
}

/// Where a mapping begins, and its line.
#[track_caller]
fn mapping(pid: u32, which: impl Fn(&str) -> bool) -> (u64, String) {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).expect("the mappings of a process");
    let line = maps.lines().find(|line| which(line)).unwrap_or_else(|| panic!("no such mapping in:\n{maps}"));
    let (start, _) = line.split_once('-').expect("two addresses");
    (u64::from_str_radix(start, 16).expect("an address"), line.to_string())
}

/// While somebody waits, an answer says that it is its connection's last; afterwards it does not.
#[test]
fn a_full_pool_says_that_it_closes() {
    let site = site();
    for how in ["", HANDED] {
        let server = serve(&format!("--children 1 {how}"), &site);
        let mut first = busy(&server);
        let child = server.child_of(&first);
        let mut second = server.connect();
        second.send("GET /hello.txt HTTP/1.1\r\nHost: localhost\r\n\r\n");
        wait_until("the need is told", || need(child) > 0);
        first.send("GET /hello.txt HTTP/1.1\r\nHost: localhost\r\n\r\n");
        first.take(LARGE as usize).expect("the whole file");
        let last = first.response("GET").expect(200);
        assert!(!last.keeps_alive(), "{:?}", last.headers);
        first.expect_end();
        second.response("GET").expect(200);
        wait_until("the need is over", || need(child) == 0);
        drop(second);
        assert!(kept(&server).get("/hello.txt").expect(200).keeps_alive());
    }
}

/// The page with the need is the supervisor's: a child has it for reading, and no way to another.
#[test]
fn children_can_only_read_the_need() {
    let site = site();
    let server = serve("--children 1", &site);
    let child = server.children()[0].pid;
    let maps = fs::read_to_string(format!("/proc/{child}/maps")).expect("the mappings of a process");
    let pages: Vec<&str> = maps.lines().filter(|line| line.contains("tine-notice")).collect();
    assert_eq!(pages.len(), 1, "{maps}");
    assert!(pages[0].contains(" r--s "), "{}", pages[0]);
    let descriptors = process::descriptors(child);
    assert!(!descriptors.values().any(|what| what.contains("tine-notice")), "{descriptors:?}");
}

/// A count of idle children that none of them can come to wastes children up to the limit at most, and is corrected.
#[test]
fn an_absurd_count_is_corrected() {
    let site = site();
    let server = serve("--min-spare 2 --max-spare 4 --max-children 12", &site);
    for lie in [i32::MIN, -1000, 1000, i32::MAX] {
        liar(server.children()[0].pid)(lie);
        let clients: Vec<Client> = (0..12).map(|_| busy(&server)).collect();
        assert!(server.children().len() <= 12, "{lie}: {}", server.children().len());
        drop(clients);
        wait_until("the pool has shrunk", || server.children().len() <= 4);
    }
    assert!(!server.log().contains("warning"), "{}", server.log());
}

/// Writes to the count of idle children as this one could.
fn liar(child: u32) -> impl Fn(i32) {
    let (address, _) = mapping(child, |line| line.contains("rw-s") && line.ends_with("/dev/zero (deleted)"));
    let memory = File::options().write(true).open(format!("/proc/{child}/mem")).expect("the memory of a process");
    move |lie| memory.write_all_at(&lie.to_ne_bytes(), address).expect("lie")
}

/// A count that could be right: nobody would ring when the last spare is taken. Clients are served up to the limit all the
/// same, although the lie is told again and again.
#[test]
fn a_possible_lie_keeps_nobody_waiting() {
    let site = site();
    let server = serve("--min-spare 2 --max-spare 4 --max-children 12 --write-timeout 600", &site);
    let mut clients: Vec<Client> = (0..2).map(|_| busy(&server)).collect();
    wait_until("there are spares again", || server.children().len() >= 4);
    let lie = liar(server.child_of(&clients[0]));
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for lies in 0.. {
                if done.load(Ordering::Relaxed) {
                    return;
                }
                lie(3 + lies % 2);
                thread::sleep(Duration::from_millis(1));
            }
        });
        // Sent before any is answered: none of them may rely on another's end.
        let mut late: Vec<Client> = (2..12).map(|_| server.connect()).collect();
        late.iter_mut().for_each(|client| client.send("GET /large.bin HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        let are_served = late.iter_mut().all(|client| client.try_head().is_ok());
        done.store(true, Ordering::Relaxed);
        assert!(are_served);
        clients.extend(late);
    });
    assert_eq!(server.children().len(), 12);
    drop(clients);
    wait_until("the pool has shrunk", || server.children().len() <= 4);
    assert!(!server.log().contains("warning"), "{}", server.log());
}

/// A pool whose children are handed their connections follows the load as well, and loses nobody on the way.
#[test]
fn a_handed_pool_shrinks() {
    let site = site();
    let server = serve("--min-spare 2 --max-spare 4 --max-children 40 --per-ip 1000", &site);
    for _ in 0..2 {
        let clients: Vec<Client> = (0..30).map(|_| kept(&server)).collect();
        assert!((30..=40).contains(&server.children().len()));
        let stays = busy(&server);
        drop(clients);
        wait_until("it has shrunk beside one that is served", || server.children().len() <= 5);
        (0..20).for_each(|_| visit(&server));
        drop(stays);
        wait_until("no more than the spares are left", || server.children().len() <= 4);
        assert!(server.children().len() >= 2);
    }
    assert!(!server.log().contains("warning"), "{}", server.log());
}

/// With `--reuse 1`, whoever serves a client was there before it came: no fork lies between its coming and its answer.
#[test]
fn one_shot_children_are_made_ahead() {
    let site = site();
    let server = serve("--reuse 1 --min-spare 4 --max-spare 8 --max-children 50 --idle-timeout 600", &site);
    let mut clients: Vec<(Client, u32)> = Vec::new();
    for _ in 0..20 {
        let mut before = Vec::new();
        // Nobody is being made, and all serve or wait: one that begins now may be faster than those whom the kernel wakes.
        let sleeps = |process: &process::Process| process.state == 'S';
        wait_until("four children wait", || {
            let rests = process::find(server.pid()).is_some_and(|supervisor| sleeps(&supervisor));
            before = server.children();
            rests && before.len() >= clients.len() + 4 && before.iter().all(sleeps)
        });
        let client = kept(&server);
        let child = server.child_of(&client);
        assert!(before.iter().any(|other| other.pid == child), "{child} was not there before its client: {before:?}");
        assert!(clients.iter().all(|&(_, other)| other != child), "a fresh one for each");
        clients.push((client, child));
    }
}

/// A child dies at its work again and again: the count of the idle stays right, and the pool stays filled.
#[test]
fn deaths_leave_the_pool_as_it_was() {
    let site = site();
    // A machine that stands still between an answer and a look must not cost a client its connection.
    let server = serve("--min-spare 3 --max-spare 5 --max-children 20 --idle-timeout 600", &site);
    for round in 0..20 {
        let client = kept(&server);
        // One that serves, or one that waits.
        let serving = server.child_of(&client);
        let waiting = server.children().iter().map(|child| child.pid).find(|&pid| pid != serving);
        let victim = if round % 2 == 0 { Some(serving) } else { waiting };
        let victim = victim.unwrap_or(serving);
        common::server::send(victim, Signal::SIGKILL);
        // A connection that comes before its end may still be its.
        wait_until("it is dead", || !process::is_alive(victim));
        wait_until("the pool is filled", || server.children().len() >= 3);
    }
    let clients: Vec<Client> = (0..20).map(|_| busy(&server)).collect();
    assert_eq!(server.children().len(), 20);
    drop(clients);
    wait_until("the pool has shrunk", || server.children().len() <= 5);
    assert!(server.children().len() >= 3);
}
