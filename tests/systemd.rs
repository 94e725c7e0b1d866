//! Promises: sockets from a service manager are served and left to it; it is told how the service stands. And inetd's
//! `wait`: the socket is served until nobody comes, and then inetd's again.

mod common;

use std::{
    fs,
    os::{
        linux::net::SocketAddrExt,
        unix::{
            fs::symlink,
            net::{SocketAddr as UnixAddress, UnixDatagram},
        },
    },
    path::Path,
    process::{Command, id},
    time::Duration,
};

use common::{
    BOUND, Client, Mode, Scratch, Server, holds_within, launch,
    launch::free_port,
    peer,
    process::{children, is_alive, listens},
    tine, unless_paused, wait_until,
};
use nix::sys::signal::Signal;

fn site() -> Scratch {
    let site = Scratch::new();
    site.file("hello.txt", "hello\n");
    site
}

fn ask(port: u16) {
    let mut client = Client::connect(([127, 0, 0, 1], port).into());
    client.request("GET", "/hello.txt", "Connection: close\r\n").expect(200);
}

/// A service manager that waits for messages.
struct Manager {
    socket: UnixDatagram,
    seen: Vec<String>,
}

impl Manager {
    fn at(address: &UnixAddress) -> Manager {
        let socket = UnixDatagram::bind_addr(address).expect("bind a socket for notices");
        socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
        Manager { socket, seen: Vec::new() }
    }

    fn in_place(place: &Scratch) -> Manager {
        let path = place.join("notify");
        let manager = Manager::at(&UnixAddress::from_pathname(&path).expect("a path"));
        common::scratch::set_mode(&path, 0o777);
        manager
    }

    /// Waits for a message with all these lines, each given by its beginning, and returns it.
    #[track_caller]
    fn await_message(&mut self, lines: &[&str]) -> String {
        let has = |message: &String| lines.iter().all(|line| message.lines().any(|other| other.starts_with(line)));
        let mut found = None;
        let came = holds_within(BOUND, || {
            let mut buffer = [0; 4096];
            if let Ok(len) = self.socket.recv(&mut buffer) {
                self.seen.push(String::from_utf8_lossy(&buffer[..len]).into_owned());
            }
            found = self.seen.iter().position(has).map(|at| self.seen.drain(..=at).next_back());
            found.is_some()
        });
        assert!(came, "no message with {lines:?}; there were {:?}", self.seen);
        found.flatten().unwrap_or_default()
    }
}

fn notifying(mode: Mode, site: &Scratch, name: &str) -> Command {
    let mut command = launch::serve_command(&mode.options(4), site.path());
    command.env("NOTIFY_SOCKET", name);
    command
}

#[test]
fn a_manager_is_told_how_it_stands() {
    for mode in Mode::ALL {
        let (site, place) = (site(), Scratch::new());
        let mut manager = Manager::in_place(&place);
        let mut command = notifying(mode, &site, &place.join("notify").display().to_string());
        let mut server = Server::ready(command.env("WATCHDOG_USEC", "400000").env_remove("WATCHDOG_PID").take());
        let ready = manager.await_message(&["READY=1", "STATUS=serving on 127.0.0.1:"]);
        assert!(ready.contains(&server.address().to_string()), "{ready}");
        manager.await_message(&["WATCHDOG=1"]);
        manager.await_message(&["WATCHDOG=1"]);
        server.signal(Signal::SIGHUP);
        let reloading = manager.await_message(&["RELOADING=1", "MONOTONIC_USEC="]);
        let since = reloading.lines().find_map(|line| line.strip_prefix("MONOTONIC_USEC=")?.parse::<u64>().ok());
        assert!(since.is_some_and(|micros| micros > 0), "{reloading}");
        manager.await_message(&["READY=1", "STATUS=reloaded"]);
        fs::rename(site.path(), place.join("away")).expect("move the site");
        server.signal(Signal::SIGHUP);
        manager.await_message(&["READY=1", "STATUS=not reloaded: unable to"]);
        fs::rename(place.join("away"), site.path()).expect("move it back");
        server.signal(Signal::SIGTERM);
        manager.await_message(&["STOPPING=1"]);
        assert_eq!(server.wait().code(), Some(0));
    }
}

trait Take {
    fn take(&mut self) -> Command;
}

impl Take for Command {
    fn take(&mut self) -> Command {
        std::mem::replace(self, Command::new("true"))
    }
}

/// The follower is the main process before the old one is gone, and speaks for itself then.
#[test]
fn a_manager_is_told_of_the_follower() {
    let (site, place) = (site(), Scratch::new());
    let mut manager = Manager::in_place(&place);
    let command = notifying(Mode::Prefork, &site, &place.join("notify").display().to_string());
    let mut server = Server::ready(command);
    manager.await_message(&["READY=1"]);
    server.signal(Signal::SIGUSR2);
    let told = manager.await_message(&["MAINPID="]);
    let pid: u32 = told.lines().find_map(|line| line.strip_prefix("MAINPID=")?.parse().ok()).expect("its number");
    common::guard::add(pid);
    assert_eq!(server.wait().code(), Some(0));
    ask(server.address().port());
    common::server::send(pid, Signal::SIGHUP);
    manager.await_message(&["RELOADING=1"]);
    common::server::send(pid, Signal::SIGTERM);
    manager.await_message(&["STOPPING=1"]);
    wait_until("it is gone", || !is_alive(pid));
    common::guard::remove(pid);
}

/// A follower that says it serves, and dies of it: the old one has the service back, with its window, and says so.
#[test]
fn a_manager_is_told_of_who_serves_again() {
    let (site, place) = (site(), Scratch::new());
    let mut manager = Manager::in_place(&place);
    common::scratch::set_mode(place.path(), 0o755);
    let program = place.join("tine");
    symlink(tine(), &program).expect("name the program");
    let mut command = Command::new(&program);
    command.args(["serve", "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--children", "2"]);
    command.args(launch::user(Some(site.path()))).arg(site.path()).env("NOTIFY_SOCKET", place.join("notify"));
    let mut server = Server::ready(command);
    let metrics = server.await_log(&["metrics on http://"]);
    let metrics = metrics.split_once("http://").and_then(|(_, rest)| rest.split_once('/')?.0.parse().ok());
    let metrics = metrics.expect("where the page is");
    let script = "#!/bin/sh\npipe=${TCPSERVER_HANDOVER#*:}\nprintf ! >/proc/self/fd/${pipe%%:*}\nexit 3\n";
    let new = place.file("new", script);
    common::scratch::set_mode(&new, 0o755);
    fs::rename(&new, &program).expect("put another there");
    let own = format!("MAINPID={}", server.pid());
    for _ in 0..2 {
        let before = server.log().matches("this one serves again").count();
        server.signal(Signal::SIGUSR2);
        wait_until("it serves again", || server.log().matches("this one serves again").count() > before);
        let followed = manager.await_message(&["MAINPID="]);
        assert!(!followed.contains(&own), "{followed}");
        manager.await_message(&[&own]);
        ask(server.address().port());
        let mut client = Client::connect(metrics);
        assert!(client.request("GET", "/metrics", "").expect(200).text().contains("tine_children"));
    }
    server.signal(Signal::SIGHUP);
    manager.await_message(&["RELOADING=1"]);
    server.stop();
    manager.await_message(&["STOPPING=1"]);
}

#[test]
fn a_hidden_socket_will_do() {
    let site = site();
    let name = format!("tine-notify-{}", id());
    let mut manager = Manager::at(&UnixAddress::from_abstract_name(&name).expect("a name"));
    let mut server = Server::ready(notifying(Mode::Fork, &site, &format!("@{name}")));
    manager.await_message(&["READY=1"]);
    server.stop();
    manager.await_message(&["STOPPING=1"]);
}

/// Nobody to tell is one line, and no reason not to serve.
#[test]
fn a_manager_that_is_not_there_is_told_of_once() {
    let site = site();
    for name in ["/nonexistent/notify", "notify", "@tine-nobody-is-here"] {
        let mut server = Server::ready(notifying(Mode::Prefork, &site, name));
        server.connect().get("/hello.txt").expect(200);
        server.stop();
        let told = server.log().lines().filter(|line| line.contains("unable to tell the service manager")).count();
        assert_eq!(told, 1, "{}", server.log());
    }
}

/// `systemd-socket-activate` listens, and starts the service with the first client.
fn activated(mode: Mode, port: u16, options: &[&str], site: &Path) -> Option<Server> {
    let mut command = Command::new(peer("systemd-socket-activate")?);
    command.args(["--listen", &format!("127.0.0.1:{port}")]).arg(tine()).arg("serve");
    command.args(mode.options(4)).args(launch::user(Some(site))).args(options).arg(site);
    Some(Server::listening(command, port))
}

#[test]
fn sockets_of_a_manager_are_served() {
    for mode in Mode::ALL {
        let (site, port) = (site(), free_port());
        let Some(mut server) = activated(mode, port, &[], site.path()) else { return };
        ask(port);
        ask(port);
        // A pool's children serve already when it says so.
        wait_until("it says where", || server.stdout().contains(&format!("on http://127.0.0.1:{port}/")));
        // With the follower too, which has them from the one before.
        server.signal(Signal::SIGUSR2);
        let line = server.await_log(&["tine: process", "serves now"]);
        let pid: u32 = line.split_whitespace().find_map(|word| word.parse().ok()).expect("its number");
        common::guard::add(pid);
        assert_eq!(server.wait().code(), Some(0), "{mode:?}");
        ask(port);
        common::server::send(pid, Signal::SIGTERM);
        wait_until("it is gone", || !is_alive(pid));
        common::guard::remove(pid);
    }
}

#[test]
fn what_contradicts_a_managers_sockets_is_refused() {
    let (site, port) = (site(), free_port());
    let Some(mut server) = activated(Mode::Prefork, port, &["--listen", "127.0.0.1:0"], site.path()) else { return };
    let _client = Client::try_connect(([127, 0, 0, 1], port).into());
    assert_eq!(server.wait().code(), Some(100));
    assert!(server.log().contains("(LISTEN_FDS): leave --listen, --backlog"), "{}", server.log());
}

/// Descriptors that are no listening sockets: one line each, and the name that the manager gave.
#[test]
fn sockets_that_are_none_are_refused() {
    let site = site();
    for (redirection, why) in [("3</dev/null", "it is no socket"), ("3<&-", "it is not open")] {
        let mut command = Command::new("/bin/sh");
        let script = format!("LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=www exec \"$0\" serve \"$1\" {redirection}");
        let output = common::run(command.arg("-c").arg(script).arg(tine()).arg(site.path()));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(111), "{said}");
        assert!(said.contains("unable to listen on descriptor 3") && said.contains(why), "{said}");
        assert!(said.contains("it is named www") && said.lines().count() == 1, "{said}");
    }
    // Said to somebody else, who started us.
    let mut command = launch::serve_command::<&str>(&[], site.path());
    command.env("LISTEN_PID", "1").env("LISTEN_FDS", "1");
    Server::ready(command).stop();
}

/// openbsd-inetd with `wait`: it starts the service with the first client, has its socket back when nobody came for a
/// second, and starts another with the next one.
#[test]
fn inetd_waits() {
    let Some(inetd) = peer("inetd") else { return };
    for mode in Mode::ALL {
        unless_paused(|| {
            let (site, scratch, port) = (site(), Scratch::new(), free_port());
            let user = if launch::user(Some(site.path())).next().is_some() { "root" } else { "nobody" };
            let options: Vec<String> =
                launch::user(Some(site.path())).map(String::from).chain(mode.options(3)).collect();
            let (program, options, root) = (tine(), options.join(" "), site.path().display().to_string());
            let line = format!(
                "127.0.0.1:{port} stream tcp wait {user} {0} {0} serve --inetd-wait --exit-idle 1 {options} {root}\n",
                program.display()
            );
            let mut command = Command::new(&inetd);
            command.args(["-i", "-R", "0"]).arg(scratch.file("inetd.conf", line));
            let server = Server::listening(command, port);
            for _ in 0..2 {
                assert!(children(server.pid()).is_empty(), "nobody is there before the first client");
                ask(port);
                ask(port);
                let running = children(server.pid());
                assert_eq!(running.len(), 1, "{mode:?}: one for both");
                wait_until("it leaves", || children(server.pid()).is_empty());
                assert!(listens(port), "{mode:?}: inetd still listens");
            }
        });
    }
}

/// No client is lost in the instant of leaving.
#[test]
fn leaving_loses_nobody() {
    let Some(inetd) = peer("inetd") else { return };
    let (site, scratch, port) = (site(), Scratch::new(), free_port());
    let user = if launch::user(Some(site.path())).next().is_some() { "root" } else { "nobody" };
    let own: Vec<&str> = launch::user(Some(site.path())).collect();
    let line = format!(
        "127.0.0.1:{port} stream tcp wait {user} {0} {0} serve --inetd-wait --exit-idle 1 --children 2 {1} {2}\n",
        tine().display(),
        own.join(" "),
        site.path().display()
    );
    let mut command = Command::new(&inetd);
    command.args(["-i", "-R", "0"]).arg(scratch.file("inetd.conf", line));
    let server = Server::listening(command, port);
    let mut served = std::collections::BTreeSet::new();
    for pause in 0..12 {
        ask(port);
        served.extend(children(server.pid()).iter().map(|child| child.pid));
        // It leaves a second after the last client, or an eighth later: before that, then, and after it.
        std::thread::sleep(Duration::from_millis(900 + 50 * pause));
    }
    assert!(served.len() > 1, "it left now and then: {served:?}");
}

#[test]
fn contradictions_are_refused() {
    let site = site();
    for (options, told) in [
        (&["--inetd-wait", "--listen", "127.0.0.1:0"][..], "--inetd-wait serves at the socket it is given"),
        (&["--inetd-wait", "--inetd"], "--inetd-wait has no meaning with it"),
        (&["--exit-idle", "5"], "--exit-idle is for a socket that somebody else keeps"),
    ] {
        let output = common::run(Command::new(tine()).arg("serve").args(options).arg(site.path()));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(100), "{said}");
        assert!(said.contains(told) && said.lines().count() == 1, "{said}");
    }
    let output = common::run(Command::new(tine()).args(["serve", "--inetd-wait"]).arg(site.path()));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(111), "{said}");
    assert!(said.contains("unable to listen on descriptor 0: it is no socket (--inetd-wait is for inetd"), "{said}");
}
