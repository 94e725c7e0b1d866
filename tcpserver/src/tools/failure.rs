//! How a program ends that could not do its work.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

use crate::rules::reason::reason;

/// An exit code, and what is said on standard error before it: whole lines.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure {
    pub code: u8,
    pub lines: Vec<u8>,
}

impl Failure {
    /// 100: wrong usage.
    pub fn usage(program: &str, usage: &str) -> Failure {
        Failure { code: 100, lines: format!("{program}: usage: {program} {usage}\n").into_bytes() }
    }

    /// 111: `PROGRAM: fatal: WHAT OBJECT`.
    pub fn fatal(program: &str, what: &str, object: impl AsRef<OsStr>) -> Failure {
        let object = object.as_ref().as_bytes();
        Failure { code: 111, lines: [program.as_bytes(), b": fatal: ", what.as_bytes(), object, b"\n"].concat() }
    }

    /// 111: `PROGRAM: fatal: WHAT OBJECT: reason`.
    pub fn system(program: &str, what: &str, object: impl AsRef<OsStr>, error: impl Into<io::Error>) -> Failure {
        let mut failure = Failure::fatal(program, what, object);
        failure.lines.pop();
        failure.lines.extend([b": ", reason(&error.into()).as_bytes(), b"\n"].concat());
        failure
    }

    /// 111, and all has been said.
    pub fn told() -> Failure {
        Failure { code: 111, lines: Vec::new() }
    }
}

/// Text on standard error, in one piece. When it cannot be written there is nobody to tell.
pub fn say(text: impl AsRef<[u8]>) {
    let _ = io::stderr().write_all(text.as_ref());
}

/// The exit code of a program that has come to its end.
pub fn end(result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { code, lines }) => {
            say(lines);
            ExitCode::from(code)
        }
    }
}
