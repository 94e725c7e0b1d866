//! The machine that is measured on, in words, and its processes.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::SystemTime;

/// What a reader must know to judge the numbers.
#[derive(Clone, Debug, Default)]
pub struct Machine {
    /// Label and text, in the order in which they are shown.
    pub facts: Vec<(&'static str, String)>,
}

impl Machine {
    /// Looks at this machine.
    pub fn describe() -> Machine {
        let command: Vec<String> = std::env::args().map(quote).collect();
        let facts = vec![
            ("Command", command.join(" ")),
            ("Date", httpdate::fmt_http_date(SystemTime::now())),
            (
                "Program",
                format!(
                    "tine {}{}",
                    env!("CARGO_PKG_VERSION"),
                    if cfg!(debug_assertions) { ", unoptimised" } else { "" }
                ),
            ),
            ("Processor", processor()),
            ("Memory", memory()),
            ("Kernel", first_line("/proc/version")),
            ("Huge pages", first_line("/sys/kernel/mm/transparent_hugepage/enabled")),
            (
                "Clock",
                format!(
                    "{}, {:.0} ns a reading",
                    first_line("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
                    super::clock::overhead()
                ),
            ),
            ("Load at the start", first_line("/proc/loadavg")),
        ];
        Machine { facts }
    }
}

fn first_line(path: &str) -> String {
    fs::read_to_string(path)
        .ok()
        .and_then(|text| text.lines().next().map(String::from))
        .unwrap_or_else(|| "unknown".into())
}

fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        text.lines()
            .find(|line| line.starts_with(name))
            .and_then(|line| line.split_once(": "))
            .map(|(_, value)| value.trim())
    };
    let count = text.lines().filter(|line| line.starts_with("processor")).count();
    let guest = field("flags").is_some_and(|flags| flags.split(' ').any(|flag| flag == "hypervisor"));
    format!(
        "{count} × {}{}",
        field("model name").unwrap_or(std::env::consts::ARCH),
        if guest { ", in a virtual machine" } else { "" }
    )
}

fn memory() -> String {
    let kilobytes = meminfo("MemTotal").unwrap_or(0);
    format!("{:.1} GiB", kilobytes as f64 / (1024.0 * 1024.0))
}

/// A line of /proc/meminfo, in KiB.
pub fn meminfo(name: &str) -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(':')))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// As a shell would take it.
fn quote(word: String) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

/// The processes that descend from this one.
pub fn descendants() -> Vec<i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let parents: Vec<(i32, i32)> = numbers.filter_map(|pid| Some((pid, parent(pid)?))).collect();
    let mut found = vec![std::process::id().cast_signed()];
    let mut seen = 0;
    while seen < found.len() {
        let of = found[seen];
        found.extend(parents.iter().filter(|&&(_, parent)| parent == of).map(|&(pid, _)| pid));
        seen += 1;
    }
    found.split_off(1)
}

/// Processes and threads that there are on the whole machine.
pub fn tasks() -> Option<u64> {
    // The fourth field is running/all.
    fs::read_to_string("/proc/loadavg").ok()?.split([' ', '/']).nth(4)?.parse().ok()
}

/// Processes that belong to this user.
pub fn of_user(uid: u32) -> u64 {
    let entries = fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    let processes = entries.filter(|entry| entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit));
    processes.filter(|entry| entry.metadata().is_ok_and(|metadata| metadata.uid() == uid)).count() as u64
}

/// Whether there is a process with this number.
pub fn exists(pid: u32) -> bool {
    fs::exists(format!("/proc/{pid}")).unwrap_or(false)
}

/// The children of a process.
pub fn children(of: u32) -> Vec<u32> {
    let of = of.cast_signed();
    let entries = fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    numbers.filter(|&pid| parent(pid) == Some(of)).map(i32::cast_unsigned).collect()
}

fn parent(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in parentheses and may contain anything: the last one closes it.
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}
