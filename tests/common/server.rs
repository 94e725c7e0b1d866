//! A running server: started, asked for its address, ended on drop, and its story told when the test fails.

use std::{
    fs::{self, File, OpenOptions},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::{
    BOUND, Client, Mode, Scratch, guard, holds_within,
    process::{self, Process},
    wait_until,
};

/// A child process with its two streams in files, so that it never waits for a reader, and many processes may append.
pub struct Server {
    command: String,
    child: Child,
    ended: Option<ExitStatus>,
    addresses: Vec<SocketAddr>,
    scratch: Scratch,
}

impl Server {
    /// Starts a command, without waiting for anything.
    pub fn spawn(command: Command) -> Server {
        Server::spawn_with_input(command, Stdio::null())
    }

    /// The same, with this as stdin.
    pub fn spawn_with_input(mut command: Command, input: impl Into<Stdio>) -> Server {
        let scratch = Scratch::new();
        let stream = |name: &str| -> File {
            let options = OpenOptions::new().create(true).append(true).open(scratch.join(name));
            options.expect("make a file for the server's words")
        };
        command.stdin(input).stdout(stream("stdout")).stderr(stream("stderr"));
        let child = command.spawn().unwrap_or_else(|e| panic!("start {command:?}: {e}"));
        guard::add(child.id());
        Server { command: format!("{command:?}"), child, ended: None, addresses: Vec::new(), scratch }
    }

    /// Starts `tine serve`, and waits for its word that connections are accepted.
    #[track_caller]
    pub fn ready(command: Command) -> Server {
        Server::ready_with_input(command, Stdio::null())
    }

    /// The same, with this as stdin.
    #[track_caller]
    pub fn ready_with_input(command: Command, input: impl Into<Stdio>) -> Server {
        let mut server = Server::spawn_with_input(command, input);
        server.await_word();
        server.addresses = server.urls().iter().filter_map(|url| address(url)).collect();
        server
    }

    /// Starts a server that says nothing, and waits until it listens on this port of 127.0.0.1.
    #[track_caller]
    pub fn listening(command: Command, port: u16) -> Server {
        let mut server = Server::spawn(command);
        server.until("it listens", |_| process::listens(port));
        server.addresses = vec![SocketAddr::from(([127, 0, 0, 1], port))];
        server
    }

    /// Starts ucspi-tcp's tcpserver with `-1`, which prints its port.
    #[track_caller]
    pub fn printing_port(command: Command) -> Server {
        Server::spawn(command).with_port()
    }

    /// Waits for the port that it prints.
    #[track_caller]
    pub fn with_port(mut self) -> Server {
        let server = &mut self;
        server.await_line();
        let port = server.stdout().trim().parse().expect("a port");
        // Then it lets go of the descriptor on which it did, and waits for clients when it has counted its threads.
        let waits = |server: &Server| {
            let descriptors = process::descriptors(server.pid());
            let lets_go = descriptors.get(&1).is_none_or(|what| !what.ends_with("stdout"));
            lets_go && process::find(server.pid()).is_none_or(|process| process.state == 'S')
        };
        server.until("it waits for clients", waits);
        server.addresses = vec![SocketAddr::from(([127, 0, 0, 1], port))];
        self
    }

    /// Waits for the word of `tine serve` that it serves, which may stand behind lines of its log.
    fn await_word(&mut self) {
        self.until("it is ready", |server| server.stdout().contains(": serving "));
    }

    fn await_line(&mut self) {
        self.until("it is ready", |server| server.stdout().contains('\n'));
    }

    /// Waits for a condition, and gives up when the server ends.
    #[track_caller]
    pub fn until(&mut self, what: &str, mut condition: impl FnMut(&Server) -> bool) {
        let mut ended = false;
        let held = holds_within(BOUND, || {
            ended = self.poll_exit().is_some();
            ended || condition(self)
        });
        assert!(held && (!ended || condition(self)), "gave up waiting until {what}");
    }

    /// What the readiness line says it listens on.
    pub fn urls(&self) -> Vec<String> {
        let said = self.stdout();
        let line = said.lines().find(|line| line.contains(": serving ")).unwrap_or_default();
        let places = line.rsplit_once(" on ").map_or("", |(_, rest)| rest);
        let places = places.rsplit_once(" (").map_or(places, |(places, _)| places);
        places.split_whitespace().map(String::from).collect()
    }

    /// The first TCP address.
    #[track_caller]
    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// All TCP addresses, in the order of the command line.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    #[track_caller]
    pub fn connect(&self) -> Client {
        Client::connect(self.address())
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn stdout(&self) -> String {
        fs::read_to_string(self.scratch.join("stdout")).expect("read stdout")
    }

    /// What it said on stderr, its log included.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.scratch.join("stderr")).expect("read stderr")).into_owned()
    }

    /// Where stderr is collected.
    pub fn log_path(&self) -> PathBuf {
        self.scratch.join("stderr")
    }

    /// Waits for a line of the log that contains all of these, and returns it.
    #[track_caller]
    pub fn await_log(&self, parts: &[&str]) -> String {
        let find = || {
            let log = self.log();
            // The last line may be half written.
            let whole = &log[..log.rfind('\n').map_or(0, |end| end + 1)];
            whole.lines().find(|line| parts.iter().all(|part| line.contains(part))).map(String::from)
        };
        wait_until(&format!("a line of the log has {parts:?}"), || find().is_some());
        find().unwrap_or_default()
    }

    /// Its children, zombies included.
    pub fn children(&self) -> Vec<Process> {
        process::children(self.pid())
    }

    /// Waits until the children are there that belong there while nobody is connected, and no other, alive.
    #[track_caller]
    pub fn settles(&self, mode: Mode, limit: u32) {
        let at_rest = mode.at_rest(limit);
        let mut children = Vec::new();
        let settled = holds_within(BOUND, || {
            children = self.children();
            at_rest.contains(&(children.len() as u32)) && children.iter().all(|child| child.state != 'Z')
        });
        assert!(settled, "{mode:?}: {at_rest:?} children and no zombie belong there, not {children:?}");
    }

    /// The child that serves this client.
    #[track_caller]
    pub fn child_of(&self, client: &Client) -> u32 {
        let mut found = None;
        wait_until("a child has the connection", || {
            found = process::serving(self.pid(), &client.stream);
            found.is_some()
        });
        found.unwrap_or_default()
    }

    pub fn signal(&self, signal: Signal) {
        assert!(self.ended.is_none(), "the server has ended already");
        send(self.pid(), signal);
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        wait_until("the server ends", || self.poll_exit().is_some());
        self.ended.unwrap_or_default()
    }

    /// Sends SIGTERM and waits for the end, which must be exit 0.
    #[track_caller]
    pub fn stop(&mut self) {
        self.signal(Signal::SIGTERM);
        let status = self.wait();
        assert_eq!(status.code(), Some(0), "a gentle stop is exit 0, not {status}");
    }

    /// How it ended, if it did.
    pub fn poll_exit(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().expect("wait for the server");
            if self.ended.is_some() {
                guard::remove(self.pid());
            }
        }
        self.ended
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let earlier = self.poll_exit();
        if std::thread::panicking() {
            let fate = earlier.map_or("still running".to_string(), |status| status.to_string());
            eprintln!("---- the server: {}\n---- its fate: {fate}", self.command);
            eprintln!("---- its children: {:?}", self.children());
            eprintln!("---- its stdout:\n{}---- its stderr:\n{}----", shorten(&self.stdout()), shorten(&self.log()));
        }
        if earlier.is_none() {
            send(self.pid(), Signal::SIGTERM);
            if !holds_within(Duration::from_secs(3), || self.poll_exit().is_some()) {
                // A test that wants a gentle stop asks for it; what is left here only has to go, with its children.
                let children = self.children();
                send(self.pid(), Signal::SIGKILL);
                children.iter().for_each(|child| send(child.pid, Signal::SIGKILL));
                let _ = self.child.wait();
                guard::remove(self.pid());
            }
        }
    }
}

/// Sends a signal to a process, which may have gone already.
pub fn send(pid: u32, signal: Signal) {
    let _ = kill(Pid::from_raw(pid.cast_signed()), signal);
}

/// The address in a URL of the readiness line; `None` for a Unix socket.
fn address(url: &str) -> Option<SocketAddr> {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("tcp://"))?;
    rest.trim_end_matches('/').parse().ok()
}

/// The beginning and the end of a long text.
fn shorten(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let ending = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    match lines.len() {
        0..=60 => format!("{text}{ending}"),
        n => format!("{}\n[{} lines]\n{}\n", lines[..30].join("\n"), n - 60, lines[n - 30..].join("\n")),
    }
}
