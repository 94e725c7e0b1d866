//! The kernel's limits: raised for a run where they are too low, put back afterwards.

use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::geteuid;

use crate::common::Result;
use crate::hold::HOLDERS;
use crate::memory;
use crate::subject::Subject;

/// Tasks and descriptors for everybody else.
pub const MARGIN: u64 = 4096;

/// Limits that were raised, and what they were.
pub struct Raised(Vec<(PathBuf, String)>);

/// Raises what `count` connections with a process each need.
pub fn raise(count: u64) -> Result<Raised> {
    let there = tasks();
    let mut raised = Raised(Vec::new());
    let tasks = count + there + MARGIN;
    let needs = [
        // Process numbers are looked for one after the other: with few free, that takes its time.
        ("kernel.pid_max", (2 * tasks).min(4_194_304)),
        ("kernel.threads-max", tasks),
        // Both ends, and what else is open.
        ("fs.file-max", 4 * count + 100_000),
        ("fs.nr_open", count + MARGIN),
        ("net.core.somaxconn", 4096),
    ];
    for (name, needed) in needs {
        raised.ensure(name, needed)?;
    }
    cgroup(count + MARGIN)?;
    // The clients are many processes; what one server needs for all is looked at when its turn comes.
    let descriptors = count / HOLDERS + MARGIN;
    let (soft, hard) =
        getrlimit(Resource::RLIMIT_NOFILE).map_err(|error| format!("unable to read ulimit -n: {error}"))?;
    if soft < descriptors {
        setrlimit(Resource::RLIMIT_NOFILE, descriptors, hard.max(descriptors)).map_err(|error| {
            format!("ulimit -n (RLIMIT_NOFILE) is {hard}, {descriptors} are needed: {error}: as root, ulimit -n {descriptors}")
        })?;
    }
    if !geteuid().is_root() {
        let (soft, _) =
            getrlimit(Resource::RLIMIT_NPROC).map_err(|error| format!("unable to read ulimit -u: {error}"))?;
        if soft < tasks {
            return Err(format!(
                "ulimit -u (RLIMIT_NPROC) is {soft}, {tasks} are needed: ulimit -u {tasks}, or be root"
            ));
        }
    }
    Ok(raised)
}

/// Whether this machine has memory for so many connections to this server.
pub fn room(subject: &Subject, count: u64) -> Result<()> {
    let (available, wanted) = (memory::meminfo("MemAvailable"), subject.each * 1024.0 * count as f64);
    if available < wanted {
        let gibibytes = |bytes: f64| bytes / f64::from(1 << 30);
        return Err(format!(
            "{count} connections may take {:.1} GiB, and {:.1} are available: hold fewer, or end other programs",
            gibibytes(wanted),
            gibibytes(available)
        ));
    }
    Ok(())
}

/// How many descriptors a process may open, at the most.
pub fn descriptors() -> Result<u64> {
    getrlimit(Resource::RLIMIT_NOFILE)
        .map(|(_, hard)| hard)
        .map_err(|error| format!("unable to read ulimit -n: {error}"))
}

impl Raised {
    fn ensure(&mut self, name: &str, needed: u64) -> Result<()> {
        let path = Path::new("/proc/sys").join(name.replace('.', "/"));
        let Ok(before) = fs::read_to_string(&path) else { return Ok(()) };
        if before.trim().parse::<u64>().is_ok_and(|value| value >= needed) {
            return Ok(());
        }
        fs::write(&path, needed.to_string()).map_err(|error| {
            let before = before.trim();
            format!(
                "{name} is {before}, {needed} is needed: unable to raise it: {error}: as root, sysctl {name}={needed}"
            )
        })?;
        println!("{name}: {} raised to {needed} for the run", before.trim());
        self.0.push((path, before));
        Ok(())
    }
}

impl Drop for Raised {
    fn drop(&mut self) {
        for (path, before) in &self.0 {
            if let Err(error) = fs::write(path, before.trim()) {
                eprintln!("scale: warning: unable to put {} back to {}: {error}", path.display(), before.trim());
            }
        }
    }
}

/// Processes and threads that exist now: the fourth field of /proc/loadavg.
fn tasks() -> u64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().nth(3).and_then(|field| field.split_once('/')?.1.parse().ok()).unwrap_or(1000)
}

/// The control groups above us have room for so many tasks.
fn cgroup(needed: u64) -> Result<()> {
    let text = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let Some(own) = text.lines().find_map(|line| line.strip_prefix("0::")) else { return Ok(()) };
    let own = format!("/sys/fs/cgroup{own}");
    for group in Path::new(&own).ancestors() {
        let number = |name: &str| fs::read_to_string(group.join(name)).ok()?.trim().parse::<u64>().ok();
        let (Some(most), Some(there)) = (number("pids.max"), number("pids.current")) else { continue };
        if most.saturating_sub(there) < needed {
            let file = group.join("pids.max");
            return Err(format!("{} is {most}, {} is needed: raise it (TasksMax=)", file.display(), there + needed));
        }
    }
    Ok(())
}
