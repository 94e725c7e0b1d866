//! A process that makes children and measures them.

use std::io::{Read, Write};

use nix::sys::wait::waitpid;

use crate::bench::clock;
use crate::bench::recorder::Recorder;
use crate::bench::sys;
use crate::bench::trouble::{Trouble, trouble};

/// The role: ROUND.
pub fn run(arguments: &[String], recorder: &mut Recorder) -> Result<(), Trouble> {
    sys::end_with_parent()?;
    let round = arguments.first().and_then(|text| text.parse().ok()).unwrap_or(0);
    recorder.round(round);
    let (mut read, mut write) = std::io::pipe().map_err(trouble("make", "a pipe"))?;
    for _ in 0..100 {
        let start = clock::now();
        let child = sys::fork(|| i32::from(write.write_all(b"x").is_err()))?;
        read.read_exact(&mut [0]).map_err(trouble("read", "a child's byte"))?;
        let first = clock::now();
        waitpid(child, None).map_err(trouble("wait for", "a child"))?;
        recorder.sample("first", "fork", 1.0, (first - start) as f64);
    }
    Ok(())
}
