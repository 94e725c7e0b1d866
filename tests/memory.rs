//! Promise: while memory is short no further child is made, and the service goes on with those that it has.

mod common;

use std::{fs, path::PathBuf, process::Command};

use common::{Client, Mode, Scratch, Server, launch, say, tine, wait_until};

fn site() -> Scratch {
    let site = Scratch::new();
    site.file("index.html", "hello\n");
    site
}

/// What /proc/meminfo says, in KiB.
fn total() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").expect("read /proc/meminfo");
    let line = text.lines().find(|line| line.starts_with("MemTotal:")).expect("MemTotal");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

/// A floor that no machine is above.
fn out_of_reach() -> String {
    format!("{}K", total() - 1024)
}

const TOLD: [&str; 2] = ["tine: warning: unable to fork: less than ", " of memory is available"];

/// A connection that was served once and is kept.
fn held(server: &Server) -> Client {
    let mut client = server.connect();
    assert!(client.get("/").expect(200).keeps_alive());
    client
}

#[test]
fn one_child_is_always_made_and_no_further_one() {
    let (site, floor) = (site(), out_of_reach());
    let options = ["--memory-floor", &floor, "--idle-timeout", "120"];
    for mode in Mode::ALL {
        let server = launch::serve(mode, 4, &options, site.path());
        let first = held(&server);
        let mut second = server.connect();
        second.send("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        server.await_log(&TOLD);
        assert_eq!(server.children().len(), 1, "{mode:?}");
        assert!(second.has_nothing(), "{mode:?}: who would have answered?");
        drop(first);
        // As soon as there is none, one is made for whoever waits: again and again.
        second.response("GET").expect(200);
        for _ in 0..5 {
            let mut next = server.connect();
            next.request("GET", "/", "Connection: close\r\n").expect(200);
            assert!(server.children().len() <= 1, "{mode:?}");
        }
    }
}

#[test]
fn without_a_floor_nothing_is_held_back() {
    let site = site();
    for mode in Mode::ALL {
        let server = launch::serve(mode, 2, &["--memory-floor", "0", "--idle-timeout", "120"], site.path());
        let _both = [held(&server), held(&server)];
        assert!(!server.log().contains("memory"), "{mode:?}: {}", server.log());
    }
}

#[test]
fn the_effective_floor_is_shown_and_a_foolish_one_refused() {
    let check = |options: &[&str]| {
        let output = Command::new(tine()).args(["serve", "--check"]).args(launch::user(None)).args(options).output();
        let output = output.expect("tine serve --check");
        (output.status.code(), [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()))
    };
    let (code, [shown, _]) = check(&["--memory-floor", "20M"]);
    assert!(code == Some(0) && shown.contains("\nmemory-floor: 20M\n"), "{shown}");
    let (code, [shown, _]) = check(&[]);
    let line =
        shown.lines().find_map(|line| line.strip_prefix("memory-floor: ")?.strip_suffix('K')?.parse::<u64>().ok());
    assert!(code == Some(0) && line.is_some_and(|floor| floor > 0 && floor <= (64 << 10).min(total() / 50)), "{shown}");
    for (wrong, word) in [
        (format!("{}K", total() + 1), "lower"),
        ("5T".into(), "bytes"),
        (String::new(), "memory-floor"),
        ("-1".into(), "bytes"),
        ("99999999999999999G".into(), "bytes"),
    ] {
        let (code, [out, err]) = check(&[&format!("--memory-floor={wrong}")]);
        assert_eq!((code, out.as_str(), err.lines().count()), (Some(100), "", 1), "{wrong}: {err}");
        assert!(
            err.starts_with("tine: fatal: ") && err.contains("--memory-floor") && err.contains(word),
            "{wrong}: {err}"
        );
    }
}

/// A control group of a test's own, in either hierarchy. It goes with this, when nobody is left in it.
struct Group {
    path: PathBuf,
    limit: &'static str,
}

impl Group {
    /// `None`, and a word, where none can be made.
    fn new() -> Option<Group> {
        let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let own = groups.lines().find_map(|line| line.split_once(":memory:")).map(|(_, path)| path);
        let (above, limit) = match own {
            Some(own) => (format!("/sys/fs/cgroup/memory{own}"), "memory.limit_in_bytes"),
            None => ("/sys/fs/cgroup".into(), "memory.max"),
        };
        let path = PathBuf::from(above).join(format!("tine-test-{}", std::process::id()));
        if let Err(error) = fs::create_dir(&path) {
            say(&format!("SKIPPED: unable to make the control group {}: {error}", path.display()));
            return None;
        }
        let group = Group { path, limit };
        if !group.path.join(limit).exists() {
            say(&format!("SKIPPED: {} has no memory controller", group.path.display()));
            return None;
        }
        Some(group)
    }

    fn set_limit(&self, bytes: u64) {
        fs::write(self.path.join(self.limit), bytes.to_string()).expect("limit the group's memory");
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        wait_until("the control group is left", || fs::remove_dir(&self.path).is_ok());
    }
}

/// The limit is a control group's; and it is heeded without anything else happening, both ways.
#[test]
fn a_control_groups_limit_is_the_machine() {
    let Some(group) = Group::new() else { return };
    let site = site();
    for mode in [Mode::Fork, Mode::Vfork] {
        group.set_limit(1 << 30);
        let mut options = mode.options(8);
        options.extend(["--memory-floor", "60M", "--idle-timeout", "120"].map(String::from));
        let serve = launch::serve_command(&options, site.path());
        let mut command = Command::new("sh");
        command.args(["-c", "echo $$ >\"$0\" && exec \"$@\""]).arg(group.path.join("cgroup.procs"));
        let server = Server::ready({
            command.arg(serve.get_program()).args(serve.get_args());
            command
        });
        let _both = [held(&server), held(&server)];
        group.set_limit(59 << 20);
        // What was found while there was plenty holds for a second.
        let mut more = Vec::new();
        wait_until("it is heeded", || {
            let mut client = server.connect();
            client.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
            std::thread::sleep(std::time::Duration::from_millis(300));
            more.push(client);
            server.log().contains("unable to fork: less than 60 MiB of memory is available")
        });
        let mut last = more.pop().expect("a client");
        assert!(last.has_nothing(), "{mode:?}");
        group.set_limit(1 << 30);
        last.response("GET").expect(200);
    }
}
