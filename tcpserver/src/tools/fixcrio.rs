//! fixcrio(1): runs a program and completes the ends of lines that it reads and writes.

use std::ffi::OsString;

use super::between::{Changes, run_between};
use super::failure::Failure;
use super::lines::FixCr;

const PROGRAM: &str = "fixcrio";

/// Twice this is what poll(2) promises room for in a pipe.
const PIECE: usize = 2048;

/// `fixcrio PROGRAM [ARGUMENT ...]`.
pub fn run(arguments: impl Iterator<Item = OsString>) -> Result<(), Failure> {
    let words: Vec<OsString> = arguments.collect();
    if words.is_empty() {
        return Err(Failure::usage(PROGRAM, "program [ arg ... ]"));
    }
    let (mut towards, mut back) = (FixCr::default(), FixCr::default());
    let mut input = |piece: &[u8]| towards.change(piece);
    let mut output = |piece: &[u8]| back.change(piece);
    Err(run_between(PROGRAM, words, Changes { piece: PIECE, input: &mut input, output: &mut output }))
}
