//! Whom to ask, and for which names: resolv.conf(5), and the environment that the programs of djbdns heed.

use std::env;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

const DNS_PORT: u16 = 53;

/// As many servers as ucspi-tcp asks; more domains than anybody has.
const MOST: usize = 16;

/// What a [`super::Resolver`] works with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Recursive servers, to be asked in this order.
    pub servers: Vec<SocketAddr>,
    /// Domains in which names with few dots are looked up.
    pub search: Vec<String>,
    /// With so many dots a name is tried as it stands before it is looked up in the domains.
    pub ndots: usize,
    /// The file of names that is looked into before anybody is asked.
    pub hosts: PathBuf,
}

impl Settings {
    /// Those of this machine. What /etc/resolv.conf does not say, or does not say well, is left at its default: the
    /// server 127.0.0.1 and no domain.
    ///
    /// The environment comes first: `DNSCACHEIP` has the addresses of servers, with a dot or a blank between two,
    /// `LOCALDOMAIN` domains.
    #[must_use]
    pub fn from_system() -> Self {
        let file = fs::read("/etc/resolv.conf").unwrap_or_default();
        let mut settings = Settings::from_text(&String::from_utf8_lossy(&file));
        let variable = |name| env::var_os(name).and_then(|value| value.into_string().ok());
        let given = variable("DNSCACHEIP").map(|value| servers(&value)).unwrap_or_default();
        if !given.is_empty() {
            settings.servers = given;
        }
        if let Some(domains) = variable("LOCALDOMAIN") {
            settings.search = domains.split_ascii_whitespace().take(MOST).map(str::to_owned).collect();
        }
        settings
    }

    /// Those of a resolv.conf(5).
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        let mut settings =
            Settings { servers: Vec::new(), search: Vec::new(), ndots: 1, hosts: PathBuf::from("/etc/hosts") };
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("nameserver") => {
                    let server = words.next().and_then(server).filter(|_| settings.servers.len() < MOST);
                    settings.servers.extend(server);
                }
                // Of several lines the last counts, as with everybody.
                Some("search" | "domain") => settings.search = words.take(MOST).map(str::to_owned).collect(),
                Some("options") => {
                    let ndots = words.filter_map(|word| word.strip_prefix("ndots:")?.parse().ok()).next_back();
                    settings.ndots = ndots.unwrap_or(settings.ndots).min(15);
                }
                _ => {}
            }
        }
        if settings.servers.is_empty() {
            settings.servers.push((Ipv4Addr::LOCALHOST, DNS_PORT).into());
        }
        settings
    }
}

fn server(word: &str) -> Option<SocketAddr> {
    // The scope of a link-local address is the number of an interface in a SocketAddr, by name or number in the file.
    if let Some((address, scope)) = word.split_once('%') {
        let number = scope.parse().ok().or_else(|| nix::net::if_::if_nametoindex(scope).ok())?;
        return Some(std::net::SocketAddrV6::new(address.parse().ok()?, DNS_PORT, 0, number).into());
    }
    Some((word.parse::<IpAddr>().ok()?, DNS_PORT).into())
}

/// The servers of a DNSCACHEIP, `192.0.2.1`, `192.0.2.1.192.0.2.2` or `192.0.2.1 2001:db8::1`: up to the first that is
/// no address.
fn servers(list: &str) -> Vec<SocketAddr> {
    let mut found = Vec::new();
    for word in list.split_ascii_whitespace() {
        if word.contains(':') {
            let Some(server) = server(word) else { break };
            found.push(server);
            continue;
        }
        let numbers: Vec<&str> = word.split('.').filter(|number| !number.is_empty()).collect();
        let addresses = numbers.chunks(4).map_while(|four| four.join(".").parse::<Ipv4Addr>().ok());
        found.extend(addresses.map(|address| SocketAddr::from((address, DNS_PORT))));
    }
    found.truncate(MOST);
    found
}

#[cfg(test)]
mod tests {
    use super::{Settings, servers};

    #[test]
    fn a_file_is_read() {
        let text = "# comment\nnameserver 192.0.2.1\nnameserver\t2001:db8::1\nnameserver nonsense\n\
                    domain a.example\nsearch b.example  c.example\noptions rotate ndots:2 timeout:1\n";
        let settings = Settings::from_text(text);
        assert_eq!(settings.servers, ["192.0.2.1:53", "[2001:db8::1]:53"].map(|text| text.parse().expect("address")));
        assert_eq!((settings.search, settings.ndots), (vec!["b.example".into(), "c.example".into()], 2));
    }

    #[test]
    fn without_a_server_the_machine_itself_is_asked() {
        assert_eq!(Settings::from_text("").servers, ["127.0.0.1:53".parse().expect("address")]);
    }

    #[test]
    fn a_dnscacheip_has_one_or_more_addresses() {
        let addresses = |list| servers(list).iter().map(|server| server.ip().to_string()).collect::<Vec<_>>();
        assert_eq!(addresses("127.0.0.5"), ["127.0.0.5"]);
        assert_eq!(addresses("127.0.0.5.127.0.0.6"), ["127.0.0.5", "127.0.0.6"]);
        assert_eq!(addresses("127.0.0.5 ::1"), ["127.0.0.5", "::1"]);
        assert_eq!(addresses("nonsense"), [""; 0]);
        assert_eq!(addresses(""), [""; 0]);
    }
}
