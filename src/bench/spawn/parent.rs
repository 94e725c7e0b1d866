//! The process that makes child processes, in every way, and measures them.

use std::hint::black_box;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Pid, alarm};

use super::held::Held;
use super::programs::{self, DYNAMIC, FREESTANDING, Kind, STATIC};
use super::{PATIENCE, Task};
use crate::bench::clock;
use crate::bench::recorder::Recorder;
use crate::bench::sys::{self, Program};
use crate::bench::trouble::{Trouble, trouble};

/// A way to make a child.
pub struct Method {
    /// As the pictures call it.
    pub name: &'static str,
    how: How,
    /// The ways to wait for its end that are told, in turns; else it is waited for by its number, untold.
    reap: &'static [(&'static str, Wait)],
}

#[derive(Clone, Copy)]
enum How {
    Fork,
    Clone3,
    ForkExec(&'static Kind),
    VforkExec(&'static Kind),
    PosixSpawn(&'static Kind),
}

#[derive(Clone, Copy)]
enum Wait {
    Any,
    One,
}

/// All ways, on the small static program.
pub const METHODS: [Method; 5] = [
    Method {
        name: "fork",
        how: How::Fork,
        reap: &[("fork, wait for any", Wait::Any), ("fork, wait for one", Wait::One)],
    },
    Method { name: "clone3", how: How::Clone3, reap: &[] },
    Method { name: "fork + exec", how: How::ForkExec(&FREESTANDING), reap: &[] },
    Method {
        name: "vfork + exec",
        how: How::VforkExec(&FREESTANDING),
        reap: &[("vfork + exec, wait for any", Wait::Any), ("vfork + exec, wait for one", Wait::One)],
    },
    Method { name: "posix_spawn + exec", how: How::PosixSpawn(&FREESTANDING), reap: &[] },
];

/// Those that differ by what is executed.
pub const EXECUTED: [Method; 3] = [
    Method { name: FREESTANDING.name, how: How::VforkExec(&FREESTANDING), reap: &[] },
    Method { name: STATIC.name, how: How::VforkExec(&STATIC), reap: &[] },
    Method { name: DYNAMIC.name, how: How::VforkExec(&DYNAMIC), reap: &[] },
];

impl Method {
    /// What it executes, if anything.
    pub fn executes(&self) -> Option<&'static Kind> {
        match self.how {
            How::Fork | How::Clone3 => None,
            How::ForkExec(kind) | How::VforkExec(kind) | How::PosixSpawn(kind) => Some(kind),
        }
    }
}

/// The role: makes children as its task says.
pub fn run(words: &[String], recorder: &mut Recorder) -> Result<(), Trouble> {
    sys::end_with_parent()?;
    let task = Task::parse(words)?;
    recorder.round(task.round);
    let heap = vec![1_u8; task.heap as usize];
    let mut makers = Vec::new();
    let (read, write) = io::pipe().map_err(trouble("make", "a pipe"))?;
    let known = || METHODS.iter().chain(&EXECUTED);
    for name in &task.methods {
        let method = known().find(|method| method.name == name);
        let method = method.ok_or_else(|| Trouble::new("measure", name, "there is no such method"))?;
        let program = method.executes().map(|kind| programs::find(kind, write.as_raw_fd())).transpose()?;
        let write = write.try_clone().map_err(trouble("make", "a pipe"))?;
        makers.push(Maker { method, program, write, samples: Vec::with_capacity(task.samples as usize) });
    }
    // Rounds begin with another method each, and go on in turns.
    let first = task.round as usize % makers.len().max(1);
    makers.rotate_left(first);
    let mut held = Held::new()?;
    for &step in &task.steps {
        if !held.grow_or_tell(step, recorder) {
            break;
        }
        for turn in 0..task.warm_up + task.samples {
            // A child that never writes must not hold up the run.
            alarm::set(PATIENCE);
            for maker in &mut makers {
                maker.measure(&read, turn, turn >= task.warm_up)?;
            }
        }
        let x = if task.graph == "heap" { task.heap as f64 } else { f64::from(step) };
        for maker in &mut makers {
            maker.tell(&task.graph, x, recorder);
        }
    }
    black_box(heap);
    Ok(())
}

/// A method at work.
struct Maker {
    method: &'static Method,
    program: Option<Program>,
    /// Where a forked child's byte goes.
    write: PipeWriter,
    /// Until the first byte, from there until it was reaped, and the turn: told when nothing is measured, so that the
    /// memory of this process does not change meanwhile.
    samples: Vec<(u64, u64, u32)>,
}

impl Maker {
    fn make(&mut self) -> Result<Pid, Errno> {
        let write = &mut self.write;
        match (self.method.how, &mut self.program) {
            (How::Fork, _) => sys::fork(|| i32::from(write.write_all(b"x").is_err())),
            (How::Clone3, _) => sys::fork_by_clone3(|| i32::from(write.write_all(b"x").is_err())),
            (How::ForkExec(_), Some(program)) => program.fork_exec(),
            (How::VforkExec(_), Some(program)) => program.vfork_exec(),
            (How::PosixSpawn(_), Some(program)) => program.posix_spawn(),
            (_, None) => Err(Errno::ENOENT),
        }
    }

    /// Makes a child, reads its first byte, and reaps it.
    fn measure(&mut self, mut read: &PipeReader, turn: u32, counts: bool) -> Result<(), Trouble> {
        let name = self.method.name;
        let start = clock::now();
        let child = self.make().map_err(trouble("make a child by", name))?;
        let bytes = read.read(&mut [0; 64]).map_err(trouble("read from a child by", name))?;
        let first = clock::now();
        let whom = match self.wait(turn) {
            Some((_, Wait::Any)) => None,
            _ => Some(child),
        };
        let status = waitpid(whom, None).map_err(trouble("wait for a child by", name))?;
        let end = clock::now();
        if bytes == 0 || status != WaitStatus::Exited(child, 0) {
            return Err(Trouble::new("make a child by", name, format_args!("{status:?} after {bytes} bytes")));
        }
        if counts {
            self.samples.push((first - start, end - first, turn));
        }
        Ok(())
    }

    fn wait(&self, turn: u32) -> Option<(&'static str, Wait)> {
        let ways = self.method.reap;
        ways.get(turn as usize % ways.len().max(1)).copied()
    }

    fn tell(&mut self, graph: &str, x: f64, recorder: &mut Recorder) {
        for (first, end, turn) in std::mem::take(&mut self.samples) {
            recorder.sample(graph, self.method.name, x, first as f64);
            if let (Some((name, _)), "first") = (self.wait(turn), graph) {
                recorder.sample("reap", name, x, end as f64);
            }
        }
    }
}
