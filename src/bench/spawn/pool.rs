//! Children that wait ahead: a byte wakes one of them, and it answers with a byte.

use std::io::{self, PipeWriter, Read};
use std::os::fd::BorrowedFd;

use nix::sched::sched_yield;
use nix::unistd::{alarm, read, write};

use super::held::Held;
use super::{PATIENCE, Task};
use crate::bench::clock;
use crate::bench::recorder::Recorder;
use crate::bench::sys;
use crate::bench::trouble::{Trouble, trouble};

/// As the pictures call it.
pub const METHOD: &str = "prefork hand-over";

/// The time that a child has to fall asleep again, in nanoseconds.
const PAUSE: u64 = 20_000;

/// The role: wakes children as its task says.
pub fn run(words: &[String], recorder: &mut Recorder) -> Result<(), Trouble> {
    sys::end_with_parent()?;
    let task = Task::parse(words)?;
    recorder.round(task.round);
    let (mut answers, answer) = io::pipe().map_err(trouble("make", "a pipe"))?;
    let mut samples = Vec::with_capacity(task.samples as usize);
    let mut held = Held::new()?;
    for &step in &task.steps {
        if !held.grow(step, recorder, |work| serve(work, &answer)) {
            break;
        }
        for turn in 0..task.warm_up + task.samples {
            alarm::set(PATIENCE);
            let asleep = clock::now() + PAUSE;
            while clock::now() < asleep {
                // It has no errors.
                let _ = sched_yield();
            }
            let start = clock::now();
            held.wake_one().map_err(trouble("wake", "a child"))?;
            answers.read_exact(&mut [0]).map_err(trouble("read from", "a child that waits"))?;
            if turn >= task.warm_up {
                samples.push(clock::now() - start);
            }
        }
        for first in samples.drain(..) {
            recorder.sample(&task.graph, METHOD, f64::from(step), first as f64);
        }
    }
    Ok(())
}

/// A child: a byte for a byte, until there are no more.
fn serve(work: BorrowedFd<'_>, answer: &PipeWriter) {
    while read(work, &mut [0]) == Ok(1) && write(answer, b"x") == Ok(1) {}
}
