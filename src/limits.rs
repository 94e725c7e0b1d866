//! The options of `tine serve` that limit who is served, how long, and behind whom: what can be typed, what it asks of the
//! supervisor, and what cannot be meant together.

use std::ffi::OsString;
use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::{PossibleValuesParser, TypedValueParser, ValueParser};
use clap::{Arg, ArgAction, ArgMatches, value_parser};
use tcpserver::gate::{Cap, Penalty, Prefixes, Rate};
use tcpserver::lifetime::Lifetime;
use tcpserver::porter::{Asked, PROXY_TIMEOUT, Policy};
use tcpserver::resources::ResourceLimit;
use tcpserver::rules::Rules;
use tcpserver::{Error, memory, proxy};

use crate::cli::{is_given, option};

/// Under which they stand in the help.
pub const HEADING: &str = "Limits";

/// The names of all, for those who have no use for them.
pub const NAMES: [&str; 16] = [
    "per-ip",
    "per-net",
    "rate",
    "net-rate",
    "penalty",
    "ip-prefix",
    "net-prefix",
    "exempt",
    "rules",
    "overload",
    "memory-floor",
    "lifetime",
    "limit",
    "proxy-protocol",
    "proxy-from",
    "proxy-timeout",
];

/// What can be typed.
pub fn options() -> Vec<Arg> {
    let read = |name, value, help, parser: ValueParser| option(name, value, help).value_parser(parser);
    let many = |name, value, help| option(name, value, help).action(ArgAction::Append);
    let words = |words: &'static [&'static str]| PossibleValuesParser::new(words);
    let whens = words(&["off", "optional", "required"]).try_map(|when| proxy::Mode::from_str(&when));
    vec![
        option("per-ip", "N", "Connections at once of a client; further ones are turned away")
            .value_parser(value_parser!(u32).range(1..)),
        option("per-net", "N", "The same of a network").value_parser(value_parser!(u32).range(1..)),
        read("rate", "N/SECONDS", "Connections in so many seconds of a client", ValueParser::new(Rate::from_str)),
        read("net-rate", "N/SECONDS", "The same of a network", ValueParser::new(Rate::from_str)),
        read(
            "penalty",
            "FIRST[,MOST]",
            "A client whose process crashes waits so many seconds, twice as\nmany the next time, and MOST [600] at most",
            ValueParser::new(Penalty::from_str),
        ),
        read("ip-prefix", "V4,V6", "Bits of an address that are a client [default: 32,64]", prefixes()),
        read("net-prefix", "V4,V6", "Bits of an address that are a network [default: 24,56]", prefixes()),
        many("exempt", "NETWORK", "No number, rate or penalty holds for NETWORK; may be repeated"),
        option(
            "rules",
            "FILE",
            "Turn away whom the rules of this cdb deny (tcprules makes it);\nwhat they say of the environment has no meaning here",
        )
        .value_parser(value_parser!(OsString)),
        option(
            "overload",
            "WHAT",
            "When no child is free, clients wait in the kernel's queue (wait),\nor are told to come back later (reject)",
        )
        .default_value("wait")
        .value_parser(words(&["wait", "reject"]))
        .hide_possible_values(true),
        read(
            "memory-floor",
            "SIZE",
            "Make no further child while less memory is available, but for\na first; with K, M or G behind it, 0 for no such floor\n[default: 64M, or 2 % of the memory if that is less]",
            ValueParser::new(size),
        ),
        read(
            "lifetime",
            "S[,GRACE]",
            "End the process of a connection after S seconds, and kill it\nafter GRACE [5] more",
            ValueParser::new(Lifetime::from_str),
        ),
        read(
            "limit",
            "NAME=VALUE",
            "Limit a resource of each child: as, core, cpu, data, fsize,\nnofile, nproc or stack; may be repeated",
            ValueParser::new(ResourceLimit::from_str),
        )
        .action(ArgAction::Append),
        option(
            "proxy-protocol",
            "WHEN",
            "off, optional or required: connections of balancers begin with\na PROXY header, which names the client",
        )
        .default_value("off")
        .value_parser(whens)
        .hide_possible_values(true),
        many("proxy-from", "NETWORK", "Balancers are there, and unix is a Unix socket; may be repeated"),
        option("proxy-timeout", "SECONDS", "How long to wait for a PROXY header [default: 5]")
            .value_parser(value_parser!(u32).range(3..=3600)),
    ]
}

fn prefixes() -> ValueParser {
    ValueParser::new(Prefixes::from_str)
}

/// A number of bytes.
fn size(text: &str) -> Result<u64, String> {
    let scales = [("K", 10), ("M", 20), ("G", 30)];
    let (digits, shift) =
        scales.iter().find_map(|&(unit, shift)| Some((text.strip_suffix(unit)?, shift))).unwrap_or((text, 0));
    let plain = digits.bytes().all(|b| b.is_ascii_digit());
    let value = digits.parse::<u64>().ok().filter(|_| plain).and_then(|value| value.checked_mul(1 << shift));
    value.ok_or_else(|| "expected a number of bytes, with K, M or G behind it if need be".into())
}

/// The memory that children leave to others, in bytes. More than there is would be a service of one child for ever.
fn memory_floor(matches: &ArgMatches) -> Result<u64, String> {
    let Some(&floor) = matches.get_one::<u64>("memory-floor") else { return Ok(memory::default_floor()) };
    match memory::total() {
        Some(total) if floor > total => {
            let (floor, total) = (floor >> 20, total >> 20);
            Err(format!("--memory-floor is {floor}M, and the machine has {total}M of memory: choose a lower one"))
        }
        _ => Ok(floor),
    }
}

/// The limits of each child's resources.
fn resources(matches: &ArgMatches) -> Result<Vec<ResourceLimit>, String> {
    let limits: Vec<ResourceLimit> = matches.get_many("limit").unwrap_or_default().copied().collect();
    let typed = matches.get_raw("limit").unwrap_or_default();
    for (at, (limit, typed)) in limits.iter().zip(typed).enumerate() {
        let wrong = |why: &str| format!("--limit {}: {why}", typed.to_string_lossy());
        limit.check_for_handlers().map_err(|why| wrong(&why))?;
        if limits[..at].iter().any(|other| other.is_same_resource(limit)) {
            return Err(wrong("it was limited before, choose one"));
        }
    }
    Ok(limits)
}

/// What was typed, checked.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    asked: Asked,
    /// At the limit clients are turned away.
    rejects: bool,
    /// No further child is made while less memory is available, in bytes.
    pub memory_floor: u64,
    /// What each child may use.
    pub resources: Vec<ResourceLimit>,
    /// Names and values as they were typed, with defaults where they hold.
    shown: Vec<(&'static str, String)>,
}

impl Limits {
    /// Checks what was typed. The error is a message of one line.
    pub fn from_matches(matches: &ArgMatches) -> Result<Self, String> {
        let cap = |name: &str| matches.get_one(name).map(|&most| Cap { most, message: Vec::new() });
        let mut asked = Asked {
            per_ip: cap("per-ip"),
            per_net: cap("per-net"),
            rate: matches.get_one("rate").copied(),
            net_rate: matches.get_one("net-rate").copied(),
            penalty: matches.get_one("penalty").cloned(),
            ip_prefix: matches.get_one("ip-prefix").copied(),
            net_prefix: matches.get_one("net-prefix").copied(),
            rules: matches.get_one::<OsString>("rules").map(PathBuf::from),
            proxy: matches.get_one("proxy-protocol").copied().unwrap_or_default(),
            proxy_timeout: matches.get_one("proxy-timeout").copied(),
            lifetime: matches.get_one("lifetime").copied(),
            ..Asked::default()
        };
        let wrong = |name: &str, network: &str, why: String| format!("--{name} {network}: {why}");
        for network in matches.get_many::<String>("exempt").unwrap_or_default() {
            asked.exempt.add(network).map_err(|why| wrong("exempt", network, why))?;
        }
        for network in matches.get_many::<String>("proxy-from").unwrap_or_default() {
            asked.proxy_from.add(network).map_err(|why| wrong("proxy-from", network, why))?;
        }
        asked.check()?;
        let typed = |name| matches.get_raw(name).unwrap_or_default().map(|value| value.to_string_lossy().into_owned());
        let shown = NAMES.iter().flat_map(|&name| typed(name).map(move |value| (name, value))).collect();
        let rejects = matches.get_one::<String>("overload").is_some_and(|what| what == "reject");
        Ok(Limits { asked, rejects, memory_floor: memory_floor(matches)?, resources: resources(matches)?, shown })
    }

    /// What is asked of the supervisor; `refusal` is what it says to whoever is turned away.
    pub fn policy(&self, refusal: &'static [u8]) -> Policy {
        let mut policy = self.asked.policy();
        policy.gate.refusal = refusal;
        policy.gate.turns_away = self.rejects;
        policy
    }

    /// Whether children can be given their limits, by the user that we are now.
    pub fn check_resources(&self) -> Result<(), Error> {
        self.resources.iter().try_for_each(ResourceLimit::check)
    }

    /// Whether the rules can be read, by the user that we are now and in the root that is ours.
    pub fn check_rules(&self) -> Result<(), Error> {
        self.asked.rules.as_ref().map_or(Ok(()), |path| Rules::open(path).map(drop))
    }

    /// The effective settings, for `--check`.
    pub fn describe(&self, line: &mut dyn FnMut(&str, &dyn Display)) {
        self.shown.iter().for_each(|(name, value)| line(name, value));
        if !self.shown.iter().any(|(name, _)| *name == "memory-floor") {
            line("memory-floor", &format_args!("{}K", self.memory_floor >> 10));
        }
        if self.asked.proxy != proxy::Mode::Off && self.asked.proxy_timeout.is_none() {
            line("proxy-timeout", &PROXY_TIMEOUT);
        }
    }
}

/// The first of these options that was typed.
pub fn given(matches: &ArgMatches) -> Option<&'static str> {
    NAMES.into_iter().find(|name| is_given(matches, name))
}
