//! What the supervisor and a child of a pool say to each other: from which listener a connection is, and both its ends; and
//! that it is closed.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::admit::Admitted;
use crate::sys::Peer;

/// What a child says when it has closed its connection.
pub(super) const DONE: &[u8; 1] = b".";

/// A tag, a port and an IPv6 address.
const END: usize = 1 + 2 + 16;
/// How long what is said of a connection is.
pub(super) const TEXT: usize = 1 + 2 * END;

/// Says it of this one.
pub(super) fn write(text: &mut [u8; TEXT], from: usize, admitted: &Admitted) {
    text[0] = from as u8;
    for (part, end) in text[1..].chunks_exact_mut(END).zip([admitted.peer, admitted.local]) {
        let Some(end) = end else { continue };
        let ip = match end.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        part[0] = 1;
        part[1..3].copy_from_slice(&end.port().to_be_bytes());
        part[3..].copy_from_slice(&ip.octets());
    }
}

/// What was said: the listener's number, the client's end, ours.
pub(super) fn read(text: &[u8; TEXT]) -> (usize, Peer, Peer) {
    let end = |at: usize| {
        let part: [u8; END] = text[at..at + END].try_into().ok()?;
        let [1, high, low, ip @ ..] = part else { return None };
        Some(SocketAddr::new(Ipv6Addr::from(ip).to_canonical(), u16::from_be_bytes([high, low])))
    };
    (usize::from(text[0]), end(1), end(1 + END))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_cross() {
        let [peer, local] = ["[::ffff:192.0.2.1]:65535", "198.51.100.7:443"].map(|end| end.parse().ok());
        let connection = Admitted { socket: std::fs::File::open("/dev/null").unwrap().into(), peer, local };
        let mut text = [0; TEXT];
        write(&mut text, 15, &connection);
        assert_eq!(read(&text), (15, "192.0.2.1:65535".parse().ok(), connection.local));
        assert_eq!(read(&[0; TEXT]), (0, None, None));
    }
}
