//! What ucspi-tcp does not have: the options, and what they ask of the supervisor.

use std::path::PathBuf;
use std::str::FromStr;

use super::options::{Opt, Settings, number};
use crate::error::Error;
use crate::gate::Cap;
use crate::inherit;
use crate::listen::{Address, Listener, Tuning};
use crate::porter::{self, Asked};
use crate::resources::ResourceLimit;
use crate::server::MOST_LISTENERS;
use crate::syslog_sink::Destination;

/// What was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::ucspi) struct More {
    pub listen: Vec<Place>,
    pub asked: Asked,
    pub limits: Vec<ResourceLimit>,
    pub chroot: Option<PathBuf>,
    pub titles: bool,
    pub accounting: bool,
    pub log: Option<Destination>,
    pub report: Option<u32>,
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ucspi) enum Place {
    Address(Address),
    Descriptor(i32),
    /// Wherever a service manager does already.
    Manager,
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(fd) = text.strip_prefix("fd:") {
            let fd = number(fd.as_bytes(), i32::MAX.cast_unsigned()).map_err(|why| format!("fd:{why}"))?;
            return Ok(Place::Descriptor(fd.cast_signed()));
        }
        if text == "systemd" {
            return Ok(Place::Manager);
        }
        text.parse().map(Place::Address).map_err(|why| format!("{why}, or fd:NUMBER, or systemd"))
    }
}

impl More {
    /// Whether the service manager's sockets are ours, and the variables that tell of them no program's business.
    pub fn takes_from_manager(&self) -> bool {
        self.listen.contains(&Place::Manager)
    }

    /// What cannot be together; the error begins with the option that is at odds.
    pub fn check(&self) -> Result<(), String> {
        // Each socket that was handed over is taken once.
        for (at, place) in self.listen.iter().enumerate() {
            let same = |other: &Place| match (place, other) {
                (Place::Address(_), _) | (_, Place::Address(_)) => false,
                (Place::Manager, Place::Descriptor(number)) | (Place::Descriptor(number), Place::Manager) => {
                    *number > 2
                }
                _ => place == other,
            };
            if self.listen[..at].iter().any(same) {
                return Err("--listen: the same place is given twice".into());
            }
        }
        self.asked.check()
    }

    /// What is asked of the supervisor.
    pub fn policy(&self) -> porter::Policy {
        porter::Policy { report: self.report, ..self.asked.policy() }
    }
}

/// The sockets of these places, in their order.
pub(super) fn listeners(places: &[Place], tuning: Tuning) -> Result<Vec<Listener>, Error> {
    // Those that were handed over before any is made, which could get the number of one that was not.
    let handed = places.iter().map(handed_over).collect::<Result<Vec<_>, _>>()?;
    let mut listeners = Vec::new();
    let listen = || {
        for (place, handed) in places.iter().zip(handed) {
            listeners.extend(handed);
            if let Place::Address(address) = place {
                listeners.push(Listener::bind(address, tuning)?);
            }
        }
        if listeners.len() > MOST_LISTENERS {
            let reason = format!("{} addresses given, {MOST_LISTENERS} are possible", listeners.len());
            return Err(Error::new("listen", "everywhere", reason));
        }
        Ok(())
    };
    let result = listen();
    if result.is_err() {
        listeners.iter().for_each(Listener::remove_name);
    }
    result.map(|()| listeners)
}

fn handed_over(place: &Place) -> Result<Vec<Listener>, Error> {
    match place {
        Place::Address(_) => Ok(Vec::new()),
        Place::Descriptor(number) => Ok(vec![Listener::adopt(inherit::take(*number)?)?]),
        Place::Manager => inherit::from_manager()?.into_iter().map(Listener::adopt).collect(),
    }
}

/// An option with a value.
const fn named(
    name: &'static str,
    value: &'static str,
    default: &'static str,
    help: &'static str,
    apply: fn(&mut Settings, &[u8]) -> Result<(), String>,
) -> Opt {
    Opt { letter: None, name: Some(name), value: Some(value), default, help, apply }
}

/// An option without one.
const fn flag(name: &'static str, help: &'static str, apply: fn(&mut Settings, &[u8]) -> Result<(), String>) -> Opt {
    Opt { letter: None, name: Some(name), value: None, default: "", help, apply }
}

fn text(value: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(value).map_err(|_| "it is no text".to_owned())
}

fn read<T: FromStr<Err = String>>(value: &[u8]) -> Result<T, String> {
    text(value)?.parse()
}

/// A number of connections, and a message of any bytes.
fn cap(value: &[u8]) -> Result<Cap, String> {
    let (most, message) = match value.iter().position(|&byte| byte == b':') {
        Some(at) => (&value[..at], &value[at + 1..]),
        None => (value, &b""[..]),
    };
    Ok(Cap { message: message.to_vec(), ..read(most)? })
}

/// Has the option's value read and kept.
macro_rules! keep {
    ($field:ident) => {
        |settings, value| {
            settings.more.asked.$field = Some(read(value)?);
            Ok(())
        }
    };
}

/// In the order in which `--help` prints them, behind those of ucspi-tcp.
pub(super) const OPTIONS: &[Opt] = &[
    named(
        "listen",
        "PLACE",
        "",
        "listen there too: ADDRESS:PORT, unix:PATH, fd:NUMBER or systemd; no host and port are given then",
        |settings, value| {
            settings.more.listen.push(read(value)?);
            Ok(())
        },
    ),
    named("per-ip", "N[:MESSAGE]", "", "at most N programs at once for a client", |settings, value| {
        settings.more.asked.per_ip = Some(cap(value)?);
        Ok(())
    }),
    named("per-net", "N[:MESSAGE]", "", "the same for a network", |settings, value| {
        settings.more.asked.per_net = Some(cap(value)?);
        Ok(())
    }),
    named("rate", "N/SECONDS", "", "at most N connections in so many seconds from a client", keep!(rate)),
    named("net-rate", "N/SECONDS", "", "the same for a network", keep!(net_rate)),
    named(
        "penalty",
        "FIRST[,MOST]",
        "MOST 600",
        "a client whose program crashes waits so many seconds, twice as many the next time",
        keep!(penalty),
    ),
    named("penalty-exit", "STATUS", "", "a program that exits so has crashed too", |settings, value| {
        settings.more.asked.penalty_exits.push(number(value, 255)? as u8);
        Ok(())
    }),
    named("ip-prefix", "V4,V6", "32,64", "how many bits of an address are a client", keep!(ip_prefix)),
    named("net-prefix", "V4,V6", "24,56", "how many bits of an address are a network", keep!(net_prefix)),
    named("exempt", "NETWORK", "", "none of these limits hold for NETWORK", |settings, value| {
        settings.more.asked.exempt.add(text(value)?)
    }),
    named(
        "proxy-protocol",
        "WHEN",
        "off",
        "off, optional or required: connections of balancers begin with a PROXY header; with required, all do",
        |settings, value| {
            settings.more.asked.proxy = read(value)?;
            Ok(())
        },
    ),
    named(
        "proxy-from",
        "NETWORK",
        "",
        "balancers are there; unix stands for whoever connects to a Unix socket",
        |settings, value| settings.more.asked.proxy_from.add(text(value)?),
    ),
    named("proxy-timeout", "SECONDS", "5", "how long to wait for a PROXY header", |settings, value| {
        let seconds = number(value, 3600)?;
        settings.more.asked.proxy_timeout = Some(seconds).filter(|&seconds| seconds >= 3);
        settings.more.asked.proxy_timeout.map(drop).ok_or_else(|| format!("{seconds} is not from 3 to 3600"))
    }),
    named(
        "lifetime",
        "S[,GRACE]",
        "GRACE 5",
        "a program gets SIGTERM after S seconds, and SIGKILL after GRACE more",
        keep!(lifetime),
    ),
    named("limit", "NAME=VALUE", "", "set a resource limit of programs: as, core, cpu, ...", |settings, value| {
        let limit: ResourceLimit = read(value)?;
        if settings.more.limits.iter().any(|other| other.is_same_resource(&limit)) {
            return Err(format!("{} is given twice", text(value)?.split('=').next().unwrap_or_default()));
        }
        settings.more.limits.push(limit);
        Ok(())
    }),
    named("chroot", "DIRECTORY", "", "change the root before becoming another user", |settings, value| {
        settings.more.chroot = Some(text(value)?.into());
        Ok(())
    }),
    flag("titles", "show clients in the names of programs, for ps", |settings, _| {
        settings.more.titles = true;
        Ok(())
    }),
    flag("accounting", "log what a program was and used, where it ends", |settings, _| {
        settings.more.accounting = true;
        Ok(())
    }),
    named(
        "log",
        "TO",
        "stderr",
        "syslog, syslog:FACILITY or syslog:FACILITY:SOCKET: log to syslogd",
        |settings, value| {
            settings.more.log = Some(Destination::parse(text(value)?)?);
            Ok(())
        },
    ),
    named(
        "status-every",
        "SECONDS",
        "",
        "log how full the service is, and on SIGUSR1; 0 on SIGUSR1 alone",
        |settings, value| {
            settings.more.report = Some(number(value, 86_400)?);
            Ok(())
        },
    ),
];
