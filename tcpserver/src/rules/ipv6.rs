//! IPv6 addresses and networks: how rules write them, and the keys of their records.

use std::net::Ipv6Addr;

/// The key of the record that says which lengths of IPv6 prefixes there are, so that not all 128 are asked for.
pub const LENGTHS: &[u8] = b"/6";

/// An address, and the length of a prefix if it is a network.
pub struct Network {
    pub ip: Ipv6Addr,
    pub length: Option<u8>,
}

/// Reads `A`, `A/LENGTH`, `[A]`, `[A]/LENGTH`, `[A/LENGTH]`, or whole groups of a prefix: `2001:db8:`.
pub fn network(text: &[u8]) -> Option<Network> {
    let text = std::str::from_utf8(text).ok()?;
    let text = match text.strip_prefix('[') {
        Some(rest) => {
            let (inside, behind) = rest.split_once(']')?;
            match behind.strip_prefix('/') {
                Some(_) => &[inside, behind].concat(),
                None => Some(inside).filter(|_| behind.is_empty())?,
            }
        }
        None => text,
    };
    if let Some((ip, length)) = text.split_once('/') {
        return Some(Network { ip: ip.parse().ok()?, length: Some(prefix_length(length, 128)?) });
    }
    if let Ok(ip) = text.parse() {
        return Some(Network { ip, length: None });
    }
    let groups = text.strip_suffix(':')?;
    let count = groups.split(':').count();
    // With the missing groups as zeros it must be an address; `::` within is none.
    let ip = format!("{groups}{}", ":0".repeat(8usize.checked_sub(count).filter(|&missing| missing > 0)?));
    if groups.contains("::") {
        return None;
    }
    Some(Network { ip: ip.parse().ok()?, length: u8::try_from(16 * count).ok() })
}

/// A length of at most this many bits, in digits.
pub fn prefix_length(text: &str, most: u8) -> Option<u8> {
    // parse() would take a sign.
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|&length| digits && length <= most)
}

/// The first address of the network of this length that `ip` lies in.
pub fn masked(ip: Ipv6Addr, length: u8) -> Ipv6Addr {
    Ipv6Addr::from_bits(ip.to_bits() & u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0))
}

/// The key of a single address.
pub fn address_key(ip: Ipv6Addr) -> Vec<u8> {
    let mut text = ip.to_string();
    if text.ends_with(':') {
        text.push_str("/128");
    }
    text.into_bytes()
}

/// The key of the network of this length that `ip` lies in.
pub fn network_key(ip: Ipv6Addr, length: u8) -> String {
    format!("{}/{length}", masked(ip, length))
}
