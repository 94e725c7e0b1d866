//! `cargo bench --bench scale -- [COUNT] [--servers A,B]`: so many connections held, a process each.
//!
//! Client processes hold COUNT connections to each server in turn: most idle after a request that was answered, every
//! tenth in the middle of a request of which it sends a byte now and then. Told are the time until all are held, the memory
//! that each takes (both ends' sockets, processes and kernel), how long a new client waits for a small page beside them,
//! against how long it waited before, and how the attack ends: how soon the processes are gone when the clients hang up,
//! whether one is left a zombie, and how soon the server stops.
//!
//! Limits of the kernel that are too low are raised for the time of the run, and put back; as somebody else than root, or
//! where one cannot be raised, the run ends with a line that names it.

#[path = "../common/mod.rs"]
mod common;
mod hold;
mod limits;
mod memory;
#[path = "../common/nginx.rs"]
mod nginx;
mod report;
mod run;
mod subject;

use std::process::ExitCode;

use common::Result;

const USAGE: &str = "usage: cargo bench --bench scale -- [COUNT] [--servers A,B] [--seconds N]
  COUNT          connections that are held (10000)
  --servers A,B  these alone:";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let outcome = match words.split_first() {
        Some((role, rest)) if role == hold::ROLE => hold::run(rest),
        _ => scale(&words),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("scale: fatal: {message}");
            ExitCode::FAILURE
        }
    }
}

fn scale(words: &[String]) -> Result<()> {
    let (mut count, mut wanted, mut seconds) = (10_000, Vec::new(), 300);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} wants a value"));
        match word.as_str() {
            "--servers" => wanted = value()?.split(',').map(str::to_owned).collect(),
            "--seconds" => seconds = value()?.parse().map_err(|_| "--seconds wants a number")?,
            "--help" => {
                println!("{USAGE} {}", subject::names().join(" "));
                println!("  --seconds N    how long the clients try (300)");
                return Ok(());
            }
            number => count = number.parse().map_err(|_| format!("{number} is not a number: see --help"))?,
        }
    }
    if let Some(unknown) = wanted.iter().find(|name| !subject::names().contains(&name.as_str())) {
        return Err(format!("there is no server {unknown}: see --help"));
    }
    if count < 100 {
        return Err(format!("{count} connections tell nothing: 100 or more"));
    }
    let interrupted = run::on_interrupt()?;
    // Put back when this value goes.
    let _raised = limits::raise(count)?;
    let place = subject::Place::prepare()?;
    let mut report = report::Report::begin(count);
    for subject in subject::ALL.iter().filter(|s| wanted.is_empty() || wanted.iter().any(|name| name == s.name)) {
        let room = limits::room(subject, count);
        match room.and_then(|()| run::measure(subject, count, seconds, &place, &interrupted)) {
            Ok(Some(row)) => report.row(&row),
            Ok(None) => println!("SKIPPED: {} is not installed", subject.name),
            Err(message) => println!("{}: FAILED: {message}", subject.name),
        }
        run::check(&interrupted)?;
    }
    report.end(&place.directory.join("scale.csv"))
}
