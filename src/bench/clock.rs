//! The clock of all measurements: CLOCK_MONOTONIC, in nanoseconds.

use nix::time::{ClockId, clock_gettime};

/// Now, from some point in the past that is the same for all processes.
pub fn now() -> u64 {
    // The clock exists on every Linux, so this does not fail.
    clock_gettime(ClockId::CLOCK_MONOTONIC)
        .map_or(0, |time| time.tv_sec().cast_unsigned() * 1_000_000_000 + time.tv_nsec().cast_unsigned())
}

/// What one reading costs, in nanoseconds: part of every measured time, and shown in the report.
pub fn overhead() -> f64 {
    const READINGS: u32 = 10_000;
    let passes = (0..5).map(|_| {
        let start = now();
        for _ in 0..READINGS {
            std::hint::black_box(now());
        }
        (now() - start) as f64 / f64::from(READINGS)
    });
    super::stats::median(passes)
}
