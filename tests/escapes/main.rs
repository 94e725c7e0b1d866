//! Promise: whoever takes a child over can do with it what the table in SPECIFICATION.md says, and harms nobody else.
//! `examples/hostile` is a child that makes whatever system call we name.

#[path = "../common/mod.rs"]
mod common;

mod acts;
mod shell;

use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::os::unix::process::CommandExt;
use std::process::Command;

use acts::{Act, Expect, ROWS};
use common::scratch::{is_root, reachable_by_nobody, set_mode};
use common::{BOUND, Client, Scratch, Server, built, holds_within, process, say, wait_until};
use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use shell::{Answer, Shell, Targets};

/// A service whose children are ours, and all that they could be turned against.
struct Stage {
    /// Somebody who is served meanwhile.
    bystander: Client,
    server: Server,
    _group: Group,
    targets: Targets,
    _listeners: (TcpListener, UnixListener, UnixListener),
    _places: [Scratch; 2],
}

/// The process group of a service: what a child has become that ended its supervisor and let go of being ended with it.
struct Group(Pid);

impl Drop for Group {
    fn drop(&mut self) {
        let _ = killpg(self.0, Signal::SIGKILL);
    }
}

impl Stage {
    fn new(mode: &str, user: &str) -> Stage {
        let (site, elsewhere) = (Scratch::new(), Scratch::new());
        site.file("file", "hello");
        let secret = elsewhere.file("secret", "hello");
        let unix = elsewhere.join("socket");
        let by_path = UnixListener::bind(&unix).expect("listen");
        set_mode(&unix, 0o666);
        let name = unix.file_name().expect("a name").to_string_lossy().into_owned() + &unix.display().to_string();
        let by_name = SocketAddr::from_abstract_name(&name).and_then(|name| UnixListener::bind_addr(&name));
        let tcp = TcpListener::bind("127.0.0.1:0").expect("listen");
        let port = tcp.local_addr().expect("an address").port();
        let program = built("tine").with_file_name("examples").join("hostile");
        assert!(program.exists(), "{} is missing; `cargo build --examples` makes it", program.display());
        let mut command = Command::new(program);
        command.arg(mode).arg(site.path()).arg(user).process_group(0);
        let server = Server::ready(command);
        let _group = Group(Pid::from_raw(server.pid().cast_signed()));
        let bystander = server.connect();
        let (supervisor, sibling) = (server.pid(), server.child_of(&bystander));
        let shares = |what: &String| what.starts_with("socket:") || what.contains("eventfd");
        let shared =
            || process::descriptors(supervisor).into_iter().filter(|(number, what)| *number > 2 && shares(what));
        wait_until("it holds what it shares", || shared().next().is_some());
        let shared = shared().map(|(number, _)| number.into()).collect();
        let targets = Targets { supervisor, sibling, shared, site: site.path().into(), secret, port, unix, name };
        let _listeners = (tcp, by_path, by_name.expect("listen"));
        Stage { bystander, server, _group, targets, _listeners, _places: [site, elsewhere] }
    }

    /// Has a fresh connection's child try it. Afterwards others must be served, by the supervisor that was there.
    fn attempt(&self, (name, act): &Act) -> Answer {
        let answer = act(&mut Shell::new(&self.server, &self.targets));
        let ended = |pid| !process::is_alive(pid);
        assert!(!ended(self.targets.supervisor) && !ended(self.targets.sibling), "{name} ended others");
        for _ in 0..4 {
            let mut others = Shell::new(&self.server, &self.targets);
            assert!(
                matches!(others.call(nix::libc::SYS_clock_gettime, &[1, others.memory]), Answer::Done(0)),
                "{name}"
            );
        }
        answer
    }
}

/// Whether that is what was to come of it.
fn agrees(expect: Expect, answer: Answer, mode: &str, user: &str) -> bool {
    let refused = matches!(answer, Answer::Failed(Errno::EPERM | Errno::EACCES));
    let is_root = user.is_empty() && is_root();
    match expect {
        Expect::Refused => refused,
        Expect::Absent => refused || answer == Answer::Failed(Errno::EBADF),
        Expect::InPool if mode == "pool" => matches!(answer, Answer::Done(_)),
        Expect::InPool => refused || answer == Answer::Failed(Errno::EBADF),
        Expect::ButRoot => is_root || refused || answer == Answer::Failed(Errno::EAGAIN),
        Expect::Done => matches!(answer, Answer::Done(_)),
        Expect::User | Expect::Harmless => true,
    }
}

/// Tries the table in these modes, of which it is this column; all that disagrees is told at once.
fn try_all(modes: &[&str], column: usize) {
    let unreachable = !reachable_by_nobody(Scratch::new().path());
    let users: &[&str] = if is_root() && !unreachable { &["", "nobody"] } else { &[""] };
    if users.len() == 1 {
        say("note: children are tried as this user alone: that takes root, and directories that nobody can reach");
    }
    let mut wrong = Vec::new();
    for (mode, user) in modes.iter().flat_map(|mode| users.iter().map(move |user| (*mode, *user))) {
        let stage = Stage::new(mode, user);
        for row in ROWS {
            let expect = row.expect[column];
            // With a user's rights, and no filter, that would be the end of this test's subject, or of more.
            if expect == Expect::User && column == 2 {
                continue;
            }
            for act in row.acts {
                let answer = stage.attempt(act);
                if std::env::var_os("TINE_ESCAPES").is_some() {
                    say(&format!("{mode:16} {user:7} {:60.60} {:28} {answer:?}", row.what, act.0));
                }
                if !agrees(expect, answer, mode, user) {
                    wrong.push(format!("{mode} {user} {}: {}: {answer:?}, not {}", row.what, act.0, expect.as_str()));
                }
            }
        }
        let Stage { bystander, mut server, .. } = stage;
        drop(bystander);
        wait_until("no zombie is left", || server.children().iter().all(|child| child.state != 'Z'));
        server.stop();
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn children_of_a_pool() {
    try_all(&["pool", "handed"], 0);
}

#[test]
fn children_with_a_filter_for_one_connection() {
    try_all(&["one-shot-strict", "fork-strict"], 0);
}

#[test]
fn children_for_one_connection() {
    try_all(&["one-shot", "fork"], 1);
}

#[test]
fn children_that_run_programs() {
    try_all(&["pool-programs", "fork-programs"], 2);
}

/// The table is the one that was tried.
#[test]
fn the_specification_has_the_table() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("SPECIFICATION.md");
    let specification = std::fs::read_to_string(path).expect("read it");
    let line = |row: &acts::Row| {
        let [pool, single, programs] = row.expect.map(Expect::as_str);
        format!("| {} | {pool} | {single} | {programs} |", row.what)
    };
    let missing: Vec<_> = ROWS.iter().map(line).filter(|line| !specification.lines().any(|it| it == line)).collect();
    assert!(missing.is_empty(), "SPECIFICATION.md lacks:\n{}", missing.join("\n"));
}

/// The acts are real: without a sandbox they are done.
#[test]
fn without_a_sandbox_it_is_done() {
    let (mut refused, mut stage) = (Vec::new(), None);
    for row in ROWS.iter().filter(|row| row.expect[0] == Expect::Refused && row.expect[1] != Expect::User) {
        for (name, act) in row.acts {
            let Stage { server, targets, .. } = stage.get_or_insert_with(|| Stage::new("pool-open", ""));
            let answer = act(&mut Shell::new(server, targets));
            let is_refused = matches!(answer, Answer::Failed(Errno::EPERM | Errno::EACCES));
            // To die of a signal takes its time.
            let is_gone = || !process::is_alive(targets.supervisor);
            if is_refused && !(name.ends_with("SIGIO") && holds_within(BOUND, is_gone)) {
                refused.push(format!("{}: {name}", row.what));
            }
            // What harms is the last that a service hears.
            if row.expect[1] == Expect::Absent
                || ![targets.supervisor, targets.sibling].into_iter().all(process::is_alive)
            {
                stage = None;
            }
        }
        // A child that has a namespace of its own by now, or is not the same otherwise, tries nothing else.
        stage = None;
    }
    // Yama, where it is, keeps relatives from looking, and only root looks at all. Of the rest of the kernel much is root's,
    // and some of it not even root's in a container.
    let roots = ["trace", "raise", "change", "the rest", "get new", "type"];
    let nobodys = ["PR_SET_MM", "settimeofday", "delete_module", "reboot"];
    refused.retain(|act| {
        let is_roots = roots.iter().any(|row| act.starts_with(row));
        (is_root() || !is_roots) && !nobodys.iter().any(|name| act.ends_with(name))
    });
    assert_eq!(refused, [""; 0]);
}

/// A child without a filter shuts down the socket of all, again and again: the supervisor listens anew, at once.
#[test]
fn a_socket_that_was_shut_down_listens_again() {
    let (_, shut_down) = ROWS.iter().flat_map(|row| row.acts).find(|(name, _)| *name == "shutdown").expect("an act");
    let stage = Stage::new("pool-open", "");
    for round in 0..3 {
        assert!(matches!(shut_down(&mut Shell::new(&stage.server, &stage.targets)), Answer::Done(_)));
        wait_until("others are served", || {
            std::net::TcpStream::connect(stage.server.address()).is_ok_and(|mut socket| {
                use std::io::{Read, Write};
                socket.write_all(b"where\n").is_ok() && socket.read(&mut [0]).is_ok_and(|read| read == 1)
            })
        });
        assert!(stage.server.log().contains("somebody has shut down"), "{round}: {}", stage.server.log());
    }
}
