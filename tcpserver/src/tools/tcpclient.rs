//! tcpclient(1): connects, and runs a program with the connection on its descriptors 6 and 7.

use std::env;
use std::ffi::{OsStr, OsString};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::net::if_::if_nametoindex;

use super::dial::{self, Dialer, LOOKUP, PROGRAM};
use super::failure::{Failure, say};
use super::options::{self, number};
use super::program::run_as;
use crate::names::{Deadline, Family, Resolver, ident};
use crate::sys;

const USAGE: &str = "[ -46hHrRdDqQv ] [ -i localip ] [ -p localport ] [ -I interface ] [ -T timeoutconn ] \
                     [ -l localname ] [ -t timeoutinfo ] host port program";

/// What the command line says.
struct Plan {
    dialer: Dialer,
    verbose: bool,
    no_delay: bool,
    local_name: Option<OsString>,
    remote_host: bool,
    remote_info: bool,
    /// For the whole of ident, in seconds.
    info_patience: u64,
    host: OsString,
    port: OsString,
    words: Vec<OsString>,
}

/// `tcpclient [OPTION ...] HOST PORT PROGRAM [ARGUMENT ...]`.
pub fn run(arguments: impl Iterator<Item = OsString>) -> Result<(), Failure> {
    // They are the program's to be; what is open there is not passed on to it, whatever becomes of us.
    sys::close(6);
    sys::close(7);
    let (plan, mut quiet) = (plan(arguments), false);
    let result = plan.and_then(|plan| {
        quiet = plan.dialer.quiet;
        connected(plan)
    });
    result.map_err(|failure| if quiet { Failure { lines: Vec::new(), ..failure } } else { failure })
}

fn plan(arguments: impl Iterator<Item = OsString>) -> Result<Plan, Failure> {
    let usage = || Failure::usage(PROGRAM, USAGE);
    let (given, mut words) = options::parse(PROGRAM, USAGE, "46dDvqQhHrRi:I:p:t:T:l:", arguments)?;
    let mut plan = Plan {
        dialer: Dialer::default(),
        verbose: false,
        no_delay: false,
        local_name: None,
        remote_host: true,
        remote_info: true,
        info_patience: 26,
        host: OsString::new(),
        port: OsString::new(),
        words: Vec::new(),
    };
    let dialer = &mut plan.dialer;
    for (letter, value) in given {
        match letter {
            b'4' => dialer.family = Family::V4,
            b'6' => dialer.family = Family::V6,
            b'd' | b'D' => plan.no_delay = letter == b'D',
            b'v' | b'q' | b'Q' => (plan.verbose, dialer.quiet) = (letter == b'v', letter == b'q'),
            b'h' | b'H' => plan.remote_host = letter == b'h',
            b'r' | b'R' => plan.remote_info = letter == b'r',
            b'i' => dialer.local_ip = Some(value.to_str().and_then(|text| text.parse().ok()).ok_or_else(usage)?),
            b'I' => {
                dialer.interface = if_nametoindex(value.as_os_str())
                    .map_err(|error| Failure::system(PROGRAM, "unable to find interface ", &value, error))?;
            }
            b'p' => dialer.local_port = number(&value).ok_or_else(usage)?,
            b't' => plan.info_patience = number(&value).ok_or_else(usage)?,
            b'T' => dialer.patience = patience(&value).ok_or_else(usage)?,
            _ => plan.local_name = Some(value),
        }
    }
    if dialer.local_ip.is_some_and(|ip| ip.is_unspecified()) {
        dialer.local_ip = None;
    }
    match (words.next(), words.next()) {
        (Some(host), Some(port)) if !words.as_slice().is_empty() => {
            (plan.host, plan.port, plan.words) = (host, port, words.collect());
            Ok(plan)
        }
        _ if dialer.quiet => Err(Failure { code: 100, lines: Vec::new() }),
        _ => Err(usage()),
    }
}

/// The `x+y` of -T, or `x` alone.
fn patience(value: &OsStr) -> Option<(u64, u64)> {
    let text = value.to_str()?;
    match text.split_once('+') {
        Some((first, "")) => Some((number(first.as_ref())?, 0)),
        Some((first, second)) => Some((number(first.as_ref())?, number(second.as_ref())?)),
        None => Some((number(value)?, 0)),
    }
}

fn connected(plan: Plan) -> Result<(), Failure> {
    let resolver = Resolver::from_system();
    let port = dial::port(&plan.port)?;
    let host = plan.host.to_string_lossy();
    let (socket, _) = plan.dialer.dial(&resolver, &host, port)?;
    let stream = TcpStream::from(socket);
    if plan.no_delay {
        // If it fails: it is a wish.
        let _ = stream.set_nodelay(true);
    }
    let local =
        stream.local_addr().map_err(|error| Failure::system(PROGRAM, "unable to get local address", "", error))?;
    let remote =
        stream.peer_addr().map_err(|error| Failure::system(PROGRAM, "unable to get remote address", "", error))?;
    // Empty for who has no name; nothing where nobody could say.
    let lookup = |ip| {
        let name = resolver.try_host_of(ip, Deadline::after(LOOKUP)).ok()?;
        Some(OsString::from(name.unwrap_or_default()))
    };
    let local_name = plan.local_name.or_else(|| lookup(local.ip()));
    if plan.verbose {
        say(format!("{PROGRAM}: connected to {} port {}\n", remote.ip(), remote.port()));
    }
    let remote_name = if plan.remote_host { lookup(remote.ip()) } else { None };
    let info = if plan.remote_info {
        ident(remote, local, Deadline::after(Duration::from_secs(plan.info_patience)))
    } else {
        None
    };
    let info = info.map(std::os::unix::ffi::OsStringExt::from_vec);
    let environment = environment(local, remote, [local_name, remote_name, info]);
    hand_over(stream.into())?;
    let file = plan.words.first().cloned().unwrap_or_default();
    Err(run_as(PROGRAM, &file, plan.words, environment))
}

/// tcp-environ(5): what is known of both ends, and nothing of a connection that we were started on. IPv6 has, as with
/// the patched versions, a protocol of its own and the variables a second time.
fn environment(
    local: SocketAddr,
    remote: SocketAddr,
    [local_name, remote_name, info]: [Option<OsString>; 3],
) -> impl Iterator<Item = (OsString, OsString)> {
    let text = |ip: IpAddr| Some(OsString::from(ip.to_string()));
    let number = |port: u16| Some(OsString::from(port.to_string()));
    let known = [
        ("LOCALIP", text(local.ip())),
        ("LOCALPORT", number(local.port())),
        ("LOCALHOST", local_name),
        ("REMOTEIP", text(remote.ip())),
        ("REMOTEPORT", number(remote.port())),
        ("REMOTEHOST", remote_name),
        ("REMOTEINFO", info),
    ];
    let six = remote.is_ipv6();
    let mut ours: Vec<(OsString, Option<OsString>)> =
        vec![("PROTO".into(), Some(if six { "TCP6" } else { "TCP" }.into()))];
    for (name, value) in known {
        ours.push((format!("TCP6{name}").into(), value.clone().filter(|_| six)));
        ours.push((format!("TCP{name}").into(), value));
    }
    let inherited: Vec<_> = env::vars_os().filter(|(name, _)| ours.iter().all(|(known, _)| known != name)).collect();
    inherited.into_iter().chain(ours.into_iter().filter_map(|(name, value)| Some((name, value?))))
}

/// Puts the connection where UCSPI clients look for it: to read from 6, to write to 7.
fn hand_over(socket: OwnedFd) -> Result<(), Failure> {
    let unable = |place, error: std::io::Error| {
        Failure::system(PROGRAM, &format!("unable to set up descriptor {place}"), "", error)
    };
    // It may have been given one of the two, which are free since the beginning.
    let aside = sys::duplicate(socket.as_raw_fd(), 8).map_err(|error| unable(6, error))?;
    drop(socket);
    for place in [6, 7] {
        let got = fcntl(&aside, FcntlArg::F_DUPFD(place)).map_err(|error| unable(place, error.into()))?;
        if got != place {
            return Err(unable(place, Errno::EBUSY.into()));
        }
    }
    Ok(())
}
