//! Logs that take nothing: a reader that stalls, a disk that is full.

use std::{
    fs::{self, OpenOptions},
    io::{PipeReader, Read, Write},
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::Duration,
};

use nix::fcntl::{FcntlArg, fcntl};

use crate::{
    common::{Mode, wait_until},
    harness::Scenario,
    limits::limit,
};

/// The least that a pipe holds.
const SMALL: i32 = 4096;

/// The reader of the log stops reading until the pipe is full, and comes back: nobody waits meanwhile, and all lines were
/// read or are counted as lost.
pub fn log_reader_stalls() -> Scenario {
    Scenario {
        log_is_pipe: true,
        harm: |stage| {
            let pump = stage.pump.expect("a pipe");
            pump.pause(true);
            let so_far = stage.load.answered();
            // Each leaves a line of some 80 bytes; those that found the pipe full first may have waited a second.
            wait_until("all are served while nobody reads", || stage.load.answered() > so_far + 300);
            pump.pause(false);
        },
        verdict: |stage, tally| {
            assert!(tally.cut.is_empty(), "{:?}", tally.cut);
            // A line for each answer, or it is counted. A program that is executed lives too short to tell what it lost.
            wait_until("what is lost is told", || {
                stage.load.visit_once();
                let log = stage.server.log();
                stage.mode == Mode::Vfork
                    || log.contains("were lost") && access_lines(&log) + lost(&log) >= tally.answered
            });
            for line in stage.server.log().lines() {
                assert!(is_whole(line), "{line:?} is no whole line");
            }
        },
        ..Scenario::default()
    }
}

/// The log may not grow any more, as on a full disk, and then it may again.
pub fn log_may_not_grow() -> Scenario {
    Scenario {
        harm: |stage| {
            let size = fs::metadata(stage.server.log_path()).expect("the log").len();
            // It ends in the middle of a line.
            limit(stage, &format!("--fsize={}:", size + 1000));
            let so_far = stage.load.answered();
            wait_until("all are served without a log", || stage.load.answered() > so_far + 100);
            limit(stage, "--fsize=unlimited:");
        },
        verdict: |stage, tally| {
            assert!(tally.cut.is_empty(), "{:?}", tally.cut);
            wait_until("what is lost is told", || {
                stage.load.visit_once();
                stage.mode == Mode::Vfork || stage.server.log().contains("were lost")
            });
            let log = stage.server.log();
            let torn = log.lines().filter(|line| !is_whole(line)).count();
            assert!(torn <= 1, "one line is torn where the room ended, not {torn}:\n{log}");
        },
        ..Scenario::default()
    }
}

fn is_whole(line: &str) -> bool {
    line.starts_with("tine: ") || line.starts_with("http: ") || is_access_line(line)
}

fn is_access_line(line: &str) -> bool {
    line.starts_with("127.0.0.1 - - [") && line.contains(" HTTP/1.1\" ")
}

fn access_lines(log: &str) -> usize {
    log.lines().filter(|line| is_access_line(line)).count()
}

/// How many lines the log says are missing.
fn lost(log: &str) -> usize {
    let number = |line: &str| {
        let (before, _) = line.split_once(" lines ")?;
        before.rsplit(' ').next()?.parse::<usize>().ok()
    };
    log.lines().filter(|line| line.contains(" were lost")).filter_map(number).sum()
}

/// Carries a log from a pipe to a file, unless it pauses.
pub struct Pump {
    paused: AtomicBool,
}

impl Pump {
    /// A pipe as small as it can be: the end to be written to.
    pub fn pipe() -> (PipeReader, std::io::PipeWriter) {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        fcntl(&writer, FcntlArg::F_SETPIPE_SZ(SMALL)).expect("make the pipe small");
        (reader, writer)
    }

    pub fn new() -> Pump {
        Pump { paused: AtomicBool::new(false) }
    }

    /// Stops reading, or goes on.
    pub fn pause(&self, paused: bool) {
        self.paused.store(paused, Relaxed);
    }

    /// Reads until the pipe has no writer any more.
    pub fn run(&self, mut from: PipeReader, to: PathBuf) {
        let mut to = OpenOptions::new().append(true).open(to).expect("open the log");
        let mut space = [0; 4096];
        loop {
            while self.paused.load(Relaxed) {
                thread::sleep(Duration::from_millis(5));
            }
            match from.read(&mut space) {
                Ok(0) => return,
                Ok(len) => to.write_all(&space[..len]).expect("write the log"),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => panic!("read the log: {error}"),
            }
        }
    }
}
