//! Whether the machine, or the control group that we are in, has memory left for one more child. Where it has less than a
//! floor, a child would have the kernel end some process, and nobody chooses which.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::room;

/// Where the kernel tells of the machine's memory.
const MACHINE: &str = "/proc/meminfo";

/// An answer holds for this time, in microseconds, while there is little; and for the longer one while there are
/// [`PLENTY`] times the floor: a look costs a call, and children come by the thousand in a second.
const HOLDS: u64 = 100_000;
const HOLDS_LONG: u64 = 1_000_000;
const PLENTY: u64 = 8;

/// The most that is kept free unless told otherwise, in bytes, and of a smaller machine the part of it, one in so many.
const DEFAULT: u64 = 64 << 20;
const DEFAULT_PART: u64 = 50;

/// All the memory that the machine has, in bytes. `None` where the kernel does not tell.
#[must_use]
pub fn total() -> Option<u64> {
    in_kib(fs::read(MACHINE).ok()?.as_slice(), "MemTotal:")
}

/// What is kept free unless told otherwise, in bytes: 64 MiB, or 2 % of what we may have at most, if that is less.
#[must_use]
pub fn default_floor() -> u64 {
    let groups = Group::limited().into_iter().filter_map(|group| number(&group.limit));
    total().into_iter().chain(groups).map(|most| most / DEFAULT_PART).min().map_or(0, |part| part.min(DEFAULT))
}

/// Memory that is not to be used up. Its files are opened once: neither a new root nor a new user keeps it from looking.
pub(crate) struct Floor {
    bytes: u64,
    machine: File,
    groups: Vec<Group>,
    /// What was found, and until when that holds, in microseconds.
    available: u64,
    until: u64,
}

impl Floor {
    /// `None` where none is asked for.
    pub(crate) fn open(bytes: u64) -> io::Result<Option<Self>> {
        if bytes == 0 {
            return Ok(None);
        }
        let machine = File::open(MACHINE)?;
        Ok(Some(Floor { bytes, machine, groups: Group::limited(), available: 0, until: 0 }))
    }

    /// Whether less is available at `now`, or was a moment ago.
    pub(crate) fn is_reached(&mut self, now: u64) -> bool {
        if now >= self.until {
            self.available = self.look();
            let is_plenty = self.available >= self.bytes.saturating_mul(PLENTY);
            self.until = now + if is_plenty { HOLDS_LONG } else { HOLDS };
        }
        self.available < self.bytes
    }

    /// What is available, in bytes. What cannot be read sets no bound.
    fn look(&self) -> u64 {
        let mut text = [0; 256];
        let machine = in_kib(read(&self.machine, &mut text), "MemAvailable:").unwrap_or(u64::MAX);
        self.groups.iter().map(|group| group.available(self.bytes)).fold(machine, u64::min)
    }

    /// In words, for the log.
    pub(crate) fn reason(&self) -> String {
        format!("less than {} of memory is available", in_words(self.bytes))
    }
}

/// A control group whose memory is limited: its own files of our group or one above it.
struct Group {
    limit: File,
    usage: File,
    detail: File,
    /// What stands before names in `detail` that count the groups below, too.
    whole: &'static str,
}

impl Group {
    /// Those that we are in and that have a limit.
    fn limited() -> Vec<Group> {
        let text = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        room::above(&text, "memory").iter().filter_map(|group| Group::open(group)).collect()
    }

    /// Either hierarchy's. The root has no such files, or no limit.
    fn open(group: &Path) -> Option<Group> {
        let open = |name| File::open(group.join(name)).ok();
        let (limit, usage, whole) = match open("memory.max") {
            Some(limit) => (limit, open("memory.current")?, ""),
            None => (open("memory.limit_in_bytes")?, open("memory.usage_in_bytes")?, "total_"),
        };
        // The older hierarchy says "none" with a number close to the largest.
        number(&limit).filter(|&bytes| bytes < i64::MAX as u64 / 2)?;
        Some(Group { limit, usage, detail: open("memory.stat")?, whole })
    }

    /// What may still be used, in bytes. Files that the kernel keeps in memory make room when it is needed, and a server
    /// of files fills every limit with them: they are looked for where less than `enough` seems to be left.
    fn available(&self, enough: u64) -> u64 {
        let (Some(limit), Some(usage)) = (number(&self.limit), number(&self.usage)) else { return u64::MAX };
        let left = limit.saturating_sub(usage);
        if left >= enough { left } else { limit.saturating_sub(usage.saturating_sub(self.cached())) }
    }

    /// What files take that could be read again.
    // The stack that it needs is none that every look at the memory should step over.
    #[inline(never)]
    fn cached(&self) -> u64 {
        let mut text = [0; 4096];
        let text = read(&self.detail, &mut text);
        let of = |name: &str| value(text, &format!("{}{name}", self.whole)).unwrap_or(0);
        of("inactive_file").saturating_add(of("active_file"))
    }
}

/// The beginning of a file of the kernel's, or nothing.
fn read<'t>(file: &File, text: &'t mut [u8]) -> &'t [u8] {
    let length = file.read_at(text, 0).unwrap_or(0);
    &text[..length]
}

/// A file that holds a number, or the word max, which is none.
fn number(file: &File) -> Option<u64> {
    std::str::from_utf8(read(file, &mut [0; 32])).ok()?.trim().parse().ok()
}

/// The number behind a name, on a line of its own.
fn value(text: &[u8], name: &str) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    text.lines().find_map(|line| {
        let mut words = line.split_ascii_whitespace();
        (words.next()? == name).then(|| words.next()?.parse().ok())?
    })
}

fn in_kib(text: &[u8], name: &str) -> Option<u64> {
    value(text, name)?.checked_mul(1 << 10)
}

/// A number of bytes, in the largest unit that divides it.
fn in_words(bytes: u64) -> String {
    let unit = [("GiB", 30), ("MiB", 20), ("KiB", 10)].into_iter().find(|(_, shift)| bytes.trailing_zeros() >= *shift);
    unit.map_or_else(|| format!("{bytes} bytes"), |(name, shift)| format!("{} {name}", bytes >> shift))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_tells_is_found() {
        let text = b"MemTotal:       24684084 kB\nMemFree:        18508088 kB\nMemAvailable:   23107412 kB\nBuf";
        assert_eq!(in_kib(text, "MemAvailable:"), Some(23_107_412 << 10));
        assert_eq!(in_kib(&text[..60], "MemAvailable:"), None);
        let text = b"inactive_file 4096\nactive_file 8192\ntotal_active_file 3\n";
        assert_eq!((value(text, "active_file"), value(text, "total_active_file")), (Some(8192), Some(3)));
        assert_eq!(value(text, "file"), None);
    }

    #[test]
    fn the_machine_has_memory() {
        let (total, floor) = (total().expect("MemTotal"), default_floor());
        assert!(floor > 0 && floor <= total / DEFAULT_PART && floor <= DEFAULT, "{floor} of {total}");
    }

    #[test]
    fn an_answer_holds_for_a_time_that_is_longer_while_there_is_plenty() {
        assert!(Floor::open(0).expect("none").is_none());
        let mut floor = Floor::open(1).expect("open").expect("a floor");
        assert!(!floor.is_reached(5) && floor.until == 5 + HOLDS_LONG);
        floor.available = 0;
        assert!(floor.is_reached(4 + HOLDS_LONG), "it is not looked at again before its time");
        assert!(!floor.is_reached(5 + HOLDS_LONG));
        let mut floor = Floor::open(total().expect("MemTotal")).expect("open").expect("a floor");
        assert!(floor.is_reached(5) && floor.until == 5 + HOLDS);
    }

    #[test]
    fn words() {
        assert_eq!(in_words(64 << 20), "64 MiB");
        assert_eq!(in_words(3 << 30), "3 GiB");
        assert_eq!(in_words(1536 << 10), "1536 KiB");
        assert_eq!(in_words(1001), "1001 bytes");
    }

    /// As the kernel writes them: a limit that is full of files has room, one that is full of processes has none.
    #[test]
    fn files_in_memory_make_room() {
        let directory = std::env::temp_dir().join(format!("tine-memory-{}", std::process::id()));
        fs::create_dir(&directory).expect("a directory");
        let write = |name: &str, text: &str| fs::write(directory.join(name), text).expect(name);
        let group = |files: u64| {
            write("memory.max", "1000000\n");
            write("memory.current", "990000\n");
            write("memory.stat", &format!("anon 5\ninactive_file {files}\nactive_file 100\n"));
            Group::open(&directory).expect("a group")
        };
        let (full, cached) = (group(0).available(50_000), group(600_000).available(50_000));
        let unasked = group(600_000).available(10_000);
        write("memory.max", "max\n");
        let unlimited = Group::open(&directory).is_none();
        fs::remove_dir_all(&directory).expect("remove it");
        assert_eq!((full, cached, unasked, unlimited), (10_100, 610_100, 10_000, true));
    }
}
