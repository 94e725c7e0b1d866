//! The laboratory: `tine bench` measures on this machine what the field argues about.
//!
//! Running is separate from measuring. Each experiment runs in a process of its own (`part`), which tells what it measures
//! as lines (`recorder`); this one starts it, collects (`samples`), and when it has ended makes numbers (`stats`) and
//! pictures (`report`) of it. So whoever is measured has neither a heap full of samples nor a thread that draws. Servers
//! are started as processes and known by their ports: nothing of them is imported here, ours are measured like others'.
//!
//! To add an experiment: a file with a `pub const EXPERIMENT: Experiment`, and its name in `experiment::ALL`. What must
//! be measured in a fresh process of a role of its own (a parent that forks, a reader at the other end) goes into
//! `roles::ALL`.

mod bind;
mod clock;
mod collect;
mod connect;
mod copy;
mod experiment;
mod fd;
mod frames;
mod helper;
mod http;
mod limits;
mod machine;
mod memory;
mod meter;
mod mmap;
mod notify;
mod options;
mod part;
mod plan;
mod progress;
mod recorder;
mod report;
mod roles;
mod room;
mod samples;
mod says;
mod scratch;
mod spawn;
mod stats;
mod sys;
mod trouble;
mod warnings;

use std::process::ExitCode;

pub use options::{Bench, command};
pub use roles::run_role;

use machine::Machine;
use progress::Progress;
use report::Report;
use trouble::Trouble;

/// The exit code of a run that was interrupted, as shells have it for SIGINT.
const INTERRUPTED: u8 = 130;
/// Something failed.
const TEMPORARY: u8 = 111;

/// Does what `tine bench` was asked to. `print` writes to stdout.
pub fn run(bench: &Bench, print: fn(&str)) -> Result<ExitCode, Trouble> {
    if let Some(name) = &bench.part {
        return Ok(part::run(name, &bench.plan));
    }
    let mut report = Report::open(bench, Machine::describe())?;
    let mut collector = collect::Collector::new()?;
    let mut progress = Progress::new(&bench.experiments, &bench.plan);
    for &experiment in &bench.experiments {
        progress.begin(experiment);
        let results = collector.run(experiment, &mut |record| progress.see(record))?;
        progress.end();
        report.add(experiment, results)?;
        if collector.interrupted() {
            break;
        }
    }
    progress.clear();
    let troubles = report.finish(print, collector.interrupted())?;
    Ok(match (collector.interrupted(), troubles) {
        (true, _) => ExitCode::from(INTERRUPTED),
        (false, 0) => ExitCode::SUCCESS,
        (false, _) => ExitCode::from(TEMPORARY),
    })
}
