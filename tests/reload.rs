//! Promise: SIGHUP has `tine serve` read its files anew, with no connection refused or cut; what cannot be read changes
//! nothing.

mod common;

use std::{
    fs::{self, File},
    path::Path,
    process::Command,
};

use common::{
    Client, Mode, Scratch, Server, holds_within, launch,
    load::{expect_no_loss, under_load},
    process::is_alive,
    wait_until,
};
use nix::sys::signal::Signal;

const LARGE: usize = 64 << 20;

fn site() -> Scratch {
    let site = Scratch::new();
    let root = site.dir("root");
    site.file("root/hello.txt", "hello\n");
    let large = site.file("root/large.bin", "");
    File::options().write(true).open(large).and_then(|file| file.set_len(LARGE as u64)).expect("make a large file");
    assert!(root.is_dir());
    site
}

fn serve(mode: Mode, limit: u32, options: &[&str], site: &Scratch) -> Server {
    launch::serve(mode, limit, options, &site.join("root"))
}

fn lines(server: &Server, what: &str) -> usize {
    server.log().lines().filter(|line| line.contains(what)).count()
}

/// Sends SIGHUP and waits for the word that it was heeded.
#[track_caller]
fn reload(server: &Server) {
    let before = lines(server, "tine: reloaded");
    server.signal(Signal::SIGHUP);
    wait_until("it has reloaded", || lines(server, "tine: reloaded") > before);
}

#[track_caller]
fn children(server: &Server) -> Vec<u32> {
    server.children().iter().filter(|child| child.state != 'Z').map(|child| child.pid).collect()
}

fn twenty_reloads(mode: Mode) {
    let site = site();
    let mut server = serve(mode, 12, &["--quiet"], &site);
    let story = under_load(server.address(), |load| {
        for _ in 0..20 {
            reload(&server);
            load.more(20);
        }
    });
    expect_no_loss(mode, "SIGHUP", 20, &story);
    // While the old children leave, these pools are short of places, and who idles yields to who waits.
    if !matches!(mode, Mode::OneShot | Mode::Handed) {
        assert_eq!(story.asked_anew, 0, "{mode:?}: kept connections are told before they end");
    }
    server.stop();
}

#[test]
fn under_load_nothing_is_lost_in_prefork() {
    twenty_reloads(Mode::Prefork);
}

#[test]
fn under_load_nothing_is_lost_one_shot() {
    twenty_reloads(Mode::OneShot);
}

#[test]
fn under_load_nothing_is_lost_in_fork() {
    twenty_reloads(Mode::Fork);
}

#[test]
fn under_load_nothing_is_lost_in_vfork() {
    twenty_reloads(Mode::Vfork);
}

#[test]
fn under_load_nothing_is_lost_where_connections_are_handed() {
    twenty_reloads(Mode::Handed);
}

/// Signals that nobody waits for: some fall together, and the last one counts.
#[test]
fn a_storm_loses_nothing() {
    for mode in Mode::ALL {
        let site = site();
        let mut server = serve(mode, 12, &["--quiet"], &site);
        let story = under_load(server.address(), |load| {
            for _ in 0..200 {
                server.signal(Signal::SIGHUP);
                load.more(1);
            }
        });
        expect_no_loss(mode, "SIGHUP in a storm", 200, &story);
        server.stop();
    }
}

/// With two sockets children poll, and the queue never empties: they leave nevertheless.
#[test]
fn children_with_several_sockets_leave_too() {
    let site = site();
    let two = ["--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0", "--quiet"];
    let mut server = serve(Mode::Prefork, 6, &two, &site);
    let story = under_load(server.addresses()[1], |load| {
        for _ in 0..5 {
            let old = children(&server);
            reload(&server);
            wait_until("the old children are gone", || !old.iter().any(|&child| is_alive(child)));
            load.more(20);
        }
    });
    expect_no_loss(Mode::Prefork, "SIGHUP, two sockets", 5, &story);
    server.stop();
}

/// A download under way is completed by a child of before; idle children are replaced at once, never more than there
/// may be.
#[test]
fn what_is_under_way_is_completed() {
    let site = site();
    let mut server = serve(Mode::Prefork, 3, &["--drain", "1"], &site);
    let mut client = server.connect();
    client.send("GET /large.bin HTTP/1.1\r\nHost: localhost\r\n\r\n");
    client.try_head().expect("the head of the response");
    let (busy, old) = (server.child_of(&client), children(&server));
    reload(&server);
    wait_until("who idled is replaced", || {
        let now = children(&server);
        now.len() == 3 && now.iter().filter(|child| old.contains(child)).eq([&busy])
    });
    // It is named, with its client, and not ended, although the time for draining is over twice.
    let client_name = client.name();
    server.await_log(&["connections of before the reload are still open: 1"]);
    server.await_log(&["still here: pid", &busy.to_string(), &client_name]);
    assert!(is_alive(busy));
    assert_eq!(client.take(LARGE).expect("the whole file").len(), LARGE);
    client.expect_end();
    wait_until("the last of before is gone", || !is_alive(busy));
    wait_until("it is replaced", || children(&server).len() == 3);
    server.stop();
}

/// A kept connection is not ended under the hands of its client: the next answer is served and says that it is the last.
#[test]
fn a_kept_connection_has_one_more_answer() {
    for mode in [Mode::Prefork, Mode::OneShot] {
        let site = site();
        let mut server = serve(mode, 2, &["--idle-timeout", "600", "--header-timeout", "600"], &site);
        let mut client = server.connect();
        assert!(client.get("/hello.txt").expect(200).keeps_alive());
        let child = server.child_of(&client);
        reload(&server);
        // Others have come and gone meanwhile.
        wait_until("a child is new", || children(&server).iter().any(|&other| other > child));
        let last = client.get("/hello.txt").expect(200);
        assert!(!last.keeps_alive(), "{mode:?}: {last:?}");
        client.expect_end();
        wait_until("the child is gone", || !is_alive(child));
        server.stop();
    }
}

/// The table of types, and the root itself: what its name means now is served.
#[test]
fn files_are_read_anew() {
    for mode in Mode::ALL {
        let site = site();
        site.file("root/a.tine", "a\n");
        let types = site.file("types", "text/x-before tine\n");
        let types_option = format!("--mime-types={}", types.display());
        let mut server = serve(mode, 2, &[&types_option], &site);
        let ask = |path: &str| server.connect().request("GET", path, "Connection: close\r\n").expect(200);
        let kind = || ask("/a.tine").expect_header("content-type").trim_end_matches("; charset=utf-8").to_string();
        assert_eq!(kind(), "text/x-before");
        fs::write(&types, "text/x-after tine\n").expect("write the table");
        let next = site.dir("next");
        fs::write(next.join("a.tine"), "b\n").expect("write a file");
        fs::rename(site.join("root"), site.join("former")).expect("move the root");
        fs::rename(&next, site.join("root")).expect("put another there");
        let before: Vec<u32> = server.children().iter().map(|child| child.pid).collect();
        reload(&server);
        // A child of before may still have been in accept(2): it takes one more, if it is fast.
        assert!(holds_within(common::BOUND, || kind() == "text/x-after"), "{mode:?}");
        wait_until("those of before are gone", || !server.children().iter().any(|child| before.contains(&child.pid)));
        assert_eq!(ask("/a.tine").text(), "b\n", "{mode:?}");
        assert_eq!(ask("/a.tine").text(), "b\n", "{mode:?}");
        server.stop();
    }
}

/// A log that was moved away, as logrotate does.
#[test]
fn the_log_is_opened_anew() {
    for mode in Mode::ALL {
        let (site, logs) = (site(), Scratch::new());
        common::scratch::set_mode(logs.path(), 0o777);
        let log = logs.join("tine.log");
        let option = format!("--log={}", log.display());
        let mut server = serve(mode, 2, &[&option], &site);
        let has = |path: &Path, what: &str| fs::read_to_string(path).is_ok_and(|text| text.contains(what));
        let ask = |query: &str| {
            server.connect().request("GET", &format!("/hello.txt?{query}"), "Connection: close\r\n").expect(200);
        };
        ask("before");
        let moved = logs.join("tine.log.1");
        fs::rename(&log, &moved).expect("move the log");
        server.signal(Signal::SIGHUP);
        wait_until("there is a new log", || has(&log, "tine: reloaded"));
        wait_until("the line of before is where the log went", || has(&moved, "?before"));
        wait_until("lines go there", || {
            ask("after");
            has(&log, "?after")
        });
        server.stop();
        assert!(server.log().is_empty(), "{mode:?}: {}", server.log());
    }
}

/// One line for what cannot be read; the children of before go on, and so does the service. Mended, it is read.
#[test]
fn what_cannot_be_read_changes_nothing() {
    for mode in Mode::ALL {
        let site = site();
        let good = "alice:$6$rounds=5000$usesomesillystri$D4IrlXatmP7rx3P3InaxBeoomnAihCKRVQAr/36eYUtQI8tPyxyYjzKtqrEvlRhIkAhpxPdUDjUu6G7LkzHBT/\n";
        let users = site.file("users", good);
        let types = site.file("types", "text/x-before txt\n");
        let options = [format!("--auth={}", users.display()), format!("--mime-types={}", types.display())];
        let mut server = serve(mode, 2, &[&options[0], &options[1]], &site);
        let old = children(&server);
        let broken: [(&str, &dyn Fn()); 3] = [
            ("users", &|| fs::write(&users, "no users here").expect("break it")),
            ("types", &|| fs::remove_file(&types).expect("remove it")),
            ("root", &|| fs::rename(site.join("root"), site.join("elsewhere")).expect("move it")),
        ];
        for (what, breaks) in broken {
            let before = server.log();
            breaks();
            server.signal(Signal::SIGHUP);
            server.await_log(&["tine: warning: unable to", what, "; serving goes on as before"]);
            let told = server.log()[before.len()..].to_string();
            assert_eq!(told.lines().count(), 1, "{mode:?}: {told}");
            assert_eq!(children(&server), old, "{mode:?}: nobody was replaced");
            fs::write(&users, good).expect("mend it");
            fs::write(&types, "text/x-before txt\n").expect("mend it");
        }
        fs::rename(site.join("elsewhere"), site.join("root")).expect("mend it");
        reload(&server);
        server.connect().request("GET", "/hello.txt", "Connection: close\r\n").expect(401);
        server.stop();
    }
}

/// A service manager may signal every process of the service: nobody ends by that, scripts neither.
#[test]
fn a_signal_to_all_ends_nobody() {
    for mode in Mode::ALL {
        let site = site();
        let mut server = serve(mode, 6, &["--quiet"], &site);
        let mut client = server.connect();
        client.send("GET /large.bin HTTP/1.1\r\nHost: localhost\r\n\r\n");
        client.try_head().expect("the head of the response");
        for signal in [Signal::SIGHUP, Signal::SIGUSR2, Signal::SIGHUP] {
            server.child_of(&client);
            for child in children(&server) {
                common::server::send(child, signal);
            }
        }
        reload(&server);
        assert_eq!(client.take(LARGE).expect("the whole file").len(), LARGE, "{mode:?}");
        drop(client);
        server.stop();
        assert!(!server.log().contains("signal"), "{mode:?}: {}", server.log());
    }
}

/// In a new root the log and the table of types have other names, if any: they stay, and the rest is read anew.
#[test]
fn in_a_new_root() {
    if !common::scratch::is_root() {
        return common::say("SKIPPED in_a_new_root: chroot is for root");
    }
    let site = site();
    let logs = Scratch::new();
    let log = logs.file("tine.log", "");
    let mut command = Command::new(common::tine());
    command.args(["serve", "--listen", "127.0.0.1:0", "--user", "root", "--children", "2"]);
    let mut server = {
        command.arg(format!("--log={}", log.display())).arg("--chroot").arg(site.path()).arg("/root");
        Server::ready(command)
    };
    server.connect().get("/hello.txt").expect(200);
    server.signal(Signal::SIGHUP);
    wait_until("it has reloaded", || fs::read_to_string(&log).is_ok_and(|text| text.contains("tine: reloaded")));
    assert!(fs::read_to_string(&log).is_ok_and(|text| text.contains("the log stays where it is")));
    let mut client = Client::connect(server.address());
    client.get("/hello.txt").expect(200);
    server.stop();
}
