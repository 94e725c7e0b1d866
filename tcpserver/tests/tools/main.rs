//! Promise: the small programs of ucspi-tcp are those of 0.88: what both can do is done by both, from the same arguments,
//! input and network, and compared by output, messages and exit code. What ours do better has tests of its own.

#[path = "../common/dns.rs"]
#[allow(dead_code, reason = "shared with the tests of names, and this one uses a part of it")]
mod dns;
#[path = "../../../tests/common/guard.rs"]
mod guard;
#[path = "../../../tests/common/peers.rs"]
mod peers;
#[allow(dead_code, reason = "shared with the tests of the whole, and this one uses a part of it")]
#[path = "../../../tests/common/scratch.rs"]
mod scratch;

mod ask;
mod between;
mod client;
mod executable;
mod filters;
mod rblsmtpd;

use std::ffi::OsStr;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, IntoRawFd};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, bind, getsockname, socket};
use nix::unistd::Pid;
use peers::peer;

/// How long anything may take that ends soon on an idle machine. Reached only when it never would end.
const BOUND: Duration = Duration::from_secs(120);

/// A line that is seen although the test passes.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Our executable.
const OURS: &str = env!("CARGO_BIN_EXE_ucspi-tcp");

/// Ours, as the program of that name.
fn ours(name: &str) -> Command {
    let mut command = Command::new(OURS);
    command.arg(name);
    command
}

/// The program of that name of both packages, theirs first; `None` if theirs is not installed.
fn pair(name: &str) -> Option<[Command; 2]> {
    Some([Command::new(peer(name)?), ours(name)])
}

/// Whether low ports can be listened at, which is told if not.
fn is_root() -> bool {
    let root = scratch::is_root();
    if !root {
        let test = thread::current().name().unwrap_or("a test").to_string();
        say(&format!("SKIPPED {test}: it listens at low ports, for which it must be root"));
    }
    root
}

/// How a program ended, and what it said.
#[derive(Clone, Debug, PartialEq, Eq)]
struct End {
    code: Option<i32>,
    signal: Option<i32>,
    stdout: String,
    stderr: String,
}

/// Lines as they are, and what is no text in them escaped.
fn visible(bytes: &[u8]) -> String {
    let lines = bytes.split(|&byte| byte == b'\n').map(|line| line.escape_ascii().to_string().replace("\\\"", "\""));
    lines.collect::<Vec<_>>().join("\n")
}

/// Starts a program that ends with this test, whatever becomes of it.
fn start(command: &mut Command) -> Child {
    let child = command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    guard::add(child.id());
    child
}

/// Waits for what must end, with all that it says.
#[track_caller]
fn finish(child: Child) -> End {
    let pid = child.id();
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(child.wait_with_output()));
    let output = receiver.recv_timeout(BOUND);
    if output.is_err() {
        let _ = kill(Pid::from_raw(i32::try_from(pid).expect("a pid")), Signal::SIGKILL);
    }
    guard::remove(pid);
    let output = output.expect("it ends").expect("wait for it");
    let status: ExitStatus = output.status;
    End {
        code: status.code(),
        signal: status.signal(),
        stdout: visible(&output.stdout),
        stderr: visible(&output.stderr).replace(&pid.to_string(), "PID"),
    }
}

/// Runs a program with this input. In what it says on standard error its process number is PID.
#[track_caller]
fn run(command: &mut Command, input: &[u8]) -> End {
    let mut child = start(command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()));
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_vec();
    // One that does not read its input to the end is none of our business.
    thread::spawn(move || drop(stdin.write_all(&input)));
    finish(child)
}

/// Runs both and compares all that can be seen; what a usage line lists is left out.
#[track_caller]
fn assert_same(
    name: &str,
    arguments: &[&str],
    input: &[u8],
    configure: impl Fn(&mut Command),
    normal: impl Fn(&mut End),
) -> Option<End> {
    let ends = pair(name)?.map(|mut command| {
        command.args(arguments);
        configure(&mut command);
        let mut end = run(&mut command, input);
        end.stderr = end.stderr.lines().map(|line| cut_usage(line) + "\n").collect();
        normal(&mut end);
        end
    });
    let [theirs, ours] = ends;
    assert_eq!(ours, theirs, "{name} {arguments:?}");
    Some(ours)
}

fn cut_usage(line: &str) -> String {
    match line.split_once(": usage: ") {
        Some((program, _)) => format!("{program}: usage:"),
        None => line.to_owned(),
    }
}

/// An address of loopback that nobody else has, with any port.
fn own_address() -> Ipv4Addr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let pid = std::process::id();
    let [_, _, high, low] = pid.to_be_bytes();
    Ipv4Addr::new(127, 100 + high % 100, low, NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A server of one sort, on a thread, until the test's process ends.
fn serve(at: impl Into<SocketAddr>, serve: impl Fn(TcpStream) + Send + 'static) -> SocketAddr {
    let at = at.into();
    let listener = TcpListener::bind(at).unwrap_or_else(|e| panic!("listen at {at}: {e}"));
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || listener.incoming().filter_map(Result::ok).for_each(serve));
    address
}

/// A server that says this and is done.
fn say_and_close(at: impl Into<SocketAddr>, text: &'static [u8]) -> SocketAddr {
    serve(at, move |mut stream| {
        let _ = stream.write_all(text);
    })
}

/// A port where nobody listens, on an address of its own. It is taken until the test's process ends, so that nobody else
/// comes to listen there either.
fn closed() -> SocketAddr {
    let taken = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).expect("a socket");
    bind(taken.as_raw_fd(), &SockaddrStorage::from(SocketAddr::from((own_address(), 0)))).expect("bind");
    let address: SockaddrStorage = getsockname(taken.into_raw_fd()).expect("an address");
    address.to_string().parse().expect("an address")
}

/// Numbers that look random and are the same in each run (a linear congruential generator).
fn numbers(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed;
    move |below| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    }
}

/// A program in a directory of the test.
fn script(scratch: &scratch::Scratch, name: &str, text: &str) -> PathBuf {
    let path = scratch.file(name, text);
    scratch::set_mode(&path, 0o755);
    path
}

fn with_path(places: &[&Path]) -> impl Fn(&mut Command) {
    let path = places.iter().map(|place| place.as_os_str()).collect::<Vec<&OsStr>>().join(OsStr::new(":"));
    move |command: &mut Command| {
        command.env("PATH", &path);
    }
}

fn as_it_is(_: &mut Command) {}

fn unchanged(_: &mut End) {}
