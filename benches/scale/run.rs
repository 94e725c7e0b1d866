//! One server under the attack.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};

use crate::common::Result;
use crate::hold::{Holders, visit};
use crate::memory;
use crate::report::Row;
use crate::subject::{Kind, Place, Subject};

/// New clients before and beside those who are held.
const VISITS: usize = 1000;

/// How long processes may take to be gone, and how often that is looked at.
const PATIENCE: Duration = Duration::from_secs(300);
/// How long a server may take to stop.
const STOP: Duration = Duration::from_secs(60);
const GLANCE: Duration = Duration::from_millis(20);

/// Raised by Ctrl-C and SIGTERM, so that limits are put back.
pub fn on_interrupt() -> Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&flag))
            .map_err(|error| format!("unable to handle signals: {error}"))?;
    }
    Ok(flag)
}

/// Whether the run goes on.
pub fn check(interrupted: &AtomicBool) -> Result<()> {
    if interrupted.load(Relaxed) { Err("interrupted".into()) } else { Ok(()) }
}

/// Measures one server; `None` when it is not installed.
pub fn measure(
    subject: &Subject,
    count: u64,
    seconds: u64,
    place: &Place,
    interrupted: &AtomicBool,
) -> Result<Option<Row>> {
    let before = memory::settled();
    let Some(mut server) = subject.start(count, place)? else { return Ok(None) };
    let unloaded = visits(server.address, interrupted)?;
    let at_rest = server.children().len();
    let begin = Instant::now();
    let holders = Holders::start(server.address, count, seconds)?;
    let mut reached = begin.elapsed();
    let mut held = 0;
    // As long as there are more from time to time, for one that is stuck is given up by the clients.
    while held < count && begin.elapsed() < Duration::from_secs(seconds + 5) {
        check(interrupted)?;
        thread::sleep(GLANCE);
        let now = holders.held();
        if now > held {
            (held, reached) = (now, begin.elapsed());
        }
        if begin.elapsed() > reached + Duration::from_secs(40) {
            break;
        }
    }
    let processes = server.children().len();
    let each = (memory::used() - before) / held.max(1) as f64;
    let loaded = visits(server.address, interrupted);
    let hung_up = Instant::now();
    holders.hang_up();
    let mut gone = None;
    if subject.kind == Kind::Own {
        while gone.is_none() && hung_up.elapsed() < PATIENCE {
            check(interrupted)?;
            if server.children().len() <= at_rest {
                gone = Some(hung_up.elapsed().as_secs_f64());
            }
            thread::sleep(GLANCE);
        }
    }
    let zombies = server.children().into_iter().filter(|&pid| is_zombie(pid)).count();
    let stopping = Instant::now();
    let stopped = server.end(STOP).map(|_| stopping.elapsed().as_secs_f64());
    let loaded = loaded.unwrap_or([f64::NAN; 2]);
    let reached = reached.as_secs_f64();
    Ok(Some(Row { name: subject.name, held, reached, processes, each, unloaded, loaded, gone, zombies, stopped }))
}

fn is_zombie(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, fields)| fields.starts_with('Z'))
}

/// Median and 99th percentile of the time that new clients, one after the other, wait for a small page, in seconds.
fn visits(address: std::net::SocketAddr, interrupted: &AtomicBool) -> Result<[f64; 2]> {
    let mut times = Vec::with_capacity(VISITS);
    for number in 0..VISITS {
        check(interrupted)?;
        times.push(visit(address).map_err(|error| format!("new client {number}: {error}"))?);
    }
    times.sort_by(f64::total_cmp);
    Ok([times[VISITS / 2], times[VISITS * 99 / 100]])
}
