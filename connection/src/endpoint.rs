//! One end of a connection, as text.
//!
//! Text, because that is what logs, environments and super-servers speak; written by hand into a fixed buffer, because
//! `core::fmt` and the standard library's address types would be the larger half of a freestanding executable.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Longest text: an IPv4-mapped IPv6 address, or an IPv6 address with a scope name of 15 bytes behind `%`.
const LEN: usize = 62;

/// An address in its canonical text form (RFC 5952 for IPv6) and a port; both empty when unknown.
#[derive(Clone, Copy)]
pub struct Endpoint {
    text: [u8; LEN],
    len: u8,
    port: u16,
}

impl Endpoint {
    /// Neither address nor port: a pipe, a Unix socket, or a super-server that does not tell.
    pub const UNKNOWN: Endpoint = Endpoint { text: [0; LEN], len: 0, port: 0 };

    /// The address as text, without brackets; empty when it is not known.
    #[must_use]
    pub fn ip(&self) -> &[u8] {
        &self.text[..usize::from(self.len)]
    }

    /// The TCP port; 0 when it is not known.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Takes text that another program wrote, such as `$TCPREMOTEIP`: what does not look like an address, by its
    /// characters or its length, is not taken.
    #[must_use]
    pub fn from_text(ip: &[u8], port: u16) -> Endpoint {
        let plausible = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b':' | b'%' | b'_' | b'-');
        let mut endpoint = Endpoint { port, ..Endpoint::UNKNOWN };
        if ip.len() <= LEN && ip.iter().all(plausible) {
            ip.iter().for_each(|&b| endpoint.push(b));
        }
        endpoint
    }

    #[inline(never)]
    fn push(&mut self, byte: u8) {
        // There is always room: `LEN` is that of the longest text.
        if let Some(end) = self.text.get_mut(usize::from(self.len)) {
            *end = byte;
            self.len += 1;
        }
    }

    fn decimal(&mut self, byte: u8) {
        if byte >= 100 {
            self.push(b'0' + byte / 100);
        }
        if byte >= 10 {
            self.push(b'0' + byte / 10 % 10);
        }
        self.push(b'0' + byte % 10);
    }

    fn v4(&mut self, ip: Ipv4Addr) {
        for (i, byte) in ip.octets().into_iter().enumerate() {
            if i > 0 {
                self.push(b'.');
            }
            self.decimal(byte);
        }
    }

    /// RFC 5952: lower case, no leading zeroes, the first longest run of two or more zero groups as `::`.
    fn v6(&mut self, ip: Ipv6Addr) {
        let groups = ip.segments();
        let (mut gap, mut gap_len) = (8, 1);
        let mut i = 0;
        while i < 8 {
            let run = groups[i..].iter().take_while(|&&group| group == 0).count();
            if run > gap_len {
                (gap, gap_len) = (i, run);
            }
            i += run.max(1);
        }
        let mut i = 0;
        while i < 8 {
            if i == gap {
                self.push(b':');
                self.push(b':');
                i += gap_len;
                continue;
            }
            if i > 0 && i != gap + gap_len {
                self.push(b':');
            }
            let mut started = false;
            for shift in [12, 8, 4, 0] {
                let digit = (groups[i] >> shift & 15) as u8;
                started |= digit != 0 || shift == 0;
                if started {
                    self.push(b"0123456789abcdef"[usize::from(digit)]);
                }
            }
            i += 1;
        }
    }
}

impl From<SocketAddr> for Endpoint {
    /// An IPv4 client of a dual-stack socket is shown as what it is: in IPv4 form.
    fn from(address: SocketAddr) -> Endpoint {
        let mut endpoint = Endpoint { port: address.port(), ..Endpoint::UNKNOWN };
        match address.ip().to_canonical() {
            IpAddr::V4(ip) => endpoint.v4(ip),
            IpAddr::V6(ip) => endpoint.v6(ip),
        }
        endpoint
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::ToString;

    /// The standard library is the reference.
    fn same_as_std(ip: IpAddr) {
        let ours = Endpoint::from(SocketAddr::new(ip, 80));
        assert_eq!(core::str::from_utf8(ours.ip()).unwrap(), ip.to_canonical().to_string());
    }

    #[test]
    fn text_is_that_of_the_standard_library() {
        for text in ["::", "::1", "1::", "1::2", "fe80::1:0:0:1", "1:0:0:2:0:0:0:3", "0:1::", "1:2:3:4:5:6:7:8"] {
            same_as_std(text.parse().unwrap());
        }
        for text in ["0.0.0.0", "127.0.0.1", "255.255.255.255", "10.20.100.9", "::ffff:192.0.2.1"] {
            same_as_std(text.parse().unwrap());
        }
        // Every pattern of zero and non-zero groups.
        for mask in 0..256u16 {
            let groups: [u16; 8] = core::array::from_fn(|i| if mask >> i & 1 == 1 { 0xa0 << i } else { 0 });
            let ip = Ipv6Addr::from(groups);
            // The deprecated IPv4-compatible form is the one place where the two differ.
            same_as_std(ip.into());
        }
    }

    #[test]
    fn foreign_text_is_checked() {
        assert_eq!(Endpoint::from_text(b"192.0.2.1", 1).ip(), b"192.0.2.1");
        assert_eq!(Endpoint::from_text(b"fe80::1%eth0", 1).ip(), b"fe80::1%eth0");
        assert_eq!(Endpoint::from_text(b"1.2.3.4\n\" evil", 1).ip(), b"");
        assert_eq!(Endpoint::from_text(&[b'1'; 63], 1).ip(), b"");
    }
}
