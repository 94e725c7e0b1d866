//! The command line: short options as getopt(3) reads them, long ones beside them, from one table.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use super::more::{self, More};
use super::table;
use crate::log::Verbosity;

/// What is said about every wrong command line, behind the line that says what is wrong with it, if there is one.
const USAGE: &str = "tcpserver: usage: tcpserver [ -1UXpPhHrRoOdDqQv ] [ -c limit ] [ -x rules.cdb ] [ -B banner ] \
                     [ -g gid ] [ -u uid ] [ -b backlog ] [ -l localname ] [ -t timeout ] host port program\n";

/// One option.
pub(super) struct Opt {
    /// Its letter, if it has one.
    pub letter: Option<u8>,
    /// Its long name, if it has one.
    pub name: Option<&'static str>,
    /// What its value is called; `None` for an option without one.
    pub value: Option<&'static str>,
    /// What holds where it is not given; empty where that goes without saying.
    pub default: &'static str,
    pub help: &'static str,
    /// Takes note of it; the error says what is wrong with the value.
    pub apply: fn(&mut Settings, &[u8]) -> Result<(), String>,
}

/// Which addresses a host name may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// IPv4's if there are any; IPv6's otherwise.
    Any,
    V4,
    /// IPv6's, with IPv4 addresses as IPv6 has them.
    V6,
}

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    pub verbosity: Verbosity,
    pub limit: usize,
    pub backlog: i32,
    pub rules: Option<PathBuf>,
    pub rules_may_be_missing: bool,
    pub banner: Vec<u8>,
    /// 0 for no change.
    pub uid: u32,
    /// 0 for no change.
    pub gid: u32,
    pub print_port: bool,
    /// `None` has it looked up for each connection.
    pub local_name: Option<Vec<u8>>,
    pub remote_name: bool,
    pub confirm_remote_name: bool,
    pub remote_info: bool,
    /// Seconds for an ident server.
    pub info_timeout: u32,
    /// Seconds for the names of one connection.
    pub name_timeout: u32,
    pub keep_ip_options: bool,
    pub no_delay: bool,
    pub wanted: Wanted,
    /// The interface of a link-local address.
    pub interface: Option<OsString>,
    /// What ucspi-tcp does not have.
    pub more: More,
    pub host: OsString,
    pub port: OsString,
    /// The program and its arguments.
    pub program: Vec<OsString>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            verbosity: Verbosity::Errors,
            limit: 40,
            backlog: 20,
            rules: None,
            rules_may_be_missing: false,
            banner: Vec::new(),
            uid: 0,
            gid: 0,
            print_port: false,
            local_name: None,
            remote_name: true,
            confirm_remote_name: false,
            remote_info: true,
            info_timeout: 26,
            name_timeout: 30,
            keep_ip_options: false,
            no_delay: false,
            wanted: Wanted::Any,
            interface: None,
            more: More::default(),
            host: OsString::new(),
            port: OsString::new(),
            program: Vec::new(),
        }
    }
}

/// What the command line asks for.
#[derive(Debug)]
pub(super) enum Command {
    Serve(Box<Settings>),
    Help,
}

/// What is wrong with a command line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// There is no such option.
    Illegal(Vec<u8>),
    /// An option's value is missing.
    Lacking(Vec<u8>),
    /// A value is no good; the whole line.
    Value(Vec<u8>),
    /// Host, port or program are missing.
    Operands { silent: bool },
}

impl Wrong {
    /// All lines; `own_name` is what this program was called by.
    pub(super) fn message(&self, own_name: &OsStr) -> Vec<u8> {
        let own_name = own_name.as_bytes().rsplit(|&byte| byte == b'/').next().unwrap_or_default();
        let getopt = |what: &[u8], option: &[u8]| [own_name, what, option, b"\n", USAGE.as_bytes()].concat();
        match self {
            Wrong::Illegal(option) => getopt(b": illegal option -- ", option),
            Wrong::Lacking(option) => getopt(b": option requires an argument -- ", option),
            Wrong::Value(line) => [b"tcpserver: fatal: ", line.as_slice(), b"\n"].concat(),
            Wrong::Operands { silent: true } => Vec::new(),
            Wrong::Operands { silent: false } => USAGE.into(),
        }
    }
}

/// Reads the arguments behind the program's name.
pub(super) fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Command, Wrong> {
    let mut settings = Settings::default();
    let mut arguments = arguments.peekable();
    let is_option = |argument: &OsString| argument.len() > 1 && argument.as_bytes()[0] == b'-';
    while let Some(argument) = arguments.next_if(is_option) {
        let argument = argument.into_vec();
        match argument.strip_prefix(b"--") {
            Some(b"") => break,
            Some(b"help") => return Ok(Command::Help),
            Some(long) => parse_long(&mut settings, long, &mut arguments)?,
            None => parse_cluster(&mut settings, &argument[1..], &mut arguments)?,
        }
    }
    let silent = settings.verbosity == Verbosity::Silent;
    let operands = Wrong::Operands { silent };
    if settings.more.listen.is_empty() {
        let (Some(host), Some(port)) = (arguments.next(), arguments.next()) else { return Err(operands) };
        (settings.host, settings.port) = (host, port);
    }
    settings.program = arguments.collect();
    if settings.program.is_empty() {
        return Err(operands);
    }
    settings.more.check().map_err(unusable)?;
    Ok(Command::Serve(Box::new(settings)))
}

/// All options, those of ucspi-tcp first.
fn options() -> impl Iterator<Item = &'static Opt> {
    table::OPTIONS.iter().chain(more::OPTIONS)
}

/// `-abc`: options without values, and perhaps one with a value behind it, the rest of the argument or the next one.
fn parse_cluster(
    settings: &mut Settings,
    cluster: &[u8],
    arguments: &mut impl Iterator<Item = OsString>,
) -> Result<(), Wrong> {
    for (at, letter) in cluster.iter().enumerate() {
        let letter_alone = || vec![*letter];
        let option = options().find(|option| option.letter == Some(*letter));
        let option = option.ok_or_else(|| Wrong::Illegal(letter_alone()))?;
        if option.value.is_none() {
            apply(option, settings, b"")?;
            continue;
        }
        let value = match &cluster[at + 1..] {
            b"" => arguments.next().ok_or_else(|| Wrong::Lacking(letter_alone()))?.into_vec(),
            attached => attached.to_vec(),
        };
        return apply(option, settings, &value);
    }
    Ok(())
}

/// `--name`, `--name=VALUE` or `--name VALUE`.
fn parse_long(
    settings: &mut Settings,
    long: &[u8],
    arguments: &mut impl Iterator<Item = OsString>,
) -> Result<(), Wrong> {
    let equals = long.iter().position(|&byte| byte == b'=');
    let (name, attached) = equals.map_or((long, None), |at| (&long[..at], Some(&long[at + 1..])));
    let option = options().find(|option| option.name.is_some_and(|own| own.as_bytes() == name));
    // As getopt(3) sees it, the letter is a second hyphen.
    let option = option.ok_or_else(|| Wrong::Illegal([b"-", long].concat()))?;
    match (option.value, attached) {
        (None, None) => apply(option, settings, b""),
        (None, Some(_)) => Err(Wrong::Value([b"unable to use --", name, b": it takes no value"].concat())),
        (Some(_), Some(value)) => apply(option, settings, value),
        (Some(_), None) => {
            let value = arguments.next().ok_or_else(|| Wrong::Lacking([b"-", name].concat()))?;
            apply(option, settings, value.as_bytes())
        }
    }
}

fn apply(option: &Opt, settings: &mut Settings, value: &[u8]) -> Result<(), Wrong> {
    (option.apply)(settings, value).map_err(|why| {
        let name = match (option.letter, option.name) {
            (Some(letter), _) => format!("-{}", char::from(letter)),
            (None, name) => format!("--{}", name.unwrap_or_default()),
        };
        unusable(format!("{name}: {why}"))
    })
}

fn unusable(why: String) -> Wrong {
    Wrong::Value(format!("unable to use {why}").into_bytes())
}

/// A number from 0 to `most`, in digits alone.
pub(super) fn number(value: &[u8], most: u32) -> Result<u32, String> {
    let digits = std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let number = digits.and_then(|digits| digits.parse().ok()).filter(|&number| number <= most);
    number.ok_or_else(|| format!("{} is no number from 0 to {most}", String::from_utf8_lossy(value).escape_default()))
}

/// Every option with its value, meaning and default.
pub(super) fn help() -> String {
    let mut text = String::from("usage: tcpserver [options] host port program [argument ...]\n\noptions:\n");
    for option in options() {
        let letter = option.letter.map(|letter| format!("-{}", char::from(letter)));
        let name = option.name.map(|name| format!("--{name}"));
        let mut names = letter.into_iter().chain(name).collect::<Vec<_>>().join(", ");
        if let Some(value) = option.value {
            names = format!("{names} {value}");
        }
        let default = if option.default.is_empty() { String::new() } else { format!(" ({})", option.default) };
        text.push_str(&format!("  {names:<24} {}{default}\n", option.help));
    }
    text.push_str("  --help                   print this\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str]) -> Result<Settings, Wrong> {
        match parse(arguments.iter().map(OsString::from))? {
            Command::Serve(settings) => Ok(*settings),
            Command::Help => panic!("{arguments:?} asks for help"),
        }
    }

    #[test]
    fn clusters_and_values_attached_or_apart() {
        let attached = read(&["-vRHl0", "-c7", "-Bhi", "0", "25", "prog", "-x", "arg"]).expect("it is right");
        let apart = read(&["-v", "-R", "-H", "-l", "0", "-c", "7", "-B", "hi", "--", "0", "25", "prog", "-x", "arg"]);
        assert_eq!(Ok(&attached), apart.as_ref());
        assert_eq!((attached.verbosity, attached.limit), (Verbosity::Status, 7));
        assert_eq!((attached.remote_info, attached.remote_name), (false, false));
        assert_eq!(attached.local_name.as_deref(), Some(&b"0"[..]));
        assert_eq!((attached.host, attached.port), ("0".into(), "25".into()));
        assert_eq!(attached.program, ["prog", "-x", "arg"]);
    }

    #[test]
    fn the_last_of_two_counts() {
        let settings = read(&["-hHh", "-Rr", "-Dd", "-Oo", "-vq", "-c1", "-c2", "-", "1", "p"]).expect("it is right");
        assert!(settings.remote_name && settings.remote_info && !settings.no_delay && settings.keep_ip_options);
        assert_eq!((settings.verbosity, settings.limit, settings.host), (Verbosity::Silent, 2, "-".into()));
    }

    #[test]
    fn long_options() {
        let one = read(&["--name-timeout", "5", "0", "0", "p"]).expect("it is right");
        assert_eq!(Ok(&one), read(&["--name-timeout=5", "0", "0", "p"]).as_ref());
        assert_eq!(one.name_timeout, 5);
        assert!(matches!(parse(["-v", "--help"].iter().map(OsString::from)), Ok(Command::Help)));
        assert_eq!(read(&["--name-timeout"]), Err(Wrong::Lacking(b"-name-timeout".to_vec())));
        assert_eq!(read(&["--nonesuch=1", "0", "0", "p"]), Err(Wrong::Illegal(b"-nonesuch=1".to_vec())));
    }

    #[test]
    fn wrong_ones() {
        assert_eq!(read(&["-vz"]), Err(Wrong::Illegal(b"z".to_vec())));
        assert_eq!(read(&["-vc"]), Err(Wrong::Lacking(b"c".to_vec())));
        for operands in [&[][..], &["0"], &["0", "1"], &["-v", "--", "0", "1"]] {
            assert_eq!(read(operands), Err(Wrong::Operands { silent: false }), "{operands:?}");
        }
        assert_eq!(read(&["-q"]), Err(Wrong::Operands { silent: true }));
        for number in ["", "x", "1x", "-1", "+1", " 1", "4294967296", "99999999999999999999"] {
            for option in ["-c", "-b", "-t", "-u", "-g"] {
                assert!(matches!(read(&[option, number, "0", "0", "p"]), Err(Wrong::Value(_))), "{option} {number}");
            }
        }
    }

    #[test]
    fn messages() {
        let message = |wrong: Wrong| String::from_utf8(wrong.message(OsStr::new("/bin/name"))).expect("text");
        assert_eq!(message(Wrong::Illegal(b"z".to_vec())), format!("name: illegal option -- z\n{USAGE}"));
        let wrong = read(&["-c", "many"]).expect_err("it is wrong");
        assert_eq!(message(wrong), "tcpserver: fatal: unable to use -c: many is no number from 0 to 4294967295\n");
    }

    /// Nothing is said twice, and each option can be asked for.
    #[test]
    fn the_table_is_sound() {
        for (at, option) in options().enumerate() {
            assert!(option.letter.is_some() || option.name.is_some());
            for other in options().take(at) {
                assert!(option.letter.is_none() || option.letter != other.letter);
                assert!(option.name.is_none() || option.name != other.name);
            }
        }
        let help = help();
        assert!(options().all(|option| help.contains(option.help)));
    }
}
