//! Programs that a handler wants to be run: what they are started with, and how they are let go.
//!
//! A handler names no process. It says what is to be executed with which descriptors; whoever called it starts that, and
//! whatever the program itself starts, and sees to it that all of it is gone when the handler lets go.

use core::ffi::CStr;

use crate::Fd;

/// What is to be executed, and what it finds.
#[derive(Clone, Copy)]
pub struct Script<'a> {
    /// The directory that it is executed in.
    pub directory: Fd,
    /// The executable, relative to that directory.
    pub path: &'a CStr,
    /// Its arguments behind the first, which is `path`: each with a NUL at its end.
    pub arguments: &'a [u8],
    /// Its whole environment, `NAME=value`, each with a NUL at its end.
    pub environment: &'a [u8],
    /// Becomes descriptor 0.
    pub input: Fd,
    /// Becomes descriptor 1.
    pub output: Fd,
    /// Becomes descriptor 2.
    pub errors: Fd,
}

/// A program that was started. It must be given back to [`Programs::end`], once.
#[derive(Debug)]
#[must_use = "its processes and a descriptor stay until it is ended"]
pub struct Started {
    /// Its other end closes when the program has ended and all that it left behind is gone: poll(2) tells. When this end
    /// closes, by [`Programs::end`] or because this process has died, all of that is ended.
    pub lifeline: Fd,
    /// The process that sees to it.
    pub keeper: i32,
}

/// How programs are started and ended.
#[derive(Clone, Copy, Debug)]
pub struct Programs {
    /// Starts one; an error is errno(3). The descriptors that it gets are numbers above 2 and stay open here. It finds
    /// default signals, and no other descriptor.
    pub start: fn(&Script<'_>) -> Result<Started, i32>,
    /// Ends it, if it has not ended, with every process that came of it, and waits until they are gone. Says how it
    /// ended, as shells do: its exit status, 126 when it could not be executed, 128 and the signal's number.
    pub end: fn(Started) -> i32,
}
