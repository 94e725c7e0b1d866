//! A `tcpserver` under test, and clients from any address of 127/8.

#![allow(dead_code, unused_imports, reason = "compiled into each test binary, and each uses a part of it")]

#[path = "../../../tests/common/guard.rs"]
mod guard;
#[path = "../../../tests/common/pauses.rs"]
mod pauses;
#[path = "../../../tests/common/peers.rs"]
mod peers;
#[path = "../../../tests/common/scratch.rs"]
mod scratch;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, bind, connect, socket};
use nix::unistd::Pid;

pub use pauses::unless_paused;
pub use peers::peer;
pub use scratch::Scratch;

/// How long anything may take that ends in an instant on an idle machine. Reached only when it never would end.
pub const BOUND: Duration = Duration::from_secs(60);

pub const TCPSERVER: &str = env!("CARGO_BIN_EXE_tcpserver");

/// A line that is seen although the test passes.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Waits until `condition` holds.
#[track_caller]
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < BOUND, "gave up after {BOUND:?} waiting until {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// A program that runs until the test ends, with a file for what it says on stderr.
pub struct Server {
    child: Child,
    command: String,
    pub scratch: Scratch,
    /// Where it listens; port 0 when that is not known.
    pub address: SocketAddr,
}

impl Server {
    /// `tcpserver -1v -HRl0 OPTIONS 127.0.0.1 0 PROGRAM`.
    #[track_caller]
    pub fn start(options: &[&str], program: &[&str]) -> Server {
        Server::start_in(Scratch::new(), options, &["127.0.0.1", "0"], program)
    }

    /// The same in a directory that is prepared already; `place` is where to listen.
    #[track_caller]
    pub fn start_in(scratch: Scratch, options: &[&str], place: &[&str], program: &[&str]) -> Server {
        let mut command = Command::new(TCPSERVER);
        command.args(["-1v", "-HRl0"]).args(options).args(place).args(program);
        Server::run(scratch, command)
    }

    /// Any command that says its port on stdout, as `tcpserver -1` does, or its address at the end of a line.
    #[track_caller]
    pub fn run(scratch: Scratch, command: Command) -> Server {
        let mut server = Server::spawn(scratch, command);
        let mut port = String::new();
        let stdout = server.child.stdout.take().expect("a pipe");
        let _ = BufReader::new(stdout).read_line(&mut port);
        let port = port
            .trim()
            .rsplit(':')
            .next()
            .and_then(|port| port.parse().ok())
            .unwrap_or_else(|| panic!("no port from {}", server.story()));
        server.address.set_port(port);
        server
    }

    /// Any command.
    #[track_caller]
    pub fn spawn(scratch: Scratch, mut command: Command) -> Server {
        let log = File::create(scratch.join("log")).expect("make the log");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let child = command.spawn().unwrap_or_else(|e| panic!("start {command:?}: {e}"));
        guard::add(child.id());
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        Server { child, command: format!("{command:?}"), scratch, address }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        let bytes = fs::read(self.scratch.join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The lines of the log with this in them.
    pub fn lines_with(&self, part: &str) -> Vec<String> {
        self.log().lines().filter(|line| line.contains(part)).map(str::to_owned).collect()
    }

    #[track_caller]
    pub fn wait_for_log(&self, part: &str) {
        let start = Instant::now();
        while !self.log().contains(part) {
            assert!(start.elapsed() < BOUND, "no {part:?} from {}", self.story());
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// All that is known, for a failed assertion.
    pub fn story(&self) -> String {
        format!("{}, which said:\n{}", self.command, self.log())
    }

    /// A client at 127.0.0.1.
    #[track_caller]
    pub fn connect(&self) -> TcpStream {
        self.connect_from("127.0.0.1")
    }

    /// A client elsewhere in 127/8, or in IPv6.
    #[track_caller]
    pub fn connect_from(&self, ip: &str) -> TcpStream {
        connect_to(self.address, ip)
    }

    /// What a client gets to read that says nothing.
    #[track_caller]
    pub fn ask(&self) -> String {
        self.ask_from("127.0.0.1")
    }

    #[track_caller]
    pub fn ask_from(&self, ip: &str) -> String {
        read_all(self.connect_from(ip))
    }

    /// Its children, by number.
    pub fn children(&self) -> Vec<u32> {
        let list = fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.pid())).unwrap_or_default();
        list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
    }

    /// Its open descriptors.
    pub fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid())).expect("its descriptors").count()
    }

    /// The CPU time that it has used, in ticks of a hundredth of a second (proc(5)).
    pub fn ticks(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).expect("its statistics");
        // The name may hold blanks; utime and stime are the 12th and 13th behind it.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        [11, 12].iter().filter_map(|&at| fields.get(at)?.parse::<u64>().ok()).sum()
    }

    /// Whether it uses no CPU time to speak of while nothing happens.
    pub fn idles(&self) -> bool {
        let before = self.ticks();
        thread::sleep(Duration::from_secs(1));
        self.ticks() <= before + 5
    }

    #[track_caller]
    pub fn wait_until_no_child(&self) {
        let start = Instant::now();
        while !self.children().is_empty() {
            assert!(start.elapsed() < BOUND, "children {:?} of {}", self.children(), self.story());
            thread::sleep(Duration::from_millis(2));
        }
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.pid()).expect("a pid")), signal).expect("signal it");
    }

    /// Ends it and says how it ended.
    pub fn end(mut self, signal: Signal) -> ExitStatus {
        self.signal(signal);
        self.child.wait().expect("wait for it")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let children = self.children();
        let _ = self.child.kill();
        let _ = self.child.wait();
        guard::remove(self.child.id());
        // They would live on, as tcpserver's do.
        for pid in children.into_iter().filter_map(|pid| i32::try_from(pid).ok()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        if thread::panicking() {
            say(&self.story());
        }
    }
}

/// A connection from `ip`, whose reads do not wait for ever.
#[track_caller]
pub fn connect_to(to: SocketAddr, ip: &str) -> TcpStream {
    let from: IpAddr = ip.parse().expect("an address");
    let family = if from.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let socket = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).expect("make a socket");
    bind(socket.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(from, 0))).expect("bind");
    connect(socket.as_raw_fd(), &SockaddrStorage::from(to)).unwrap_or_else(|e| panic!("connect to {to}: {e}"));
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(BOUND)).expect("set a timeout");
    stream
}

/// What comes until the other end closes. A reset is a failure: it may have eaten something.
#[track_caller]
pub fn read_all(mut from: TcpStream) -> String {
    let mut text = Vec::new();
    from.read_to_end(&mut text).unwrap_or_else(|e| panic!("after {:?}: {e}", text.escape_ascii().to_string()));
    String::from_utf8_lossy(&text).into_owned()
}

/// Sends `bytes` and the end, and reads the answer.
#[track_caller]
pub fn exchange(mut with: TcpStream, bytes: &[u8]) -> String {
    with.write_all(bytes).expect("send");
    with.shutdown(Shutdown::Write).expect("end");
    read_all(with)
}

/// Whether a `cat` serves this connection.
#[track_caller]
pub fn is_served(client: &mut TcpStream) -> bool {
    let mut byte = [0];
    client.write_all(b"x").is_ok() && client.read_exact(&mut byte).is_ok() && byte == *b"x"
}

/// Runs a command to its end.
#[track_caller]
pub fn run<I: AsRef<OsStr>>(program: &str, arguments: impl IntoIterator<Item = I>) -> Output {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|e| panic!("start {command:?}: {e}"));
    guard::add(child.id());
    let start = Instant::now();
    while child.try_wait().expect("wait").is_none() {
        if start.elapsed() > BOUND {
            let _ = child.kill();
            panic!("{command:?} still runs");
        }
        thread::sleep(Duration::from_millis(2));
    }
    guard::remove(child.id());
    child.wait_with_output().expect("its output")
}

/// Compiles rules for `-x`.
#[track_caller]
pub fn rules(scratch: &Scratch, text: &str) -> PathBuf {
    let cdb = scratch.join("rules.cdb");
    let text = File::open(scratch.file("rules", text)).expect("the rules");
    let mut command = Command::new(env!("CARGO_BIN_EXE_tcprules"));
    let status = command.arg(&cdb).arg(scratch.join("rules.tmp")).stdin(text).status();
    assert!(status.is_ok_and(|status| status.success()), "tcprules");
    cdb
}

/// Wrong usage: exit 100, one line that says this.
#[track_caller]
pub fn refused(arguments: &[&str], says: &str) {
    let output = run(TCPSERVER, arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(100), "{arguments:?} said {said:?}");
    assert!(said.contains(says) && said.lines().count() == 1, "{arguments:?} said {said:?}, not {says:?}");
}
