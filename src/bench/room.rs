//! How many processes and threads this machine lets a user have at once: every limit that is lower than what is wanted is
//! told, with how to raise it.

use std::fs;
use std::path::Path;

use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::geteuid;

use super::machine::{self, meminfo};
use super::recorder::{Limit, Recorder};

/// What is left for others.
const MARGIN: u64 = 300;

/// Memory that a small child takes, all in all: measured at 60 to 90 KiB.
const CHILD: u64 = 128 << 10;

/// Memory that a sleeping thread takes.
const THREAD: u64 = 32 << 10;

/// Something of which there is only so much.
struct Ceiling {
    which: String,
    /// As the user sees it.
    value: u64,
    /// How many more may be made.
    room: u64,
    /// What the value should be.
    needed: u64,
    /// How to raise it to that.
    remedy: String,
}

/// So many children, or as many as there can be.
pub fn children(wanted: u32, recorder: &mut Recorder) -> u32 {
    fit(wanted, "live children", tasks(wanted).chain([memory(wanted, CHILD)]), recorder)
}

/// So many children of a process with `heap` bytes of memory: each has page tables of its own for that.
pub fn large_children(wanted: u32, heap: u64, recorder: &mut Recorder) -> u32 {
    fit(wanted, "live children of a large process", [memory(wanted, CHILD + heap / 512)], recorder)
}

/// So many threads, or as many as there can be.
pub fn threads(wanted: u32, recorder: &mut Recorder) -> u32 {
    let value = number(Path::new("/proc/sys/vm/max_map_count")).unwrap_or(u64::MAX);
    // Each has two mappings: a stack, and the page that guards it.
    let needed = 2 * (u64::from(wanted) + MARGIN);
    let mappings = Ceiling {
        which: "vm.max_map_count".into(),
        value,
        room: (value / 2).saturating_sub(MARGIN),
        needed,
        remedy: format!("sysctl vm.max_map_count={needed}"),
    };
    fit(wanted, "live threads", tasks(wanted).chain([memory(wanted, THREAD), mappings]), recorder)
}

/// `wanted`, or what fits under all ceilings; those that are too low are told.
fn fit(wanted: u32, what: &str, ceilings: impl IntoIterator<Item = Ceiling>, recorder: &mut Recorder) -> u32 {
    let low: Vec<Ceiling> = ceilings.into_iter().filter(|ceiling| ceiling.room < u64::from(wanted)).collect();
    let room = low.iter().map(|ceiling| ceiling.room).min().unwrap_or(u64::from(wanted)).max(1);
    for ceiling in low {
        let Ceiling { which, value, needed, remedy, .. } = ceiling;
        recorder.limit(&Limit { which, value, needed, remedy, instead: format!("measured with up to {room} {what}") });
    }
    u32::try_from(room).unwrap_or(wanted)
}

/// What holds processes and threads alike, as far as it is set.
fn tasks(wanted: u32) -> impl Iterator<Item = Ceiling> {
    let there = machine::tasks().unwrap_or(MARGIN);
    // Of what all users share a twentieth is left for others.
    let room = move |value: u64| (value - value / 20).saturating_sub(there + MARGIN);
    let needed = (u64::from(wanted) + there + MARGIN) * 20 / 19 + 1;
    let sysctl = move |name: &str| {
        let value = number(&Path::new("/proc/sys").join(name.replace('.', "/")))?;
        let remedy = format!("sysctl {name}={needed}");
        Some(Ceiling { which: name.to_owned(), value, room: room(value), needed, remedy })
    };
    // The superuser may have as many as there are.
    let limited = getrlimit(Resource::RLIMIT_NPROC).ok().filter(|_| !geteuid().is_root());
    let rlimit = limited.map(|(value, _)| Ceiling {
        which: "ulimit -u (RLIMIT_NPROC)".into(),
        value,
        // What this user has already.
        room: value.saturating_sub(machine::of_user(geteuid().as_raw()) + MARGIN),
        needed,
        remedy: format!("ulimit -u {needed}, or as root a line in /etc/security/limits.conf"),
    });
    [sysctl("kernel.pid_max"), sysctl("kernel.threads-max"), rlimit].into_iter().flatten().chain(cgroup(wanted))
}

/// The least room under the control groups that this process is in, in either hierarchy.
fn cgroup(wanted: u32) -> Option<Ceiling> {
    let text = fs::read_to_string("/proc/self/cgroup").ok()?;
    let directories = text.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        match (fields.next()?, fields.next()?) {
            ("", path) => Some(format!("/sys/fs/cgroup{path}")),
            (names, path) if names.split(',').any(|name| name == "pids") => Some(format!("/sys/fs/cgroup/pids{path}")),
            _ => None,
        }
    });
    let directories: Vec<String> = directories.collect();
    let above = directories.iter().flat_map(|path| Path::new(path).ancestors());
    let ceilings = above.filter_map(|path| {
        let value = number(&path.join("pids.max"))?;
        let there = number(&path.join("pids.current")).unwrap_or(0);
        let needed = u64::from(wanted) + there + MARGIN;
        Some(Ceiling {
            which: path.join("pids.max").display().to_string(),
            value,
            room: value.saturating_sub(there + MARGIN),
            needed,
            remedy: format!("as root: echo {needed} > that file, or TasksMax={needed} in the systemd unit"),
        })
    });
    ceilings.min_by_key(|ceiling| ceiling.room)
}

/// Two thirds of the memory that is available now.
fn memory(wanted: u32, each: u64) -> Ceiling {
    let value = meminfo("MemAvailable").unwrap_or(1 << 20) << 10;
    Ceiling {
        which: format!("available memory in bytes, of which one takes {} KiB", each >> 10),
        value,
        room: value / 3 * 2 / each,
        needed: u64::from(wanted) * each * 3 / 2,
        remedy: "end other programs, or ask for fewer with --children".into(),
    }
}

/// A file that holds a number, or the word max, which is none.
fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}
