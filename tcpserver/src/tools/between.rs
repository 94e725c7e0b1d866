//! A process of ours between the connection and a program: what recordio and fixcrio have in common.

use std::ffi::OsString;
use std::io::{stdin, stdout};
use std::os::fd::{AsFd, OwnedFd};

use nix::fcntl::OFlag;
use nix::unistd::{dup2_stdin, dup2_stdout, pipe2};

use super::failure::Failure;
use super::program;
use super::relay::{Way, relay};
use crate::sys::{self, Forked, OneThread};

/// What the process in between does to each piece, and to the empty one at the end: towards the program, and back.
pub struct Changes<'a> {
    pub piece: usize,
    pub input: &'a mut dyn FnMut(&[u8]) -> Vec<u8>,
    pub output: &'a mut dyn FnMut(&[u8]) -> Vec<u8>,
}

/// Executes `words` in this process, with descriptors 0 and 1 going through a child of it. The program so keeps the
/// process number by which a supervisor knows it. Returns only when that cannot be done.
pub fn run_between(program: &str, words: Vec<OsString>, changes: Changes<'_>) -> Failure {
    match set_up(changes) {
        Ok(()) => program::run(program, words),
        Err((what, error)) => Failure::system(program, what, "", error),
    }
}

fn set_up(changes: Changes<'_>) -> Result<(), (&'static str, std::io::Error)> {
    let make_pipe = || pipe2(OFlag::O_CLOEXEC).map_err(|error| ("unable to create pipe", error.into()));
    let (input, to_program) = make_pipe()?;
    let (from_program, output) = make_pipe()?;
    // Nothing in these programs starts a thread.
    let one_thread = OneThread::check().map_err(|_| ("unable to fork", std::io::ErrorKind::Deadlock.into()))?;
    match sys::fork(&one_thread).map_err(|error| ("unable to fork", error))? {
        Forked::Child => {
            drop((input, output));
            // What would leave a descriptor of the connection open in this process would hold up its end.
            if let Some((connection_in, connection_out)) = take_standard() {
                let mut first = Way::new(connection_in, to_program, changes.piece, changes.input);
                let mut second = Way::new(from_program, connection_out, changes.piece, changes.output);
                relay(&mut first, &mut second);
            }
            sys::exit(0)
        }
        Forked::Parent(_) => {
            let moved = dup2_stdin(&input).and_then(|()| dup2_stdout(&output));
            moved.map_err(|error| ("unable to move descriptors", error.into()))
        }
    }
}

/// Descriptors 0 and 1 as our own; they themselves are closed.
fn take_standard() -> Option<(OwnedFd, OwnedFd)> {
    let connection_in = stdin().as_fd().try_clone_to_owned().ok()?;
    let connection_out = stdout().as_fd().try_clone_to_owned().ok()?;
    sys::close(0);
    sys::close(1);
    Some((connection_in, connection_out))
}
