//! What was measured: while it is measured, as a table at the end, and raw.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::common::Result;

/// What is promised of a ratio.
#[derive(Clone, Copy)]
pub enum Goal {
    /// More is better: rates.
    AtLeast(f64),
    /// Less is better: times and sizes.
    AtMost(f64),
    /// Nothing: told for information.
    None,
}

/// Collects rows and samples.
#[derive(Default)]
pub struct Report {
    rows: Vec<String>,
    samples: String,
}

impl Report {
    /// What one contestant reached in each round of a row.
    pub fn rates(&mut self, row: &str, contestant: &str, rates: &[f64]) {
        let [least, median, most] = spread(rates);
        println!("  {contestant:50} {median:>9.0}/s ({least:.0} to {most:.0})");
        self.sample(row, contestant, rates);
    }

    /// Raw numbers for the file of samples.
    pub fn sample(&mut self, row: &str, contestant: &str, samples: &[f64]) {
        for (round, sample) in samples.iter().enumerate() {
            let _ = writeln!(self.samples, "{row},{contestant},{round},{sample}");
        }
    }

    /// A row of the table: ours against the reference, whose numbers come from the same rounds.
    pub fn compare(&mut self, title: &str, reference: &str, ours: &[f64], theirs: &[f64], goal: Goal) {
        let ratios: Vec<f64> = ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect();
        let [least, median, most] = spread(&ratios);
        let (target, verdict) = match goal {
            Goal::AtLeast(target) => (format!("{target:.2}"), verdict(median >= target)),
            Goal::AtMost(target) => (format!("at most {target:.2}"), verdict(median <= target)),
            Goal::None => (String::new(), ""),
        };
        println!("  ratio to {reference}: {median:.3} ({least:.3} to {most:.3}) {verdict}");
        self.rows.push(format!(
            "| {title} | {} | {reference} {} | {median:.2} | {least:.2} to {most:.2} | {target} | {verdict} |",
            number(spread(ours)[1]),
            number(spread(theirs)[1]),
        ));
    }

    /// A row that could not be measured.
    pub fn skip(&mut self, title: &str, reference: &str, target: f64) {
        self.rows.push(format!("| {title} | | {reference} | | | {target:.2} | skipped: not installed |"));
    }

    /// The table, in Markdown.
    pub fn print(&self) {
        println!("\n| work | ours | reference | ratio, median | range | target | |");
        println!("| --- | --- | --- | --- | --- | --- | --- |");
        self.rows.iter().for_each(|row| println!("{row}"));
    }

    /// Every number that was measured, as CSV.
    pub fn write_samples(&self, path: &Path) -> Result<()> {
        let text = format!("row,contestant,round,value\n{}", self.samples);
        fs::write(path, text).map_err(|error| format!("unable to write {}: {error}", path.display()))?;
        println!("\nsamples: {}", path.display());
        Ok(())
    }
}

fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "MISSED" }
}

fn number(n: f64) -> String {
    if n < 1000.0 { format!("{n:.1}") } else { format!("{n:.0}") }
}

/// Least, median and greatest.
fn spread(numbers: &[f64]) -> [f64; 3] {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
    let (low, high) = (at(sorted.len().saturating_sub(1) / 2), at(sorted.len() / 2));
    [at(0), f64::midpoint(low, high), at(sorted.len().saturating_sub(1))]
}

/// Where the numbers come from; and a warning when the machine has other things to do.
pub fn describe_machine() {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let info = read("/proc/cpuinfo");
    let field = |name: &str| info.lines().find(|line| line.starts_with(name)).and_then(|line| line.split(": ").nth(1));
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = read("/proc/sys/kernel/osrelease");
    println!("machine: {processors} × {}, Linux {}", field("model name").unwrap_or("?"), kernel.trim());
    let load = read("/proc/loadavg").split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(0.0);
    if load > 0.5 {
        println!(
            "WARNING: the machine is busy (load {load:.1} before we began): ratios will spread. Wait until it idles."
        );
    }
}
