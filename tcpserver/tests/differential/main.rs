//! Promise: our tcpserver is that of ucspi-tcp 0.88 for a program, a client and a reader of the log, but for what
//! [`differences`] lists, which is what the manual lists.
//!
//! A [`case`] is a command line, an environment, a program and what clients do. It is run with both implementations, and
//! what comes of it is written down as a [`story`], with ports and process numbers replaced by names: what the clients
//! received, all that the kernel tells about the program ([`program`]), the log, the exit status. Equal stories pass.

#[path = "../../../tests/common/mod.rs"]
mod common;

#[allow(dead_code, reason = "shared with the tests of names, and this one uses a part of it")]
#[path = "../common/dns.rs"]
mod dns;

mod case;
mod program;
mod story;

mod differences;
mod environment;
mod harness;
mod ipv6;
mod limits;
mod names;
mod options;
mod random;
mod rules;
mod signals;
mod usage;
