//! `--sandbox`: what children with a linked-in handler are kept from.

use std::fmt;
use std::path::PathBuf;
use std::rc::Rc;
use std::str::FromStr;

use tcpserver::sandbox::{Plan, Sandbox, probe};
use tcpserver::{Error, Server};

use crate::settings::{ModeName, Serve};

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// What costs a connection nothing to speak of.
    On,
    /// All there is.
    Strict,
    /// Nothing.
    Off,
}

impl Wanted {
    const ALL: [Wanted; 3] = [Wanted::On, Wanted::Strict, Wanted::Off];

    /// As on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Wanted::On => "on",
            Wanted::Strict => "strict",
            Wanted::Off => "off",
        }
    }
}

impl FromStr for Wanted {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Wanted::ALL.into_iter().find(|wanted| wanted.as_str() == name).ok_or_else(|| "there is no such sandbox".into())
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether there are children of ours to be confined: an executed handler is another program, and a process that serves
/// the one connection that it was given is its starter's to confine.
fn has_children(settings: &Serve) -> bool {
    settings.mode != ModeName::Vfork && !settings.single && !settings.inetd
}

/// What contradicts `--sandbox`, if it was typed.
pub fn contradiction(settings: &Serve) -> Option<String> {
    (settings.sandbox != Wanted::Off && !has_children(settings)).then(|| {
        let which = if settings.inetd {
            "--inetd"
        } else if settings.single {
            "--single"
        } else {
            "--mode vfork"
        };
        format!("--sandbox confines the children of the modes prefork and fork: it has no meaning with {which}")
    })
}

/// What children need.
fn plan(settings: &Serve) -> Plan {
    let handler = settings.handler_settings();
    Plan {
        root: settings.protocol.has_root.then(|| PathBuf::from(&settings.root)),
        calls: handlers::calls(settings.protocol),
        programs: handler.made.runs_programs(),
        strict: settings.sandbox == Wanted::Strict,
        reused: settings.mode == ModeName::Prefork && settings.reuse != 1,
        ..Plan::default()
    }
}

/// Makes the sandbox, and says what it does not hold. To be called when the user and the root are what they will be.
pub fn prepare(settings: &Serve, server: &mut Server) -> Result<Option<Rc<Sandbox>>, Error> {
    if settings.sandbox == Wanted::Off || !has_children(settings) {
        return Ok(None);
    }
    let (sandbox, findings) = Sandbox::new(plan(settings).at(server.listeners()))?;
    let log = server.log();
    if let Some(gaps) = probe::gaps(&findings) {
        log.warning(format_args!(
            "the sandbox is not whole: whoever breaks a child can {gaps}, for this kernel, or what this runs in, lacks {} \
             (--sandbox off accepts that)",
            sandbox.missing()
        ));
    } else if settings.verbose {
        log.note(format_args!("sandbox: a child {}", probe::describe(&findings)));
    }
    Ok(Some(Rc::new(sandbox)))
}

/// What the sandbox of these settings holds on this machine, for `--check`.
pub fn describe(settings: &Serve) -> Result<String, Error> {
    if settings.sandbox == Wanted::Off || !has_children(settings) {
        return Ok(String::new());
    }
    let (_, findings) = Sandbox::new(plan(settings))?;
    Ok(format!("a child: {}\n", probe::describe(&findings)))
}
