//! What the kernel tells about a running program: all that it can have from whoever started it.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

/// Lines of /proc/PID/status that say what the process did, or how the machine is, and not what it was given.
const OWN: &[&str] =
    &["Pid", "Tgid", "PPid", "NStgid", "NSpid", "NSpgid", "NSsid", "SigQ", "FDSize", "Rss", "Huge", "State"];

/// Files of /proc/PID that are inherited.
const INHERITED: &[&str] = &["limits", "oom_score_adj", "coredump_filter", "timerslack_ns", "personality", "cgroup"];

/// One line for each thing that was given to the process `pid`, whose working directory should be `place`.
/// Addresses of sockets are left as names of the kernel, `socket:[N]`.
pub fn describe(pid: u32, place: &Path) -> Vec<(String, String)> {
    let of = |name: &str| PathBuf::from(format!("/proc/{pid}/{name}"));
    let link = |name: &str| {
        let target = fs::read_link(of(name)).map_or_else(|e| e.to_string(), |t| t.display().to_string());
        target.replace(&place.display().to_string(), "SCRATCH")
    };
    let mut lines: Vec<(String, String)> = Vec::new();
    let mut line = |name: &str, value: String| lines.push((name.to_string(), value));

    line("argv", words(&of("cmdline")).join(" | "));
    let mut environment = words(&of("environ"));
    environment.sort();
    for variable in environment {
        line("env", variable);
    }
    for name in ["exe", "cwd", "root"] {
        line(name, link(name));
    }
    for fd in descriptors(&of("fd")) {
        let flags = field(&of(&format!("fdinfo/{fd}")), "flags:");
        line(&format!("fd {fd}"), format!("{} flags {flags}", link(&format!("fd/{fd}"))));
    }
    for text in text(&of("status")).lines() {
        let counts = text.starts_with("Vm") || text.contains("ctxt_switches");
        if !counts && !OWN.iter().any(|own| text.starts_with(own)) {
            line("status", text.to_string());
        }
    }
    for name in INHERITED {
        line(name, text(&of(name)).replace('\n', "; "));
    }
    for (name, at) in [("nice", 18), ("policy", 40), ("terminal", 6), ("end signal", 37)] {
        line(name, stat(pid, at));
    }
    lines
}

/// A field of /proc/PID/stat: 3 is the parent, 4 the process group, 5 the session (counted from 0).
pub fn stat(pid: u32, at: usize) -> String {
    let text = text(Path::new(&format!("/proc/{pid}/stat")));
    // The name, the second field, stands in parentheses and may have blanks in it.
    let rest = text.rsplit_once(") ").map_or("", |(_, rest)| rest);
    rest.split(' ').nth(at - 2).unwrap_or("").to_string()
}

/// Reads a file of /proc, whose size is not known beforehand.
fn text(path: &Path) -> String {
    let mut bytes = Vec::new();
    match fs::File::open(path).and_then(|mut file| file.read_to_end(&mut bytes)) {
        Ok(_) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => format!("unable to read: {error}"),
    }
}

/// What stands between the NULs of a file.
fn words(path: &Path) -> Vec<String> {
    let text = text(path);
    let text = text.strip_suffix('\0').unwrap_or(&text);
    text.split('\0').map(|word| word.escape_debug().to_string()).collect()
}

fn field(path: &Path, name: &str) -> String {
    let text = text(path);
    text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("").trim().to_string()
}

fn descriptors(directory: &Path) -> Vec<u32> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    let mut numbers: Vec<u32> = entries.filter_map(|e| e.ok()?.file_name().to_str()?.parse().ok()).collect();
    numbers.sort_unstable();
    numbers
}
