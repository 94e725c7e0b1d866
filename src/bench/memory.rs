//! `memory`: what a held connection takes, all of it: the process, the kernel's part, both ends' sockets.
//!
//! A server is started, so many connections are made, each asks for a small file, gets it, and stays. How much more memory
//! is in use then than before the server, by connections, is what a connection takes. What is in it comes from /proc: the
//! child's pages (Pss), and its page tables.
//!
//! In use is the sum of what the kernel counts as used, not the fall of MemAvailable: since Linux 6.7 each processor may
//! keep a good part of the memory that was freed, which no counter has as free. After the first server had ended, the
//! next would seem to take nothing.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use nix::libc::linger;
use nix::sys::socket::{setsockopt, sockopt};

use super::experiment::{Axis, Experiment, Graph, Kind, Scale, Unit};
use super::http::server::{OWN, Server};
use super::http::site::{SMALL, Site};
use super::plan::Plan;
use super::recorder::Recorder;
use super::samples::Series;
use super::trouble::{Trouble, trouble};
use super::{limits, machine, report::number, room, says};

const CONNECTIONS: Axis = Axis { label: "held connections", unit: Unit::Count, scale: Scale::Log };

/// The experiment.
pub const EXPERIMENT: Experiment = Experiment {
    name: "memory",
    about: "what a held connection takes, all of it",
    graphs: &[
        Graph {
            name: "held",
            title: "Memory for one held connection",
            method: "What /proc/meminfo has as used by processes and kernel (AnonPages, Shmem, PageTables, KernelStack, \
                     Slab, Percpu) with all connections held, less what it was before the server was started, by \
                     connections: the server, its children, and the sockets of both ends.",
            kind: Kind::Lines,
            x: CONNECTIONS,
            y: Axis { label: "memory for each connection", unit: Unit::Bytes, scale: Scale::Linear },
            says: held,
        },
        Graph {
            name: "pages",
            title: "Of that, the child's own pages",
            method: "Pss of a child: pages that it shares with others count in part (/proc/PID/smaps_rollup).",
            kind: Kind::Lines,
            x: CONNECTIONS,
            y: Axis { label: "pages of one child", unit: Unit::Bytes, scale: Scale::Linear },
            says: says::growth,
        },
        Graph {
            name: "tables",
            title: "Of that, the child's page tables",
            method: "VmPTE of a child (/proc/PID/status).",
            kind: Kind::Lines,
            x: CONNECTIONS,
            y: Axis { label: "page tables of one child", unit: Unit::Bytes, scale: Scale::Linear },
            says: says::growth,
        },
    ],
    seconds: [40, 3],
    pinned: false,
    run,
};

/// One-shot children hold a connection as those of prefork do.
const MODES: [&str; 3] = ["prefork", "fork", "vfork"];

/// How many children are looked into, at the most.
const LOOKED_INTO: usize = 50;

/// How long a connection has to be answered, and ended processes to be gone.
const PATIENCE: Duration = Duration::from_secs(20);

fn run(plan: &Plan, recorder: &mut Recorder) -> Result<(), Trouble> {
    let most = limits::descriptors(plan.most_children, 1, "held connections", recorder);
    let most = room::children(most, recorder);
    // Few connections drown in what else happens to the machine's memory.
    let steps = plan.pick(vec![most.div_ceil(10), (3 * most).div_ceil(10), most], vec![most]);
    // Memory does not vary as times do.
    let rounds = plan.rounds.min(plan.pick(2, 1));
    let site = Site::make().map_err(trouble("make", "files to serve"))?;
    // The first server fills caches that stay: it is not counted. A mode that does not start is left out.
    let mut modes = Vec::new();
    for (name, options) in OWN.iter().filter(|(name, _)| MODES.contains(name)) {
        match hold(name, options, steps[0], &site) {
            Ok(_) => modes.push((name, options)),
            Err(trouble) => recorder.absent("held", name, &trouble.to_string()),
        }
    }
    let total = u64::from(rounds) * modes.len() as u64 * steps.iter().map(|&step| u64::from(step)).sum::<u64>();
    let (mut done, mut disturbed, mut worst) = (0, 0, 0.0_f64);
    for round in 0..rounds {
        recorder.round(round);
        for &step in &steps {
            for &(name, options) in &modes {
                recorder.progress(done, total, &format!("{name}, {step} connections"));
                let taken = hold_undisturbed(name, options, step, &site)?;
                if !taken.is_calm() {
                    disturbed += 1;
                    worst = worst.max(taken.disturbance);
                }
                let x = f64::from(step);
                recorder.sample("held", name, x, taken.each);
                for (pages, tables) in taken.children {
                    recorder.sample("pages", name, x, pages);
                    recorder.sample("tables", name, x, tables);
                }
                done += u64::from(step);
            }
        }
    }
    if disturbed > 0 {
        let most = number::text(Unit::Bytes, worst);
        recorder.note(&format!(
            "other programs changed the machine's memory in {disturbed} measurements, by up to {most} for each connection"
        ));
    }
    Ok(())
}

/// Holds connections, and once more where others changed the machine's memory meanwhile.
fn hold_undisturbed(name: &str, options: &[&str], count: u32, site: &Site) -> Result<Taken, Trouble> {
    let first = hold(name, options, count, site)?;
    if first.is_calm() {
        return Ok(first);
    }
    let second = hold(name, options, count, site)?;
    Ok(if second.disturbance < first.disturbance { second } else { first })
}

/// What was taken, in bytes.
struct Taken {
    /// By each connection.
    each: f64,
    /// How much more or less was given back in the end, by each connection.
    disturbance: f64,
    /// By some children: pages, and page tables.
    children: Vec<(f64, f64)>,
}

impl Taken {
    fn is_calm(&self) -> bool {
        self.disturbance < 0.1 * self.each
    }
}

/// Starts a server in this mode, holds so many connections, and looks.
fn hold(name: &str, options: &[&str], count: u32, site: &Site) -> Result<Taken, Trouble> {
    let before = settled()?;
    let server = Server::own(name, options, count, site)?;
    let address = server.target.address;
    let request = server.target.request(true);
    let mut connections = Vec::with_capacity(count as usize);
    for number in 1..=count {
        let held = connect(address, &request);
        connections.push(held.map_err(trouble("hold", format_args!("connection {number} to {name}")))?);
    }
    let after = used()?;
    let children = server.pid().map(machine::children).unwrap_or_default();
    let looked_into = children.iter().take(LOOKED_INTO).filter_map(|&pid| look_into(pid)).collect();
    for connection in &connections {
        // Without the minute that the kernel remembers an orderly end for: there are many connections to come.
        let _ = setsockopt(connection, sockopt::Linger, &linger { l_onoff: 1, l_linger: 0 });
    }
    drop(connections);
    drop(server);
    let deadline = Instant::now() + PATIENCE;
    while children.iter().any(|&pid| machine::exists(pid)) && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(10));
    }
    let given_back = settled()?;
    let each = |bytes: f64| bytes / f64::from(count);
    Ok(Taken {
        each: each(after - (before + given_back) / 2.0),
        disturbance: each((before - given_back).abs()),
        children: looked_into,
    })
}

/// What is used when it changes no more: what has ended gives its memory back little by little.
fn settled() -> Result<f64, Trouble> {
    const CALM: f64 = 512.0 * 1024.0;
    let deadline = Instant::now() + Duration::from_secs(1);
    let mut last = used()?;
    let mut calm = 0;
    while calm < 3 && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(25));
        let now = used()?;
        calm = if (now - last).abs() < CALM { calm + 1 } else { 0 };
        last = now;
    }
    Ok(last)
}

/// A connection that was answered, and is kept.
fn connect(address: SocketAddr, request: &[u8]) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request)?;
    let (mut answer, mut length) = ([0; 4096], 0);
    // The head, and the small file behind it.
    while answer[..length]
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .is_none_or(|end| length < end + 4 + SMALL.1 as usize)
    {
        match stream.read(&mut answer[length..])? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            n => length += n,
        }
    }
    Ok(stream)
}

/// Memory in use, in bytes, without caches of files.
fn used() -> Result<f64, Trouble> {
    let fields = ["AnonPages", "Shmem", "PageTables", "KernelStack", "Slab", "Percpu"];
    let sizes = fields.map(|field| machine::meminfo(field).unwrap_or(0));
    if sizes[0] == 0 {
        return Err(Trouble::new("read", "/proc/meminfo", "it has no AnonPages"));
    }
    Ok(sizes.iter().sum::<u64>() as f64 * 1024.0)
}

/// A child's pages and page tables, in bytes.
fn look_into(pid: u32) -> Option<(f64, f64)> {
    let field = |file: &str, name: &str| -> Option<f64> {
        let text = fs::read_to_string(format!("/proc/{pid}/{file}")).ok()?;
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? * 1024.0)
    };
    Some((field("smaps_rollup", "Pss:")?, field("status", "VmPTE:")?))
}

/// What it comes to where there are most.
fn held(graph: &Graph, series: &[Series]) -> String {
    let Some(x) = says::last(series) else { return says::nothing() };
    let at_the_end = series.iter().filter_map(|s| {
        let each = s.at(x)?.median;
        Some(format!("{} takes {} for each", s.method, number::text(graph.y.unit, each)))
    });
    let told: Vec<String> = at_the_end.collect();
    let most = series.iter().filter_map(|s| Some(s.at(x)?.median)).fold(0.0, f64::max);
    let all = number::text(graph.y.unit, most * 100_000.0);
    format!("{} {}: 100,000 of the dearest would take {all}.", says::at(graph, x), says::list(&told))
}
