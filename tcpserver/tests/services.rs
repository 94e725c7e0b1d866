//! Promise: what people run under ucspi-tcp's tcpserver runs under this one: git, rsync, a mail server's front, and
//! itself under daemontools and runit with their loggers.

#[path = "../../tests/common/mod.rs"]
mod common;

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Command, Stdio},
    thread,
};

use common::{BOUND, Scratch, Server, built, peer, process, scratch::set_mode, server, wait_until};
use nix::sys::signal::Signal;

/// tcpserver with these options on a free port of 127.0.0.1, in front of this program.
fn tcpserver(options: &[&str], program: &[&str]) -> Server {
    let mut command = Command::new(built("tcpserver"));
    command.args(["-1", "-vRHl0"]).args(options).args(["127.0.0.1", "0"]).args(program);
    Server::printing_port(command)
}

/// Runs a command that must succeed.
#[track_caller]
fn succeed(command: &mut Command) {
    let output = common::run(command);
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{command:?}: {}: {}", output.status, String::from_utf8_lossy(&said));
}

/// Every file below a directory, by its name, but for what git keeps for itself.
fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut directories = vec![root.to_path_buf()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).expect("read a directory") {
            let path = entry.expect("an entry").path();
            match path.is_dir() {
                true if path.ends_with(".git") => {}
                true => directories.push(path),
                false => {
                    let name = path.strip_prefix(root).expect("below the root").display().to_string();
                    all.insert(name, fs::read(&path).expect("read a file"));
                }
            }
        }
    }
    all
}

/// A tree with small and large files.
fn tree(scratch: &Scratch) -> BTreeMap<String, Vec<u8>> {
    for number in 0..200_u32 {
        let bytes: Vec<u8> = (0..number * number * 7).map(|at| (at * 31 + number) as u8).collect();
        scratch.file(&format!("tree/d{}/file{number}", number % 7), bytes);
    }
    files(&scratch.join("tree"))
}

/// Each end in the log is one without fault.
fn all_ended_well(server: &Server) {
    wait_until("all have ended", || server.log().ends_with("status: 0/40\n"));
    let log = server.log();
    let ends: Vec<&str> = log.lines().filter(|line| line.contains(": end ")).collect();
    assert!(!ends.is_empty() && ends.iter().all(|line| line.ends_with(" status 0")), "{log}");
}

#[test]
fn git_clones_through_git_daemon() {
    let Some(git) = peer("git") else { return };
    let scratch = Scratch::new();
    let expected = tree(&scratch);
    let run = |place: &Path, words: &[&str]| {
        let mut command = Command::new(&git);
        command.current_dir(place).env("HOME", scratch.path()).env("GIT_CONFIG_NOSYSTEM", "1");
        succeed(command.args(["-c", "user.name=tester", "-c", "user.email=tester@localhost"]).args(words));
    };
    let tree = scratch.join("tree");
    run(&tree, &["init", "-q"]);
    run(&tree, &["add", "."]);
    run(&tree, &["commit", "-q", "-m", "all of it"]);

    let base = format!("--base-path={}", scratch.path().display());
    let mut server = tcpserver(
        &[],
        &[
            "git",
            "daemon",
            "--inetd",
            "--export-all",
            &base,
            "--strict-paths",
            &format!("{}/tree/.git", scratch.path().display()),
        ],
    );
    let url = format!("git://{}/tree/.git", server.address());
    thread::scope(|scope| {
        for copy in ["one", "two", "three"] {
            let (run, url, scratch) = (&run, &url, &scratch);
            scope.spawn(move || run(scratch.path(), &["clone", "-q", url, copy]));
        }
    });
    for copy in ["one", "two", "three"] {
        assert!(files(&scratch.join(copy)) == expected, "the clone {copy} differs");
    }
    // What comes later is fetched.
    scratch.file("tree/late", "late\n");
    run(&tree, &["add", "."]);
    run(&tree, &["commit", "-q", "-m", "more"]);
    run(&scratch.join("one"), &["pull", "-q"]);
    assert_eq!(fs::read(scratch.join("one/late")).expect("it was fetched"), b"late\n");
    all_ended_well(&server);
    server.stop();
}

#[test]
fn rsync_synchronizes_both_ways() {
    let Some(rsync) = peer("rsync") else { return };
    let scratch = Scratch::new();
    let expected = tree(&scratch);
    let user = if common::scratch::is_root() { "uid = root\ngid = root\n" } else { "" };
    let place = scratch.path().display();
    let config =
        format!("{user}use chroot = no\n[out]\npath = {place}/tree\n[in]\npath = {place}/in\nread only = no\n");
    let config = scratch.file("rsyncd.conf", config);
    scratch.dir("in");

    let server = tcpserver(&[], &["rsync", "--daemon", &format!("--config={}", config.display())]);
    let remote = |module: &str| format!("rsync://{}/{module}/", server.address());
    let copy = scratch.join("copy");
    succeed(Command::new(&rsync).arg("-a").arg(remote("out")).arg(&copy));
    assert!(files(&copy) == expected, "what came differs");
    succeed(Command::new(&rsync).arg("-az").arg(format!("{}/", copy.display())).arg(remote("in")));
    assert!(files(&scratch.join("in")) == expected, "what went differs");
    // Changes alone go over the wire the second time; a file that is gone goes there too.
    fs::remove_file(scratch.join("tree/d1/file1")).expect("remove a file");
    succeed(Command::new(&rsync).args(["-a", "--delete"]).arg(remote("out")).arg(&copy));
    assert!(files(&copy) == files(&scratch.join("tree")), "what came the second time differs");
    wait_until("all have ended", || server.log().ends_with("status: 0/40\n"));
}

/// What qmail-smtpd does with its environment, in a shell: greets, names the client, relays for those whom the rules let.
const SMTP: &str = r#"
printf '220 mail.example ESMTP\r\n'
while read -r line; do
    line=${line%?}
    case $line in
    HELO*) printf '250 %s [%s]\r\n' "${TCPREMOTEHOST-unknown}" "$TCPREMOTEIP" ;;
    MAIL*) printf '250 ok\r\n' ;;
    RCPT*@mail.example\>) printf '250 ok\r\n' ;;
    RCPT*) if [ "${RELAYCLIENT+set}" ]; then printf '250 relayed%s\r\n' "$RELAYCLIENT"; else printf '553 not here\r\n'; fi ;;
    QUIT) printf '221 bye\r\n'; exit 0 ;;
    *) printf '502 what?\r\n' ;;
    esac
done
exit 1
"#;

#[test]
fn a_mail_server_relays_by_the_rules() {
    let scratch = Scratch::new();
    let rules = "127.0.0.1:allow,RELAYCLIENT=\"@here\"\n127.0.0.2:deny\n:allow\n";
    compile(&scratch, rules);
    let cdb = scratch.join("rules.cdb");
    let server = tcpserver(&["-x", &cdb.display().to_string()], &["sh", "-c", SMTP]);
    let talk = |from: [u8; 4]| -> Vec<String> {
        let mut stream = connect(from, &server);
        // As a client that waits for no answer before it says the next.
        let _ =
            stream.write_all(b"HELO me\r\nMAIL FROM:<a@b>\r\nRCPT TO:<x@mail.example>\r\nRCPT TO:<x@far>\r\nQUIT\r\n");
        let mut all = String::new();
        let _ = stream.read_to_string(&mut all);
        all.lines().map(String::from).collect()
    };
    let greeting =
        ["220 mail.example ESMTP", "250 unknown [127.0.0.1]", "250 ok", "250 ok", "250 relayed@here", "221 bye"];
    assert_eq!(talk([127, 0, 0, 1]), greeting);
    assert_eq!(talk([127, 0, 0, 2]), Vec::<String>::new());
    assert_eq!(talk([127, 0, 0, 3])[4], "553 not here");
    // The rules change while it runs.
    compile(&scratch, "127.0.0.2:allow,RELAYCLIENT=\"\"\n:deny\n");
    assert_eq!(talk([127, 0, 0, 2])[4], "250 relayed");
    assert_eq!(talk([127, 0, 0, 1]), Vec::<String>::new());
}

/// With ours: what is tested here is that the two go together.
fn compile(scratch: &Scratch, rules: &str) {
    let text = scratch.file("rules", rules);
    let mut command = Command::new(built("tcprules"));
    command
        .args([scratch.join("rules.cdb"), scratch.join("rules.tmp")])
        .stdin(fs::File::open(text).expect("the rules"));
    assert!(command.status().expect("run tcprules").success());
}

fn connect(from: [u8; 4], server: &Server) -> TcpStream {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, bind, connect, socket};
    use std::os::fd::AsRawFd;
    let fd = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).expect("a socket");
    bind(fd.as_raw_fd(), &SockaddrStorage::from(std::net::SocketAddr::from((from, 0)))).expect("bind");
    connect(fd.as_raw_fd(), &SockaddrStorage::from(server.address())).expect("connect");
    let stream = TcpStream::from(fd);
    stream.set_read_timeout(Some(BOUND)).expect("set a timeout");
    stream
}

/// The chain of small programs that daemontools suggests.
#[test]
fn programs_that_execute_programs() {
    let [Some(_), Some(_)] = [peer("softlimit"), peer("envdir")] else { return };
    let scratch = Scratch::new();
    scratch.file("env/GREETING", "hello\n");
    let env = scratch.join("env").display().to_string();
    let program = ["envdir", &env, "softlimit", "-o", "20", "sh", "-c", "echo $GREETING $TCPREMOTEIP $(ulimit -n)"];
    let server = tcpserver(&[], &program);
    let mut said = String::new();
    connect([127, 0, 0, 1], &server).read_to_string(&mut said).expect("read");
    assert_eq!(said, "hello 127.0.0.1 20\n");
}

/// A directory as svscan, supervise and runsv want it, from the examples in etc/, with the places moved.
fn service(scratch: &Scratch, logger: &str) {
    let example = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../etc/service").join(name);
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("read {}: {e}", path.display()));
        let programs = built("tcpserver").parent().expect("a directory").display().to_string();
        let moved = text.replace("/usr/local/bin", &programs).replace(" 0 79 ", " -1 127.0.0.1 0 ");
        let moved = if logger == "svlogd" { moved.replace("multilog t", "svlogd -tt") } else { moved };
        moved.replace("setuidgid nobody", "").replace("-u 65534 -g 65534", "")
    };
    for name in ["run", "log/run"] {
        let path = scratch.file(&format!("service/{name}"), example(name));
        set_mode(&path, 0o755);
    }
    scratch.dir("service/log/main");
}

/// The supervisor's log as the logger wrote it.
fn log(scratch: &Scratch) -> String {
    fs::read_to_string(scratch.join("service/log/main/current")).unwrap_or_default()
}

/// The port that it printed last: a line of its own, with a time stamp before it. Both streams go to the log.
fn port_in(log: &str) -> Option<u16> {
    log.lines().rev().find_map(|line| {
        let mut words = line.split(' ').rev();
        let port = words.next()?.parse().ok();
        port.filter(|_| words.count() <= 1)
    })
}

/// One line of a program that says who we are.
fn visit(port: u16) -> Option<String> {
    let mut said = String::new();
    BufReader::new(TcpStream::connect(("127.0.0.1", port)).ok()?).read_line(&mut said).ok()?;
    Some(said)
}

/// Ends what still runs in a directory: a service manager's processes are not ours to wait for.
struct Remains<'a>(&'a Scratch);

impl Drop for Remains<'_> {
    fn drop(&mut self) {
        let place = self.0.path();
        let inside = |pid: u32| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(place));
        for signal in [Signal::SIGTERM, Signal::SIGKILL] {
            for process in process::all().iter().filter(|process| process.state != 'Z' && inside(process.pid)) {
                server::send(process.pid, signal);
            }
        }
    }
}

/// It comes up, is logged, is restarted, and goes down on SIGTERM while a program that serves lives on.
fn under(
    manager: &str,
    order_by: &str,
    restart: &str,
    logger: &str,
    end: impl FnOnce(&mut Server, &dyn Fn(&str, &str)),
) {
    let [Some(manager), Some(order_by), Some(_)] = [peer(manager), peer(order_by), peer(logger)] else { return };
    let scratch = Scratch::new();
    service(&scratch, logger);
    let _remains = Remains(&scratch);
    let mut command = Command::new(&manager);
    // svscan cares for the directories in a directory, runsv for one.
    command.current_dir(scratch.path()).arg(if manager.ends_with("svscan") { "." } else { "service" });
    let mut server = Server::spawn(command);
    let order = |order: &str, directory: &str| {
        // The manager may not be there yet.
        wait_until("the order is taken", || {
            let mut command = Command::new(&order_by);
            command.current_dir(scratch.path()).arg(order).arg(scratch.join(directory));
            command.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("run it").success()
        });
    };

    let mut port = 0;
    wait_until("it is up and its port logged", || {
        port = port_in(&log(&scratch)).unwrap_or(0);
        port != 0
    });
    assert_eq!(visit(port).as_deref(), Some("you are 127.0.0.1\n"));
    wait_until("the end is logged", || log(&scratch).contains(": end "));
    let stays = TcpStream::connect(("127.0.0.1", port)).expect("connect");
    let mut said = BufReader::new(stays.try_clone().expect("another descriptor"));
    said.read_line(&mut String::new()).expect("a greeting");

    order(restart, "service");
    wait_until("it came up again", || {
        let again = port_in(&log(&scratch)).filter(|&again| again != port);
        again.is_some_and(|again| visit(again).is_some())
    });
    (&stays).write_all(b"still here\n").expect("say something");
    let mut line = String::new();
    said.read_line(&mut line).expect("read");
    assert_eq!(line, "you said still here\n", "the program outlives its supervisor");
    // It holds the log open: runsv waits for it.
    drop((stays, said));

    let port = port_in(&log(&scratch)).expect("a port");
    end(&mut server, &order);
    wait_until("it is down", || !process::listens(port));
    server.wait();
}

#[test]
fn under_daemontools() {
    under("svscan", "svc", "-t", "multilog", |server, order| {
        server.signal(Signal::SIGTERM); // or it would start anew what ends
        server.wait();
        order("-dx", "service");
        order("-dx", "service/log");
    });
}

#[test]
fn under_runit() {
    under("runsv", "sv", "term", "svlogd", |_, order| order("exit", "service"));
}
