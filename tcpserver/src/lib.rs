//! A supervisor of one process for each connection, as a library.
//!
//! The modules are the life of a connection, in order:
//!
//! ```text
//! listen -> admit -> spawn (fork | vfork | prefork) -> the handler -> reap -> log
//! ```
//!
//! [`Server::bind`] makes the listening sockets, [`confine::confine`] gives up what is not needed any more, and
//! [`Server::run`] supervises until it is told to stop. What a connection is served by is a [`Mode`]: a
//! [`connection::Handler`] called in a forked child, or a program executed with the socket on its descriptors 0 and 1.
//! This crate names no protocol.
//!
//! The process that calls [`Server::run`] must have one thread: it forks.

pub mod admit;
mod builder;
pub mod children;
pub mod confine;
pub mod environ;
pub mod error;
pub mod gate;
mod hold;
pub mod inherit;
pub mod lifetime;
pub mod listen;
pub mod log;
pub mod memory;
pub mod metrics;
pub mod names;
pub mod notify;
pub mod porter;
pub mod proxy;
pub mod reap;
mod reaper;
mod reload;
pub mod resources;
pub mod restart;
pub mod room;
pub mod rules;
pub mod sandbox;
mod saturation;
pub mod scoreboard;
pub mod server;
pub mod signals;
pub mod spawn;
mod stop;
mod stream;
mod supervise;
#[allow(unsafe_code, reason = "the one place of this crate where system calls without a safe form are made")]
mod sys;
pub mod syslog_sink;
pub mod tools;
pub mod ucspi;
pub mod upgrade;
pub mod window;

pub use builder::Builder;
pub use connection::{Connection, Handler, Outcome};
pub use error::Error;
pub use listen::{Address, Listener, Tuning};
pub use log::Log;
pub use restart::Restart;
pub use server::{Limits, Server};
pub use spawn::{Mode, PoolSize, Program, alarm_clock, child_host};
pub use stream::Stream;
pub use sys::{counters, write_all};
pub use window::Window;
