//! The units in `etc/systemd/`: systemd's own reader accepts them, and what they start is what they say.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::common::strace::Traced;
use super::common::{self, Mode, Scratch, Server, launch, peer, run, tine};

fn units() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("etc/systemd")
}

/// The units with programs that exist, and without the manuals, which are not installed here.
fn moved(place: &Scratch) -> Vec<PathBuf> {
    let programs = tine().parent().expect("a directory").display().to_string();
    let entries = fs::read_dir(units()).expect("read the units").map(|entry| entry.expect("an entry").path());
    let mut paths: Vec<PathBuf> = entries
        .map(|unit| {
            let text = fs::read_to_string(&unit).expect("read a unit");
            let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("Documentation=")).collect();
            let text = lines.join("\n").replace("/usr/bin/tine", &format!("{programs}/tine"));
            place.file(unit.file_name().expect("a name").to_str().expect("UTF-8"), text + "\n")
        })
        .collect();
    paths.sort();
    paths
}

#[test]
fn systemd_accepts_them() {
    let Some(analyze) = peer("systemd-analyze") else { return };
    let place = Scratch::new();
    let units = moved(&place);
    assert_eq!(units.len(), 4, "{units:?}");
    for unit in &units {
        let output = run(Command::new(&analyze).args(["verify", "--man=no"]).arg(unit));
        let said = String::from_utf8_lossy(&output.stderr);
        let name = unit.file_name().expect("a name").to_str().expect("UTF-8");
        let about: Vec<&str> = said.lines().filter(|line| line.contains("tine")).collect();
        assert!(output.status.success() && about.is_empty(), "{name}: {about:#?}");
    }
    // The check is able to fail.
    let wrong = place.file("wrong.service", "[Service]\nExecStart=/no/such/tine\n");
    assert!(!run(Command::new(&analyze).args(["verify", "--man=no"]).arg(wrong)).status.success());
}

/// 0 is locked up, 10 is open. The services are in the green part of systemd's scale.
#[test]
fn they_are_locked_up() {
    let Some(analyze) = peer("systemd-analyze") else { return };
    let place = Scratch::new();
    for unit in moved(&place).iter().filter(|unit| unit.extension().is_some_and(|kind| kind == "service")) {
        let output =
            run(Command::new(&analyze).args(["security", "--offline=true", "--threshold=30", "--no-pager"]).arg(unit));
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{}: {}", unit.display(), said.lines().last().unwrap_or_default());
    }
}

/// The system calls that `SystemCallFilter=` of a unit lets through, by systemd's own lists.
fn allowed(analyze: &Path, unit: &str) -> BTreeSet<String> {
    let output = run(Command::new(analyze).args(["syscall-filter", "--no-pager"]));
    let lists = String::from_utf8(output.stdout).expect("text");
    let list = |name: &str| {
        let lines = lists.lines().skip_while(|line| *line != name).skip(1).take_while(|line| line.starts_with(' '));
        lines.map(str::trim).filter(|line| !line.starts_with('#')).map(String::from).collect::<Vec<_>>()
    };
    let words = unit.lines().filter_map(|line| line.strip_prefix("SystemCallFilter=")).flat_map(str::split_whitespace);
    let mut left: Vec<String> = words.map(String::from).collect();
    let mut calls = BTreeSet::new();
    while let Some(word) = left.pop() {
        if word.starts_with('@') {
            left.extend(list(&word));
        } else {
            calls.insert(word);
        }
    }
    assert!(calls.len() > 100 && !calls.contains("ptrace") && !calls.contains("reboot"), "{calls:?}");
    calls
}

/// No manager is at hand to start the units: so what a service calls, from its start to its answer, is held to what they
/// allow. What its trial of the sandbox calls to see it fail may fail by systemd's filter, too: an error, and no death.
#[test]
fn what_they_forbid_is_not_needed() {
    let (Some(analyze), Some(_)) = (peer("systemd-analyze"), peer("strace")) else { return };
    for unit in ["tine.service", "tine-http@.service"] {
        let text = fs::read_to_string(units().join(unit)).expect("read a unit");
        assert!(text.contains("\nSystemCallErrorNumber=EPERM\n"), "{unit}");
        // They forbid openat2, beside their lists.
        let of_openat2 = ["RestrictSUIDSGID=", "DynamicUser="];
        assert!(!text.lines().any(|line| of_openat2.iter().any(|key| line.starts_with(key))), "{unit}");
    }
    let unit = fs::read_to_string(units().join("tine.service")).expect("read a unit");
    let allowed = allowed(&analyze, &unit);
    let site = Scratch::new();
    site.file("index.html", "an example\n");
    for mode in [Mode::Prefork, Mode::OneShot, Mode::Fork, Mode::Vfork] {
        let mut command = Command::new(tine());
        let sandbox: &[&str] = if mode == Mode::Vfork { &[] } else { &["--sandbox", "strict"] };
        command.args(["serve", "--listen", "127.0.0.1:0"]).args(sandbox).args(mode.options(2));
        command.args(launch::user(Some(site.path()))).arg(site.path());
        let Some(traced) = Traced::start(&command) else { return };
        assert_eq!(traced.server.connect().get("/").expect(200).text(), "an example\n");
        let calls = traced.processes().into_iter().flat_map(|pid| traced.calls(pid));
        // A call that failed did so without systemd, or was only tried.
        let succeeded: BTreeSet<String> =
            calls.filter(|call| call.result() != Some(-1)).map(|call| call.name().to_owned()).collect();
        assert!(
            succeeded.contains("openat2") && (sandbox.is_empty() || succeeded.contains("landlock_restrict_self")),
            "{succeeded:?}"
        );
        let forbidden: Vec<&String> = succeeded.difference(&allowed).collect();
        assert!(forbidden.is_empty(), "{mode:?}: etc/systemd/tine.service forbids {forbidden:?}");
    }
}

/// Where it is forbidden all the same, the service says so, before it serves.
#[test]
fn without_openat2_it_does_not_begin() {
    let Some(strace) = peer("strace") else { return };
    let site = Scratch::new();
    let mut command = Command::new(strace);
    command.args(["-f", "-qq", "-e", "trace=openat2", "-e", "inject=openat2:error=ENOSYS", "-o", "/dev/null"]);
    command.arg(tine()).args(["serve", "--check"]).args(launch::user(Some(site.path()))).arg(site.path());
    let output = run(&mut command);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(111), "{said}");
    assert!(said.lines().count() == 1 && said.contains("openat2") && said.contains("RestrictSUIDSGID="), "{said}");
}

/// `Accept=yes`, by the command of the unit.
#[test]
fn a_service_for_each_connection() {
    let Some(activate) = peer("systemd-socket-activate") else { return };
    let site = Scratch::new();
    site.file("index.html", "an example\n");
    let unit = fs::read_to_string(units().join("tine-http@.service")).expect("read the unit");
    let line = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).expect("a command");
    let words = line.replace("/usr/bin", &tine().parent().expect("a directory").display().to_string());
    let words = words.replace("/srv/www", &site.path().display().to_string());
    let port = launch::free_port();
    let mut command = Command::new(activate);
    command.args(["--accept", "--inetd", &format!("--listen=127.0.0.1:{port}")]).args(words.split(' '));
    let server = Server::listening(command, port);
    for _ in 0..3 {
        assert_eq!(server.connect().get("/").expect(200).text(), "an example\n");
    }
    common::wait_until("its line is in the log", || server.log().contains("\"GET / HTTP/1.1\" 200 "));
}
