//! addcr(1) and delcr(1): the ends of lines, from standard input to standard output.

use std::io::{self, stdin, stdout};

use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::unistd::{read, write};

use super::failure::Failure;
use super::lines::{DelCr, add_cr};
use crate::sys;

/// `addcr`: arguments mean nothing.
pub fn addcr() -> Result<(), Failure> {
    copy(add_cr)
}

/// `delcr`: arguments mean nothing.
pub fn delcr() -> Result<(), Failure> {
    let mut lines = DelCr::default();
    copy(|piece| if piece.is_empty() { lines.finish().to_vec() } else { lines.change(piece) })
}

/// Copies until the end, which is told by an empty piece; what has come is written before more is read.
fn copy(mut change: impl FnMut(&[u8]) -> Vec<u8>) -> Result<(), Failure> {
    // A reader that has gone ends us, as it ends other filters.
    sys::set_default(Signal::SIGPIPE).map_err(|_| Failure::told())?;
    let mut buffer = vec![0; 8192];
    loop {
        match read(stdin(), &mut buffer) {
            Ok(0) => return put(&change(b"")).map_err(|_| Failure::told()),
            Ok(len) => put(&change(&buffer[..len])).map_err(|_| Failure::told())?,
            Err(Errno::EINTR) => {}
            Err(_) => return Err(Failure::told()),
        }
    }
}

/// All of it to standard output, past the buffer that the standard library has there.
pub fn put(mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match write(stdout(), bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
