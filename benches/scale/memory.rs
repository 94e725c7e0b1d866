//! Memory in use, by the kernel's own account.

use std::fs;
use std::thread;
use std::time::Duration;

/// Bytes in use without caches of files, when they change no more: what has ended gives its memory back little by little.
pub fn settled() -> f64 {
    let mut last = used();
    for _ in 0..40 {
        thread::sleep(Duration::from_millis(50));
        let now = used();
        if (now - last).abs() < 512.0 * 1024.0 {
            return now;
        }
        last = now;
    }
    last
}

/// The same at this instant. MemAvailable does not tell: each processor may keep a good part of what was freed.
pub fn used() -> f64 {
    ["AnonPages", "Shmem", "PageTables", "KernelStack", "Slab", "Percpu"].iter().map(|field| meminfo(field)).sum()
}

/// A field of /proc/meminfo, in bytes; 0 where there is none.
pub fn meminfo(field: &str) -> f64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok()).unwrap_or(0.0) * 1024.0
}
