//! Promise: SIGUSR2 has a new program take over the listening sockets, with no connection refused or cut; when it fails,
//! the old one carries on. Storms of signals change nothing of this.

mod common;

use std::{
    fs::{self, File, Permissions},
    net::SocketAddr,
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::{Path, PathBuf},
    process::Command,
};

use common::{
    Client, Mode, Scratch, Server, guard, holds_within, launch,
    load::{expect_no_loss, under_load},
    process::{self, is_alive},
    server::send,
    tine, wait_until,
};
use nix::sys::signal::Signal;

const LARGE: usize = 64 << 20;

fn site() -> Scratch {
    let site = Scratch::new();
    site.file("hello.txt", "hello\n");
    let large = site.file("large.bin", "");
    File::options().write(true).open(large).and_then(|file| file.set_len(LARGE as u64)).expect("make a large file");
    site
}

/// A server and those that followed it: each ends with the test.
struct Dynasty {
    first: Server,
    followers: Vec<u32>,
}

impl Dynasty {
    fn new(first: Server) -> Dynasty {
        Dynasty { first, followers: Vec::new() }
    }

    /// Who serves now.
    fn pid(&self) -> u32 {
        self.followers.last().copied().unwrap_or_else(|| self.first.pid())
    }

    fn address(&self) -> SocketAddr {
        self.first.address()
    }

    fn signal(&self, signal: Signal) {
        send(self.pid(), signal);
    }

    /// The numbers in lines that go on like this, in their order.
    fn told(&self, before: &str, after: &str) -> Vec<u32> {
        let log = self.first.log();
        // The last line may be half written.
        let lines = log.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
        lines.filter_map(|line| line.split_once(before)?.1.strip_suffix(after)?.parse().ok()).collect()
    }

    /// Whoever took over since that was last asked.
    fn look(&mut self) {
        for pid in self
            .told("tine: process ", " serves now; open connections may finish here")
            .into_iter()
            .skip(self.followers.len())
        {
            guard::add(pid);
            self.followers.push(pid);
        }
    }

    /// Sends SIGUSR2 and waits for the follower.
    #[track_caller]
    fn upgrade(&mut self) {
        self.look();
        let before = self.followers.len();
        self.signal(Signal::SIGUSR2);
        wait_until("another serves", || {
            self.look();
            self.followers.len() > before
        });
    }

    /// Stops the last one, and whoever took over in that instant; everybody must end.
    #[track_caller]
    fn stop(&mut self) {
        self.look();
        self.signal(Signal::SIGTERM);
        let mut stopped = self.followers.len();
        wait_until("all are gone", || {
            let gone = self.first.poll_exit().is_some() && !self.followers.iter().any(|&pid| is_alive(pid));
            // Who gave way just before it was told to stop has said so before it ended.
            self.look();
            if self.followers.len() > stopped {
                stopped = self.followers.len();
                self.signal(Signal::SIGTERM);
                return false;
            }
            gone
        });
        assert_eq!(self.first.wait().code(), Some(0), "a gentle stop");
        assert!(!process::listens(self.address().port()));
    }
}

impl Drop for Dynasty {
    fn drop(&mut self) {
        self.look();
        for &pid in &self.followers {
            send(pid, Signal::SIGTERM);
        }
        for &pid in &self.followers {
            if !holds_within(std::time::Duration::from_secs(3), || !is_alive(pid)) {
                let children = process::children(pid);
                send(pid, Signal::SIGKILL);
                children.iter().for_each(|child| send(child.pid, Signal::SIGKILL));
            }
            guard::remove(pid);
        }
    }
}

fn serve(mode: Mode, limit: u32, options: &[&str], site: &Scratch) -> Dynasty {
    Dynasty::new(launch::serve(mode, limit, options, site.path()))
}

fn ten_upgrades(mode: Mode) {
    let site = site();
    let mut server = serve(mode, 12, &["--quiet"], &site);
    let story = under_load(server.address(), |load| {
        for _ in 0..10 {
            server.upgrade();
            load.more(20);
        }
    });
    expect_no_loss(mode, "SIGUSR2", 10, &story);
    // tine-http knows no gentler end of an idle connection; and a one-shot pool is short of places meanwhile.
    if matches!(mode, Mode::Prefork | Mode::Fork) {
        assert_eq!(story.asked_anew, 0, "{mode:?}: kept connections are told before they end");
    }
    assert_eq!(server.followers.len(), 10);
    server.stop();
}

#[test]
fn under_load_nothing_is_lost_in_prefork() {
    ten_upgrades(Mode::Prefork);
}

#[test]
fn under_load_nothing_is_lost_one_shot() {
    ten_upgrades(Mode::OneShot);
}

#[test]
fn under_load_nothing_is_lost_in_fork() {
    ten_upgrades(Mode::Fork);
}

#[test]
fn under_load_nothing_is_lost_in_vfork() {
    ten_upgrades(Mode::Vfork);
}

/// Both signals, in no order and faster than they can be heeded; then the end, in the middle of it.
#[test]
fn a_storm_loses_nothing() {
    for mode in Mode::ALL {
        let site = site();
        let mut server = serve(mode, 12, &["--quiet"], &site);
        let story = under_load(server.address(), |load| {
            for round in 0..60 {
                server.signal(if round % 3 == 0 { Signal::SIGUSR2 } else { Signal::SIGHUP });
                server.signal(Signal::SIGHUP);
                load.more(2);
                server.look();
            }
        });
        expect_no_loss(mode, "SIGHUP and SIGUSR2 in a storm", 120, &story);
        server.signal(Signal::SIGUSR2);
        server.signal(Signal::SIGHUP);
        server.stop();
        let fatal = server.first.log().lines().filter(|line| line.contains("fatal")).count();
        assert_eq!(fatal, 0, "{mode:?}: {}", server.first.log());
    }
}

/// Told to stop while another is starting, both stop: nobody comes up behind the back of who said so, and the first to
/// be started is the last to end.
#[test]
fn a_stop_stops_the_follower_too() {
    for mode in Mode::ALL.into_iter().cycle().take(12) {
        let site = site();
        let mut server = serve(mode, 4, &[], &site);
        server.signal(Signal::SIGUSR2);
        server.first.await_log(&["anew: process"]);
        server.first.stop();
        let log = server.first.log();
        // It may have come to serve in that instant; then it serves, and that was said.
        server.look();
        if server.followers.is_empty() {
            let follower = server.told("anew: process ", "");
            assert!(!follower.iter().any(|&pid| is_alive(pid)) && follower.len() == 1, "{mode:?}: {log}");
            assert!(!process::listens(server.address().port()), "{mode:?}: {log}");
        }
        assert!(!log.contains("fatal"), "{mode:?}: {log}");
    }
}

/// A download under way is completed by the old one, which says who is still there and goes when it is over.
#[test]
fn what_is_under_way_is_completed() {
    for mode in Mode::ALL {
        let site = site();
        // A machine that is short of memory has taken more than half a minute for so large a file.
        let mut server = serve(mode, 4, &["--drain", "300"], &site);
        let mut client = Client::connect(server.address());
        client.send("GET /large.bin HTTP/1.1\r\nHost: localhost\r\n\r\n");
        client.try_head().expect("the head of the response");
        server.upgrade();
        Client::connect(server.address()).get("/hello.txt").expect(200);
        server.first.await_log(&["stopping: 300 s for open connections to finish: 1"]);
        server.first.await_log(&["still here: pid", &client.name()]);
        assert_eq!(client.take(LARGE).expect("the whole file").len(), LARGE, "{mode:?}");
        client.expect_end();
        assert_eq!(server.first.wait().code(), Some(0), "{mode:?}");
        server.stop();
    }
}

/// SIGTERM to one that is leaving already is the first that it hears of a stop, not an impatient second.
#[test]
fn who_is_leaving_is_not_hastened_by_the_first_word() {
    let site = site();
    let mut server = serve(Mode::Prefork, 4, &["--drain", "300"], &site);
    let mut client = Client::connect(server.address());
    client.send("GET /large.bin HTTP/1.1\r\nHost: localhost\r\n\r\n");
    client.try_head().expect("the head of the response");
    server.upgrade();
    std::thread::sleep(std::time::Duration::from_millis(400));
    server.first.signal(Signal::SIGTERM);
    server.stop_follower();
    assert_eq!(client.take(LARGE).expect("the whole file").len(), LARGE);
    drop(client);
    assert_eq!(server.first.wait().code(), Some(0));
}

impl Dynasty {
    #[track_caller]
    fn stop_follower(&self) {
        self.signal(Signal::SIGTERM);
        wait_until("the follower is gone", || !is_alive(self.pid()));
    }
}

/// The new one has descriptors 0, 1 and 2, the sockets and what it opened itself; its user, its log, its command line; and no
/// more filters than its predecessor.
#[test]
fn nothing_but_the_sockets_crosses() {
    let site = site();
    for options in [&["--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0"][..], &["--mode", "fork"]] {
        let first = Server::ready(launch::serve_command(options, site.path()));
        let mut server = Dynasty::new(first);
        let listeners = server.first.addresses().len();
        let count = |pid: u32| process::descriptors(pid).len();
        let user = |pid: u32| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("read its status");
            let fields = ["Uid:", "Gid:", "NoNewPrivs:", "Seccomp_filters:"];
            status.lines().filter(|line| fields.iter().any(|field| line.starts_with(field))).collect::<String>()
        };
        let (descriptors, first_user) = (count(server.first.pid()), user(server.first.pid()));
        for _ in 0..3 {
            server.upgrade();
            let pid = server.pid();
            wait_until("it has let go of the pipe", || count(pid) == descriptors);
            let sockets = process::descriptors(pid).values().filter(|what| what.starts_with("socket:")).count();
            assert_eq!(sockets, listeners, "{:?}", process::descriptors(pid));
            assert_eq!(user(pid), first_user);
            for address in server.first.addresses() {
                Client::connect(*address).get("/hello.txt").expect(200);
            }
        }
        server.stop();
    }
}

/// The name of a Unix socket stays while anybody serves it, and goes with the last.
#[test]
fn the_name_of_a_unix_socket_moves_on() {
    let (site, place) = (site(), Scratch::new());
    common::scratch::set_mode(place.path(), 0o777);
    let name = place.join("socket");
    let option = format!("unix:{}", name.display());
    let options = ["--listen", &option, "--listen", "127.0.0.1:0"];
    let mut server = Dynasty::new(Server::ready(launch::serve_command(&options, site.path())));
    for _ in 0..2 {
        server.upgrade();
        assert_eq!(server.first.poll_exit().unwrap_or_else(|| server.first.wait()).code(), Some(0));
        UnixStream::connect(&name).expect("the name is there");
    }
    server.stop();
    assert!(!name.exists(), "the last one removes it");
}

/// A program beside those it needs, in a place of its own, that can be replaced.
fn own_copy(place: &Scratch) -> PathBuf {
    common::scratch::set_mode(place.path(), 0o755);
    for name in ["tine", "tine-http"] {
        let from = tine().with_file_name(name);
        let to = place.join(name);
        // The same file is enough, where it can be had: what is replaced is the name.
        fs::hard_link(&from, &to).unwrap_or_else(|_| common::scratch::copy_program(&from, &to));
    }
    place.join("tine")
}

fn replace(program: &Path, contents: &str) {
    let new = program.with_extension("new");
    fs::write(&new, contents).expect("write a program");
    fs::set_permissions(&new, Permissions::from_mode(0o755)).expect("make it executable");
    fs::rename(&new, program).expect("put it there");
}

/// Whatever is wrong with the new program, one line says so, nobody notices, and the next one may be right.
#[test]
fn a_program_that_fails_changes_nothing() {
    for mode in [Mode::Prefork, Mode::Vfork] {
        let (site, place) = (site(), Scratch::new());
        let program = own_copy(&place);
        let mut command = Command::new(&program);
        command
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(mode.options(12))
            .args(launch::user(Some(place.path())));
        let mut server = Dynasty::new(Server::ready({
            command.arg("--quiet").arg(site.path());
            command
        }));
        let wrong: [(&str, &str); 5] = [
            ("#!/bin/sh\nexit 100\n", "ended before it served (exit 100)"),
            ("#!/bin/sh\nkill -SEGV $$\n", "ended before it served (killed by signal 11"),
            ("no program\n", "unable to execute"),
            ("#!/nonexistent\n", "unable to execute"),
            // It says that it serves, and dies of it.
            (
                "#!/bin/sh\npipe=${TCPSERVER_HANDOVER#*:}\nprintf ! >/proc/self/fd/${pipe%%:*}\nexit 3\n",
                "(exit 3): this one serves again",
            ),
        ];
        let story = under_load(server.address(), |load| {
            for (contents, told) in wrong {
                let before = server.first.log().len();
                replace(&program, contents);
                server.signal(Signal::SIGUSR2);
                let log = || server.first.log()[before..].to_string();
                wait_until(told, || log().contains(told) && log().ends_with('\n'));
                let log = log();
                let warnings = log.lines().filter(|line| line.contains("warning")).count();
                assert_eq!(warnings, 1, "{log}\nclients saw {:?}", load.failures());
                load.more(20);
                // The same complaint is told once a second.
                std::thread::sleep(std::time::Duration::from_millis(1100));
            }
            fs::remove_file(&program).expect("remove it");
            // Whoever said that it serves is no more.
            send(server.first.pid(), Signal::SIGUSR2);
            let told = "No such file or directory; serving goes on as before";
            wait_until(told, || server.first.log().matches(told).count() == 2);
            fs::hard_link(tine(), &program).unwrap_or_else(|_| common::scratch::copy_program(&tine(), &program));
            server.look();
            let before = server.followers.len();
            send(server.first.pid(), Signal::SIGUSR2);
            wait_until("another serves", || {
                server.look();
                server.followers.len() > before
            });
            load.more(20);
        });
        expect_no_loss(mode, "SIGUSR2, six that fail, one that serves", 7, &story);
        server.stop();
    }
}

/// One that never comes to serve is given up.
#[test]
fn a_program_that_hangs_is_killed() {
    let (site, place) = (site(), Scratch::new());
    let program = own_copy(&place);
    let mut command = Command::new(&program);
    command.args(["serve", "--listen", "127.0.0.1:0", "--children", "2"]).args(launch::user(Some(place.path())));
    command.arg(site.path());
    let mut server = Dynasty::new(Server::ready(command));
    replace(&program, "#!/bin/sh\ntrap '' TERM\nexec sleep 1000\n");
    server.signal(Signal::SIGUSR2);
    server.first.await_log(&["anew: process"]);
    // Asked again meanwhile, it says so.
    server.signal(Signal::SIGUSR2);
    server.first.await_log(&["a new program is starting already"]);
    let hangs = || server.first.log().contains("does not come to serve: it was killed; serving goes on as before");
    assert!(holds_within(2 * common::BOUND, hangs), "it was not given up");
    wait_until("nothing is left of it", || server.first.children().len() == 2);
    Client::connect(server.address()).get("/hello.txt").expect(200);
    server.stop();
}

/// What cannot be done is said, with what can.
#[test]
fn in_a_new_root_it_is_refused() {
    if !common::scratch::is_root() {
        return common::say("SKIPPED in_a_new_root_it_is_refused: chroot is for root");
    }
    let site = site();
    let mut command = Command::new(tine());
    command.args(["serve", "--listen", "127.0.0.1:0", "--user", "root", "--chroot"]).arg(site.path()).arg("/");
    let mut server = Server::ready(command);
    server.signal(Signal::SIGUSR2);
    server.await_log(&["tine: warning: unable to start the program anew: --chroot hides it"]);
    server.connect().get("/hello.txt").expect(200);
    server.stop();
}

/// The variable is for the child of a server, and says nothing to anybody else.
#[test]
fn what_was_meant_for_another_is_refused() {
    let site = site();
    for (told, why) in [("1:9:own:4", "it is gone"), ("x", "it is not told which"), ("", "it is not told which")] {
        let mut command = launch::serve_command::<&str>(&[], site.path());
        let output = common::run(command.env("TCPSERVER_HANDOVER", told));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(111), "{said}");
        assert!(said.contains(why) && said.contains("unset it") && said.lines().count() == 1, "{said}");
    }
}
