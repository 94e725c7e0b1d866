//! Threads, for comparison: made, heard of and joined in the same way.

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use nix::unistd::alarm;

use super::{PATIENCE, Task};
use crate::bench::clock;
use crate::bench::recorder::Recorder;
use crate::bench::sys;
use crate::bench::trouble::{Trouble, trouble};

/// As the pictures call it, and its end.
pub const METHOD: &str = "thread";
const JOIN: &str = "thread, join";

/// The stack of a thread, in bytes: what a connection may need, not the 2 MiB of the default, which nobody touches.
const STACK: usize = 64 * 1024;

/// The role: makes threads as its task says. They all end with this process.
pub fn run(words: &[String], recorder: &mut Recorder) -> Result<(), Trouble> {
    sys::end_with_parent()?;
    let task = Task::parse(words)?;
    recorder.round(task.round);
    let (mut read, write) = io::pipe().map_err(trouble("make", "a pipe"))?;
    let (sleep_on, wake_by) = io::pipe().map_err(trouble("make", "a pipe"))?;
    let (write, sleep_on) = (Arc::new(write), Arc::new(sleep_on));
    let mut held = Vec::new();
    let mut samples = Vec::with_capacity(task.samples as usize);
    'steps: for &step in &task.steps {
        while held.len() < step as usize {
            match sleeper(&sleep_on, &write) {
                Ok(thread) => {
                    held.push(thread);
                    // Threads that have not run yet would compete with what is measured.
                    read.read_exact(&mut [0]).map_err(trouble("read from", "a thread"))?;
                }
                Err(error) => {
                    recorder.note(&format!("no more than {} live threads could be made: {error}", held.len()));
                    break 'steps;
                }
            }
        }
        for turn in 0..task.warm_up + task.samples {
            alarm::set(PATIENCE);
            let start = clock::now();
            let write = Arc::clone(&write);
            let made = Builder::new().stack_size(STACK).spawn(move || (&*write).write_all(b"x"));
            let thread = made.map_err(trouble("make", "a thread"))?;
            read.read_exact(&mut [0]).map_err(trouble("read from", "a thread"))?;
            let first = clock::now();
            // It cannot panic, and its write has been read.
            let _ = thread.join();
            if turn >= task.warm_up {
                samples.push((first - start, clock::now() - first));
            }
        }
        for (first, end) in samples.drain(..) {
            recorder.sample(&task.graph, METHOD, f64::from(step), first as f64);
            recorder.sample("reap", JOIN, f64::from(step), end as f64);
        }
    }
    drop(wake_by);
    for thread in held {
        // It ended as it should, or this process ends now.
        let _ = thread.join();
    }
    Ok(())
}

/// A thread that tells that it has begun, and sleeps until the other end of the pipe closes.
fn sleeper(sleep_on: &Arc<PipeReader>, ready: &Arc<PipeWriter>) -> io::Result<JoinHandle<()>> {
    let (sleep_on, ready) = (Arc::clone(sleep_on), Arc::clone(ready));
    Builder::new().stack_size(STACK).spawn(move || {
        // Whatever read returns, it is over.
        let _ = (&*ready).write_all(b"x").and_then(|()| (&*sleep_on).read(&mut [0]));
    })
}
