//! Clients behind a balancer: the PROXY protocol, by which it says whose connection this is.
//!
//! A connection from a network that is trusted begins with a header and is nobody's until that is there; rules, limits,
//! log and program then see the client that it names. It is never guessed whether there is a header: the client could
//! write one too, and be whoever it likes.

pub mod header;
mod pending;

use std::str::FromStr;

pub(crate) use pending::Pending;

use crate::gate::Networks;
use crate::sys;

/// Where headers are expected.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Connections that begin with none are not served, wherever they come from. Otherwise those that do not come from
    /// a trusted network are the clients' own.
    pub required: bool,
    /// The balancers.
    pub from: Trusted,
    /// Seconds for a header to arrive.
    pub timeout: u32,
}

/// Whose headers are believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trusted {
    networks: Networks,
    unix: bool,
}

impl Trusted {
    /// Adds a network, or `unix` for whoever connects to a Unix socket.
    pub fn add(&mut self, text: &str) -> Result<(), String> {
        if text == "unix" {
            self.unix = true;
            return Ok(());
        }
        self.networks.add(text).map_err(|error| format!("{error}, or unix"))
    }

    /// Whether nobody is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.networks.is_empty() && !self.unix
    }

    fn contain(&self, peer: sys::Peer) -> bool {
        peer.map_or(self.unix, |peer| self.networks.contain(peer.ip()))
    }
}

/// Whether headers are expected, as a word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Nowhere.
    #[default]
    Off,
    /// From trusted networks; others are clients themselves.
    Optional,
    /// On every connection.
    Required,
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Mode::Off),
            "optional" => Ok(Mode::Optional),
            "required" => Ok(Mode::Required),
            _ => Err("expected off, optional or required".into()),
        }
    }
}
