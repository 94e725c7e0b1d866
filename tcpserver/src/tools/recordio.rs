//! recordio(1): runs a program and records on standard error what it reads and writes.

use std::ffi::OsString;

use super::between::{Changes, run_between};
use super::failure::{Failure, say};

const PROGRAM: &str = "recordio";

/// A record is at most as long as a write to a pipe is atomic for: 256 bytes and what stands around them.
const PIECE: usize = 256;

/// `recordio PROGRAM [ARGUMENT ...]`.
pub fn run(arguments: impl Iterator<Item = OsString>) -> Result<(), Failure> {
    let words: Vec<OsString> = arguments.collect();
    if words.is_empty() {
        return Err(Failure::usage(PROGRAM, "program [ arg ... ]"));
    }
    // The program becomes this process.
    let pid = std::process::id();
    let mut input = |piece: &[u8]| record(pid, '<', piece);
    let mut output = |piece: &[u8]| record(pid, '>', piece);
    Err(run_between(PROGRAM, words, Changes { piece: PIECE, input: &mut input, output: &mut output }))
}

/// Says what goes by, each line in one write, and lets it go by.
fn record(pid: u32, direction: char, piece: &[u8]) -> Vec<u8> {
    let mut rest = piece;
    if piece.is_empty() {
        say(format!("{pid} {direction} [EOF]\n"));
    }
    while !rest.is_empty() {
        let head = format!("{pid} {direction} ");
        let end = rest.iter().position(|&byte| byte == b'\n');
        let (line, tail): (_, &[u8]) = match end {
            Some(end) => (&rest[..end], b" \n"),
            None => (rest, b"+\n"),
        };
        say([head.as_bytes(), line, tail].concat());
        rest = end.map_or(&[], |end| &rest[end + 1..]);
    }
    piece.to_vec()
}
