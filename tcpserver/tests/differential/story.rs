//! What came of a case, written so that two implementations can be compared.

use std::{
    collections::BTreeMap,
    fmt,
    io::{ErrorKind, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpStream},
    os::fd::AsRawFd,
    process::Command,
};

use nix::{
    errno::Errno,
    sched::{self, CloneFlags},
    sys::socket::{self, AddressFamily, SockFlag, SockType, SockaddrStorage},
};

use crate::{
    case::{Act, Case, Whose},
    common::{BOUND, Scratch, Server, peer, process, scratch, wait_until},
    program,
};

/// Lines of what happened, in order.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Story {
    pub lines: Vec<String>,
    /// Numbers that differ from run to run, and what they are called.
    names: BTreeMap<String, String>,
    /// Programs whose clients stay.
    staying: Vec<u32>,
}

impl fmt::Debug for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

impl Story {
    fn tell(&mut self, what: &str, how: impl AsRef<str>) {
        self.lines.push(format!("{what}: {}", how.as_ref()));
    }

    /// The lines that begin with this, without it.
    pub fn all(&self, what: &str) -> Vec<&str> {
        self.lines.iter().filter_map(|line| line.strip_prefix(what)?.strip_prefix(": ")).collect()
    }

    /// The one line that begins with this.
    #[track_caller]
    pub fn one(&self, what: &str) -> &str {
        let all = self.all(what);
        assert_eq!(all.len(), 1, "lines of {what:?} in\n{self:?}");
        all[0]
    }
}

/// Runs the case with both. `None` when the original is not installed.
#[track_caller]
pub fn both(case: &Case) -> Option<[Story; 2]> {
    Some([run(Whose::Original, case)?, run(Whose::Ours, case)?])
}

/// Runs the case with both, and wants no difference.
#[track_caller]
pub fn same(case: &Case) {
    let Some([theirs, ours]) = both(case) else { return };
    assert_equal(case, &theirs, &ours);
}

#[track_caller]
pub fn assert_equal(case: &Case, theirs: &Story, ours: &Story) {
    if theirs.lines != ours.lines {
        let lacking = |a: &Story, b: &Story| -> String {
            a.lines.iter().filter(|line| !b.lines.contains(line)).map(|line| format!("    {line}\n")).collect()
        };
        let only = format!("  only the original:\n{}  only ours:\n{}", lacking(theirs, ours), lacking(ours, theirs));
        panic!("{case:?}\n{only}  the original:\n{theirs:?}  ours:\n{ours:?}");
    }
}

/// Runs the case.
#[track_caller]
pub fn run(whose: Whose, case: &Case) -> Option<Story> {
    let (mut server, scratch) = start(whose, case)?;
    let mut story = Story::default();
    let mut staying = Vec::new();
    if let Some(address) = process::listening(server.pid()) {
        story.names.insert(address.port().to_string(), "PORT".into());
        for act in &case.acts {
            perform(act, address, &server, &scratch, &mut story, &mut staying);
            settle(&mut server, case, staying.len());
        }
        if server.poll_exit().is_none() {
            server.signal(case.end);
        }
    }
    let status = server.wait();
    for stream in &mut staying {
        story.tell("left behind", echo(stream, b"still there?\n"));
    }
    story.tell("end", status.to_string().replace(" (core dumped)", ""));
    let masked = |text: String| story.masked_output(&text);
    let (output, log) = (masked(server.stdout()), story.masked_log(&server.log()));
    story.tell("stdout", output);
    for line in log {
        story.tell("log", line);
    }
    Some(story)
}

/// Gives this thread, and with it the test, a network of its own, if the right to do so is there: its addresses and
/// ports are nobody else's then, and its tables of sockets short.
pub fn alone() {
    thread_local! {
        static ALONE: bool = scratch::is_root() && {
            let up = || Command::new("ip").args(["link", "set", "lo", "up"]).status().is_ok_and(|status| status.success());
            peer("ip").is_some() && sched::unshare(CloneFlags::CLONE_NEWNET).is_ok() && {
                assert!(up(), "the loopback device of a new network");
                true
            }
        };
    }
    ALONE.with(|_| ());
}

/// Starts the supervisor of a case, and waits until it listens or has ended. The directory is the one it works in.
#[track_caller]
pub fn start(whose: Whose, case: &Case) -> Option<(Server, Scratch)> {
    alone();
    let scratch = Scratch::new();
    if let Some(rules) = case.rules {
        compile(&scratch, rules)?;
    }
    let mut server = Server::spawn(command(&whose.program()?, case, &scratch));
    wait_until("it listens or ends", || {
        // To look for its socket among all that there are is dear, and no use before it waits for somebody.
        let waits = process::find(server.pid()).is_some_and(|process| process.state == 'S');
        waits && process::listening(server.pid()).is_some() || server.poll_exit().is_some()
    });
    Some((server, scratch))
}

/// The cdb is made by the original: what is compared here is who reads it.
pub fn compile(scratch: &Scratch, rules: &str) -> Option<()> {
    let text = scratch.file("rules", rules);
    let mut command = Command::new(peer("tcprules")?);
    command.current_dir(scratch.path()).args(["rules.cdb", "rules.tmp"]);
    let status = command.stdin(std::fs::File::open(text).expect("open the rules")).status().expect("run tcprules");
    assert!(status.success(), "the original does not take {rules:?}");
    Some(())
}

fn command(program: &std::path::Path, case: &Case, scratch: &Scratch) -> Command {
    // Whoever runs the tests may ignore signals (nohup does), and what is ignored stays so.
    let mut command = Command::new("/usr/bin/env");
    command.arg("--default-signal");
    if !case.prelude.is_empty() {
        command.args(["/bin/sh", "-c", &format!("{}\nexec \"$@\"", case.prelude), "sh"]);
    }
    command.arg(program);
    command.current_dir(scratch.path()).env_clear().env("PATH", "/usr/bin:/bin");
    command.envs(case.env.iter().map(|(name, value)| (name, value)));
    command.args(&case.options).args(case.place.iter().filter(|word| **word != MISSING)).args(&case.program);
    command
}

/// An operand that is left out.
pub const MISSING: &str = "(missing)";

/// Waits until all has been written that will be.
#[track_caller]
fn settle(server: &mut Server, case: &Case, staying: usize) {
    wait_until("the programs have ended", || server.children().len() == staying);
    if server.poll_exit().is_some() {
        return; // before it served anybody
    }
    // What it has to say of them it says before it sleeps again.
    wait_until("the supervisor sleeps", || process::find(server.pid()).is_none_or(|process| process.state == 'S'));
    let tells = server.log().contains("tcpserver: status: ");
    let last = format!("tcpserver: status: {staying}/");
    wait_until(&format!("the log says {last:?} at last, {case:?}"), || {
        let log = server.log();
        let status = log.lines().rfind(|line| line.starts_with("tcpserver: status: "));
        !tells || status.is_some_and(|line| line.starts_with(&last)) && log.ends_with('\n')
    });
}

fn perform(
    act: &Act,
    address: SocketAddr,
    server: &Server,
    scratch: &Scratch,
    story: &mut Story,
    staying: &mut Vec<TcpStream>,
) {
    let (Act::Look { from } | Act::Talk { from, .. } | Act::Stay { from }) = *act;
    let mut stream = match connect(from, address) {
        // It listens before it changes its user, which may fail.
        Err(Errno::ECONNREFUSED) => return story.tell("received", "nothing: the connection was refused"),
        connected => connected.expect("connect to the server"),
    };
    let port = stream.local_addr().expect("our address").port();
    story.names.insert(port.to_string(), "CLIENT".into());
    match act {
        Act::Talk { say, .. } => {
            // One who is denied may have gone before it was spoken to.
            let _ = stream.write_all(say.as_bytes());
            let _ = stream.shutdown(Shutdown::Write);
            story.tell("received", rest(&mut stream));
        }
        Act::Stay { .. } => {
            story.tell("received", echo(&mut stream, b"I stay\n"));
            staying.push(stream);
            story.staying = server.children().iter().map(|child| child.pid).collect();
        }
        Act::Look { .. } => {
            let received = echo(&mut stream, b"look\n");
            story.tell("received", &received);
            if received.ends_with("look\\n") {
                // All others that there are stay.
                let children = server.children();
                let found = children.iter().find(|child| !story.staying.contains(&child.pid));
                look(found.expect("somebody sent the line back").pid, server, scratch, story);
            }
            let _ = stream.shutdown(Shutdown::Write);
            story.tell("received", rest(&mut stream));
        }
    }
}

fn look(pid: u32, server: &Server, scratch: &Scratch, story: &mut Story) {
    let connection = process::descriptors(pid).get(&0).cloned().unwrap_or_default();
    let streams = server.log_path().parent().expect("a directory").display().to_string();
    for (what, how) in program::describe(pid, scratch.path()) {
        let place = scratch.path().display().to_string();
        let how = how.replace(&connection, "CONNECTION").replace(&streams, "STREAMS").replace(&place, "SCRATCH");
        let how = if what == "env" { story.masked_variable(&how) } else { how };
        story.tell(&what, how);
    }
    for (what, at) in [("parent", 3), ("process group", 4), ("session", 5)] {
        let (its, at_most) = (program::stat(pid, at), server.pid().to_string());
        let of_supervisor = program::stat(server.pid(), at);
        let same = if at == 3 { its == at_most } else { its == of_supervisor };
        story.tell(what, if same { "the supervisor's" } else { "another" });
    }
}

impl Story {
    /// A variable whose value is a port.
    fn masked_variable(&self, variable: &str) -> String {
        match variable.split_once('=') {
            Some((name, value)) if name.ends_with("PORT") => {
                format!("{name}={}", self.names.get(value).map_or(value, String::as_str))
            }
            _ => variable.to_string(),
        }
    }

    fn masked_output(&self, text: &str) -> String {
        let masked = text.lines().map(|line| self.names.get(line).map_or(line, String::as_str));
        masked.collect::<Vec<_>>().join("\n") + if text.ends_with('\n') { "\n" } else { "" }
    }

    /// The lines of a log, with process numbers and ports replaced.
    fn masked_log(&self, log: &str) -> Vec<String> {
        let mut pids: Vec<String> = Vec::new();
        let mut mask = |line: &str| {
            let mut words: Vec<String> = line.split(' ').map(String::from).collect();
            let known = ["pid", "ok", "deny", "end"].iter().any(|verb| words.get(1).is_some_and(|word| word == verb));
            if words[0] != "tcpserver:" || !known || words.len() < 3 {
                return line.to_string();
            }
            let number = pids.iter().position(|pid| *pid == words[2]).unwrap_or_else(|| {
                pids.push(words[2].clone());
                pids.len() - 1
            });
            words[2] = format!("PID{number}");
            if words[1] == "ok" || words[1] == "deny" {
                for word in &mut words[3..] {
                    let fields = word.split(':').map(|field| self.names.get(field).map_or(field, String::as_str));
                    *word = fields.collect::<Vec<_>>().join(":");
                }
            }
            words.join(" ")
        };
        log.split_terminator('\n').map(&mut mask).collect()
    }
}

/// Connects from an address of loopback to a server at this address; or at all, whose address is unspecified.
pub fn connect(from: IpAddr, to: SocketAddr) -> nix::Result<TcpStream> {
    let ip = match (from, to.ip()) {
        (IpAddr::V4(_), ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        (IpAddr::V6(_), ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        (_, ip) => ip.to_canonical(),
    };
    let family = if from.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let fd = socket::socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    socket::bind(fd.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(from, 0)))?;
    socket::connect(fd.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(ip, to.port())))?;
    let stream = TcpStream::from(fd);
    stream.set_read_timeout(Some(BOUND)).expect("set a timeout");
    Ok(stream)
}

/// Sends a line, and takes what comes until it has come back or nothing more does.
fn echo(stream: &mut TcpStream, line: &[u8]) -> String {
    let mut all = Vec::new();
    let mut chunk = [0; 4096];
    let mut sent = stream.write_all(line);
    while !all.ends_with(line) {
        match sent.and_then(|()| stream.read(&mut chunk)) {
            Ok(0) => return told(&all, "closed"),
            Ok(n) => all.extend(&chunk[..n]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return told(&all, &ending(&error)),
        }
        sent = Ok(());
    }
    all.escape_ascii().to_string()
}

/// Takes what comes to the end of the connection.
fn rest(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    match stream.read_to_end(&mut all) {
        Ok(_) => told(&all, "closed"),
        Err(error) => told(&all, &ending(&error)),
    }
}

fn told(bytes: &[u8], end: &str) -> String {
    format!("{} [{end}]", bytes.escape_ascii())
}

/// Whether a connection that ends with input unread is reset is a matter of who was quicker.
fn ending(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => "closed".into(),
        _ => error.to_string(),
    }
}
