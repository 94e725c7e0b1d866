//! The ways in which a handler comes to a connection. The same tests run over all of them.

use std::{
    fmt,
    net::TcpListener,
    ops::RangeInclusive,
    path::Path,
    process::{self, Command},
    sync::atomic::{AtomicU16, Ordering},
};

use super::{
    Scratch, Server, handler, peer, say,
    scratch::{is_root, reachable_by_nobody},
    tine,
};

/// The modes of `tine serve`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Prefork,
    /// Prefork with a fresh process for each connection.
    OneShot,
    Fork,
    Vfork,
    /// Prefork with as many children as the load needs.
    Following,
    /// Prefork with children that are handed their connections.
    Handed,
}

impl Mode {
    /// Each way in which a connection comes to a process. The two others are varieties of a pool.
    pub const ALL: [Mode; 4] = [Mode::Prefork, Mode::OneShot, Mode::Fork, Mode::Vfork];

    /// The options that choose it, with room for `limit` connections at once.
    pub fn options(self, limit: u32) -> Vec<String> {
        let words = match self {
            Mode::Prefork => format!("--mode prefork --children {limit}"),
            Mode::OneShot => format!("--mode prefork --reuse 1 --children {limit}"),
            Mode::Fork => format!("--mode fork --max-connections {limit}"),
            Mode::Vfork => format!("--mode vfork --max-connections {limit}"),
            Mode::Following => format!("--mode prefork --min-spare 2 --max-spare {} --max-children {limit}", limit - 2),
            Mode::Handed => format!("--mode prefork --children {limit} --per-ip 1000"),
        };
        words.split(' ').map(String::from).collect()
    }

    /// Whether children wait ahead of connections.
    pub fn is_prefork(self) -> bool {
        !matches!(self, Mode::Fork | Mode::Vfork)
    }

    /// How many children there are while nobody is connected, with room for `limit`.
    pub fn at_rest(self, limit: u32) -> RangeInclusive<u32> {
        match self {
            Mode::Fork | Mode::Vfork => 0..=0,
            Mode::Following => 2..=limit - 2,
            Mode::Prefork | Mode::OneShot | Mode::Handed => limit..=limit,
        }
    }
}

/// Who accepts the connection, and what is started for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Launcher {
    Serve(Mode),
    /// `tine serve --inetd` under openbsd-inetd.
    InetdServe,
    /// `tine serve --inetd` under ucspi-tcp's tcpserver.
    TcpserverServe,
    /// The handler's executable under openbsd-inetd.
    InetdExecutable,
    /// The handler's executable under ucspi-tcp's tcpserver.
    TcpserverExecutable,
    /// The same with the executable that does all that its protocol can, where there is such a one.
    TcpserverFull,
}

impl fmt::Display for Launcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl Launcher {
    pub const ALL: [Launcher; 9] = [
        Launcher::Serve(Mode::Prefork),
        Launcher::Serve(Mode::OneShot),
        Launcher::Serve(Mode::Fork),
        Launcher::Serve(Mode::Vfork),
        Launcher::InetdServe,
        Launcher::TcpserverServe,
        Launcher::InetdExecutable,
        Launcher::TcpserverExecutable,
        Launcher::TcpserverFull,
    ];

    /// Whether the server's stderr is ours to read: inetd hands its children the connection for that too.
    pub fn logs_to_us(self) -> bool {
        !matches!(self, Launcher::InetdServe | Launcher::InetdExecutable)
    }

    /// Serves `root` over HTTP. `None` when the peer is not installed.
    #[track_caller]
    pub fn http(self, root: &Path, options: &[&str]) -> Option<Server> {
        self.start("http", Some(root), options)
    }

    /// Serves one of the small protocols, which need no files.
    #[track_caller]
    pub fn small(self, protocol: &str) -> Option<Server> {
        self.start(protocol, None, &[])
    }

    #[track_caller]
    fn start(self, protocol: &str, root: Option<&Path>, options: &[&str]) -> Option<Server> {
        let mut words: Vec<String> = Vec::new();
        let on_root = root.map(|root| root.display().to_string());
        match self {
            Launcher::Serve(_) | Launcher::InetdServe | Launcher::TcpserverServe => {
                words.extend([tine().display().to_string(), "serve".into()]);
                if protocol != "http" {
                    words.extend(["--handler".into(), protocol.into()]);
                }
            }
            Launcher::InetdExecutable | Launcher::TcpserverExecutable | Launcher::TcpserverFull => {
                let full = if self == Launcher::TcpserverFull && protocol == "http" { "-full" } else { "" };
                words.push(handler(&format!("tine-{protocol}{full}")).display().to_string());
            }
        }
        if let Launcher::Serve(mode) = self {
            words.extend(["--listen".into(), "127.0.0.1:0".into()]);
            words.extend(mode.options(16));
            words.extend(user(root).map(String::from));
        }
        if matches!(self, Launcher::InetdServe | Launcher::TcpserverServe) {
            words.push("--inetd".into());
            // Whoever must be root to reach the files says so.
            words.extend(user(root).map(String::from));
        }
        words.extend(options.iter().map(ToString::to_string));
        words.extend(on_root);
        match self {
            Launcher::Serve(_) => {
                let mut command = Command::new(&words[0]);
                command.args(&words[1..]);
                Some(Server::ready(command))
            }
            Launcher::InetdServe | Launcher::InetdExecutable => inetd(&words, root),
            Launcher::TcpserverServe | Launcher::TcpserverExecutable | Launcher::TcpserverFull => {
                tcpserver(&words, root)
            }
        }
    }
}

/// `tine serve` with these options on a free port of 127.0.0.1 (unless they name another place), not started yet.
pub fn serve_command<S: AsRef<str>>(options: &[S], root: &Path) -> Command {
    let mut command = Command::new(tine());
    command.arg("serve");
    if !options.iter().any(|o| o.as_ref() == "--listen") {
        command.args(["--listen", "127.0.0.1:0"]);
    }
    if !options.iter().any(|o| o.as_ref() == "--user") {
        command.args(user(Some(root)));
    }
    command.args(options.iter().map(AsRef::as_ref)).arg(root);
    command
}

/// Starts `tine serve` in this mode with room for `limit` connections, and waits until it is ready.
#[track_caller]
pub fn serve(mode: Mode, limit: u32, options: &[&str], root: &Path) -> Server {
    let mut all = mode.options(limit);
    all.extend(options.iter().map(ToString::to_string));
    Server::ready(serve_command(&all, root))
}

/// `--user root`, aloud, where a server that was started by root could not read its files as nobody.
pub fn user(root: Option<&Path>) -> impl Iterator<Item = &'static str> {
    let programs = tine();
    let hidden = [root, programs.parent()].into_iter().flatten().find(|path| !reachable_by_nobody(path));
    let needed = is_root() && hidden.is_some();
    if let (true, Some(path)) = (needed, hidden) {
        say(&format!("note: {} is closed to nobody, so the server keeps --user root", path.display()));
    }
    ["--user", "root"].into_iter().filter(move |_| needed)
}

/// openbsd-inetd in the foreground with a configuration of its own and no limit on the rate.
#[track_caller]
fn inetd(words: &[String], root: Option<&Path>) -> Option<Server> {
    let inetd = peer("inetd")?;
    let scratch = Scratch::new();
    let user = match user(root).next() {
        _ if !is_root() => own_name(),
        Some(_) => "root".into(),
        None => "nobody".into(),
    };
    // The fields of inetd.conf are split at blanks, and nothing quotes them.
    assert!(words.iter().all(|word| !word.contains(' ')), "inetd cannot start {words:?}");
    let port = free_port();
    let (path, arguments) = (&words[0], words[1..].join(" "));
    let line = format!("127.0.0.1:{port} stream tcp nowait.1000000 {user} {path} {path} {arguments}\n");
    let mut command = Command::new(inetd);
    command.args(["-i", "-R", "0", "-q", "1024"]).arg(scratch.file("inetd.conf", line));
    Some(Server::listening(command, port))
}

/// ucspi-tcp's tcpserver as its manual suggests it, with room for many.
#[track_caller]
fn tcpserver(words: &[String], root: Option<&Path>) -> Option<Server> {
    let mut command = Command::new(peer("tcpserver")?);
    command.args(["-1", "-v", "-RHl0", "-c", "200", "-b", "200"]);
    if is_root() && user(root).next().is_none() {
        command.args(["-u", "65534", "-g", "65534"]);
    }
    command.args(["127.0.0.1", "0"]).args(words);
    Some(Server::printing_port(command))
}

/// A port for a server that cannot choose one: below those that the kernel gives to clients, so that no connection of
/// another test takes it meanwhile.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(process::id() % 10_000).unwrap_or(0);
    loop {
        let port = 20_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// The name of the user who runs the tests, as inetd wants it.
fn own_name() -> String {
    let id = Command::new("id").arg("-un").output().expect("run id");
    String::from_utf8_lossy(&id.stdout).trim().to_string()
}
