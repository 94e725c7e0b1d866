//! Promise: behind HAProxy with two backends, as `etc/haproxy-two-backends.cfg` has it, one can be restarted and the other
//! killed under load, and no request fails.

mod common;

use std::{fs, path::Path, process::Command};

use common::{
    Mode, Scratch, Server,
    launch::{self, free_port},
    load::{expect_no_loss, under_load},
    peer,
    process::listens,
    wait_until,
};
use nix::sys::signal::Signal;

fn backend(mode: Mode, port: u16, site: &Scratch) -> Server {
    let mut options = mode.options(24);
    options.extend(["--listen".into(), format!("127.0.0.1:{port}"), "--quiet".into()]);
    Server::ready(launch::serve_command(&options, site.path()))
}

#[test]
fn one_is_restarted_and_one_is_killed() {
    let Some(haproxy) = peer("haproxy") else { return };
    for mode in Mode::ALL {
        let (site, place) = (Scratch::new(), Scratch::new());
        site.file("hello.txt", "hello\n");
        site.file("index.html", "here\n");
        let (front, one, two) = (free_port(), free_port(), free_port());
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("etc/haproxy-two-backends.cfg");
        let mut configuration = fs::read_to_string(example).expect("read the example");
        for (from, to) in [
            ("bind :80", format!("bind 127.0.0.1:{front}")),
            ("server one 127.0.0.1:8081", format!("server one 127.0.0.1:{one}")),
            ("server two 127.0.0.1:8082", format!("server two 127.0.0.1:{two}")),
        ] {
            assert!(configuration.contains(from), "the example has no {from}");
            configuration = configuration.replace(from, &to);
        }
        let (mut first, mut second) = (backend(mode, one, &site), backend(mode, two, &site));
        let mut command = Command::new(&haproxy);
        command.args(["-db", "-f"]).arg(place.file("haproxy.cfg", configuration));
        let proxy = Server::listening(command, front);
        let story = under_load(([127, 0, 0, 1], front).into(), |load| {
            load.more(200);
            // Restarted as a package's upgrade does it: stopped, and started again.
            first.stop();
            load.more(200);
            first = backend(mode, one, &site);
            load.more(400);
            // HAProxy has it back before the other one dies.
            wait_until("both serve", || serves(&first) && listens(two));
            second.signal(Signal::SIGKILL);
            second.wait();
            load.more(400);
        });
        expect_no_loss(mode, "HAProxy: one restarted, one killed", 2, &story);
        drop(proxy);
        first.stop();
    }
}

/// Whether HAProxy has connections open to it again.
fn serves(server: &Server) -> bool {
    let port = format!(":{:04X} ", server.address().port());
    let table = fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    // The server's ends: the address is the second field, and the state 01 is an established connection.
    table.lines().filter(|row| row.contains(&format!("{port}0100007F:")) && row.contains(" 01 ")).count() > 0
}
