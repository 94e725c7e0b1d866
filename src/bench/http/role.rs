//! The load generator by itself: `tine bench-role load URL new|kept CLIENTS|RATE/s SECONDS`, to hold it beside others.

use super::load::{Load, Outcome, Pace};
use super::target::Target;
use crate::bench::recorder::Recorder;
use crate::bench::roles::Role;
use crate::bench::sys;
use crate::bench::trouble::Trouble;

/// The role.
pub const ROLE: Role = Role { name: "load", run };

/// A closed loop of so many clients, or an open one of so many requests a second. Records `rate`, `busy` and the times.
fn run(arguments: &[String], recorder: &mut Recorder) -> Result<(), Trouble> {
    sys::end_with_parent()?;
    let (target, kept, pace, connections, seconds) = parse(arguments)?;
    let outcome = super::load::run(&Load { target: &target, kept, pace, connections, seconds })?;
    let Outcome { rate, busy, connect, first, complete, problems, unanswered, .. } = outcome;
    recorder.sample("load", "rate", 0.0, rate);
    recorder.sample("load", "busy", 0.0, busy);
    recorder.sample("load", "unanswered", 0.0, unanswered as f64);
    for (method, times) in [("connect", connect), ("first", first), ("complete", complete)] {
        for (value, count) in times {
            recorder.samples("load", method, 0.0, value, count);
        }
    }
    for (problem, count) in problems {
        recorder.note(&format!("{count} times: {problem}"));
    }
    Ok(())
}

fn parse(arguments: &[String]) -> Result<(Target, bool, Pace, u32, f64), Trouble> {
    let wrong = || Trouble::new("read", "the load", "it is URL new|kept CLIENTS|RATE/s SECONDS");
    let [url, kind, pace, seconds] = arguments else { return Err(wrong()) };
    let kept = match kind.as_str() {
        "new" => false,
        "kept" => true,
        _ => return Err(wrong()),
    };
    let (pace, connections) = match pace.strip_suffix("/s") {
        Some(rate) => (Pace::Open(rate.parse().map_err(|_| wrong())?), super::session::MOST),
        None => (Pace::Closed, pace.parse().map_err(|_| wrong())?),
    };
    let seconds = seconds.parse().ok().filter(|&seconds: &f64| (0.01..3600.0).contains(&seconds)).ok_or_else(wrong)?;
    Ok((Target::from_url(url)?, kept, pace, connections, seconds))
}
