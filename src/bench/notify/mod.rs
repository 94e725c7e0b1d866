//! `notify`: from an event until a program knows of it, while it watches many idle descriptors.
//!
//! Measured twice. When something has happened already, the call's own cost shows: what it looks at before it returns.
//! When the program sleeps, the kernel has to wake it, and select and poll look at everything once more.

mod field;
mod interface;
mod waker;

use std::io;
use std::thread;
use std::time::Duration;

use nix::sched::sched_getcpu;

use super::experiment::{Axis, Experiment, Graph, Kind, Scale, Unit};
use super::plan::Plan;
use super::recorder::{Limit, Recorder};
use super::trouble::{Trouble, trouble};
use super::{clock, limits, meter, sys};
use field::Field;
use interface::{ALL, ELSEWHERE, Interface, Watch};
use waker::Waker;

const READY: &str = "ready";
const WOKEN: &str = "woken";

/// The experiment.
pub const EXPERIMENT: Experiment = Experiment {
    name: "notify",
    about: "how soon an event is known: select, poll, epoll, SIGIO, io_uring",
    graphs: &[
        graph(
            READY,
            "Asking for an event that is there",
            "One of the watched sockets has something to read. The time is that of the call and of finding out which.",
        ),
        graph(
            WOKEN,
            "Being woken by an event",
            "The program sleeps in the call. Another process on the same processor notes the time and writes; the time ends \
             when the program knows which socket it was. (Between two processors it would be the time that a halted one \
             takes to come back.)",
        ),
    ],
    seconds: [15, 2],
    pinned: true,
    run,
};

const fn graph(name: &'static str, title: &'static str, method: &'static str) -> Graph {
    Graph {
        name,
        title,
        method,
        kind: Kind::Lines,
        x: Axis { label: "idle descriptors", unit: Unit::Count, scale: Scale::Log },
        y: Axis { label: "time until known", unit: Unit::Nanoseconds, scale: Scale::Log },
        says: meter::says,
    }
}

fn run(plan: &Plan, recorder: &mut Recorder) -> Result<(), Trouble> {
    if plan.pin.is_none() {
        // Whoever waits and whoever wakes it stay on one processor, whichever it is.
        sys::pin(sched_getcpu().map_err(trouble("find", "the processor that this is"))?)?;
    }
    for (name, why) in ELSEWHERE {
        recorder.absent(READY, name, why);
    }
    let most = limits::descriptors(plan.most_children, 1, "idle descriptors", recorder);
    let steps = plan.decades(most);
    let total = steps.len() as u64 * u64::from(plan.rounds);
    for (done, &step) in steps.iter().enumerate() {
        for (round, interface) in plan.turns(ALL) {
            recorder.round(round);
            recorder.progress(done as u64 * u64::from(plan.rounds) + u64::from(round), total, interface.name);
            // Descriptors of its own for each turn: what one interface has hung onto a socket costs no other one.
            let field = Field::new(step).map_err(trouble("open", format_args!("{step} sockets")))?;
            turn(interface, step, &field, plan, recorder)?;
        }
    }
    Ok(())
}

/// One interface, at one step, in one round.
fn turn(interface: &Interface, step: u32, field: &Field, plan: &Plan, recorder: &mut Recorder) -> Result<(), Trouble> {
    let x = f64::from(step);
    if field.highest() >= interface.most {
        recorder.limit(&Limit {
            which: format!("{}'s largest descriptor", interface.name),
            value: interface.most as u64,
            needed: u64::from(step),
            remedy: "poll and epoll have no such limit; FD_SETSIZE is fixed when a program is compiled".into(),
            instead: format!("{} was left out from there on", interface.name),
        });
        return Ok(());
    }
    let mut watch = match (interface.watch)(field.watched()) {
        Ok(watch) => watch,
        Err(error) => {
            recorder.absent(READY, interface.name, &format!("this kernel refuses: {error}"));
            return Ok(());
        }
    };
    // Sockets that the turn before has closed are freed some time later, by the processor that is to wake somebody now.
    thread::sleep(Duration::from_micros(5 * u64::from(step)));
    let failed = || trouble("measure", interface.name);
    repeat(plan, || ready(&mut *watch, field), |took| recorder.sample(READY, interface.name, x, took))
        .map_err(failed())?;
    let waker = Waker::start(field)?;
    repeat(plan, || woken(&mut *watch, field, &waker), |took| recorder.sample(WOKEN, interface.name, x, took))
        .map_err(failed())
}

/// Measures so often, but not for long: at ten thousand descriptors a call of poll takes milliseconds.
fn repeat(plan: &Plan, mut measure: impl FnMut() -> io::Result<u64>, mut record: impl FnMut(f64)) -> io::Result<()> {
    let end = clock::now() + plan.pick(200, 20) * 1_000_000;
    for call in 0..plan.warm_up + plan.pick(100, 20) {
        let took = measure()?;
        if call >= plan.warm_up {
            record(took as f64);
        }
        if call >= plan.warm_up + plan.pick(20, 5) && clock::now() > end {
            break;
        }
    }
    Ok(())
}

/// The time of a call when the event is there. In nanoseconds.
fn ready(watch: &mut dyn Watch, field: &Field) -> io::Result<u64> {
    field.signal(0)?;
    let start = clock::now();
    let found = wait(watch)?;
    let end = clock::now();
    check(found, field)?;
    field.take()?;
    Ok(end - start)
}

/// From the moment before another process writes until this one, asleep before, knows of it. In nanoseconds.
fn woken(watch: &mut dyn Watch, field: &Field, waker: &Waker) -> io::Result<u64> {
    waker.ask()?;
    let found = wait(watch)?;
    let end = clock::now();
    check(found, field)?;
    let start = field.take()?;
    Ok(end.saturating_sub(start))
}

/// Waits, whatever interrupts it: the end of an io_uring comes as an interruption too, some time after its turn.
fn wait(watch: &mut dyn Watch) -> io::Result<i32> {
    loop {
        match watch.wait() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            found => return found,
        }
    }
}

/// Whoever finds another descriptor than that with the event has not measured what it should.
fn check(found: i32, field: &Field) -> io::Result<()> {
    let right = found == field.active();
    right.then_some(()).ok_or_else(|| io::Error::other(format!("it named descriptor {found}, which is idle")))
}
