//! The servers that are measured, each a process of its own.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Seek};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::site::{SMALL, Site};
use super::target::Target;
use super::watcher::Watcher;
use crate::bench::scratch;
use crate::bench::trouble::{Trouble, trouble};

/// How long a server has until it listens, and until it ends.
const PATIENCE: Duration = Duration::from_secs(10);

/// The ways of this project: name, and options in which N is how many connections there can be at once.
pub const OWN: &[(&str, &[&str])] = &[
    ("prefork", &["--mode", "prefork", "--children", "N"]),
    ("one-shot", &["--mode", "prefork", "--reuse", "1", "--children", "N"]),
    ("fork", &["--mode", "fork", "--max-connections", "N"]),
    ("vfork", &["--mode", "vfork", "--max-connections", "N"]),
];

/// A server that is measured.
pub struct Server {
    /// Its name in the pictures.
    pub name: String,
    /// The small file on it, or what the user named.
    pub target: Target,
    /// Whether the large file is on it too.
    pub has_large: bool,
    /// Whether it keeps connections. True until it was asked.
    pub keeps: bool,
    process: Option<Process>,
}

impl Server {
    /// Starts this program in one of its modes, for so many connections at once.
    pub fn own(name: &str, options: &[&str], most: u32, site: &Site) -> Result<Server, Trouble> {
        let own = std::env::current_exe().map_err(trouble("find", "this program"))?;
        let mut command = Command::new(own);
        command.args(["serve", "--listen", "127.0.0.1:0", "--quiet", "--drain", "0"]);
        // Idle connections are idle for as long as the measurement takes.
        command.args(["--idle-timeout", "3600", "--header-timeout", "3600"]);
        if nix::unistd::geteuid().is_root() {
            // It serves two files on loopback, and whoever measures as root may have put everything where nobody sees it.
            command.args(["--user", "root"]);
        }
        let most = most.to_string();
        command.args(options.iter().map(|&word| if word == "N" { most.as_str() } else { word })).arg(site.root());
        let mut process = Process::start(&mut command, name)?;
        let mut line = String::new();
        if let Some(stdout) = process.child.stdout.take() {
            // What it says when it listens; nothing when it ended.
            let _ = BufReader::new(stdout).read_line(&mut line);
        }
        let address = line.split_once("http://").and_then(|(_, rest)| rest.split_once('/')?.0.parse().ok());
        let address: SocketAddr = address.ok_or_else(|| process.trouble("it does not say where it listens"))?;
        Ok(Server {
            name: name.to_owned(),
            target: Target::new(address, SMALL.0),
            has_large: true,
            keeps: true,
            process: Some(process),
        })
    }

    /// Starts a server by the user's command, in which `{port}` stands for a free port and `{root}` for the
    /// files' directory.
    pub fn against(command: &str, site: &Site) -> Result<Server, Trouble> {
        let port = free_port().map_err(trouble("find", "a free port"))?;
        let serves_site = command.contains("{root}");
        let line = command.replace("{port}", &port.to_string());
        let line = line.replace("{root}", &site.root().display().to_string());
        let mut process = Process::start(Command::new("/bin/sh").arg("-c").arg(line), command)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            if let Ok(Some(status)) = process.child.try_wait() {
                return Err(process.trouble(&format!("it ended at once ({status})")));
            }
            if Instant::now() > deadline {
                let seconds = PATIENCE.as_secs();
                return Err(process.trouble(&format!("after {seconds} seconds it does not listen on 127.0.0.1:{port}")));
            }
            thread::sleep(Duration::from_millis(20));
        }
        let name = program_name(process.child.id(), command);
        let target = Target::new(address, if serves_site { SMALL.0 } else { "/" });
        Ok(Server { name, target, has_large: serves_site, keeps: true, process: Some(process) })
    }

    /// The process that was started, if one was.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(|process| process.child.id())
    }

    /// A server that runs already.
    pub fn at(url: &str) -> Result<Server, Trouble> {
        let target = Target::from_url(url)?;
        Ok(Server { name: target.url(), target, has_large: false, keeps: true, process: None })
    }
}

/// A process and what it starts. They end with this value.
struct Process {
    child: Child,
    name: String,
    /// What it wrote to stderr.
    log: File,
    _watcher: Watcher,
}

impl Process {
    fn start(command: &mut Command, name: &str) -> Result<Process, Trouble> {
        let log = scratch::nameless().map_err(trouble("write", "a temporary file"))?;
        let copy = log.try_clone().map_err(trouble("duplicate", "a descriptor"))?;
        // A group of its own: a server like Apache ends by a signal to its whole group, and the shell of a command that
        // is more than one program must not end alone.
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(copy);
        let child = command.spawn().map_err(trouble("start", format_args!("'{name}'")))?;
        let watcher = Watcher::start(Pid::from_raw(child.id().cast_signed()))?;
        Ok(Process { child, name: name.to_owned(), log, _watcher: watcher })
    }

    /// Why it is of no use: its own last words, too.
    fn trouble(&mut self, reason: &str) -> Trouble {
        let mut said = String::new();
        // It may have said nothing.
        let _ = self.log.rewind().and_then(|()| self.log.read_to_string(&mut said));
        let last = said.lines().rev().find(|line| !line.trim().is_empty());
        let last = last.map(|line| format!("; it said: {line}")).unwrap_or_default();
        Trouble::new("start", format_args!("'{}'", self.name), format_args!("{reason}{last}"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let group = Pid::from_raw(self.child.id().cast_signed());
        let deadline = Instant::now() + PATIENCE / 5;
        // Not waited for yet, so the number is its own.
        let _ = killpg(group, Signal::SIGTERM);
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                let _ = killpg(group, Signal::SIGKILL);
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// What to call the server that a command started: the program that the shell has become, or the command's first word.
fn program_name(pid: u32, command: &str) -> String {
    let program = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let word = command.split_whitespace().next().unwrap_or(command);
    match program.trim_end() {
        "sh" | "" => word.rsplit('/').next().unwrap_or(word).to_owned(),
        program => program.to_owned(),
    }
}

/// A port that nobody listens on now. Should somebody take it before the server does, that one says so.
fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
