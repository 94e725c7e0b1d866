//! Promise: the programs that people really use get what they came for: clients, mirrors, package managers, a browser,
//! and the proxies that stand in front. Each is the real one, in a file of its own.

#[path = "../common/mod.rs"]
mod common;

mod apt;
mod chromium;
mod curl;
mod git;
mod haproxy;
mod nginx;
mod pip;
mod proxied;
mod wget;

use std::{path::Path, process::Command};

use common::{Mode, Scratch, Server, launch, peer};

/// A client, if it is there, that goes to the server itself whatever proxy this machine has.
#[track_caller]
fn client(name: &str) -> Option<Command> {
    let mut command = Command::new(peer(name)?);
    for proxy in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env_remove(proxy);
    }
    command.env("LC_ALL", "C.UTF-8").env("TZ", "UTC");
    Some(command)
}

/// Runs it to its end, which must be a good one; what it said.
#[track_caller]
fn succeed(command: &mut Command) -> String {
    let output = common::run(command);
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{said}", output.status);
    said
}

/// The server that all of them come to.
#[track_caller]
fn serve(options: &[&str], root: &Path) -> Server {
    launch::serve(Mode::Prefork, 8, options, root)
}

/// How many lines of the server's log have all of these.
fn lines(server: &Server, parts: &[&str]) -> usize {
    server.log().lines().filter(|line| parts.iter().all(|part| line.contains(part))).count()
}

/// So many bytes, of which no part is like another.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..len).map(|_| next()).collect()
}

/// An executable in the site.
fn script(site: &Scratch, name: &str, text: &str) {
    common::scratch::set_mode(&site.file(name, text), 0o755);
}
