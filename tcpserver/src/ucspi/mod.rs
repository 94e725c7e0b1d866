//! The program tcpserver, with the command line, environment, log lines, messages and exit codes of ucspi-tcp 0.88's.
//!
//! | file | subject |
//! | --- | --- |
//! | `options.rs`, `table.rs` | the command line, from one table of options |
//! | `address.rs` | the host and the port that were named |
//! | `credentials.rs` | user and groups |
//! | `door.rs` | what becomes of an accepted connection |
//! | `lookup.rs` | names, asked for in a child |
//! | `view.rs` | the two ends, as the environment and the log show them |
//! | `rulefile.rs` | the rules, kept open while their file stays the same |
//!
//! A connection takes one of two ways. Where no name is to be asked for, the supervisor decides and the child only
//! executes: it shares the supervisor's memory ([`crate::spawn`]). Where one is, a forked child asks and decides.

mod address;
mod credentials;
mod door;
mod lookup;
mod options;
mod rulefile;
mod table;
mod view;

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;

use connection::Fd;

pub(crate) use door::Door;
pub use door::Service;

use crate::error::Error;
use crate::listen::{Address, Listener, Tuning};
use crate::log::{Log, Verbosity};
use crate::rules::reason::reason;
use crate::server::{Limits, Server};
use crate::spawn::Mode;
use options::{Command, Settings};

/// Why there is no service: the exit status, and what is said behind `tcpserver: `.
struct Failure {
    status: u8,
    /// Whole lines but for the program's name in front of each.
    message: String,
}

impl Failure {
    /// 111: `fatal: WHAT`.
    fn fatal(what: impl std::fmt::Display) -> Failure {
        Failure { status: 111, message: format!("fatal: {what}") }
    }

    /// 111: `fatal: unable to VERB: reason`, in the words of 0.88.
    fn system(verb: &str, error: &io::Error) -> Failure {
        Failure::fatal(format_args!("unable to {verb}: {}", reason(error)))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::fatal(error)
    }
}

/// `tcpserver [OPTIONS] HOST PORT PROGRAM...`; the first of the arguments is the name that it was called by.
pub fn tcpserver(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let mut arguments = arguments.collect::<Vec<_>>().into_iter();
    let own_name = arguments.next().unwrap_or_default();
    let settings = match options::parse(arguments) {
        Ok(Command::Serve(settings)) => *settings,
        Ok(Command::Help) => return print_help(),
        Err(wrong) => {
            let _ = io::stderr().write_all(&wrong.message(&own_name));
            return ExitCode::from(100);
        }
    };
    let verbosity = settings.verbosity;
    match serve(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { status, message }) => {
            if verbosity > Verbosity::Silent {
                let _ = io::stderr().write_all(format!("tcpserver: {message}\n").as_bytes());
            }
            ExitCode::from(status)
        }
    }
}

fn print_help() -> ExitCode {
    match io::stdout().write_all(options::help().as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(111),
    }
}

/// The order is that of 0.88: nothing is given up before the socket is there, and nothing is said before it listens.
fn serve(settings: Settings) -> Result<(), Failure> {
    let address = address::find(&settings)?;
    let tuning = Tuning { backlog: settings.backlog, no_delay: settings.no_delay, ..Tuning::default() };
    let listener =
        Listener::open(&Address::Tcp(address), tuning).map_err(|(step, error)| Failure::system(step, &error.into()))?;
    credentials::take_on(settings.uid, settings.gid)?;
    if settings.print_port
        && let Address::Tcp(bound) = listener.address()
    {
        // Nobody may want to know: a closed descriptor 1 is no reason not to serve.
        let _ = io::stdout().write_all(format!("{}\n", bound.port()).as_bytes());
    }
    give_up_standard_input()?;
    let mut log = Log::new("tcpserver", Fd(2), settings.verbosity).without_accounting();
    log.status(0, settings.limit);
    let limits = Limits { connections: settings.limit, drain: 0 };
    let server = Server::over(vec![listener], limits, log);
    Ok(server.run(Mode::Ucspi(Service::new(settings)), None, |_| ())?)
}

/// Whoever waits at the other ends of our descriptors 0 and 1 sees their end. Something else must be there, or the next
/// connection would be.
fn give_up_standard_input() -> Result<(), Failure> {
    let null: File = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/null")
        .map_err(|error| Failure::system("open /dev/null", &error))?;
    nix::unistd::dup2_stdin(null.as_fd())
        .and_then(|()| nix::unistd::dup2_stdout(null.as_fd()))
        .map_err(|error| Failure::system("set up descriptors", &error.into()))
}
