//! Promise: what a connection costs tcpserver's supervisor, counted in system calls, with few and with many connections
//! held; and that nobody is lost sight of among many.

#[path = "../../tests/common/mod.rs"]
mod common;

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    process::Command,
    thread,
};

use common::{
    BOUND, Scratch, Server, built, peer,
    process::{children, descriptors},
    wait_until,
};

/// tcpserver on a free port of 127.0.0.1, not started yet.
fn command(options: &[&str], program: &[&str]) -> Command {
    command_at("127.0.0.1", options, program)
}

fn command_at(host: &str, options: &[&str], program: &[&str]) -> Command {
    let mut command = Command::new(built("tcpserver"));
    command.args(["-1RHl0"]).args(options).args([host, "0"]).args(program);
    command
}

/// Under strace, which counts: the trace goes to a file.
fn traced(scratch: &Scratch, host: &str, options: &[&str]) -> Option<Server> {
    let mut strace = Command::new(peer("strace")?);
    // -D: the server is our child and strace its grandchild. Without -f: the supervisor alone.
    strace.args(["-D", "-s", "64", "-o"]).arg(scratch.join("trace"));
    let command = command_at(host, options, &[&echo()]);
    strace.arg(command.get_program()).args(command.get_args());
    Some(Server::printing_port(strace))
}

/// The lines of calls that have returned.
fn calls(scratch: &Scratch) -> Vec<String> {
    let trace = fs::read_to_string(scratch.join("trace")).unwrap_or_default();
    // A debug build looks whether a descriptor is open before it closes it; a release does not.
    let counts = |line: &&str| line.contains(" = ") && !line.starts_with(['-', '+']) && !line.contains(", F_GETFD)");
    trace.lines().filter(counts).map(String::from).collect()
}

/// A connection on which a word comes back from a program that stays.
fn hold(server: &Server) -> TcpStream {
    let mut stream = TcpStream::connect_timeout(&server.address(), BOUND).expect("connect");
    stream.set_read_timeout(Some(BOUND)).expect("set a timeout");
    stream.write_all(b"?").expect("say a word");
    stream.read_exact(&mut [0]).expect("the word comes back");
    stream
}

/// A connection whose program ends with it.
fn visit(server: &Server) {
    let mut stream = hold(server);
    stream.shutdown(std::net::Shutdown::Write).expect("say that it was all");
    assert_eq!(stream.read_to_end(&mut Vec::new()).expect("the end"), 0);
}

/// So many visits from several clients at once.
fn visits(server: &Server, clients: usize, count: usize) {
    thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| (0..count / clients).for_each(|_| visit(server)));
        }
    });
}

/// The program: it sends back what it gets and ends with its connection.
fn echo() -> String {
    built("tine-echo").display().to_string()
}

/// The calls for a connection, as the better of several batches tells: a lull on a busy machine has the supervisor go to
/// sleep and wake up again, which are calls of their own.
fn per_connection(server: &Server, scratch: &Scratch, at_rest: usize) -> (f64, Vec<String>) {
    let rests = || wait_until("all have ended", || children(server.pid()).len() == at_rest);
    rests();
    let batch = || {
        let (count, before) = (400, calls(scratch).len());
        visits(server, 16, count);
        rests();
        let made = calls(scratch).split_off(before);
        assert!(made.iter().filter(|call| call.starts_with("accept4(")).count() >= count, "strace saw too little");
        (made.len() as f64 / count as f64, made)
    };
    (0..5).map(|_| batch()).min_by(|a, b| a.0.total_cmp(&b.0)).expect("five batches")
}

#[track_caller]
fn assert_six((each, made): (f64, Vec<String>)) {
    let some = made[..made.len().min(60)].join("\n  ");
    assert!(each <= 6.0, "{each} calls for a connection, six allowed:\n  {some}");
}

#[test]
fn six_calls_for_a_connection() {
    let scratch = Scratch::new();
    let Some(mut server) = traced(&scratch, "127.0.0.1", &[]) else { return };
    assert_six(per_connection(&server, &scratch, 0));
    server.stop();
}

/// Each connection is asked for its own local address.
#[test]
fn six_calls_on_a_wildcard_address() {
    let scratch = Scratch::new();
    let Some(mut server) = traced(&scratch, "0", &[]) else { return };
    assert_six(per_connection(&server, &scratch, 0));
    server.stop();
}

/// The rules are asked without opening their file anew.
#[test]
fn six_calls_with_rules() {
    let scratch = Scratch::new();
    let rules = rules(&scratch, "10.:deny\n127.:allow,A=\"b\"\n:deny\n");
    let Some(mut server) = traced(&scratch, "127.0.0.1", &["-x", &rules]) else { return };
    assert_six(per_connection(&server, &scratch, 0));
    server.stop();
}

/// With each line of the log: what the supervisor says is one write for a connection.
#[test]
fn seven_calls_with_the_log() {
    let scratch = Scratch::new();
    let Some(mut server) = traced(&scratch, "127.0.0.1", &["-v"]) else { return };
    let (each, made) = per_connection(&server, &scratch, 0);
    assert!(each <= 7.0, "{each} calls for a connection, seven allowed:\n  {}", made[..60].join("\n  "));
    server.stop();
}

/// Four hundred are held, and the supervisor looks at hardly any of them to find those who have ended.
#[test]
fn six_calls_while_many_are_held() {
    let scratch = Scratch::new();
    let Some(mut server) = traced(&scratch, "127.0.0.1", &["-c", "1000", "-b", "1000"]) else { return };
    let held: Vec<TcpStream> = (0..400).map(|_| hold(&server)).collect();
    let (each, made) = per_connection(&server, &scratch, held.len());
    assert_six((each, made.clone()));
    // Each time that it asks for any child, the kernel looks at all.
    let of_all = made.iter().filter(|call| call.starts_with("wait4(-1")).count();
    assert!(of_all <= 200, "it asked {of_all} times for any child in 400 connections");
    drop(held);
    wait_until("all have ended", || children(server.pid()).is_empty());
    server.stop();
}

/// Whoever ends among many is found, the one that began first too, and many that end at the same instant.
#[test]
fn nobody_is_lost_among_many() {
    nobody_is_lost_among(300);
}

/// So many that the supervisor goes through its own table, a slice at a time.
#[test]
fn nobody_is_lost_among_very_many() {
    nobody_is_lost_among(700);
}

fn nobody_is_lost_among(count: usize) {
    let mut server = Server::printing_port(command(&["-v", "-c", "1000", "-b", "1000"], &[&echo()]));
    let before = descriptors(server.pid());
    let mut held: Vec<TcpStream> = (0..count).map(|_| hold(&server)).collect();
    visits(&server, 8, 400);
    wait_until("the visitors have ended", || children(server.pid()).len() == held.len());
    drop(held.remove(0));
    wait_until("the first has ended", || server.log().ends_with(&format!("status: {}/1000\n", held.len())));
    // Not in the order in which they came.
    let mut at = 0;
    held.retain(|_| {
        at += 1;
        at % 2 == 0
    });
    let half = held.len();
    wait_until("half have ended", || children(server.pid()).len() == half);
    drop(held);
    wait_until("all have ended", || server.log().ends_with("status: 0/1000\n"));
    assert_eq!(children(server.pid()), [], "no zombie");
    assert_eq!(descriptors(server.pid()), before, "no descriptor");
    let ends = server.log().lines().filter(|line| line.contains(": end ")).count();
    assert_eq!(ends, count + 400, "each end is told");
    server.stop();
}

/// Compiles rules; the path of their file.
fn rules(scratch: &Scratch, text: &str) -> String {
    let source = scratch.file("rules", text);
    let mut command = Command::new(built("tcprules"));
    command.current_dir(scratch.path()).args(["rules.cdb", "rules.tmp"]);
    command.stdin(fs::File::open(source).expect("open the rules"));
    assert!(command.status().expect("run tcprules").success());
    scratch.join("rules.cdb").display().to_string()
}

/// All that a connection brings.
fn words(server: &Server) -> String {
    let mut stream = TcpStream::connect_timeout(&server.address(), BOUND).expect("connect");
    stream.set_read_timeout(Some(BOUND)).expect("set a timeout");
    let mut text = String::new();
    match stream.read_to_string(&mut text) {
        Err(error) if error.kind() != std::io::ErrorKind::ConnectionReset => panic!("no end: {error}"),
        _ => text,
    }
}

/// The file stays open between connections; what has its name is followed all the same, from the next connection on.
#[test]
fn the_next_connection_follows_the_rules_of_now() {
    let scratch = Scratch::new();
    let path = rules(&scratch, ":allow,A=\"0\"\n");
    let mut server = Server::printing_port(command(&["-v", "-x", &path], &["sh", "-c", "echo $A"]));
    for number in 1..50 {
        rules(&scratch, &format!(":allow,A=\"{number}\"\n"));
        assert_eq!(words(&server), format!("{number}\n"));
    }
    rules(&scratch, ":deny\n");
    assert_eq!(words(&server), "");
    server.await_log(&["tcpserver: deny "]);
    fs::remove_file(&path).expect("remove the rules");
    assert_eq!(words(&server), "");
    server.await_log(&["dropping connection, unable to read", "file does not exist"]);
    fs::write(&path, "no database").expect("spoil the rules");
    assert_eq!(words(&server), "");
    server.await_log(&["dropping connection, unable to read", "protocol error"]);
    rules(&scratch, ":allow,A=\"again\"\n");
    assert_eq!(words(&server), "again\n");
    // The same file, written to in place.
    let old = fs::read(&path).expect("read the rules");
    let again = old.windows(5).position(|part| part == b"again").expect("the value");
    let mut new = old.clone();
    new[again..again + 5].copy_from_slice(b"other");
    fs::write(&path, new).expect("write the rules");
    assert_eq!(words(&server), "other\n");
    server.stop();
}

/// A limit that means that there is none takes no memory for it.
#[test]
fn a_limit_may_be_as_large_as_a_number() {
    let mut server = Server::printing_port(command(&["-c", "4294967295"], &["echo", "hi"]));
    assert_eq!(words(&server), "hi\n");
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
    let size: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    assert!(size < 16 * 1024, "{size} KiB");
    server.stop();
}
