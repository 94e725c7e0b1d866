//! Numbers as people read them: three digits, the fitting unit.

use crate::bench::experiment::Unit;

/// A value with its unit: "12.3 µs", "64 KiB", "10,000".
pub fn text(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Count => count(value),
        Unit::Nanoseconds => scaled(value, 1000.0, &["ns", "µs", "ms"], "s"),
        Unit::Bytes => scaled(value, 1024.0, &["B", "KiB", "MiB"], "GiB"),
        Unit::PerSecond => format!("{}/s", count(value)),
        Unit::BytesPerSecond => scaled(value, 1000.0, &["B/s", "kB/s", "MB/s"], "GB/s"),
        Unit::Percent => format!("{} %", digits(value)),
        Unit::NanosecondsPerMegabyte => scaled(value, 1000.0, &["ns/MB", "µs/MB", "ms/MB"], "s/MB"),
    }
}

/// A unit's name, for files that machines read.
pub fn name(unit: Unit) -> &'static str {
    match unit {
        Unit::Count => "count",
        Unit::Nanoseconds => "ns",
        Unit::Bytes => "bytes",
        Unit::PerSecond => "per second",
        Unit::BytesPerSecond => "bytes per second",
        Unit::Percent => "percent",
        Unit::NanosecondsPerMegabyte => "ns per megabyte",
    }
}

/// How many times, in two digits: "2.4 times".
pub fn factor(factor: f64) -> String {
    match factor {
        f if !f.is_finite() => "many times".into(),
        f if f >= 9.95 => format!("{} times", count(f.round())),
        f if f >= 0.995 => format!("{} times", digits((f * 10.0).round() / 10.0)),
        f => format!("{} times", digits((f * 100.0).round() / 100.0)),
    }
}

fn scaled(value: f64, step: f64, units: &[&str], last: &str) -> String {
    let mut value = value;
    for unit in units {
        // What rounds to a whole step is shown in the next unit.
        if value.abs() < step * 0.9995 {
            return format!("{} {unit}", digits(value));
        }
        value /= step;
    }
    format!("{} {last}", digits(value))
}

/// Three digits that matter: 0.123, 1.23, 12.3, 123, 1234.
fn digits(value: f64) -> String {
    let places = match value.abs() {
        v if v >= 99.95 || v == 0.0 => 0,
        v if v >= 9.995 => 1,
        v if v >= 0.9995 => 2,
        _ => 3,
    };
    let text = format!("{value:.places$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A whole number in groups of three digits; a small one with its fraction.
fn count(value: f64) -> String {
    if value.fract() != 0.0 && value.abs() < 1000.0 {
        return digits(value);
    }
    let plain = format!("{:.0}", value.abs());
    let mut grouped = String::new();
    for (i, digit) in plain.chars().enumerate() {
        if i > 0 && (plain.len() - i) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if value < 0.0 { format!("-{grouped}") } else { grouped }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_and_the_fitting_unit() {
        let shown = [0.0, 12.0, 999.9, 1234.0, 56_789.0, 999_999.0, 1.5e9];
        let expected = ["0 ns", "12 ns", "1 µs", "1.23 µs", "56.8 µs", "1 ms", "1.5 s"];
        assert_eq!(shown.map(|value| text(Unit::Nanoseconds, value)), expected);
        assert_eq!(text(Unit::Bytes, 65536.0), "64 KiB");
        assert_eq!(text(Unit::Count, 1_234_567.0), "1,234,567");
        assert_eq!(text(Unit::Count, 2.5), "2.5");
        assert_eq!(text(Unit::PerSecond, 100.0), "100/s");
        let factors = [0.951, 1.0, 2.44, 18.4, 12_345.6, f64::INFINITY].map(factor);
        assert_eq!(factors, ["0.95 times", "1 times", "2.4 times", "18 times", "12,346 times", "many times"]);
    }
}
