//! The options of tcpserver. [`super::options`] reads the command line by this table, and prints it for `--help`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use super::options::{Opt, Settings, Wanted, number};
use crate::log::Verbosity;

/// An option of ucspi-tcp: a letter alone.
const fn letter(letter: u8, help: &'static str, apply: fn(&mut Settings, &[u8]) -> Result<(), String>) -> Opt {
    Opt { letter: Some(letter), name: None, value: None, default: "", help, apply }
}

/// The same with a value.
const fn valued(
    letter: u8,
    value: &'static str,
    default: &'static str,
    help: &'static str,
    apply: fn(&mut Settings, &[u8]) -> Result<(), String>,
) -> Opt {
    Opt { letter: Some(letter), name: None, value: Some(value), default, help, apply }
}

/// An option that ucspi-tcp does not have: a name, and always a value.
const fn named(
    name: &'static str,
    value: &'static str,
    default: &'static str,
    help: &'static str,
    apply: fn(&mut Settings, &[u8]) -> Result<(), String>,
) -> Opt {
    Opt { letter: None, name: Some(name), value: Some(value), default, help, apply }
}

/// Takes note of an option that cannot be wrong.
macro_rules! set {
    ($($field:ident = $value:expr),+) => {
        |settings, _| {
            $(settings.$field = $value;)+
            Ok(())
        }
    };
}

/// A user or a group: -1 stands for none in system calls.
fn identity(value: &[u8]) -> Result<u32, String> {
    number(value, u32::MAX - 1)
}

/// `$UID` or `$GID`: what is not set changes nothing.
fn from_environment(name: &str, number: &mut u32) -> Result<(), String> {
    if let Some(value) = std::env::var_os(name) {
        *number = identity(&value.into_vec()).map_err(|why| format!("${name}: {why}"))?;
    }
    Ok(())
}

/// In the order in which `--help` prints them.
pub(super) const OPTIONS: &[Opt] = &[
    letter(b'q', "say nothing", set!(verbosity = Verbosity::Silent)),
    letter(b'Q', "say what goes wrong; the default", set!(verbosity = Verbosity::Errors)),
    letter(b'v', "say what happens too", set!(verbosity = Verbosity::Status)),
    letter(b'1', "print the port when connections are accepted", set!(print_port = true)),
    valued(b'c', "N", "40", "at most N programs at once", |settings, value| {
        settings.limit = number(value, u32::MAX)? as usize;
        // Nobody would ever be served.
        if settings.limit == 0 { Err("0 is no number of programs".into()) } else { Ok(()) }
    }),
    valued(b'b', "N", "20", "a queue of N connections that are not yet accepted", |settings, value| {
        settings.backlog = number(value, i32::MAX.cast_unsigned())?.cast_signed();
        Ok(())
    }),
    valued(b'x', "FILE", "everybody is admitted", "follow the rules that tcprules made", |settings, value| {
        settings.rules = Some(OsString::from_vec(value.to_vec()).into());
        Ok(())
    }),
    letter(b'X', "admit everybody if there is no file of rules", set!(rules_may_be_missing = true)),
    valued(b'B', "TEXT", "", "write TEXT to every client first of all", |settings, value| {
        settings.banner = value.to_vec();
        Ok(())
    }),
    valued(b'g', "GID", "", "become this group, by number", |settings, value| {
        settings.gid = identity(value)?;
        Ok(())
    }),
    valued(b'u', "UID", "", "become this user, by number", |settings, value| {
        settings.uid = identity(value)?;
        Ok(())
    }),
    letter(b'U', "become user $UID and group $GID", |settings, _| {
        from_environment("UID", &mut settings.uid)?;
        from_environment("GID", &mut settings.gid)
    }),
    letter(b'h', "look the client's host name up; the default", set!(remote_name = true)),
    letter(b'H', "do not", set!(remote_name = false)),
    letter(b'p', "take a host name only if it has the client's address", set!(confirm_remote_name = true)),
    letter(b'P', "take any; the default", set!(confirm_remote_name = false)),
    valued(b'l', "NAME", "looked up", "our own host name", |settings, value| {
        settings.local_name = Some(value.to_vec());
        Ok(())
    }),
    letter(b'r', "ask the client's host who owns the connection; the default", set!(remote_info = true)),
    letter(b'R', "do not", set!(remote_info = false)),
    valued(b't', "SECONDS", "26", "how long to wait for that answer", |settings, value| {
        settings.info_timeout = number(value, u32::MAX)?;
        Ok(())
    }),
    letter(b'o', "keep the IP options of connections", set!(keep_ip_options = true)),
    letter(b'O', "clear them; the default", set!(keep_ip_options = false)),
    letter(b'd', "small segments wait for acknowledgements; the default", set!(no_delay = false)),
    letter(b'D', "they do not (TCP_NODELAY)", set!(no_delay = true)),
    letter(b'4', "IPv4 alone", set!(wanted = Wanted::V4)),
    letter(b'6', "IPv6, with IPv4 addresses as ::ffff:192.0.2.1", set!(wanted = Wanted::V6)),
    valued(b'I', "INTERFACE", "", "the interface of a link-local address", |settings, value| {
        settings.interface = Some(OsString::from_vec(value.to_vec()));
        Ok(())
    }),
    named("name-timeout", "SECONDS", "30", "how long to look the names of a connection up", |settings, value| {
        settings.name_timeout = number(value, u32::MAX)?;
        Ok(())
    }),
];
