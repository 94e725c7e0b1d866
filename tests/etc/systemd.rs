//! The units in `etc/systemd/`: systemd's own reader accepts them, and what they start is what they say.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::common::{self, Scratch, Server, launch, peer, run, tine};

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
