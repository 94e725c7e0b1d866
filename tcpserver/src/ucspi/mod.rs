//! The program tcpserver, with the command line, environment, log lines, messages and exit codes of ucspi-tcp 0.88's.
//!
//! | file | subject |
//! | --- | --- |
//! | `options.rs`, `table.rs` | the command line, from one table of options |
//! | `more.rs` | what ucspi-tcp does not have |
//! | `address.rs` | the host and the port that were named |
//! | `credentials.rs` | user and groups |
//! | `door.rs` | what becomes of an accepted connection |
//! | `lookup.rs` | names, asked for in a child |
//! | `view.rs` | the two ends, as the environment and the log show them |
//!
//! A connection takes one of two ways. Where no name is to be asked for, the supervisor decides and the child only
//! executes: it shares the supervisor's memory ([`crate::spawn`]). Where one is, a forked child asks and decides.

mod address;
mod credentials;
mod door;
mod lookup;
mod more;
mod options;
mod table;
mod view;

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;

use connection::Fd;

pub(crate) use door::Door;
pub use door::Service;

use crate::confine::{Confinement, confine};
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
    let tuning = Tuning { backlog: settings.backlog, no_delay: settings.no_delay, ..Tuning::default() };
    let listeners = match settings.more.listen.as_slice() {
        [] => {
            let address = Address::Tcp(address::find(&settings)?);
            let listener = Listener::open(&address, tuning);
            vec![listener.map_err(|(step, error)| Failure::system(step, &error.into()))?]
        }
        places => more::listeners(places, tuning)?,
    };
    // What is outside of a new root is opened before it.
    let log = match &settings.more.log {
        None => Log::new("tcpserver", Fd(2), settings.verbosity),
        Some(to) => Log::to_syslog("tcpserver", to, settings.verbosity)?,
    };
    confine(&Confinement { chroot: settings.more.chroot.clone(), identity: None })?;
    credentials::take_on(settings.uid, settings.gid)?;
    for limit in &settings.more.limits {
        limit.check()?;
    }
    let is_tcp = |listener: &Listener| match listener.address() {
        Address::Tcp(bound) => Some(*bound),
        Address::Unix(_) => None,
    };
    if settings.print_port
        && let Some(bound) = listeners.iter().find_map(is_tcp)
    {
        // Nobody may want to know: a closed descriptor 1 is no reason not to serve.
        let _ = io::stdout().write_all(format!("{}\n", bound.port()).as_bytes());
    }
    give_up_standard_input().map_err(|error| Failure::system("set up descriptors", &error))?;
    let mut log = if settings.more.accounting { log } else { log.without_accounting() };
    log.status(0, settings.limit);
    let limits = Limits { connections: settings.limit, drain: 0, memory_floor: 0 };
    let server = Server::over(listeners, limits, log).with(settings.more.policy());
    Ok(server.run(Mode::Ucspi(Box::new(Service::new(settings))), None, |_| ())?)
}

/// Whoever waits at the other ends of our descriptors 0 and 1 sees their end. Something else must be there, or the next
/// connection would be: a pipe without a writer, for there may be no /dev/null where we are.
fn give_up_standard_input() -> io::Result<()> {
    let (end, _) = io::pipe()?;
    nix::unistd::dup2_stdin(end.as_fd())?;
    Ok(nix::unistd::dup2_stdout(end.as_fd())?)
}
