//! The small programs of ucspi-tcp: clients, and what stands between a server and its program.
//!
//! They do what those of ucspi-tcp 0.88 do, with its command lines, messages and exit codes; their manual pages list the
//! differences. All are one executable, `ucspi-tcp`, which is the program by whose name it was called.

mod argv0;
mod ask;
mod between;
mod dial;
mod failure;
mod filter;
mod fixcrio;
mod lines;
mod links;
mod mconnect;
mod options;
mod program;
mod rblsmtpd;
mod recordio;
mod refusal;
mod relay;
mod tcpclient;

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;
use std::vec::IntoIter;

use failure::{Failure, end};

const PROGRAM: &str = "ucspi-tcp";

const USAGE: &str = "program [ arg ... ] | --links directory | --list";

type Arguments = IntoIter<OsString>;

type Run = fn(Arguments) -> Result<(), Failure>;

/// By the names that they are called by.
const PROGRAMS: [(&str, Run); 14] = [
    ("addcr", |_| filter::addcr()),
    ("argv0", argv0::run),
    ("date@", ask::date),
    ("delcr", |_| filter::delcr()),
    ("finger@", ask::finger),
    ("fixcrio", fixcrio::run),
    ("http@", ask::http),
    ("mconnect", mconnect::run),
    ("mconnect-io", |_| mconnect::io()),
    ("rblsmtpd", rblsmtpd::run),
    ("recordio", recordio::run),
    ("tcpcat", ask::tcpcat),
    ("tcpclient", tcpclient::run),
    ("who@", ask::who),
];

fn program(name: &OsStr) -> Option<Run> {
    PROGRAMS.iter().find(|(known, _)| *known == name).map(|&(_, run)| run)
}

/// Runs the program that the first argument, the name we were called by, or else the second one names.
///
/// `ucspi-tcp --links DIRECTORY` makes the names in a directory, `ucspi-tcp --list` prints them.
#[must_use]
pub fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let mut arguments: Arguments = arguments.collect::<Vec<_>>().into_iter();
    let called = arguments.next().unwrap_or_default();
    if let Some(run) = Path::new(&called).file_name().and_then(program) {
        return end(run(arguments));
    }
    let usage = || Err(Failure::usage(PROGRAM, USAGE));
    end(match arguments.next() {
        None => usage(),
        Some(first) if first == "--list" => {
            let list: String = PROGRAMS.iter().map(|(name, _)| format!("{name}\n")).collect();
            filter::put(list.as_bytes()).map_err(|error| Failure::system(PROGRAM, "unable to write output", "", error))
        }
        Some(first) if first == "--links" => match (arguments.next(), arguments.next()) {
            (Some(directory), None) => links::make(Path::new(&directory), PROGRAMS.iter().map(|(name, _)| *name)),
            _ => usage(),
        },
        Some(first) => program(&first).map_or_else(usage, |run| run(arguments)),
    })
}
