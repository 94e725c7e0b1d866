//! `cargo bench --bench peers`: the ratios to named peers that the project promises.
//!
//! Whole servers are compared, not functions: each is started as a process of its own with a configuration written on
//! the spot, and `wrk` asks both for the same file in turns. That is why this is no criterion benchmark: what it would
//! bring, choosing iteration counts and regressing over them, has no meaning for a server under load from outside. What
//! counts here is that the two are measured in the same seconds, so the rounds interleave (A B A B), a ratio is taken
//! within each round, and the table gives its median and its whole range.
//!
//! The load generator shares the machine with the servers, as it does in everybody's benchmark on one machine: part of
//! the time that is compared is its own, which pulls every ratio towards 1. A missing peer is skipped aloud; a wrong
//! answer or an error that `wrk` reports ends the run, unless it is that of a server that is only shown beside.

#[path = "../common/mod.rs"]
mod common;
mod exec;
#[path = "../common/nginx.rs"]
mod nginx;
mod options;
mod peer;
mod place;
mod report;
mod rows;
mod wrk;

use std::process::ExitCode;

use common::Result;

use options::Options;
use place::Place;
use report::Report;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("peers: fatal: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let Some(options) = Options::from_arguments(std::env::args().skip(1))? else { return Ok(()) };
    let place = Place::prepare()?;
    report::describe_machine();
    let mut report = Report::default();
    for row in rows::ALL.iter().filter(|row| options.wants(row.name)) {
        rows::measure(row, &options, &place, &mut report)?;
    }
    if options.wants(exec::EXEC) {
        exec::measure(&options, &place, &mut report)?;
    }
    if options.wants(exec::SIZE) {
        exec::size(&place, &mut report)?;
    }
    report.print();
    report.write_samples(&place.directory.join("samples.csv"))
}
