//! `fd`: what a new descriptor costs while many are open.
//!
//! POSIX wants the lowest free number. The kernel keeps a map of bits for it: finding the number after ten thousand used
//! ones is a scan of that map, of which a hint and a second, coarser map spare the most. The table itself doubles when
//! full, and the call that fills it pays for the copy: that is what stands out in "dup, table grows".

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use super::experiment::{Axis, Experiment, Graph, Kind, Scale, Unit};
use super::limits;
use super::meter::{self, Meter};
use super::plan::Plan;
use super::recorder::Recorder;
use super::trouble::{Trouble, trouble};

/// The experiment.
pub const EXPERIMENT: Experiment = Experiment {
    name: "fd",
    about: "a new descriptor while many are open: open, dup, socket",
    graphs: &[Graph {
        name: "fd",
        title: "A new descriptor while many are open",
        method: "One process holds the descriptors and times single calls; close is not in the time. In \"lowest free\" \
                 the number 3 or so is free and everything above it taken.",
        kind: Kind::Lines,
        x: Axis { label: "open descriptors", unit: Unit::Count, scale: Scale::Log },
        y: Axis { label: "time of the call", unit: Unit::Nanoseconds, scale: Scale::Log },
        says: meter::says,
    }],
    seconds: [2, 1],
    pinned: true,
    run,
};

fn run(plan: &Plan, recorder: &mut Recorder) -> Result<(), Trouble> {
    let most = limits::descriptors(plan.most_children, 1, "descriptors", recorder);
    let null = File::open("/dev/null").map_err(trouble("open", "/dev/null"))?;
    let mut held: Vec<OwnedFd> = Vec::with_capacity(most as usize);
    let mut meter = Meter::new(recorder, "fd");
    // The first call of its kind pays for more than itself.
    drop(null.try_clone());
    for step in plan.decades(most) {
        meter.at(step);
        while held.len() < step as usize {
            let descriptor = meter.timed("dup, table grows", || null.try_clone());
            held.push(descriptor.map_err(trouble("duplicate", "a descriptor"))?.into());
        }
        meter
            .rounds(plan, plan.pick(200, 50), |meter| turn(meter, &null, &mut held))
            .map_err(trouble("get", format_args!("a descriptor beside {step} others")))?;
    }
    Ok(())
}

/// Each call once.
fn turn(meter: &mut Meter<'_>, null: &File, held: &mut [OwnedFd]) -> io::Result<()> {
    meter.timed("open", || File::open("/dev/null"))?;
    meter.timed("dup", || null.try_clone())?;
    meter.timed("socket", || socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None))?;
    // A hole at the bottom: the number to be found is the lowest, not the highest. What is put into its place has a
    // number above all others, and goes there again with the next turn; the table stays as full as it was.
    if let Some(lowest) = held.first_mut() {
        *lowest = null.try_clone()?.into();
        *lowest = meter.timed("dup, lowest free", || null.try_clone())?.into();
    }
    Ok(())
}
