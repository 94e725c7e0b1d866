//! Processes that experiments start beside their own, from the same executable: `tine bench-role NAME ARGUMENTS`.
//!
//! They are dispatched before the command line is parsed, so that what they do to memory is all there is in it: a process
//! that forks is as small as a Rust program can be.

use std::env;
use std::process::{Command, ExitCode};

use super::recorder::Recorder;
use super::trouble::{Trouble, trouble};
use super::{http, spawn};

/// What such a process does.
pub struct Role {
    /// Its name, for [`command`].
    pub name: &'static str,
    /// Gets the arguments behind the name. What it records goes to its stdout.
    pub run: fn(&[String], &mut Recorder) -> Result<(), Trouble>,
}

/// All of them, by experiment.
const ALL: &[&[Role]] = &[&spawn::ROLES, &[http::ROLE]];

/// The word in the place of a subcommand.
pub const WORD: &str = "bench-role";

/// Runs a role, if this process was started for one.
pub fn run_role() -> Option<ExitCode> {
    let mut arguments = env::args();
    if arguments.nth(1)? != WORD {
        return None;
    }
    let name = arguments.next().unwrap_or_default();
    let mut recorder = Recorder::default();
    let rest: Vec<String> = arguments.collect();
    let done = match ALL.iter().copied().flatten().find(|role| role.name == name) {
        Some(role) => (role.run)(&rest, &mut recorder),
        None => Err(Trouble::new("run", format_args!("the role '{name}'"), "there is none")),
    };
    Some(match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            recorder.trouble(&trouble);
            ExitCode::FAILURE
        }
    })
}

/// A command that runs this executable in a role. Its stdin is empty; its stdout is this process's, so that what it
/// records goes where this process's records go, unless the caller chooses otherwise. The role should begin with
/// `sys::end_with_parent`.
pub fn command(name: &str) -> Result<Command, Trouble> {
    let own = env::current_exe().map_err(trouble("find", "this program"))?;
    let mut command = Command::new(own);
    command.args([WORD, name]).stdin(std::process::Stdio::null());
    Ok(command)
}

/// Runs a command of [`command`] to its end, which must be a good one. Records of this process should be flushed before.
pub fn complete(command: &mut Command, what: &str) -> Result<(), Trouble> {
    let status = command.status().map_err(trouble("start", what))?;
    if status.success() { Ok(()) } else { Err(Trouble::new("run", what, status)) }
}
