//! From the host and the port on the command line to the address to listen on.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::time::Duration;

use nix::net::if_::if_nametoindex;

use super::Failure;
use super::options::{Settings, Wanted};
use crate::error::describe;
use crate::names::{Deadline, Family, Resolver};
use crate::rules::reason::reason;

/// The address that the settings name.
pub(super) fn find(settings: &Settings) -> Result<SocketAddr, Failure> {
    let port = port(&settings.port.to_string_lossy())?;
    let scope = match &settings.interface {
        Some(interface) => if_nametoindex(interface.as_os_str()).map_err(|error| {
            let interface = interface.to_string_lossy();
            Failure::fatal(format_args!("unable to find interface {interface}: {}", describe(&error.into())))
        })?,
        None => 0,
    };
    let timeout = Duration::from_secs(settings.name_timeout.into());
    Ok(match ip(&settings.host.to_string_lossy(), settings.wanted, timeout)? {
        IpAddr::V4(ip) => (ip, port).into(),
        IpAddr::V6(ip) => SocketAddrV6::new(ip, port, 0, scope).into(),
    })
}

fn ip(host: &str, wanted: Wanted, timeout: Duration) -> Result<IpAddr, Failure> {
    let found = match host {
        "" | "0" if wanted == Wanted::V6 => Some(Ipv6Addr::UNSPECIFIED.into()),
        "" | "0" => Some(Ipv4Addr::UNSPECIFIED.into()),
        _ => match host.parse() {
            Ok(ip) => Some(ip),
            Err(_) => look_up(host, wanted, timeout)?,
        },
    };
    let found = match (found, wanted) {
        (Some(IpAddr::V4(ip)), Wanted::V6) => Some(ip.to_ipv6_mapped().into()),
        (Some(IpAddr::V6(_)), Wanted::V4) => None,
        (found, _) => found,
    };
    found.ok_or_else(|| Failure::fatal(format_args!("no IP address for {host}")))
}

/// The first address of a name.
fn look_up(host: &str, wanted: Wanted, timeout: Duration) -> Result<Option<IpAddr>, Failure> {
    let (resolver, deadline) = (Resolver::from_system(), Deadline::after(timeout));
    let first = |family| -> Result<Option<IpAddr>, Failure> {
        let found = resolver.addresses_of(host, family, deadline);
        found.map(|addresses| addresses.first().copied()).map_err(|error| {
            let why = reason(&error);
            Failure::fatal(format_args!("temporarily unable to figure out IP address for {host}: {why}"))
        })
    };
    match wanted {
        Wanted::V4 => first(Family::V4),
        Wanted::V6 => first(Family::V6),
        Wanted::Any => match first(Family::V4)? {
            None => first(Family::V6),
            found => Ok(found),
        },
    }
}

/// A number, or a name from services(5).
fn port(text: &str) -> Result<u16, Failure> {
    let number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let found = if number { text.parse().ok() } else { service(text, fs::read("/etc/services")) };
    found.ok_or_else(|| {
        let why = if number { ": it is beyond 65535" } else { "" };
        Failure::fatal(format_args!("unable to figure out port number for {text}{why}"))
    })
}

/// The port of a TCP service, by its name or another name that it has.
fn service(name: &str, services: io::Result<Vec<u8>>) -> Option<u16> {
    let services = services.ok()?;
    String::from_utf8_lossy(&services).lines().find_map(|line| {
        let mut words = line.split('#').next()?.split_whitespace();
        let (first, number) = (words.next()?, words.next()?.strip_suffix("/tcp")?);
        (first == name || words.any(|other| other == name)).then(|| number.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_have_names_and_other_names() {
        let text = "# comment\nsmtp 25/tcp mail # relay\nsmtp 26/udp\nbad x/tcp\ndomain\t53/udp\ndomain\t53/tcp\n";
        let find = |name| service(name, Ok(text.into()));
        assert_eq!((find("smtp"), find("mail"), find("domain")), (Some(25), Some(25), Some(53)));
        assert_eq!((find("bad"), find("comment"), find("relay"), find("#")), (None, None, None, None));
        assert_eq!(service("smtp", Err(io::ErrorKind::NotFound.into())), None);
    }

    #[test]
    fn ports_that_do_not_fit_are_refused() {
        assert!(matches!((port("0"), port("65535")), (Ok(0), Ok(65535))));
        for wrong in ["65536", "99999999", "", "-1", "+1", "1 "] {
            assert!(port(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn families() {
        let find = |host, wanted| ip(host, wanted, Duration::ZERO).ok().map(|ip| ip.to_string());
        assert_eq!(find("0", Wanted::Any).as_deref(), Some("0.0.0.0"));
        assert_eq!(find("", Wanted::V6).as_deref(), Some("::"));
        assert_eq!(find("192.0.2.1", Wanted::V6).as_deref(), Some("::ffff:192.0.2.1"));
        assert_eq!(find("::1", Wanted::Any).as_deref(), Some("::1"));
        assert_eq!(find("::1", Wanted::V4), None);
    }
}
