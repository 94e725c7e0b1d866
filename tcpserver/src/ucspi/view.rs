//! The two ends of a connection and what is known about them, as the environment, the rules and the log show them.
//!
//! For IPv4 that is ucspi-tcp 0.88's way. For IPv6 it is the way of Felix von Leitner's patch, which Debian's
//! ucspi-tcp-ipv6 has: a second set of variables, TCP6..., always speaks IPv6, and the first one shows clients of IPv4 as
//! such, unless -6 forbids it.

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};

use nix::net::if_::if_indextoname;

use crate::environ::decimal;
use crate::sys::{CStrings, Line, Peer};

/// A field of a log line is cut behind so many bytes.
const LONGEST: usize = 100;

/// Both ends.
pub(super) struct View {
    local: End,
    remote: End,
    proto: &'static str,
    /// Whether the listening socket is one of IPv6.
    six: bool,
    /// Where a link-local client is.
    interface: Option<Vec<u8>>,
}

/// One end, its addresses as text; empty where there is none.
struct End {
    /// As an IPv4 address, if it is one.
    ip: String,
    /// As the socket has it.
    raw: String,
    port: Option<u16>,
}

/// What is known about the two ends beside their addresses.
#[derive(Default)]
pub(super) struct Known<'a> {
    pub local_name: Option<&'a [u8]>,
    pub remote_name: Option<&'a [u8]>,
    pub info: Option<&'a [u8]>,
}

impl View {
    /// `keep_mapped` leaves an IPv4 address within IPv6 what it is.
    pub(super) fn new(local: Peer, remote: Peer, keep_mapped: bool) -> View {
        let end = |address: Peer| {
            let text = |ip: Option<IpAddr>| ip.map_or_else(String::new, |ip| ip.to_string());
            let ip = address.as_ref().map(SocketAddr::ip);
            End {
                ip: text(ip.map(|ip| if keep_mapped { ip } else { ip.to_canonical() })),
                raw: text(ip),
                port: address.map(|address| address.port()),
            }
        };
        let proto = match remote.map(|remote| remote.ip()) {
            None => "UNIX",
            Some(ip @ IpAddr::V6(_)) if keep_mapped || ip.to_canonical() == ip => "TCP6",
            Some(_) => "TCP",
        };
        let scope = |address: SocketAddr| match address {
            SocketAddr::V6(v6) if v6.scope_id() != 0 => if_indextoname(v6.scope_id()).ok(),
            _ => None,
        };
        let interface = remote.and_then(scope).map(std::ffi::CString::into_bytes);
        let six = remote.is_some_and(|remote| remote.is_ipv6());
        View { local: end(local), remote: end(remote), proto, six, interface }
    }

    /// Adds the variables of this connection to an environment that has none of them; then those of a rule, in the place
    /// of what was there.
    pub(super) fn complete(&self, environment: &mut CStrings, known: &Known<'_>, rule: &[(OsString, OsString)]) {
        environment.push(&[b"PROTO=", self.proto.as_bytes()]);
        let sides = [
            (&b"LOCAL"[..], &self.local, known.local_name, None),
            (b"REMOTE", &self.remote, known.remote_name, known.info),
        ];
        for (side, end, host, info) in sides {
            let mut set = |tcp: &[u8], what: &[u8], value: Option<&[u8]>| {
                if let Some(value) = value {
                    environment.push(&[tcp, side, what, value]);
                }
            };
            let mut digits = [0; 5];
            let port = end.port.map(|port| decimal(port, &mut digits));
            let is_there = |ip: &str| (!ip.is_empty()).then_some(()).is_some();
            set(b"TCP", b"IP=", Some(end.ip.as_bytes()).filter(|_| is_there(&end.ip)));
            set(b"TCP", b"PORT=", port);
            set(b"TCP", b"HOST=", host);
            set(b"TCP", b"INFO=", info);
            if self.six {
                set(b"TCP6", b"IP=", Some(end.raw.as_bytes()));
                set(b"TCP6", b"PORT=", port);
                set(b"TCP6", b"HOST=", host);
                set(b"TCP6", b"INFO=", info);
            }
        }
        if let Some(interface) = &self.interface {
            environment.push(&[b"TCP6INTERFACE=", interface]);
        }
        for (name, value) in rule {
            environment.set(name.as_encoded_bytes(), value.as_encoded_bytes());
        }
    }

    /// `tcpserver: pid PID from IP`.
    pub(super) fn hello(&self, line: &mut Line) {
        line.before.extend(b"tcpserver: pid ");
        let ip: &[u8] = if self.remote.ip.is_empty() { b"unix" } else { self.remote.ip.as_bytes() };
        line.after.extend([b" from ", ip, b"\n"].concat());
    }

    /// `tcpserver: ok PID LOCALHOST:LOCALIP:LOCALPORT REMOTEHOST:REMOTEIP:INFO:REMOTEPORT`, or `deny`.
    pub(super) fn verdict(&self, line: &mut Line, allow: bool, known: &Known<'_>) {
        line.before.extend(if allow { &b"tcpserver: ok "[..] } else { b"tcpserver: deny " });
        let after = &mut line.after;
        after.push(b' ');
        safe(after, known.local_name);
        ip(after, &self.local);
        port(after, &self.local);
        after.push(b' ');
        safe(after, known.remote_name);
        ip(after, &self.remote);
        after.push(b':');
        safe(after, known.info);
        port(after, &self.remote);
        after.push(b'\n');
    }
}

/// The colons of an IPv6 address are left in it, for there is no reading it without them.
fn ip(to: &mut Vec<u8>, end: &End) {
    to.push(b':');
    to.extend(end.raw.as_bytes());
}

fn port(to: &mut Vec<u8>, end: &End) {
    to.push(b':');
    if let Some(port) = end.port {
        to.extend(decimal(port, &mut [0; 5]));
    }
}

/// What came from the wire: neither blanks nor control characters, nor what is punctuation of the line or of a logger.
fn safe(to: &mut Vec<u8>, field: Option<&[u8]>) {
    let field = field.unwrap_or_default().split(|&byte| byte == 0).next().unwrap_or_default();
    let clean = |&byte: &u8| if matches!(byte, b'!'..=b'~') && byte != b'%' && byte != b':' { byte } else { b'?' };
    to.extend(field.iter().take(LONGEST).map(clean));
    // 0.88 looks no further than the hundredth byte, and so marks a field of just a hundred as cut.
    if field.len() >= LONGEST {
        to.extend(b"...");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(local: &str, remote: &str, keep_mapped: bool) -> View {
        let address = |text: &str| Some(text.parse().expect("an address"));
        View::new(address(local), address(remote), keep_mapped)
    }

    fn environment(view: &View, known: &Known<'_>, rule: &[(&str, &str)]) -> Vec<String> {
        let rule: Vec<(OsString, OsString)> = rule.iter().map(|(name, value)| (name.into(), value.into())).collect();
        let mut environment = CStrings::default();
        environment.push(&[b"PATH=/bin"]);
        view.complete(&mut environment, known, &rule);
        let mut strings: Vec<_> = environment.iter().map(|s| String::from_utf8_lossy(s).into_owned()).collect();
        strings.sort();
        strings
    }

    #[test]
    fn ipv4() {
        let view = view("192.0.2.1:25", "192.0.2.9:1025", false);
        let known = Known { local_name: Some(b"0"), remote_name: None, info: Some(b"") };
        let found = environment(&view, &known, &[("TCPREMOTEIP", "?"), ("PATH", "/x"), ("A", "")]);
        let expected = [
            "A=",
            "PATH=/x",
            "PROTO=TCP",
            "TCPLOCALHOST=0",
            "TCPLOCALIP=192.0.2.1",
            "TCPLOCALPORT=25",
            "TCPREMOTEINFO=",
            "TCPREMOTEIP=?",
            "TCPREMOTEPORT=1025",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn ipv4_within_ipv6() {
        let found = |keep| {
            let view = view("[::ffff:192.0.2.1]:25", "[::ffff:192.0.2.9]:1025", keep);
            let (mut hello, mut verdict) = (Line::default(), Line::default());
            view.hello(&mut hello);
            view.verdict(&mut verdict, true, &Known::default());
            assert_eq!(verdict.after, b" :::ffff:192.0.2.1:25 :::ffff:192.0.2.9::1025\n");
            (environment(&view, &Known::default(), &[]), String::from_utf8_lossy(&hello.after).into_owned())
        };
        let (four, from_four) = found(false);
        assert!(four.contains(&"PROTO=TCP".into()) && four.contains(&"TCPREMOTEIP=192.0.2.9".into()));
        assert!(four.contains(&"TCP6REMOTEIP=::ffff:192.0.2.9".into()) && four.contains(&"TCP6LOCALPORT=25".into()));
        let (six, from_six) = found(true);
        assert!(six.contains(&"PROTO=TCP6".into()) && six.contains(&"TCPREMOTEIP=::ffff:192.0.2.9".into()));
        assert_eq!((&*from_four, &*from_six), (" from 192.0.2.9\n", " from ::ffff:192.0.2.9\n"));
    }

    #[test]
    fn fields_are_cleaned_and_cut() {
        let cleaned = |field: &[u8]| {
            let mut to = Vec::new();
            safe(&mut to, Some(field));
            String::from_utf8(to).expect("it is clean")
        };
        assert_eq!(cleaned(b"a b:c%d\x7f\xe4\n!~"), "a?b?c?d???!~");
        assert_eq!(cleaned(b"a\0b"), "a");
        assert_eq!(cleaned(&[b'x'; 99]), "x".repeat(99));
        assert_eq!(cleaned(&[b'x'; 100]), "x".repeat(100) + "...");
        assert_eq!(cleaned(&[b'x'; 101]), "x".repeat(100) + "...");
    }
}
