//! `tine status`: what the services of this machine do, read from their scoreboards without their having any part in it.
//!
//! A scoreboard is found among the descriptors of its supervisor, in /proc: so only who may look at that process finds
//! it, root or the user who started it. Nothing that is read is trusted: a child writes its own page, and any process
//! can make memory of that name.

mod find;
mod show;

use std::io::{self, IsTerminal, Write};
use std::thread;
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);

/// What was typed.
pub struct Status {
    pid: Option<u32>,
    json: bool,
    once: bool,
}

/// The command.
pub fn command() -> Command {
    let flag = |name: &'static str, help| Arg::new(name).long(name).action(ArgAction::SetTrue).help(help);
    Command::new("status")
        .about("Show what the services of this machine do")
        .long_about(
            "Show what the services of this machine do: each that `tine serve` runs and that you may look at, root all \
             of them, others their own. To a terminal it is a table that is renewed each second.",
        )
        .override_usage("tine status [OPTIONS] [PID]")
        .arg(
            Arg::new("pid")
                .value_name("PID")
                .value_parser(value_parser!(u32).range(1..))
                .help("Only the service with this process"),
        )
        .args([
            flag("json", "One object, with every child, once"),
            flag("once", "Once, and not every second; as when stdout is no terminal"),
        ])
}

impl Status {
    /// Takes what was typed.
    pub fn from_matches(matches: &ArgMatches) -> Self {
        let flag = |name| matches.get_flag(name);
        Status { pid: matches.get_one("pid").copied(), json: flag("json"), once: flag("once") }
    }
}

/// Does what was asked. The error is a message of one line.
pub fn run(asked: &Status) -> Result<(), String> {
    let mut services = Vec::new();
    loop {
        services = find::services(asked.pid, services)?;
        if asked.json {
            write(&show::json(&services));
            return Ok(());
        }
        let table: String = services.iter().map(show::table).collect();
        if asked.once || !io::stdout().is_terminal() {
            write(&table);
            return Ok(());
        }
        // To the upper left, and everything below is gone.
        if !write(&format!("\x1b[H\x1b[2J{table}")) {
            return Ok(());
        }
        thread::sleep(EVERY);
    }
}

/// Writes all of it, unless whoever reads has left, which is no error.
fn write(text: &str) -> bool {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_ok()
}
