//! The PROXY protocol's header, versions 1 and 2 (<https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>).
//!
//! [`read`] looks at the bytes that have arrived so far and says what they are. Until it says [`Header::Whole`], all of
//! them belong to the header, so they may be taken out of the socket; then it says how many do, and what follows is the
//! program's.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Range;
use std::str::FromStr;

/// A line of version 1 with its CRLF (section 2.1).
const LONGEST_LINE: usize = 107;

/// What version 2 begins with (section 2.2).
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// The part of a version 2 header whose length is fixed.
const FIXED: usize = 16;

/// A longer header is no header: room for the addresses, and for what a balancer says of the client's certificate.
pub const LONGEST: usize = 4096;

/// The type of the checksum among what follows the addresses (section 2.2.3).
const CRC32C: u8 = 0x03;

/// What the bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// The beginning of one.
    Partial,
    /// A whole one.
    Whole {
        /// Its length in bytes.
        len: usize,
        /// Client and server; `None` when the header speaks of the connection that it came on: a health check.
        ends: Option<Ends>,
    },
    /// None.
    Malformed(&'static str),
}

/// The two ends of the client's connection to the balancer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// The client.
    pub source: SocketAddr,
    /// What it connected to.
    pub destination: SocketAddr,
}

/// Reads what has arrived.
#[must_use]
pub fn read(bytes: &[u8]) -> Header {
    let both = bytes.iter().zip(SIGNATURE);
    if both.clone().all(|(a, b)| a == b) {
        return if bytes.len() < FIXED { Header::Partial } else { version_2(bytes) };
    }
    let line = b"PROXY ";
    if bytes.iter().zip(line).any(|(a, b)| a != b) {
        return Header::Malformed("no PROXY header");
    }
    version_1(bytes)
}

fn version_1(bytes: &[u8]) -> Header {
    let Some(end) = bytes.iter().take(LONGEST_LINE).position(|&b| b == b'\n') else {
        let too_long = bytes.len() >= LONGEST_LINE;
        return if too_long { Header::Malformed("the line is too long") } else { Header::Partial };
    };
    let len = end + 1;
    let Some(line) = bytes[..end].strip_suffix(b"\r").and_then(|line| std::str::from_utf8(line).ok()) else {
        return Header::Malformed("the line does not end in CRLF, or is not ASCII");
    };
    let mut words = line.split(' ').skip(1);
    let ends = match words.next() {
        // What follows is to be ignored.
        Some("UNKNOWN") => return Header::Whole { len, ends: None },
        Some("TCP4") => ends::<Ipv4Addr>(words),
        Some("TCP6") => ends::<Ipv6Addr>(words),
        _ => return Header::Malformed("neither TCP4 nor TCP6 nor UNKNOWN"),
    };
    match ends {
        Some(ends) => Header::Whole { len, ends: Some(ends) },
        None => Header::Malformed("no two addresses and ports"),
    }
}

/// Source and destination address, source and destination port, and no more.
fn ends<'a, A: FromStr + Into<IpAddr>>(mut words: impl Iterator<Item = &'a str>) -> Option<Ends> {
    let mut address = || words.next()?.parse::<A>().ok().map(Into::into);
    let (source, destination) = (address()?, address()?);
    let mut port = || words.next().and_then(port);
    let (source_port, destination_port) = (port()?, port()?);
    let ends = Ends {
        source: SocketAddr::new(source, source_port),
        destination: SocketAddr::new(destination, destination_port),
    };
    words.next().is_none().then_some(ends)
}

/// Digits, and no zero before them.
fn port(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain)
}

/// `bytes` has the fixed part at least.
fn version_2(bytes: &[u8]) -> Header {
    let (version, command) = (bytes[12] >> 4, bytes[12] & 15);
    let (family, transport) = (bytes[13] >> 4, bytes[13] & 15);
    let len = FIXED + usize::from(u16::from_be_bytes([bytes[14], bytes[15]]));
    if version != 2 {
        return Header::Malformed("neither version 1 nor 2");
    }
    if command > 1 || family > 3 || transport > 2 {
        return Header::Malformed("an unknown command, family or transport");
    }
    // The addresses of each family: AF_UNSPEC, AF_INET, AF_INET6, AF_UNIX.
    let addresses = FIXED + [0, 12, 36, 216][usize::from(family)];
    let local = command == 0;
    if len > LONGEST {
        return Header::Malformed("the header is too long");
    }
    if !local && len < addresses {
        return Header::Malformed("the header is too short for its addresses");
    }
    let Some(header) = bytes.get(..len) else { return Header::Partial };
    // Of a LOCAL connection the spec has the receiver skip everything, so what stands there need not make sense.
    if local || family == 0 {
        return Header::Whole { len, ends: None };
    }
    match checksum(header, addresses) {
        Err(what) => return Header::Malformed(what),
        Ok(Some(at)) if !is_intact(header, &at) => return Header::Malformed("the checksum is wrong"),
        Ok(_) => {}
    }
    let port = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let ends = match family {
        1 => {
            let ip = |at: usize| Ipv4Addr::from([header[at], header[at + 1], header[at + 2], header[at + 3]]);
            Some((IpAddr::from(ip(16)), IpAddr::from(ip(20)), port(24), port(26)))
        }
        2 => {
            let ip = |at: usize| Ipv6Addr::from(std::array::from_fn::<u8, 16, _>(|i| header[at + i]));
            Some((ip(16).into(), ip(32).into(), port(48), port(50)))
        }
        // A client on a Unix socket has no address to be known by.
        _ => None,
    };
    let ends = ends.map(|(source, destination, source_port, destination_port)| Ends {
        source: SocketAddr::new(source, source_port),
        destination: SocketAddr::new(destination, destination_port),
    });
    Header::Whole { len, ends }
}

/// Where the checksum stands among what follows the addresses, if it is there.
fn checksum(header: &[u8], mut at: usize) -> Result<Option<Range<usize>>, &'static str> {
    let mut found = None;
    while at < header.len() {
        // Type, length of two bytes, value.
        let value = at + 3;
        let end = header.get(at + 1..value).map(|len| value + usize::from(u16::from_be_bytes([len[0], len[1]])));
        let Some(end) = end.filter(|&end| end <= header.len()) else {
            return Err("what follows the addresses is cut off");
        };
        if header[at] == CRC32C {
            if end - value != 4 || found.is_some() {
                return Err("the checksum is not one of 4 bytes");
            }
            found = Some(value..end);
        }
        at = end;
    }
    Ok(found)
}

/// Whether the checksum at this place is that of the header with zeroes in its place.
fn is_intact(header: &[u8], at: &Range<usize>) -> bool {
    const CASTAGNOLI: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI);
    let mut digest = CASTAGNOLI.digest();
    digest.update(&header[..at.start]);
    digest.update(&[0; 4]);
    digest.update(&header[at.end..]);
    header[at.clone()] == digest.finalize().to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let len = u16::try_from(body.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[0x20 | command, family], &len, body].concat()
    }

    const V4: [u8; 12] = [192, 0, 2, 1, 198, 51, 100, 7, 0x10, 0, 0, 25];

    fn malformed(bytes: &[u8]) -> bool {
        matches!(read(bytes), Header::Malformed(_))
    }

    fn ends_of(bytes: &[u8]) -> Option<Ends> {
        match read(bytes) {
            Header::Whole { len, ends } if len == bytes.len() => ends,
            other => panic!("{other:?} of {}", bytes.escape_ascii()),
        }
    }

    fn ends(source: &str, destination: &str) -> Option<Ends> {
        Some(Ends { source: source.parse().unwrap(), destination: destination.parse().unwrap() })
    }

    #[test]
    fn lines() {
        let v4 = ends("192.0.2.1:56324", "198.51.100.7:443");
        assert_eq!(ends_of(b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n"), v4);
        let v6 = ends("[2001:db8::1]:1", "[::1]:0");
        assert_eq!(ends_of(b"PROXY TCP6 2001:db8::1 ::1 1 0\r\n"), v6);
        let longest = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
        assert!(ends_of(format!("PROXY TCP6 {longest} {longest} 65535 65535\r\n").as_bytes()).is_some());
        assert_eq!(ends_of(b"PROXY UNKNOWN\r\n"), None);
        let longest = format!("PROXY UNKNOWN {longest} {longest} 65535 65535\r\n");
        assert_eq!((longest.len(), ends_of(longest.as_bytes())), (LONGEST_LINE, None));
    }

    #[test]
    fn lines_that_are_none() {
        for wrong in [
            "EHLO client\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\n",
            "PROXY TCP4 192.0.2.1 198.51.100.7 56324\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443 \r\n",
            "PROXY TCP4 192.0.2.1  198.51.100.7 56324 443\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.7 056324 443\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.7 +5 443\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.7 65536 443\r\n",
            "PROXY TCP4 192.0.02.1 198.51.100.7 1 443\r\n",
            "PROXY TCP4 ::1 ::1 1 443\r\n",
            "PROXY TCP6 192.0.2.1 198.51.100.7 1 443\r\n",
            "PROXY UDP4 192.0.2.1 198.51.100.7 1 443\r\n",
            "PROXY  TCP4 192.0.2.1 198.51.100.7 1 443\r\n",
            "PROXY UNKNOWNX\r\n",
            "PROXY\r\n",
            "\r\n\r\n\r\n",
        ] {
            assert!(malformed(wrong.as_bytes()), "{wrong:?}: {:?}", read(wrong.as_bytes()));
        }
        assert!(malformed(&[b"PROXY UNKNOWN ", &[b'x'; 92][..], b"\r\n"].concat()), "too long by one");
        assert!(malformed(&[b"PROXY UNKNOWN ", &[b'x'; 200][..]].concat()), "never ending");
    }

    #[test]
    fn version_2_by_hand() {
        let v4 = ends("192.0.2.1:4096", "198.51.100.7:25");
        assert_eq!(ends_of(&v2(1, 0x11, &V4)), v4);
        assert_eq!(ends_of(&v2(1, 0x11, &[&V4[..], &[4, 0, 3, 1, 2, 3]].concat())), v4, "with something to skip");
        let mut v6 = [0; 36];
        (v6[15], v6[31], v6[33], v6[35]) = (1, 2, 80, 90);
        assert_eq!(ends_of(&v2(1, 0x21, &v6)), ends("[::1]:80", "[::2]:90"));
        assert_eq!(ends_of(&v2(1, 0x31, &[b'/'; 216])), None, "a Unix socket");
        assert_eq!(ends_of(&v2(1, 0, b"what is this")), None, "unspecified");
        assert_eq!(ends_of(&v2(0, 0, b"")), None, "a health check");
        assert_eq!(ends_of(&v2(0, 0x11, b"junk")), None, "whose body is skipped");
        assert_eq!(ends_of(&v2(1, 0x11, &[&V4[..], &[0; LONGEST - FIXED - 12]].concat())), v4, "as long as may be");
    }

    #[test]
    fn version_2_that_is_none() {
        assert!(malformed(&v2(2, 0x11, &V4)), "command");
        assert!(malformed(&v2(1, 0x41, &V4)), "family");
        assert!(malformed(&v2(1, 0x13, &V4)), "transport");
        assert!(malformed(&v2(1, 0x11, &V4[..11])), "short");
        assert!(malformed(&v2(1, 0x11, &[0; LONGEST])), "long");
        assert!(malformed(&v2(1, 0x11, &[&V4[..], &[4, 0]].concat())), "cut off");
        assert!(malformed(&v2(1, 0x11, &[&V4[..], &[4, 0, 9, 1]].concat())), "cut off in a value");
        let mut version = v2(1, 0x11, &V4);
        version[12] = 0x31;
        assert!(malformed(&version), "version");
    }

    #[test]
    fn the_checksum_is_checked() {
        // The checksum is computed bit by bit, as RFC 4960 (appendix B) defines it.
        let mut header = v2(1, 0x11, &[&V4[..], &[CRC32C, 0, 4, 0, 0, 0, 0]].concat());
        let crc = header.iter().fold(!0u32, |crc, &byte| {
            (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0x82F6_3B78 } else { crc >> 1 })
        });
        let at = header.len() - 4;
        header[at..].copy_from_slice(&(!crc).to_be_bytes());
        assert!(ends_of(&header).is_some());
        // Damage to the byte that says it is one has it skipped as something else.
        let kind = FIXED + V4.len();
        for at in (0..header.len()).filter(|&at| at != kind) {
            let mut damaged = header.clone();
            damaged[at] ^= 1;
            let source = match read(&damaged) {
                Header::Whole { ends: Some(ends), .. } => Some(ends),
                _ => None,
            };
            assert_eq!(source, None, "damage at {at}");
        }
        assert!(malformed(&v2(1, 0x11, &[&V4[..], &[CRC32C, 0, 3, 0, 0, 0]].concat())), "too short");
    }

    /// What another reader makes of a header.
    fn peer_reads(bytes: &[u8]) -> Option<Option<(SocketAddr, SocketAddr)>> {
        use ppp::{HeaderResult, v1, v2};
        match HeaderResult::parse(bytes) {
            HeaderResult::V1(header) => Some(match header.ok()?.addresses {
                v1::Addresses::Unknown => None,
                v1::Addresses::Tcp4(a) => {
                    Some(((a.source_address, a.source_port).into(), (a.destination_address, a.destination_port).into()))
                }
                v1::Addresses::Tcp6(a) => {
                    Some(((a.source_address, a.source_port).into(), (a.destination_address, a.destination_port).into()))
                }
            }),
            HeaderResult::V2(header) => {
                let header = header.ok()?;
                Some(match header.addresses {
                    _ if header.command == v2::Command::Local => None,
                    v2::Addresses::IPv4(a) => Some((
                        (a.source_address, a.source_port).into(),
                        (a.destination_address, a.destination_port).into(),
                    )),
                    v2::Addresses::IPv6(a) => Some((
                        (a.source_address, a.source_port).into(),
                        (a.destination_address, a.destination_port).into(),
                    )),
                    _ => None,
                })
            }
        }
    }

    fn same_as_peer(bytes: &[u8]) -> Result<(), TestCaseError> {
        let Header::Whole { ends, .. } = read(bytes) else {
            return Err(TestCaseError::fail(format!("{:?}", read(bytes))));
        };
        prop_assert_eq!(peer_reads(bytes), Some(ends.map(|ends| (ends.source, ends.destination))));
        Ok(())
    }

    proptest! {
        #[test]
        fn lines_are_read_as_others_do(source: SocketAddr, destination: SocketAddr) {
            let family = match (source, destination) {
                (SocketAddr::V4(_), SocketAddr::V4(_)) => "TCP4",
                (SocketAddr::V6(_), SocketAddr::V6(_)) => "TCP6",
                _ => "UNKNOWN",
            };
            let (sip, dip, sport, dport) = (source.ip(), destination.ip(), source.port(), destination.port());
            same_as_peer(format!("PROXY {family} {sip} {dip} {sport} {dport}\r\n").as_bytes())?;
        }

        #[test]
        fn version_2_is_read_as_others_do(command in 0u8..2, family in 0u8..4, transport in 0u8..3, body: [u8; 32],
                                          more in prop::collection::vec((4u8..200, prop::collection::vec(any::<u8>(), 0..20)), 0..4)) {
            let addresses = [0, 12, 36, 216][usize::from(family)];
            let body = body.iter().cycle().take(addresses).copied();
            let more = more.iter().flat_map(|(kind, value)| {
                [vec![*kind, 0, u8::try_from(value.len()).unwrap()], value.clone()].concat()
            });
            same_as_peer(&v2(command, family << 4 | transport, &body.chain(more).collect::<Vec<_>>()))?;
        }

        /// Every beginning of a header is the beginning of one, and what follows a header changes nothing about it.
        #[test]
        fn a_header_in_pieces(ipv6: bool, second: bool, follows: Vec<u8>) {
            let header = match (second, ipv6) {
                (false, false) => b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n".to_vec(),
                (false, true) => b"PROXY TCP6 2001:db8::1 2001:db8::2 56324 443\r\n".to_vec(),
                (true, false) => v2(1, 0x11, &V4),
                (true, true) => v2(1, 0x21, &[7; 36]),
            };
            for end in 0..header.len() {
                prop_assert_eq!(read(&header[..end]), Header::Partial);
            }
            let whole = read(&header);
            let is_whole = matches!(whole, Header::Whole { len, ends: Some(_) } if len == header.len());
            prop_assert!(is_whole, "{:?}", whole);
            prop_assert_eq!(read(&[header, follows].concat()), whole);
        }

        /// Anything at all is read without a panic, and no header is longer than what was read.
        #[test]
        fn anything(bytes: Vec<u8>, signature: bool) {
            let bytes = if signature { [&SIGNATURE[..], &bytes].concat() } else { [&b"PROXY "[..], &bytes].concat() };
            if let Header::Whole { len, .. } = read(&bytes) {
                prop_assert!(len <= bytes.len());
            }
            prop_assert!(read(&bytes) != Header::Partial || bytes.len() < LONGEST);
        }
    }
}
