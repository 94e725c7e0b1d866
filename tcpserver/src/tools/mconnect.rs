//! mconnect(1): talks to an SMTP server, and mconnect-io, its half behind the connection.

use std::ffi::OsString;
use std::io::{stdin, stdout};
use std::os::fd::{AsFd, OwnedFd};

use super::dial::{self, Dialer};
use super::failure::Failure;
use super::lines::add_cr;
use super::relay::{Way, relay};
use crate::names::Resolver;
use crate::sys;

/// Twice this is what poll(2) promises room for in a pipe.
const PIECE: usize = 2048;

/// `mconnect [HOST [PORT]]`.
pub fn run(mut arguments: impl Iterator<Item = OsString>) -> Result<(), Failure> {
    let host = arguments.next().unwrap_or_else(|| "0".into());
    let port = dial::port(&arguments.next().unwrap_or_else(|| "25".into()))?;
    let (socket, _) = Dialer::default().dial(&Resolver::from_system(), &host.to_string_lossy(), port)?;
    let other = socket.try_clone().map_err(|error| Failure::system("mconnect", "unable to go on", "", error))?;
    talk("mconnect", socket, other)
}

/// `mconnect-io`: with the connection on descriptors 6 and 7, as tcpclient(1) leaves it.
pub fn io() -> Result<(), Failure> {
    const PROGRAM: &str = "mconnect-io";
    let from =
        sys::duplicate(6, 8).map_err(|error| Failure::system(PROGRAM, "unable to use descriptor 6", "", error))?;
    let to = sys::duplicate(7, 8).map_err(|error| Failure::system(PROGRAM, "unable to use descriptor 7", "", error))?;
    talk(PROGRAM, from, to)
}

/// Standard input to the server, with a CR at the end of each line; what the server says to standard output. It is over
/// when the server says so, not when there is no more input.
fn talk(program: &str, from: OwnedFd, to: OwnedFd) -> Result<(), Failure> {
    let unable = |error| Failure::system(program, "unable to go on", "", error);
    let input = stdin().as_fd().try_clone_to_owned().map_err(unable)?;
    let output = stdout().as_fd().try_clone_to_owned().map_err(unable)?;
    let (mut towards, mut back) = (add_cr, <[u8]>::to_vec);
    relay(&mut Way::new(input, to, PIECE, &mut towards), &mut Way::new(from, output, PIECE, &mut back));
    Ok(())
}
