//! The protocols that a connection can speak.
//!
//! The same code is called as a function in a forked child and is the whole of a freestanding executable that a
//! super-server starts. Therefore no `std`, no allocation and no libc here, only system calls: what runs between fork and
//! exit then takes no lock, touches no allocator and flushes nothing.
//!
//! [`PROTOCOLS`] is the table of what there is and of the options that each takes; [`Service`] is any one of them, ready
//! to serve. Each protocol is also a type of its own ([`Open`]), so that an executable holds one protocol's code alone.

#![no_std]

mod calls;
pub mod chargen;
mod date;
pub mod daytime;
pub mod discard;
pub mod echo;
#[cfg(fuzzing)]
pub mod fuzz;
pub mod http;
mod io;
mod lines;
pub mod options;
mod refusal;
mod service;
mod text;
pub mod time;

pub use calls::calls;
pub use options::{FLAGS, Invalid, Opt, Protocol, Settings};
pub use service::{FULL, Open, OpenError, Service};
pub use text::{Text, numbered};

/// Every protocol, in the order in which help shows them.
pub const PROTOCOLS: &[Protocol] =
    &[http::PROTOCOL, echo::PROTOCOL, discard::PROTOCOL, daytime::PROTOCOL, time::PROTOCOL, chargen::PROTOCOL];

/// The protocol of that name.
#[must_use]
pub fn protocol(name: &str) -> Option<&'static Protocol> {
    PROTOCOLS.iter().find(|protocol| protocol.name == name)
}
