//! Promise: what is asked wrongly is answered by one line that says what, why and how to mend it, with the right exit
//! code, and nothing is left behind.

mod common;

use std::{fs, net::TcpListener, path::Path, process::Command};

use common::{Scratch, process, run, scratch, tine};

/// Wrong usage, and what may go better another time (ucspi-tcp's numbers).
const USAGE: i32 = 100;
const TEMPORARY: i32 = 111;

/// `tine serve` with these words, on a free port unless they say otherwise.
fn serve<S: AsRef<str>>(words: &[S]) -> Command {
    let mut command = Command::new(tine());
    command.arg("serve").args(words.iter().map(AsRef::as_ref));
    if !words.iter().any(|word| word.as_ref() == "--listen") {
        command.args(["--listen", "127.0.0.1:0"]);
    }
    command
}

/// Exit code, one line on stderr with all of these words, nothing on stdout, no process left.
#[track_caller]
fn fails(command: &mut Command, code: i32, words: &[&str]) {
    let shown = format!("{command:?}");
    let output = run(command);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let story = format!("{shown}\n---- {}\n---- stdout:\n{out}---- stderr:\n{err}", output.status);
    assert_eq!(output.status.code(), Some(code), "{story}");
    assert_eq!(out, "", "stdout is for readiness\n{story}");
    // Whoever starts it as root is told first whom it becomes.
    let lines: Vec<&str> = err.lines().filter(|line| !is_privilege_notice(line)).collect();
    assert_eq!(lines.len(), 1, "one line\n{story}");
    assert!(lines[0].starts_with("tine: fatal: "), "{story}");
    for word in words {
        assert!(lines[0].to_lowercase().contains(&word.to_lowercase()), "no {word:?} in it\n{story}");
    }
    assert!(!is_running(command), "a process is left\n{story}");
}

/// Whether a process runs with this command line.
fn is_running(command: &Command) -> bool {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let line: Vec<u8> = words.flat_map(|word| [word.as_encoded_bytes(), b"\0"].concat()).collect();
    process::all().iter().any(|p| fs::read(format!("/proc/{}/cmdline", p.pid)).is_ok_and(|found| found == line))
}

fn is_privilege_notice(line: &str) -> bool {
    line.starts_with("tine: ") && !line.contains("fatal") && (line.contains("nobody") || line.contains("root"))
}

fn site() -> Scratch {
    let site = Scratch::new();
    site.file("index.html", "hello\n");
    site
}

#[test]
fn unknown_words() {
    fails(&mut serve(&["--no-such-option"]), USAGE, &["--no-such-option", "--help"]);
    fails(Command::new(tine()).arg("no-such-command"), USAGE, &["no-such-command"]);
    fails(&mut serve(&["a", "b"]), USAGE, &["b"]);
    fails(&mut serve(&["--mode", "threads"]), USAGE, &["threads", "prefork", "fork", "vfork"]);
    fails(&mut serve(&["--handler", "gopher"]), USAGE, &["gopher", "http", "echo"]);
    // A slip of the finger is pointed out.
    fails(&mut serve(&["--childern", "3"]), USAGE, &["--childern", "--children"]);
}

#[test]
fn values_that_make_no_sense() {
    for option in ["--children", "--max-connections", "--header-timeout", "--idle-timeout", "--write-timeout"] {
        for value in ["many", "0", "-1", "99999999999999999999", ""] {
            fails(&mut serve(&[&format!("{option}={value}")]), USAGE, &[option]);
        }
        fails(&mut serve(&[option]), USAGE, &[option]);
    }
    for option in ["--reuse", "--drain", "--backlog"] {
        fails(&mut serve(&[&format!("{option}=x")]), USAGE, &[option]);
    }
    for place in ["127.0.0.1", "localhost:http:1", "127.0.0.1:99999", "unix:", "1.2.3.4.5:80", ""] {
        fails(&mut serve(&["--listen", place]), USAGE, &["--listen"]);
    }
}

#[test]
fn options_that_contradict_each_other() {
    fails(&mut serve(&["--mode", "fork", "--children", "3"]), USAGE, &["--children", "prefork"]);
    fails(&mut serve(&["--mode", "vfork", "--reuse", "3"]), USAGE, &["--reuse", "prefork"]);
    fails(&mut serve(&["--mode", "prefork", "--max-connections", "3"]), USAGE, &["--children"]);
    let mut both = Command::new(tine());
    fails(both.args(["serve", "--inetd", "--listen", "127.0.0.1:0"]), USAGE, &["--inetd", "--listen"]);
}

#[test]
fn a_root_that_is_not_there() {
    let site = site();
    let missing = site.join("missing").display().to_string();
    fails(&mut serve(&[&missing]), TEMPORARY, &["unable to", &missing, "No such file"]);
    let file = site.join("index.html").display().to_string();
    fails(&mut serve(&[&file]), TEMPORARY, &["unable to", &file, "not a directory"]);
}

#[test]
fn a_port_in_use() {
    let site = site();
    let taken = TcpListener::bind("127.0.0.1:0").expect("take a port");
    let place = taken.local_addr().expect("its address").to_string();
    let words = ["--listen".into(), place.clone(), site.path().display().to_string()];
    fails(&mut serve(&words), TEMPORARY, &["unable to", &place, "in use"]);
    // With another place that is free: all or nothing, and no file of a socket stays.
    let socket = site.join("socket");
    let both = [vec!["--listen".into(), format!("unix:{}", socket.display())], words.to_vec()].concat();
    if !scratch::is_root() {
        fails(&mut serve(&both), TEMPORARY, &[&place, "in use"]);
    } else {
        fails(serve(&both).args(["--user", "root"]), TEMPORARY, &[&place, "in use"]);
    }
    assert!(!socket.exists(), "the socket's file is left behind");
}

#[test]
fn a_port_that_may_not_be_had() {
    let site = site();
    // An address that is not this machine's (RFC 5737).
    let words = ["--listen", "192.0.2.1:8080", &site.path().display().to_string()];
    fails(&mut serve(&words), TEMPORARY, &["unable to", "192.0.2.1:8080"]);
}

#[test]
fn a_socket_file_that_cannot_be_made() {
    let site = site();
    let root = site.path().display().to_string();
    let nowhere = format!("unix:{}", site.join("missing/socket").display());
    fails(&mut serve(&["--listen", &nowhere, &root]), TEMPORARY, &["unable to", &nowhere["unix:".len()..]]);
    // Something that is there and is no socket of ours is not ours to remove.
    let file = site.file("precious", "contents");
    fails(&mut serve(&["--listen", &format!("unix:{}", file.display()), &root]), TEMPORARY, &["precious", "in use"]);
    assert_eq!(fs::read_to_string(file).expect("read it"), "contents");
    let long = format!("unix:/tmp/{}", "x".repeat(200));
    let output = run(&mut serve(&["--listen", &long, &root]));
    assert!(matches!(output.status.code(), Some(USAGE | TEMPORARY)), "{output:?}");
}

#[test]
fn a_user_who_does_not_exist() {
    let site = site();
    let root = site.path().display().to_string();
    fails(&mut serve(&["--user", "no-such-user", &root]), TEMPORARY, &["no-such-user"]);
    fails(&mut serve(&["--group", "no-such-group", &root]), TEMPORARY, &["no-such-group"]);
}

/// As root without --user it becomes nobody, who may not look everywhere: the line names the option that mends it.
#[test]
fn a_root_that_the_user_cannot_read() {
    if !scratch::is_root() {
        common::say("SKIPPED a_root_that_the_user_cannot_read: only root can become somebody else");
        return;
    }
    let site = site();
    let closed = site.dir("closed");
    scratch::set_mode(&closed, 0o700);
    let root = closed.display().to_string();
    fails(&mut serve(&[&root]), TEMPORARY, &["unable to", &root, "permission denied", "--user"]);
    fails(&mut serve(&["--user", "nobody", &root]), TEMPORARY, &[&root, "--user"]);
    // Below a directory that is closed.
    scratch::set_mode(&site.dir("closed/below"), 0o755);
    let below = closed.join("below").display().to_string();
    fails(&mut serve(&[&below]), TEMPORARY, &["permission denied", "--user"]);
}

/// Somebody who is not root cannot become anybody.
#[test]
fn a_user_that_one_may_not_become() {
    let site = site();
    let root = site.path().display().to_string();
    if scratch::is_root() {
        let Some(setpriv) = common::peer("setpriv") else { return };
        if !scratch::reachable_by_nobody(&tine()) {
            common::say("SKIPPED a_user_that_one_may_not_become: nobody cannot reach the program");
            return;
        }
        let mut command = Command::new(setpriv);
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(tine());
        command.args(["serve", "--listen", "127.0.0.1:0", "--user", "root", &root]);
        fails(&mut command, TEMPORARY, &["unable to", "root"]);
        // Nor belong to another group, even as who one is.
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(tine());
        command.args(["serve", "--listen", "127.0.0.1:0", "--user", "65534", "--group", "1", &root]);
        fails(&mut command, TEMPORARY, &["unable to", "65534"]);
    } else {
        fails(&mut serve(&["--user", "root", &root]), TEMPORARY, &["unable to", "root"]);
    }
}

/// vfork mode needs the handler's executable beside `tine`: alone, it says how to build it.
#[test]
fn vfork_without_its_executable() {
    let site = site();
    let alone = site.join("tine");
    scratch::copy_program(&tine(), &alone);
    scratch::set_mode(&alone, 0o755);
    let mut command = Command::new(&alone);
    command.args(["serve", "--mode", "vfork", "--listen", "127.0.0.1:0"]).arg(site.path());
    fails(&mut command, TEMPORARY, &["tine-http", "cargo build --workspace"]);
}

#[test]
fn a_log_that_cannot_be_written() {
    let site = site();
    let root = site.path().display().to_string();
    let log = site.join("missing/log").display().to_string();
    fails(&mut serve(&["--log", &log, &root]), TEMPORARY, &["unable to", &log]);
}

/// Help goes to stdout, with exit 0, and names every option; `tine` alone shows it too.
#[test]
fn help() {
    let output = run(Command::new(tine()).args(["serve", "--help"]));
    assert_eq!(output.status.code(), Some(0));
    let help = String::from_utf8_lossy(&output.stdout).into_owned();
    let options = [
        "--listen",
        "--backlog",
        "--inetd",
        "--single",
        "--check",
        "--mode",
        "--children",
        "--reuse",
        "--max-connections",
        "--drain",
        "--header-timeout",
        "--idle-timeout",
        "--write-timeout",
        "--handler",
        "--index",
        "--user",
        "--group",
        "--chroot",
        "--log",
        "--quiet",
        "--verbose",
    ];
    for option in options {
        assert!(help.contains(option), "{option} is not in the help:\n{help}");
    }
    for default in ["127.0.0.1:8080", "prefork", "64", "1000", "30", "20", "60"] {
        assert!(help.contains(default), "the default {default} is not in the help");
    }
    let alone = run(&mut Command::new(tine()));
    let said = [alone.stdout, alone.stderr].concat();
    assert!(String::from_utf8_lossy(&said).contains("serve"), "tine alone shows help");
}

/// `--check` prints what would hold, one `name: value` for each line, binds nothing, and finds what is wrong.
#[test]
fn check() {
    let site = site();
    let root = site.path().display().to_string();
    let taken = TcpListener::bind("127.0.0.1:0").expect("take a port");
    let place = taken.local_addr().expect("its address").to_string();
    let mut command = Command::new(tine());
    command.args(["serve", "--check", "--mode", "fork", "--max-connections", "77", "--drain", "5", "--listen", &place]);
    let output = run(command.arg(&root));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    for line in ["mode: fork", "max-connections: 77", "drain: 5", "header-timeout: 20", &format!("listen: {place}")] {
        assert!(text.lines().any(|l| l == line), "no line {line:?} in\n{text}");
    }
    assert!(text.lines().all(|line| line.contains(": ")), "name: value\n{text}");
    assert!(text.contains(&root), "{text}");
    fails(&mut serve(&["--check", "--mode", "fork", "--children", "3"]), USAGE, &["--children"]);
    fails(&mut serve(&["--check", "--user", "no-such-user", &root]), TEMPORARY, &["no-such-user"]);
}

/// The handlers' executables answer the same way.
#[test]
fn the_executables_too() {
    let site = site();
    let run_http = |words: &[&str]| run(Command::new(common::handler("tine-http")).args(words));
    let missing = site.join("missing").display().to_string();
    for (words, code, word) in [
        (vec!["--no-such-option"], USAGE, "--no-such-option"),
        (vec!["--idle-timeout", "x"], USAGE, "--idle-timeout"),
        (vec!["--idle-timeout"], USAGE, "--idle-timeout"),
        (vec!["a", "b"], USAGE, ""),
        (vec![missing.as_str()], TEMPORARY, missing.as_str()),
    ] {
        let output = run_http(&words);
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "tine-http {words:?}: {err}");
        let first = err.lines().next().unwrap_or_default();
        assert!(first.starts_with("tine-http: fatal: "), "tine-http {words:?}: {err}");
        assert_eq!(err.lines().count(), 1, "tine-http {words:?}: {err}");
        assert!(first.contains(word), "tine-http {words:?}: {err}");
        assert!(output.stdout.is_empty(), "nothing reaches the client");
    }
}

/// As root without --user it says on its first line whom it becomes, and becomes it; `--user root` is done, with a warning.
#[test]
fn never_root_by_accident() {
    if !scratch::is_root() {
        common::say("SKIPPED never_root_by_accident: only root can become somebody else");
        return;
    }
    let site = site();
    if !scratch::reachable_by_nobody(site.path()) {
        common::say("SKIPPED never_root_by_accident: nobody cannot reach the tests' directory");
        return;
    }
    for (options, owner, words) in
        [(vec![], "65534", vec!["tine: ", "nobody"]), (vec!["--user", "root"], "0", vec!["tine: ", "warning", "root"])]
    {
        let server = common::launch::serve(common::Mode::Prefork, 2, &options, site.path());
        server.connect().get("/").expect(200);
        let log = server.log();
        let first = log.lines().next().unwrap_or_default();
        assert!(words.iter().all(|word| first.contains(word)), "{first:?}");
        for pid in server.children().iter().map(|c| c.pid).chain([server.pid()]) {
            let status = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status")).expect("status");
            for name in ["Uid:", "Gid:"] {
                let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
                assert!(line.split_whitespace().skip(1).all(|id| id == owner), "{name} of {pid}: {line}");
            }
            let groups = status.lines().find(|line| line.starts_with("Groups:")).unwrap_or_default();
            let groups: Vec<&str> = groups.split_whitespace().skip(1).collect();
            assert!(owner == "0" || groups.iter().all(|id| *id == owner), "no group of root's stays: {groups:?}");
        }
    }
}

/// As many children as can be asked for: more than a kernel has tasks for, unless it has half a terabyte of memory.
#[test]
fn too_little_room_is_told_at_the_start() {
    let site = site();
    let server = common::launch::serve(common::Mode::Fork, 4_000_000, &[], site.path());
    server.connect().get("/").expect(200);
    let log = server.log();
    let told: Vec<&str> = log.lines().filter(|line| line.contains("no room")).collect();
    let [line] = told[..] else { panic!("one line tells it: {log}") };
    for word in ["tine: warning: 4000000 children", "kernel.threads-max is ", "(sysctl kernel.threads-max="] {
        assert!(line.contains(word), "no {word:?} in {line}");
    }
}
