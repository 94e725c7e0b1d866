//! `mmap`: what a mapping, its first touch and its end cost while a process has many.
//!
//! Neighbouring mappings that allow the same are made one by the kernel, so they differ in turns.

use std::fs::File;
use std::io::{self, Write};

use super::experiment::{Axis, Experiment, Graph, Kind, Scale, Unit};
use super::meter::{self, Meter};
use super::plan::Plan;
use super::recorder::Recorder;
use super::sys::mapping::{Access, Mapping, PAGE};
use super::trouble::{Trouble, trouble};
use super::{limits, scratch};

/// The experiment.
pub const EXPERIMENT: Experiment = Experiment {
    name: "mmap",
    about: "a mapping while a process has many: mmap, the first touch, munmap",
    graphs: &[Graph {
        name: "mmap",
        title: "A mapping while a process has many",
        method: "One process holds mappings of a page each and times another one: of a file's page that is in the page \
                 cache, and of a new page. A fault is the first touch of a page.",
        kind: Kind::Lines,
        x: Axis { label: "mappings", unit: Unit::Count, scale: Scale::Log },
        y: Axis { label: "time of the call or the touch", unit: Unit::Nanoseconds, scale: Scale::Log },
        says: meter::says,
    }],
    seconds: [2, 1],
    pinned: true,
    run,
};

fn run(plan: &Plan, recorder: &mut Recorder) -> Result<(), Trouble> {
    let most = limits::mappings(plan.pick(50_000, 1_000), recorder);
    let file = cached_page().map_err(trouble("write", "a temporary file"))?;
    let mut held = Vec::with_capacity(most as usize);
    let mut meter = Meter::new(recorder, "mmap");
    for step in plan.decades(most) {
        meter.at(step);
        while held.len() < step as usize {
            let access = if held.len() % 2 == 0 { Access::Read } else { Access::Write };
            held.push(Mapping::anonymous(PAGE, access).map_err(trouble("map", "a page"))?);
        }
        meter
            .rounds(plan, plan.pick(200, 50), |meter| turn(meter, &file))
            .map_err(trouble("map", format_args!("a page beside {step} others")))?;
    }
    Ok(())
}

/// Each call once.
fn turn(meter: &mut Meter<'_>, file: &File) -> io::Result<()> {
    let mapping = meter.timed("mmap", || Mapping::of_file(file, PAGE))?;
    meter.timed("read fault", || mapping.read(0));
    meter.timed("munmap", || drop(mapping));
    let mut page = Mapping::anonymous(PAGE, Access::Write)?;
    meter.timed("write fault", || page.write(0));
    Ok(())
}

/// A file of one page, which the page cache has because it was just written.
fn cached_page() -> io::Result<File> {
    let mut file = scratch::nameless()?;
    file.write_all(&[1; PAGE])?;
    Ok(file)
}
