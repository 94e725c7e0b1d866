//! Promise: `tine status` shows what each child does, reads the service's memory without its having any part in it, and
//! trusts none of it; with `--titles`, `ps` shows it too.

mod common;

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::process::Command;

use common::{Mode, Scratch, Server, launch, tine, wait_until};

fn site() -> Scratch {
    let site = Scratch::new();
    site.file("small.txt", "x".repeat(512));
    site
}

fn start(mode: Mode, site: &Scratch) -> Server {
    Server::ready(launch::serve_command(&mode.options(3), site.path()))
}

fn status(arguments: &[&str]) -> (i32, String) {
    let output = common::run(Command::new(tine()).arg("status").args(arguments));
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    (output.status.code().unwrap_or(-1), said)
}

fn of(server: &Server, more: &[&str]) -> String {
    let pid = server.pid().to_string();
    let (code, said) = status(&[more, &[&pid]].concat());
    assert_eq!(code, 0, "{said}");
    said
}

#[test]
fn a_pool_shows_whom_it_serves() {
    let site = site();
    let server = start(Mode::Prefork, &site);
    assert!(of(&server, &["--once"]).contains("children 3/3: 3 idle"));
    let mut client = server.connect();
    client.get("/small.txt?evil=\"<\u{1b}").expect(400);
    let mut client = server.connect();
    client.get("/small.txt?a=b\"").expect(200);
    let name = client.name();
    wait_until("it is seen", || of(&server, &["--once"]).contains("1 kept"));
    let table = of(&server, &["--once"]);
    let line = table.lines().find(|line| line.contains(&name)).unwrap_or_else(|| panic!("{table}"));
    assert!(line.contains(" kept ") && line.ends_with("GET /small.txt?a=b\" HTTP/1.1"), "{line}");
    let json = of(&server, &["--json"]);
    assert!(json.contains(&format!("\"client\":\"{name}\"")), "{json}");
    assert!(json.contains("\"request\":\"GET /small.txt?a=b\\u0022 HTTP/1.1\""), "{json}");
    // When the client has gone, nothing of it is left.
    drop(client);
    wait_until("it is forgotten", || of(&server, &["--once"]).contains("3 idle"));
    assert!(!of(&server, &["--json"]).contains("small.txt"));
}

#[test]
fn in_the_other_modes_the_supervisor_knows_the_client() {
    let site = site();
    for mode in [Mode::Fork, Mode::Vfork] {
        let server = start(mode, &site);
        let mut client = server.connect();
        client.get("/small.txt").expect(200);
        let table = of(&server, &["--once"]);
        assert!(table.contains("children 1/3: 1 serving") && table.contains(&client.name()), "{table}");
        drop(client);
        wait_until("it is reaped", || of(&server, &["--once"]).contains("children 0/3"));
    }
}

/// What ps shows of the children.
fn ps(server: &Server) -> Vec<String> {
    let output = common::run(Command::new("ps").args(["-o", "args=", "--ppid", &server.pid().to_string()]));
    String::from_utf8(output.stdout).expect("text").lines().map(|line| line.trim_end().to_owned()).collect()
}

/// The command of `tine serve`, started with an environment of so many bytes.
fn titled(options: &[String], environment: usize, root: &Scratch) -> Server {
    // On a busy machine a held connection may idle long.
    let more = ["--titles", "--idle-timeout", "120", "--header-timeout", "120"].map(String::from);
    let options: Vec<String> = options.iter().cloned().chain(more).collect();
    let mut command = launch::serve_command(&options, root.path());
    command.env_clear().env("X", "x".repeat(environment));
    Server::ready(command)
}

#[test]
fn ps_shows_each_child_and_its_client() {
    let site = site();
    // Too much for any buffer of the kernel's.
    File::create(site.join("large")).and_then(|file| file.set_len(64 << 20)).expect("make a large file");
    for (mode, more) in [
        (Mode::Prefork, &["--reuse", "0"][..]),
        (Mode::Prefork, &["--per-ip", "10"]),
        (Mode::OneShot, &[]),
        (Mode::Fork, &[]),
    ] {
        let options: Vec<String> = mode.options(2).into_iter().chain(more.iter().map(|&word| word.into())).collect();
        let server = titled(&options, 300, &site);
        let shows = |what: &str, title: &str| wait_until(what, || ps(&server).iter().any(|line| line == title));
        let idle = if mode.is_prefork() { 2 } else { 0 };
        wait_until("all say that they idle", || ps(&server) == vec!["tine: idle"; idle]);
        let mut client = server.connect();
        let name = client.name();
        client.get("/small.txt").expect(200);
        shows("it is kept", &format!("tine: {name} kept"));
        client.send("GET /");
        shows("it is heard", &format!("tine: {name} reading"));
        client.send("large?secret=1 HTTP/1.1\r\nHost: localhost\r\n\r\n");
        shows("it is answered", &format!("tine: {name} answering GET /large"));
        drop(client);
        wait_until("nothing of it stays", || ps(&server) == vec!["tine: idle"; idle]);
    }
}

/// A title has room in the place of arguments and environment, however much that is, and is cut beyond it.
#[test]
fn a_title_fits_its_place() {
    let site = site();
    let long =
        ["--header", "X-Long: as long as a line of this file, so that many of them are a long command line"].repeat(8);
    for (environment, more) in [(0, &[][..]), (20_000, &[]), (0, &long)] {
        let options: Vec<String> =
            Mode::Prefork.options(1).into_iter().chain(more.iter().map(|&word| word.into())).collect();
        let server = titled(&options, environment, &site);
        wait_until("it idles", || ps(&server) == ["tine: idle"]);
        let mut client = server.connect();
        for length in [1, 100, 3000] {
            client.get(&format!("/{}", "z".repeat(length))).expect(404);
        }
        wait_until("it is kept", || ps(&server) == [format!("tine: {} kept", client.name())]);
        drop(client);
        wait_until("it idles again", || ps(&server) == ["tine: idle"]);
    }
}

#[test]
fn an_executed_handler_is_named_after_its_client() {
    let site = site();
    let server = titled(&Mode::Vfork.options(3), 0, &site);
    let mut client = server.connect();
    client.get("/small.txt").expect(200);
    let title = format!("tine-http: {} ", client.name());
    assert!(ps(&server)[0].starts_with(&title), "{:?}", ps(&server));
}

#[test]
fn json_is_json() {
    let Some(python) = common::peer("python3") else { return };
    let site = site();
    let server = start(Mode::Prefork, &site);
    let mut client = server.connect();
    client.get("/small.txt?\\\"'{}").expect(200);
    let json = of(&server, &["--json"]);
    let read = "import json,sys; all = json.loads(sys.argv[1]); print(len(all['services'][0]['children']))";
    let output = common::run(Command::new(python).args(["-c", read, &json]));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "3\n", "{json}");
}

#[test]
fn nothing_to_show_is_one_line() {
    let site = site();
    let server = start(Mode::Prefork, &site);
    for (arguments, code, words) in [
        (&["1"][..], 111, "no `tine serve`"),
        (&["4194300"], 111, "there is none"),
        (&["--jsn"], 100, "--json"),
        (&["x"], 100, "invalid value"),
    ] {
        let (ended, said) = status(arguments);
        assert!(ended == code && said.lines().count() == 1 && said.contains(words), "{arguments:?}: {ended} {said}");
    }
    if nix::unistd::geteuid().is_root() {
        // Who may not look at the process is told who may.
        let mut other = Command::new(tine());
        other.args(["status", &server.pid().to_string()]).uid(12_345).gid(12_345);
        let output = common::run(&mut other);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(111) && said.contains("root may"), "{said}");
    }
}
