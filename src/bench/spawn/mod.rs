//! `spawn`: making a child until its first byte arrives, and reaping it, while the number of live children grows.

mod parent;

use std::io::Write;

use super::experiment::{Axis, Experiment, Graph, Kind, Scale, Unit};
use super::plan::Plan;
use super::recorder::Recorder;
use super::roles::{self, Role};
use super::says;
use super::trouble::{Trouble, trouble};

/// The experiment.
pub const EXPERIMENT: Experiment = Experiment {
    name: "spawn",
    about: "making a child until its first byte arrives, and reaping it",
    graphs: &[Graph {
        name: "first",
        title: "From the decision to make a child to its first byte",
        method: "The parent waits for a byte that the child writes into a pipe as the first thing it does.",
        kind: Kind::Lines,
        x: Axis { label: "live children", unit: Unit::Count, scale: Scale::Log },
        y: Axis { label: "time until the first byte", unit: Unit::Nanoseconds, scale: Scale::Log },
        says: says::growth,
    }],
    seconds: [90, 5],
    pinned: true,
    run,
};

/// The process that makes children.
pub const PARENT: Role = Role { name: "parent", run: parent::run };

/// A program that writes a byte to its stdout and ends: a static one with the standard library.
pub const BYTE: Role = Role { name: "byte", run: byte };

fn run(plan: &Plan, recorder: &mut Recorder) -> Result<(), Trouble> {
    for round in 0..plan.rounds {
        recorder.progress(u64::from(round), u64::from(plan.rounds), "fork");
        roles::complete(roles::command("parent")?.arg(round.to_string()), "a parent that forks")?;
    }
    Ok(())
}

fn byte(_: &[String], _: &mut Recorder) -> Result<(), Trouble> {
    std::io::stdout().write_all(b"x").map_err(trouble("write", "a byte"))
}
