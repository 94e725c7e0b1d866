//! The other process: it waits until this one sleeps, and wakes it.

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read, Seek, Write};

use nix::unistd::Pid;

use super::field::Field;
use crate::bench::clock;
use crate::bench::helper::Helper;
use crate::bench::trouble::{Trouble, trouble};

/// A child that writes to the active descriptor each time it is asked, as soon as its parent sleeps. It ends with this
/// value.
pub struct Waker {
    asking: PipeWriter,
    _child: Helper,
}

impl Waker {
    /// Starts it.
    pub fn start(field: &Field) -> Result<Waker, Trouble> {
        let (asked, asking) = io::pipe().map_err(trouble("make", "a pipe"))?;
        let parent = Pid::this();
        Ok(Waker { _child: Helper::start("a process that wakes", || wake(parent, asked, field))?, asking })
    }

    /// Asks for an event. The caller should go to sleep now.
    pub fn ask(&self) -> io::Result<()> {
        (&self.asking).write_all(b"?")
    }
}

/// What the child does: never returns but for a failure.
fn wake(parent: Pid, mut asked: PipeReader, field: &Field) -> io::Result<()> {
    let mut stat = File::open(format!("/proc/{parent}/stat"))?;
    loop {
        asked.read_exact(&mut [0])?;
        while !sleeps(&mut stat)? {}
        field.signal(clock::now())?;
    }
}

/// Whether the process of this /proc/PID/stat sleeps. Its name stands in parentheses before, and may contain anything.
fn sleeps(stat: &mut File) -> io::Result<bool> {
    let mut text = [0; 512];
    stat.rewind()?;
    let length = stat.read(&mut text)?;
    let state = text[..length].windows(3).rposition(|bytes| bytes.starts_with(b") "));
    Ok(state.is_some_and(|at| text[at + 2] == b'S'))
}
