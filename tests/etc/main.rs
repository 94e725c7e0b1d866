//! The examples in `etc/` work as they stand: only the places are moved (programs, site, port, and the user where the
//! build directory is closed to nobody).

#[path = "../common/mod.rs"]
mod common;

mod container;
mod systemd;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::{Client, Scratch, Server, launch, peer, scratch, tine};

/// An example, with its places moved.
fn example(name: &str, site: &Path) -> String {
    let text =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("etc").join(name)).expect("read the example");
    let programs = tine().parent().expect("a directory").display().to_string();
    assert!(text.contains("/usr/local/bin/tine") && text.contains("/srv/www"), "{name} names other places");
    let moved = text.replace("/usr/local/bin", &programs).replace("/srv/www", &site.display().to_string());
    match launch::user(Some(site)).next() {
        Some(_) => moved.replace("nobody", "root").replace("65534", "0"),
        None => moved,
    }
}

fn site() -> Scratch {
    let site = Scratch::new();
    site.file("index.html", "an example\n");
    site
}

fn script(name: &str, site: &Scratch, port: &str, moved: &str) -> Command {
    let place = Scratch::new();
    let text = example(name, site.path());
    assert!(text.contains(port), "{name} says another port");
    let path = place.file("run", text.replace(port, moved));
    scratch::set_mode(&path, 0o755);
    // The directory stays until the server has read it.
    std::mem::forget(place);
    Command::new(path)
}

#[test]
fn run() {
    if !scratch::is_root() {
        // It becomes nobody, which takes root.
        return common::say("skipped: etc/run is for a service that root starts");
    }
    let site = site();
    let server = Server::ready(script("run", &site, "'[::]:80'", "127.0.0.1:0"));
    assert_eq!(server.connect().get("/").expect(200).text(), "an example\n");
}

#[test]
fn run_tcpserver() {
    if peer("tcpserver").is_none() || !scratch::is_root() {
        return common::say("skipped: etc/run-tcpserver needs tcpserver, and root to start it");
    }
    let site = site();
    let port = launch::free_port();
    let server = Server::listening(script("run-tcpserver", &site, " 0 80 ", &format!(" 127.0.0.1 {port} ")), port);
    assert_eq!(server.connect().get("/").expect(200).text(), "an example\n");
}

#[test]
fn inetd_conf() {
    let Some(inetd) = peer("inetd") else { return };
    if !scratch::is_root() {
        return common::say("skipped: etc/inetd.conf names nobody, which takes root");
    }
    let site = site();
    let mut ports = Vec::new();
    let mut lines = String::new();
    for line in example("inetd.conf", site.path()).lines().filter(|line| !line.starts_with('#')) {
        let (service, rest) = line.split_once(' ').expect("a service and its line");
        let port = launch::free_port();
        lines += &format!("127.0.0.1:{port} {rest}\n");
        ports.push((service.to_owned(), port));
    }
    let mut command = Command::new(inetd);
    command.arg("-i").arg(Scratch::file(&site, "inetd.conf", lines));
    let server = Server::listening(command, ports[0].1);
    assert_eq!(server.connect().get("/").expect(200).text(), "an example\n");
    for (service, port) in &ports[1..] {
        common::wait_until("inetd listens", || common::process::listens(*port));
        let mut client = Client::connect(([127, 0, 0, 1], *port).into());
        let answer = match service.as_str() {
            "echo" => {
                client.send("hello");
                client.take(5).expect("the same")
            }
            "discard" => {
                client.send("hello");
                client.finish();
                client.rest().expect("the end")
            }
            "time" => client.take(4).expect("a number"),
            "daytime" | "chargen" => client.take(20).expect("text"),
            other => panic!("etc/inetd.conf has a service that is not tried: {other}"),
        };
        assert_eq!(answer.is_empty(), service == "discard", "{service}");
    }
}
