//! The command line: what can be typed. What it means is in `settings`.

use std::ffi::OsString;
use std::str::FromStr;

use clap::builder::{PossibleValuesParser, TypedValueParser, ValueParser};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use tcpserver::Address;

use crate::bench::{self, Bench};
use crate::completions;
use crate::limits;
use crate::pool;
use crate::sandbox::Wanted;
use crate::settings::{ModeName, Serve};
use crate::status::{self, Status};
use crate::watching;

/// What the user asks for.
pub enum Request {
    /// `tine serve`.
    Serve(Box<Serve>),
    /// `tine bench`.
    Bench(Box<Bench>),
    /// `tine status`.
    Status(Status),
    /// Help, the version, or a script for a shell.
    Text(String),
}

/// Parses the arguments, the program's name first. The error is a message of one line.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Request, String> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let first = arguments.get(1).and_then(|word| word.to_str());
    let subcommand =
        first.filter(|word| ["bench", "status", "completions"].contains(word)).unwrap_or("serve").to_owned();
    match command().try_get_matches_from(arguments) {
        Ok(matches) => match matches.subcommand() {
            Some(("serve", matches)) => Ok(Request::Serve(Box::new(Serve::from_matches(matches)?))),
            Some(("status", matches)) => Ok(Request::Status(Status::from_matches(matches))),
            Some(("bench", matches)) => Ok(Request::Bench(Box::new(Bench::from_matches(matches)?))),
            Some(("completions", matches)) => Ok(Request::Text(completions::script(matches, command()))),
            _ => Ok(Request::Text(command().render_help().to_string())),
        },
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
            | ErrorKind::DisplayVersion => Ok(Request::Text(error.render().to_string())),
            _ => Err(one_line(&error, &subcommand)),
        },
    }
}

/// clap's messages are paragraphs; a log wants a line.
fn one_line(error: &clap::Error, subcommand: &str) -> String {
    let text = error.render().to_string();
    let what = text.lines().next().unwrap_or_default().trim_start_matches("error: ").trim_end_matches(':');
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => format!("; did you mean '{text}'?"),
        Some(ContextValue::Strings(texts)) if !texts.is_empty() => {
            format!("; did you mean '{}'?", texts.join("' or '"))
        }
        _ => String::new(),
    };
    let mut line = what.to_owned();
    if let (ErrorKind::MissingRequiredArgument, Some(ContextValue::Strings(names))) =
        (error.kind(), error.get(ContextKind::InvalidArg))
    {
        line += &format!(": {}", names.join(" "));
    }
    for kind in [ContextKind::SuggestedArg, ContextKind::SuggestedValue, ContextKind::SuggestedSubcommand] {
        line += &context(kind);
    }
    if let Some(ContextValue::Strings(values)) = error.get(ContextKind::ValidValue) {
        line += &format!(" (possible values: {})", values.join(", "));
    }
    line + &format!(" (tine {subcommand} --help tells all)")
}

/// The whole command.
pub fn command() -> Command {
    Command::new("tine")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Serves each connection with a process of its own")
        .subcommand(serve())
        .subcommand(status::command())
        .subcommand(bench::command())
        .subcommand(completions::command())
}

const LISTENING: &str = "Listening";
const CHILDREN: &str = "Children";
const TIMEOUTS: &str = "Timeouts";
const CONTENT: &str = "Content";
const PRIVILEGES: &str = "Privileges";
const LOGGING: &str = "Logging";
const DIAGNOSIS: &str = "Diagnosis";

fn serve() -> Command {
    let modes = PossibleValuesParser::new(["prefork", "fork", "vfork"]).try_map(|name| ModeName::from_str(&name));
    let sandboxes = PossibleValuesParser::new(["on", "strict", "off"]).try_map(|name| Wanted::from_str(&name));
    let handlers = PossibleValuesParser::new(handlers::PROTOCOLS.iter().map(|protocol| protocol.name));
    Command::new("serve")
        .about("Serve a directory by HTTP, or speak another protocol")
        .override_usage("tine serve [OPTIONS] [ROOT]")
        .arg(
            Arg::new("root")
                .value_name("ROOT")
                .default_value(".")
                .value_parser(value_parser!(OsString))
                .help("The directory that is served"),
        )
        .next_help_heading(LISTENING)
        .args([
            option(
                "listen",
                "ADDRESS",
                "ADDR:PORT, [ADDR6]:PORT or unix:PATH; may be repeated.\n[::] takes IPv4 too, port 0 picks one",
            )
            .action(ArgAction::Append)
            .default_value("127.0.0.1:8080")
            .value_parser(ValueParser::new(Address::from_str)),
            option("backlog", "N", "Connections that the kernel queues")
                .default_value("4096")
                .value_parser(value_parser!(i32).range(1..=65_535)),
            flag("inetd", "Serve the connection on descriptors 0 and 1, for inetd and tcpserver"),
            flag("inetd-wait", "Serve at the listening socket on descriptor 0, for inetd's wait"),
            option("exit-idle", "SECONDS", "With a socket of inetd's or systemd's: leave it to them when\nnobody came for so long [--inetd-wait: 60]")
                .value_parser(value_parser!(u32).range(1..=86_400)),
        ])
        .next_help_heading(CHILDREN)
        .args([option(
            "mode",
            "MODE",
            "When a child is made: ahead of the connections (prefork),\nor for each by fork or vfork",
        )
        .default_value("prefork")
        .value_parser(modes)
        .hide_possible_values(true)])
        .args(pool::options())
        .args([
            option(
                "reuse",
                "N",
                "prefork: connections until a fresh child takes its place;\n0 for no limit [default: 0]",
            )
            .value_parser(value_parser!(u32)),
            option(
                "max-connections",
                "N",
                "fork, vfork: children at once; further clients wait in the\nkernel's queue [default: 1000]",
            )
            .value_parser(value_parser!(u32).range(1..=4_000_000)),
            option("drain", "SECONDS", "When told to stop: the time that open connections get")
                .default_value("30")
                .value_parser(value_parser!(u32).range(0..=86_400)),
        ])
        .next_help_heading(limits::HEADING)
        .args(limits::options())
        .next_help_heading(TIMEOUTS)
        .args(handler_options(TIMEOUTS))
        .next_help_heading(CONTENT)
        .arg(
            option("handler", "NAME", "http, echo, discard, daytime, time or chargen")
                .default_value("http")
                .value_parser(handlers)
                .hide_possible_values(true),
        )
        .args(handler_options(CONTENT))
        .next_help_heading(PRIVILEGES)
        .args([
            option("user", "NAME", "Become this user [default when started by root: nobody]"),
            option("group", "NAME", "and this group [default: the user's]"),
            option("chroot", "DIR", "Be locked in this directory; ROOT is a path in it")
                .value_parser(value_parser!(OsString)),
            option(
                "sandbox",
                "WHAT",
                "What a child that is broken into is kept from, in the modes\nprefork and fork: files elsewhere, writing, networks, processes\n(on); in processes for one connection all other system calls\ntoo, at 40 us each (strict); or nothing (off)",
            )
            .default_value("on")
            .value_parser(sandboxes)
            .hide_possible_values(true),
        ])
        .next_help_heading(LOGGING)
        .args([
            option("log", "WHERE", "stderr, or a file to append to")
                .default_value("stderr")
                .value_parser(value_parser!(OsString)),
            flag("quiet", "Log no requests"),
            flag("verbose", "Log each child's end, and in fork and vfork its beginning"),
        ])
        .args(handler_options(LOGGING))
        .next_help_heading(watching::HEADING)
        .args(watching::options())
        .next_help_heading(DIAGNOSIS)
        .args([
            flag("single", "Serve one connection without a child, and exit; for debuggers"),
            flag("check", "Check the options, print the effective settings, and exit"),
        ])
}

/// An option with a value.
pub fn option(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    // A negative number is one that is out of range, not an option.
    Arg::new(name).long(name).value_name(value).help(help).allow_negative_numbers(true)
}

/// An option without one.
pub fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

/// Under which heading a handler's option stands.
fn heading(name: &str) -> &'static str {
    match name {
        _ if name.ends_with("-timeout") => TIMEOUTS,
        _ if name.starts_with("log-") => LOGGING,
        _ => CONTENT,
    }
}

/// The handlers' options under a heading, from their own records, each once.
fn handler_options(under: &str) -> Vec<Arg> {
    let mut known: Vec<&handlers::Opt> = Vec::new();
    for opt in handlers::PROTOCOLS.iter().flat_map(|protocol| protocol.options) {
        if !known.iter().any(|other| other.name() == opt.name()) && heading(opt.name()) == under {
            known.push(opt);
        }
    }
    known.into_iter().map(handler_option).collect()
}

fn handler_option(opt: &handlers::Opt) -> Arg {
    if opt.is_flag() {
        return flag(opt.name(), opt.help());
    }
    let value = opt.value().trim_end_matches("...");
    let action = if opt.is_repeatable() { ArgAction::Append } else { ArgAction::Set };
    let arg = option(opt.name(), value, opt.help()).value_parser(value_parser!(OsString)).action(action);
    if opt.default().is_empty() { arg } else { arg.default_value(opt.default()) }
}

/// Whether the user typed this option, rather than leaving its default.
pub fn is_given(matches: &ArgMatches, name: &str) -> bool {
    matches.value_source(name) == Some(clap::parser::ValueSource::CommandLine)
}
