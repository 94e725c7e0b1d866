//! The harness of the end-to-end tests: it starts real servers on real sockets, and tells the story when one fails.
//!
//! Rules that every test here keeps:
//! - port 0, a directory of its own, nothing shared: tests run beside each other;
//! - waiting means [`wait_until`] a condition holds, within a generous bound; sleeping is no synchronisation;
//! - whose subject is a second or two runs [`unless_paused`]: a machine may stand still for longer;
//! - a server ends with its test, also when the test is killed ([`guard`]);
//! - a failure prints the command line, what the server said on both streams, and how it ended ([`Server`]).

#![allow(dead_code, unused_imports, reason = "compiled into each test binary, and each uses a part of it")]

pub mod client;
pub mod guard;
pub mod laboratory;
pub mod launch;
pub mod load;
pub mod pauses;
pub mod peers;
pub mod process;
pub mod scratch;
pub mod server;
pub mod strace;

pub use client::Client;
pub use launch::{Launcher, Mode};
pub use pauses::unless_paused;
pub use peers::peer;
pub use scratch::Scratch;
pub use server::Server;

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;

/// How long anything may take that ends in an instant on an idle machine. Reached only when it never would end.
pub const BOUND: Duration = Duration::from_secs(30);

/// The program under test.
pub fn tine() -> PathBuf {
    built("tine")
}

/// A handler's executable, which lies beside `tine`.
pub fn handler(name: &str) -> PathBuf {
    built(name)
}

/// An executable of this workspace. Cargo names only those of the package whose tests run; all lie in one place.
pub fn built(name: &str) -> PathBuf {
    let known = option_env!("CARGO_BIN_EXE_tine").or(option_env!("CARGO_BIN_EXE_tcprules"));
    let path = Path::new(known.expect("cargo names an executable")).with_file_name(name);
    assert!(path.exists(), "{} is missing; `cargo build --workspace` makes it", path.display());
    path
}

/// Waits until `condition` holds.
#[track_caller]
pub fn wait_until(what: &str, condition: impl FnMut() -> bool) {
    assert!(holds_within(BOUND, condition), "gave up after {BOUND:?} waiting until {what}");
}

/// Whether `condition` comes to hold within `bound`. While this machine stands still no time passes.
pub fn holds_within(bound: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let mut waited = Duration::ZERO;
    loop {
        let start = Instant::now();
        if condition() {
            return true;
        }
        if waited > bound {
            return false;
        }
        thread::sleep(Duration::from_millis(2));
        waited += start.elapsed().min(Duration::from_secs(1));
    }
}

/// How long a program may work that is to end by itself: a measurement takes some seconds where nothing else runs.
const WORK: Duration = Duration::from_secs(300);

/// Runs a command to its end, which must come: a server that starts where it should refuse would stay.
#[track_caller]
pub fn run(command: &mut Command) -> Output {
    let scratch = Scratch::new();
    let stream = |name: &str| File::create(scratch.join(name)).expect("make a file for a stream");
    command.stdin(Stdio::null()).stdout(stream("stdout")).stderr(stream("stderr"));
    let mut child = command.spawn().unwrap_or_else(|e| panic!("start {command:?}: {e}"));
    guard::add(child.id());
    let mut status = None;
    let ended = holds_within(WORK, || {
        status = child.try_wait().expect("wait for it");
        status.is_some()
    });
    let read = |name: &str| fs::read(scratch.join(name)).expect("read a stream");
    if !ended {
        server::send(child.id(), Signal::SIGTERM);
        let _ = child.wait();
    }
    guard::remove(child.id());
    let story = || String::from_utf8_lossy(&[read("stdout"), read("stderr")].concat()).into_owned();
    assert!(ended, "{command:?} still ran after {WORK:?}; it said:\n{}", story());
    Output { status: status.unwrap_or_default(), stdout: read("stdout"), stderr: read("stderr") }
}

/// A line that is seen although the test passes: libtest captures what the print macros write, and only that.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
