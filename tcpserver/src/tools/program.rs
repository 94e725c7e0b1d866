//! Becoming another program, as the programs of ucspi-tcp do.

use std::env;
use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::unistd::execve;

use super::failure::Failure;
use crate::sys;

/// Executes `words[0]` with the words as its arguments and this process's environment. Returns only when it cannot.
pub fn run(program: &str, words: Vec<OsString>) -> Failure {
    let Some(file) = words.first().cloned() else { return Failure::told() };
    run_as(program, &file, words, env::vars_os())
}

/// Executes `file` with `words` as its arguments, the name it is called by included, and with an environment. Returns
/// only when it cannot.
///
/// A name without a slash is looked for in PATH, or in /bin and /usr/bin without one. The search goes on behind a file
/// that may not be executed, and ends at one that cannot be: no shell runs what the kernel does not know.
pub fn run_as(
    program: &str,
    file: &OsStr,
    words: Vec<OsString>,
    environment: impl Iterator<Item = (OsString, OsString)>,
) -> Failure {
    let error = execute(file, words, environment).err().unwrap_or(Errno::EINVAL);
    Failure::system(program, "unable to run ", file, io::Error::from(error))
}

fn execute(
    file: &OsStr,
    words: Vec<OsString>,
    environment: impl Iterator<Item = (OsString, OsString)>,
) -> nix::Result<()> {
    let string = |bytes: Vec<u8>| CString::new(bytes).map_err(|_| Errno::EINVAL);
    let words = words.into_iter().map(|word| string(word.into_vec())).collect::<nix::Result<Vec<_>>>()?;
    let environment = environment
        .map(|(name, value)| string([name.as_bytes(), b"=", value.as_bytes()].concat()))
        .collect::<nix::Result<Vec<_>>>()?;
    // Rust's start-up has it ignored.
    sys::set_default(Signal::SIGPIPE)?;
    if file.as_bytes().contains(&b'/') {
        return execve(&string(file.as_bytes().to_vec())?, &words, &environment).map(drop);
    }
    let path = env::var_os("PATH").unwrap_or_else(|| OsString::from("/bin:/usr/bin"));
    let mut failure = Errno::ENOENT;
    for place in path.as_bytes().split(|&byte| byte == b':') {
        let place: &[u8] = if place.is_empty() { b"." } else { place };
        match execve(&string([place, b"/", file.as_bytes()].concat())?, &words, &environment) {
            Err(Errno::ENOENT) => {}
            Err(error @ (Errno::EACCES | Errno::EPERM | Errno::EISDIR)) => failure = error,
            Err(error) => return Err(error),
        }
    }
    Err(failure)
}
