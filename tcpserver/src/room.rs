//! Whether the machine has room for as many children as are allowed: told at the start, for later it is a fork that fails,
//! on the day when they are needed.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::resource::{Resource, getrlimit};

/// PID_MAX_LIMIT of a 64-bit kernel.
const MOST_NUMBERS: u64 = 4 << 20;

/// A limit that is too low.
#[derive(Debug, PartialEq, Eq)]
struct Ceiling {
    which: String,
    value: u64,
    needed: u64,
    remedy: String,
}

/// What keeps `children` children from being made, with how to raise it, in one line; `None` if nothing does. `as_root`
/// says that they will be the superuser's, who may have as many as there are. To be asked before a new root hides /proc.
#[must_use]
pub fn shortage(children: u64, as_root: bool) -> Option<String> {
    let tasks = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let tasks = tasks.split_whitespace().nth(3).and_then(|field| field.split_once('/')?.1.parse().ok()).unwrap_or(0);
    let mut ceilings = Vec::new();
    for (name, of_one) in [("kernel.pid_max", 2), ("kernel.threads-max", 1)] {
        let Some(value) = number(&Path::new("/proc/sys").join(name.replace('.', "/"))) else { continue };
        // Process numbers that are free are looked for: half of them should be. The kernel has no more than these.
        let needed = children + tasks;
        let wise = (of_one * needed).min(MOST_NUMBERS).max(needed);
        ceilings.push(Ceiling { which: name.into(), value, needed, remedy: format!("sysctl {name}={wise}") });
    }
    if let (false, Ok((value, _))) = (as_root, getrlimit(Resource::RLIMIT_NPROC)) {
        let (which, remedy) = ("RLIMIT_NPROC".into(), format!("ulimit -u {children}, or LimitNPROC={children}"));
        ceilings.push(Ceiling { which, value, needed: children, remedy });
    }
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    for group in above(&groups, "pids") {
        let (file, there) = (group.join("pids.max"), number(&group.join("pids.current")).unwrap_or(0));
        let (Some(value), needed) = (number(&file), children + there) else { continue };
        ceilings.push(Ceiling {
            which: file.display().to_string(),
            value,
            needed,
            remedy: format!("TasksMax={needed}"),
        });
    }
    tell(children, &ceilings)
}

/// The control groups that a process is in and their parents, in either hierarchy, from the text of /proc/self/cgroup; of
/// the older one, those of this controller.
pub(crate) fn above(text: &str, controller: &str) -> Vec<PathBuf> {
    let directory = |line: &str| {
        let mut fields = line.splitn(3, ':').skip(1);
        match (fields.next()?, fields.next()?) {
            ("", path) => Some(format!("/sys/fs/cgroup{path}")),
            (names, path) if names.split(',').any(|name| name == controller) => {
                Some(format!("/sys/fs/cgroup/{controller}{path}"))
            }
            _ => None,
        }
    };
    let directories: Vec<String> = text.lines().filter_map(directory).collect();
    directories.iter().flat_map(|path| Path::new(path).ancestors()).map(Path::to_path_buf).collect()
}

fn tell(children: u64, ceilings: &[Ceiling]) -> Option<String> {
    let mut line = format!("{children} children are allowed, but there is no room for as many:");
    let before = line.len();
    for Ceiling { which, value, remedy, .. } in ceilings.iter().filter(|ceiling| ceiling.value < ceiling.needed) {
        let comma = if line.len() == before { "" } else { "," };
        // Writing to a String cannot fail.
        let _ = write!(line, "{comma} {which} is {value} ({remedy})");
    }
    (line.len() > before).then_some(line)
}

/// A file that holds a number, or the word max, which is none.
fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_low_is_told_and_nothing_else() {
        let ceiling =
            |which: &str, value| Ceiling { which: which.into(), value, needed: 1000, remedy: format!("raise {which}") };
        assert_eq!(tell(900, &[ceiling("a", 1000), ceiling("b", 5000)]), None);
        let told = tell(900, &[ceiling("a", 999), ceiling("b", 1000), ceiling("c", 1)]);
        let line = "900 children are allowed, but there is no room for as many: a is 999 (raise a), c is 1 (raise c)";
        assert_eq!(told.as_deref(), Some(line));
    }

    #[test]
    fn groups_and_their_parents() {
        let groups = |text| above(text, "pids").into_iter().map(|path| path.display().to_string()).collect::<Vec<_>>();
        let expected = ["/sys/fs/cgroup/a/b", "/sys/fs/cgroup/a", "/sys/fs/cgroup", "/sys/fs", "/sys", "/"];
        assert_eq!(groups("0::/a/b\n"), expected);
        assert_eq!(groups("4:cpu,pids:/x\n3:net:/y\n")[0], "/sys/fs/cgroup/pids/x");
        assert!(groups("nonsense").is_empty());
    }

    #[test]
    fn nobody_has_room_for_all_numbers() {
        assert_eq!(shortage(1, true), None);
        let told = shortage(u64::from(u32::MAX), true).unwrap();
        assert!(told.contains("kernel.pid_max is ") && told.contains("kernel.threads-max is "), "{told}");
        assert!(!told.contains('\n') && !told.contains("RLIMIT_NPROC"), "{told}");
    }
}
