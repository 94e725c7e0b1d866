//! Names of hosts and of connections' owners, asked for where they are needed: in the child, with a deadline.
//!
//! A static executable has no name service switch, so [`Resolver`] reads hosts(5) and asks the servers of resolv.conf(5)
//! itself, over UDP and, where an answer does not fit, TCP (RFC 1035). [`ident`] asks the other end's host who owns a
//! connection (RFC 1413). Messages are taken apart by the crate `domain`; what is decided here is whom to ask, how long
//! to wait and what to believe.
//!
//! Nothing here starts a thread, keeps a descriptor or outlives its [`Deadline`]. Whatever an answer contains, the names
//! made of it have no blanks, control characters or bytes above 126 in them.

mod connect;
mod deadline;
mod exchange;
mod hosts;
mod ident;
mod message;
mod resolver;
mod services;
mod settings;

pub use connect::{Stream, connect, socket_for};
pub use deadline::Deadline;
pub use ident::ident;
pub use resolver::{Family, Resolver};
pub use services::port_of;
pub use settings::Settings;
