//! What starting `tine-http` costs, and how large it is.
//!
//! The reference is an executable that does nothing but exit, built on the spot: the rest is the kernel's. Measured is
//! vfork, exec, exit and wait with descriptors 0 and 1 on a socket that is at its end of file, so the start-up is the
//! real one (arguments, the root opened, the socket's options set) and no request is in the number. A second row, for
//! information, has one small file served.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::Result;
use crate::common::find;
use crate::options::Options;
use crate::place::{self, Place};
use crate::report::{Goal, Report};

/// Name of the row about time.
pub const EXEC: &str = "exec";
/// Name of the row about size.
pub const SIZE: &str = "size";

/// How many times each program is executed per round of the others' rows.
const PER_ROUND: usize = 1000;
/// Stripped, complete.
const SIZE_LIMIT: f64 = 32.0 * 1024.0;

/// Measures the start of `tine-http` and of the empty executable, in turns.
pub fn measure(options: &Options, place: &Place, report: &mut Report) -> Result<()> {
    let total = options.rounds * PER_ROUND;
    println!("\nvfork + exec + exit + wait ({EXEC}): {total} times each, in turns");
    if find("cc").is_none() || !cfg!(target_arch = "x86_64") {
        println!("SKIPPED: the empty executable wants a C compiler and x86_64");
        return Ok(());
    }
    let freestanding = ["-nostdlib", "-static", "-no-pie", "-Wl,--build-id=none", "-Wl,-z,noseparate-code"];
    let empty = compile("empty.s", include_str!("empty.s"), &freestanding, place)?;
    let exec = compile("exec.c", include_str!("exec.c"), &["-O2"], place)?;
    for (input, title, goal) in [
        ("eof", "exec cost of tine-http, µs", Goal::AtMost(1.2)),
        ("request", "exec cost and a 512 B file served, µs", Goal::None),
    ] {
        let [mut nothing, mut ours] = [Vec::new(), Vec::new()];
        for _ in 0..options.rounds {
            let [a, b] = sample(&exec, input, &empty, place)?;
            nothing.push(a);
            ours.push(b);
        }
        report.sample(EXEC, &format!("empty {input}"), &nothing);
        report.sample(EXEC, &format!("tine-http {input}"), &ours);
        report.compare(title, "empty executable", &ours, &nothing, goal);
    }
    Ok(())
}

/// The medians of one round, in microseconds: the empty executable's and `tine-http`'s.
fn sample(exec: &Path, input: &str, empty: &Path, place: &Place) -> Result<[f64; 2]> {
    let mut command = Command::new(exec);
    command.args([&PER_ROUND.to_string(), input]).args([&place.root, empty, &place.tine_http]);
    let output = place::run(&mut command)?;
    let mut samples = [Vec::new(), Vec::new()];
    for line in output.lines() {
        let (index, nanoseconds) = line.split_once(' ').unwrap_or_default();
        let nanoseconds: u64 = nanoseconds.parse().map_err(|_| format!("{command:?} printed {line:?}"))?;
        samples[usize::from(index == "1")].push(nanoseconds);
    }
    Ok(samples.map(|mut samples| {
        samples.sort_unstable();
        samples[samples.len() / 2] as f64 / 1000.0
    }))
}

fn compile(name: &str, source: &str, arguments: &[&str], place: &Place) -> Result<PathBuf> {
    let source = place.write(name, source)?;
    let executable = source.with_extension("out");
    place::run(Command::new("cc").args(arguments).arg("-o").arg(&executable).arg(&source))?;
    Ok(executable)
}

/// The size of `tine-http` on disk without symbols.
pub fn size(place: &Place, report: &mut Report) -> Result<()> {
    let stripped = place.directory.join("tine-http.stripped");
    println!("\nsize of tine-http ({SIZE})");
    if find("strip").is_none() {
        println!("SKIPPED: strip is not installed");
        return Ok(());
    }
    place::run(Command::new("strip").arg("-o").arg(&stripped).arg(&place.tine_http))?;
    let bytes =
        fs::metadata(&stripped).map_err(|error| format!("unable to read {}: {error}", stripped.display()))?.len();
    report.sample(SIZE, "tine-http", &[bytes as f64]);
    report.compare("size of tine-http, stripped, bytes", "limit", &[bytes as f64], &[SIZE_LIMIT], Goal::AtMost(1.0));
    Ok(())
}
