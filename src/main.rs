//! The `tine` command: parse, run, exit code.

mod bench;
mod cli;
mod completions;
mod limits;
mod pool;
mod sandbox;
mod serve;
mod settings;
mod site;
mod sockets;
mod status;
mod watching;

use std::process::ExitCode;

/// Wrong usage, and a failure that may pass: ucspi-tcp's exit codes.
const USAGE: u8 = 100;
const TEMPORARY: u8 = 111;

fn main() -> ExitCode {
    if let Some(code) = bench::run_role() {
        return code;
    }
    let settings = match cli::parse(std::env::args_os()) {
        Ok(cli::Request::Serve(settings)) => settings,
        Ok(cli::Request::Bench(settings)) => {
            return bench::run(&settings, print).unwrap_or_else(|trouble| fatal(&trouble.to_string(), TEMPORARY));
        }
        Ok(cli::Request::Status(asked)) => {
            return status::run(&asked).map_or_else(|error| fatal(&error, TEMPORARY), |()| ExitCode::SUCCESS);
        }
        Ok(cli::Request::Text(text)) => {
            print(&text);
            return ExitCode::SUCCESS;
        }
        Err(message) => return fatal(&message, USAGE),
    };
    match serve::run(&settings) {
        Ok(code) => code,
        Err(error) => fatal(&error.to_string(), TEMPORARY),
    }
}

/// One line on stderr, in one write.
fn fatal(message: &str, code: u8) -> ExitCode {
    // What was typed may be anything; a log line is one line.
    let clean: String = message.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    let line = format!("tine: fatal: {clean}\n");
    // Without a stderr there is nobody to tell; the exit code remains.
    let _ = nix::unistd::write(std::io::stderr(), line.as_bytes());
    ExitCode::from(code)
}

/// Text for stdout. A reader that left early is no error.
fn print(text: &str) {
    let _ = nix::unistd::write(std::io::stdout(), text.as_bytes());
}
