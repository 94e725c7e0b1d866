//! argv0(1): runs a program under another name.

use std::ffi::OsString;

use super::failure::Failure;
use super::program::run_as;

const PROGRAM: &str = "argv0";

/// `argv0 REALNAME ZERO [ARGUMENT ...]`.
pub fn run(mut arguments: impl Iterator<Item = OsString>) -> Result<(), Failure> {
    let file = arguments.next();
    let words: Vec<OsString> = arguments.collect();
    match file {
        Some(file) if !words.is_empty() => Err(run_as(PROGRAM, &file, words, std::env::vars_os())),
        _ => Err(Failure::usage(PROGRAM, "realname program [ arg ... ]")),
    }
}
