//! What is done with both implementations.

use std::{
    env,
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
};

use nix::sys::signal::Signal;

use crate::common::{self, peer, peers};

/// Whose tcpserver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// That of ucspi-tcp 0.88, as Debian has it.
    Original,
    /// That with Felix von Leitner's patch for IPv6, as Debian has it in the package `ucspi-tcp-ipv6`.
    Patched,
    Ours,
}

impl Whose {
    /// The executable. `None`, after saying so, when the original is not installed.
    ///
    /// What these tests expect is proved on the original with `TCPSERVER_UNDER_TEST=/usr/bin/tcpserver`, which stands in
    /// for ours then: all pass, but those of the differences.
    pub fn program(self) -> Option<PathBuf> {
        match self {
            Whose::Original => peer("tcpserver"),
            Whose::Patched => patched(),
            Whose::Ours => match env::var_os("TCPSERVER_UNDER_TEST") {
                Some(path) => Some(path.into()),
                None => Some(common::built("tcpserver")),
            },
        }
    }
}

/// What a client does, one after another.
#[derive(Clone, Debug)]
pub enum Act {
    /// Says a line to a program that sends it back, and while that waits for more the kernel is asked about it.
    Look { from: IpAddr },
    /// Says this and nothing more, and takes what comes.
    Talk { from: IpAddr, say: &'static str },
    /// Says a line to a program that sends it back, and stays until the supervisor has ended.
    Stay { from: IpAddr },
}

/// A command line and what is done with it.
#[derive(Clone, Debug)]
pub struct Case {
    /// Shell commands before the supervisor is executed in their place.
    pub prelude: &'static str,
    /// The whole environment, but PATH.
    pub env: Vec<(String, String)>,
    pub options: Vec<String>,
    pub place: [&'static str; 2],
    pub program: Vec<String>,
    /// The text of rules.cdb, which lies in the working directory.
    pub rules: Option<&'static str>,
    pub acts: Vec<Act>,
    /// What ends the supervisor.
    pub end: Signal,
}

/// The address that clients have unless a case says another.
pub const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Options that keep tcpserver from looking up names, with a log of everything.
pub const PLAIN: &str = "-vRHl0";

impl Case {
    /// A case of these options, which are split at blanks, for a program that sends back what it gets, and one client.
    pub fn new(options: &str) -> Case {
        Case {
            prelude: "",
            env: Vec::new(),
            options: options.split_whitespace().map(String::from).collect(),
            place: ["127.0.0.1", "0"],
            program: vec!["cat".into()],
            rules: None,
            acts: vec![Act::Look { from: CLIENT }],
            end: Signal::SIGTERM,
        }
    }

    /// With one more option, which may have blanks in it.
    pub fn option(mut self, word: &str) -> Case {
        self.options.push(word.into());
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Case {
        self.env.push((name.into(), value.into()));
        self
    }

    pub fn prelude(mut self, text: &'static str) -> Case {
        self.prelude = text;
        self
    }

    pub fn place(mut self, host: &'static str, port: &'static str) -> Case {
        self.place = [host, port];
        self
    }

    /// Starts this program, which does not send back what it gets: clients say nothing and take what comes.
    pub fn program(mut self, words: &[&str]) -> Case {
        self.program = words.iter().map(ToString::to_string).collect();
        self.acts(vec![Act::Talk { from: CLIENT, say: "" }])
    }

    /// Starts a shell with this script, to which clients say nothing.
    pub fn shell(self, script: &str) -> Case {
        self.program(&["sh", "-c", script])
    }

    /// Follows these rules.
    pub fn rules(mut self, text: &'static str) -> Case {
        self.rules = Some(text);
        self.options.extend(["-x".into(), "rules.cdb".into()]);
        self
    }

    pub fn acts(mut self, acts: Vec<Act>) -> Case {
        self.acts = acts;
        self
    }

    /// A client from each of these addresses takes what comes.
    pub fn talk_from(self, from: &[[u8; 4]]) -> Case {
        self.acts(from.iter().map(|&from| Act::Talk { from: from.into(), say: "hello\n" }).collect())
    }

    pub fn look_from(self, from: impl Into<IpAddr>) -> Case {
        self.acts(vec![Act::Look { from: from.into() }])
    }

    pub fn end(mut self, signal: Signal) -> Case {
        self.end = signal;
        self
    }
}

/// Debian has the two packages exclude each other: the second is unpacked somewhere, and `TINE_UCSPI_TCP_IPV6` says where.
fn patched() -> Option<PathBuf> {
    let found = env::var_os("TINE_UCSPI_TCP_IPV6").map(|place| PathBuf::from(place).join("usr/bin/tcpserver"));
    if found.is_none() {
        assert!(!peers::required(), "TINE_UCSPI_TCP_IPV6 is not set, and TINE_PEERS=required asks for it");
        common::say("SKIPPED what is compared with ucspi-tcp-ipv6: TINE_UCSPI_TCP_IPV6 does not say where it is");
    }
    found
}
