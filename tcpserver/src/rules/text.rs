//! The language of rules as it is written: a line `ADDRESS:INSTRUCTIONS` becomes records of a cdb.
//!
//! Without `/` and without IPv6 the records are those of 0.88 in the same order, to the byte. What was added:
//!
//! | written | key |
//! | --- | --- |
//! | `192.0.2.0/23` | `192.0.2.` and `192.0.3.`: at most 256 of the keys that 0.88 knows |
//! | `2001:db8::1`, `[2001:db8::1]` | `2001:db8::1`, spelled as RFC 5952 says |
//! | `2001:db8::` | `2001:db8::/128`: readers of Felix von Leitner's dialect take a key that ends in `:` as a prefix |
//! | `2001:db8::/32`, `2001:db8:` | `2001:db8::/32` |
//! | (any of the last line) | [`LENGTHS`], whose data are the prefix lengths in use, longest first: `48,32` |
//!
//! No lookup of 0.88 asks for a key with a slash but for one that a client's host name or ident text put there, behind
//! an `=` or an `@`.

use std::net::{IpAddr, Ipv4Addr};

use super::ipv6::{self, LENGTHS, Network, address_key, masked, network_key, prefix_length};

/// A key and its data.
pub type Record = (Vec<u8>, Vec<u8>);

/// What a text means.
#[derive(Debug, Default)]
pub struct Compiled {
    /// In the order in which they are to be written: of two with one key, the first counts.
    pub records: Vec<Record>,
    /// What is strange about the text, line by line.
    pub warnings: Vec<Vec<u8>>,
    /// The line that cannot be parsed and ended it, without its trailing blanks.
    pub unparsable: Option<Vec<u8>>,
}

/// Compiles a text up to its end or to the first line that cannot be parsed.
pub fn compile(text: &[u8]) -> Compiled {
    let mut compiler = Compiler::default();
    let mut unparsable = None;
    for (index, line) in text.split(|&byte| byte == b'\n').enumerate() {
        if line.first() == Some(&b'#') {
            continue;
        }
        let end = line.iter().rposition(|byte| !b" \t".contains(byte)).map_or(0, |last| last + 1);
        let line = &line[..end];
        compiler.number = index + 1;
        if compiler.line(line).is_none() {
            unparsable = Some(line.to_vec());
            break;
        }
    }
    compiler.finish(unparsable)
}

/// What the lines up to `number` have given.
#[derive(Default)]
struct Compiler {
    number: usize,
    records: Vec<Record>,
    /// Keys of IPv4 networks that are no whole octets, with the length. They follow all others and the longest come
    /// first, so that on one key the narrower network counts, and before all a rule for just that key.
    spread: Vec<(u8, Record)>,
    lengths: Vec<u8>,
    warnings: Vec<Vec<u8>>,
}

impl Compiler {
    /// Takes a line; `None` if it cannot be parsed.
    fn line(&mut self, line: &[u8]) -> Option<()> {
        let Some(first) = line.iter().position(|&byte| byte == b':') else {
            if !line.is_empty() {
                self.warn("has no colon and is ignored: ", line);
            }
            return Some(());
        };
        let colon = (first..line.len()).find(|&at| {
            let rest = &line[at..];
            rest.starts_with(b":allow") || rest.starts_with(b":deny")
        })?;
        let (address, data) = (&line[..colon], instructions(&line[colon + 1..])?);
        if colon != first {
            return self.ipv6(address, data);
        }
        let slash = address.iter().position(|&byte| byte == b'/');
        let numeric = |part: &[u8]| part.iter().all(|byte| byte.is_ascii_digit() || b".-".contains(byte));
        if slash.is_some_and(|slash| slash > 0 && numeric(&address[..slash])) {
            return self.ipv4_network(address, data);
        }
        if let Some(dash) = address.iter().position(|&byte| byte == b'-')
            && !address.iter().any(|byte| b"=@".contains(byte))
        {
            return self.range(address, dash, &data);
        }
        self.warn_if_nobodys(address);
        self.records.push((address.to_vec(), data));
        Some(())
    }

    /// `1.2.3.37-53`: a range in the first component with a dash.
    fn range(&mut self, address: &[u8], dash: usize, data: &[u8]) -> Option<()> {
        let left = address[..dash].iter().rposition(|&byte| byte == b'.').map_or(0, |dot| dot + 1);
        let right = address[dash..].iter().position(|&byte| byte == b'.').map_or(address.len(), |dot| dash + dot);
        let (bottom, top) = (number(&address[left..dash])?, number(&address[dash + 1..right])?);
        for component in bottom..=top.min(255) {
            let key = [&address[..left], component.to_string().as_bytes(), &address[right..]].concat();
            if component == bottom {
                self.warn_if_nobodys(&key);
            }
            self.records.push((key, data.to_vec()));
        }
        Some(())
    }

    fn ipv4_network(&mut self, address: &[u8], data: Vec<u8>) -> Option<()> {
        let (ip, length) = std::str::from_utf8(address).ok()?.split_once('/')?;
        self.ipv4(ip.parse().ok()?, prefix_length(length, 32)?, data);
        Some(())
    }

    /// An IPv4 network as keys of addresses, or of prefixes that end with a dot.
    fn ipv4(&mut self, ip: Ipv4Addr, length: u8, data: Vec<u8>) {
        let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
        let network = ip.to_bits() & mask;
        self.warn_of_host_bits(network == ip.to_bits(), &format!("{}/{length}", Ipv4Addr::from_bits(network)));
        // How many octets the keys have, and how many keys there are: those that differ in the last octet's free bits.
        let octets = length.div_ceil(8).max(1);
        let count = 1u32 << (8 * octets - length);
        for index in 0..count {
            let part = Ipv4Addr::from_bits(network | (index << (32 - 8 * u32::from(octets)))).octets();
            let mut key = part[..usize::from(octets)].iter().map(u8::to_string).collect::<Vec<_>>().join(".");
            if octets < 4 {
                key.push('.');
            }
            let record = (key.into_bytes(), data.clone());
            if count == 1 { self.records.push(record) } else { self.spread.push((length, record)) }
        }
    }

    /// What has a colon of its own: an IPv6 address, perhaps behind `INFO@`, or a network.
    fn ipv6(&mut self, address: &[u8], data: Vec<u8>) -> Option<()> {
        if let Some(at) = address.iter().position(|&byte| byte == b'@') {
            // As for IPv4, only whole addresses have an owner who is asked.
            let Network { ip, length: None } = ipv6::network(&address[at + 1..])? else { return None };
            let ip = IpAddr::V6(ip).to_canonical().to_string();
            self.records.push(([&address[..=at], ip.as_bytes()].concat(), data));
            return Some(());
        }
        let Network { ip, length } = ipv6::network(address)?;
        let text = ip.to_string();
        if length.is_none() && text.ends_with(':') && !address.starts_with(b"[") {
            self.warn("is for a single address; append /LENGTH for a network: ", text.as_bytes());
        }
        let length = length.unwrap_or(128);
        if let (Some(ip), 96..) = (ip.to_ipv4_mapped(), length) {
            self.ipv4(ip, length - 96, data);
            return Some(());
        }
        let first = masked(ip, length);
        self.warn_of_host_bits(first == ip, &network_key(ip, length));
        if length == 128 {
            self.records.push((address_key(ip), data));
        } else {
            self.records.push((network_key(ip, length).into_bytes(), data));
            self.lengths.push(length);
        }
        Some(())
    }

    fn warn_if_nobodys(&mut self, address: &[u8]) {
        if nobodys(address) {
            self.warn("is for an address that no client has: ", address);
        }
    }

    fn warn_of_host_bits(&mut self, clean: bool, network: &str) {
        if !clean {
            self.warn("has bits of an address behind the network's and is taken as ", network.as_bytes());
        }
    }

    fn warn(&mut self, what: &str, object: &[u8]) {
        self.warnings.push([format!("line {} {what}", self.number).as_bytes(), object].concat());
    }

    fn finish(mut self, unparsable: Option<Vec<u8>>) -> Compiled {
        self.spread.sort_by_key(|&(length, _)| std::cmp::Reverse(length));
        self.records.extend(self.spread.into_iter().map(|(_, record)| record));
        self.lengths.sort_unstable_by(|a, b| b.cmp(a));
        self.lengths.dedup();
        if !self.lengths.is_empty() {
            let lengths = self.lengths.iter().map(u8::to_string).collect::<Vec<_>>().join(",");
            self.records.push((LENGTHS.to_vec(), lengths.into_bytes()));
        }
        Compiled { records: self.records, warnings: self.warnings, unparsable }
    }
}

/// Whether this is of digits and dots and yet no lookup asks for it, as for `10.0`, which lacks its dot, or `joe@10.0.`.
fn nobodys(address: &[u8]) -> bool {
    let owner = address.iter().rposition(|&byte| byte == b'@');
    let ip = &address[owner.map_or(0, |at| at + 1)..];
    let Some(ip) = std::str::from_utf8(ip).ok().filter(|ip| !ip.is_empty()) else { return false };
    if !ip.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') || ip.parse::<Ipv4Addr>().is_ok() {
        return false;
    }
    // The prefix of an address is one with zeros behind it.
    let dots = ip.bytes().filter(|&byte| byte == b'.').count();
    let filled = format!("{ip}{}", ["", "0.0.0", "0.0", "0"].get(dots).unwrap_or(&""));
    owner.is_some() || !ip.ends_with('.') || filled.parse::<Ipv4Addr>().is_err()
}

/// The data of a record: `D` for deny, `+NAME=VALUE` for each variable, each ended by a NUL.
fn instructions(text: &[u8]) -> Option<Vec<u8>> {
    let mut data = Vec::new();
    let mut rest = match text.strip_prefix(b"deny") {
        Some(rest) => {
            data.extend(b"D\0");
            rest
        }
        None => text.strip_prefix(b"allow")?,
    };
    while !rest.is_empty() {
        // ,NAME=qVALUEq with any byte as q.
        let equals = rest.iter().position(|&byte| byte == b'=').filter(|_| rest[0] == b',')?;
        let (&quote, value) = rest[equals + 1..].split_first()?;
        let end = value.iter().position(|&byte| byte == quote)?;
        data.push(b'+');
        data.extend(&rest[1..=equals]);
        data.extend(&value[..end]);
        data.push(0);
        rest = &value[end + 1..];
    }
    Some(data)
}

/// A number as 0.88 reads it: none is 0, it wraps around at 64 bits, and a NUL ends it.
fn number(text: &[u8]) -> Option<u64> {
    let text = text.split(|&byte| byte == 0).next().unwrap_or_default();
    text.iter().try_fold(0u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        Some(number.wrapping_mul(10).wrapping_add(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> Vec<String> {
        let compiled = compile(text.as_bytes());
        assert_eq!(compiled.unparsable, None, "{text}");
        compiled.records.into_iter().map(|(key, _)| String::from_utf8(key).expect("text")).collect()
    }

    fn refused(text: &str) {
        let refused = compile(text.as_bytes()).unparsable;
        assert_eq!(refused.map(|line| String::from_utf8(line).expect("text")), Some(text.to_owned()));
    }

    #[test]
    fn ipv4_networks_become_keys_that_the_old_tools_know() {
        assert_eq!(keys("192.0.2.0/24:deny"), ["192.0.2."]);
        assert_eq!(keys("192.0.2.0/23:deny"), ["192.0.2.", "192.0.3."]);
        assert_eq!(keys("192.0.2.9/32:deny"), ["192.0.2.9"]);
        assert_eq!(keys("192.0.2.8/30:deny"), ["192.0.2.8", "192.0.2.9", "192.0.2.10", "192.0.2.11"]);
        assert_eq!(keys("10.0.0.0/8:deny"), ["10."]);
        assert_eq!(keys("10.64.0.0/10:deny").len(), 64);
        assert_eq!(keys("10.64.0.0/10:deny")[63], "10.127.");
        let all = keys("0.0.0.0/0:deny");
        assert_eq!((all.len(), all[0].as_str(), all[255].as_str()), (256, "0.", "255."));
    }

    /// On one key the narrower network counts, and before it a rule for just that key.
    #[test]
    fn narrower_networks_come_first() {
        assert_eq!(
            keys("10.0.0.0/15:deny\n10.0.0.0/14:deny\n10.1.:allow"),
            ["10.1.", "10.0.", "10.1.", "10.0.", "10.1.", "10.2.", "10.3."]
        );
        assert_eq!(keys("10.0.0.0/14:deny\n10.0.0.0/15:deny"), ["10.0.", "10.1.", "10.0.", "10.1.", "10.2.", "10.3."]);
    }

    #[test]
    fn ipv6_addresses_are_spelled_one_way() {
        for text in ["2001:db8::1", "2001:DB8:0::0:1", "[2001:db8::1]", "2001:db8::1/128", "[2001:db8::1/128]"] {
            assert_eq!(keys(&format!("{text}:allow")), ["2001:db8::1"], "{text}");
        }
        assert_eq!(keys(":::deny"), ["::/128"]);
        assert_eq!(keys("2001:db8:::deny"), ["2001:db8::/128"]);
        assert_eq!(keys("joe@2001:DB8::1:deny"), ["joe@2001:db8::1"]);
        assert_eq!(keys("::ffff:192.0.2.1:deny"), ["192.0.2.1"]);
        assert_eq!(keys("::ffff:192.0.2.0/120:deny"), ["192.0.2."]);
    }

    #[test]
    fn ipv6_networks_are_keys_with_a_slash_and_listed() {
        assert_eq!(keys("2001:db8::/32:deny"), ["2001:db8::/32", "/6"]);
        assert_eq!(keys("[2001:db8::]/32:deny"), ["2001:db8::/32", "/6"]);
        assert_eq!(keys("2001:db8::deny"), ["2001:db8::/32", "/6"]);
        assert_eq!(keys("fe80::deny"), ["fe80::/16", "/6"]);
        assert_eq!(keys("1:2:3:4:5:6:7::deny"), ["1:2:3:4:5:6:7:0/112", "/6"]);
        assert_eq!(keys("::/0:deny"), ["::/0", "/6"]);
        let compiled = compile(b"::/0:deny\nfe80::/10:deny\n2001:db8::/32:deny\nfe80::/10:allow");
        assert_eq!(compiled.records.last(), Some(&(b"/6".to_vec(), b"32,10,0".to_vec())));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in
            ["10.0.0.0/33", "10.0.0.0/", "10.0.0/8", "10.0.0.0/+8", "1.2.3.4-5/32", "010.0.0.0/8", "1.2.3.4/8/8"]
        {
            refused(&format!("{text}:deny"));
        }
        for text in [":", "2001:db8::1/129", "2001:db8::1:", "1:2:3:4:5:6:7:8:", "[::1", "[::1]x", "g::1", "127.0.0.1:"]
        {
            refused(&format!("{text}:deny"));
        }
        refused("joe@2001:db8::/32:deny");
        refused("1.2.3.4:bogus,A=\":allow");
        refused("2001:db8::1-5:deny");
    }

    #[test]
    fn odd_lines_are_told_with_their_number() {
        let compiled = compile(b"# a comment\n\n   \nno colon here  \n10.1.2.3/8:deny\n2001:db8:::deny\n");
        let warnings: Vec<_> = compiled.warnings.iter().map(|line| String::from_utf8_lossy(line)).collect();
        assert_eq!(
            warnings,
            [
                "line 4 has no colon and is ignored: no colon here",
                "line 5 has bits of an address behind the network's and is taken as 10.0.0.0/8",
                "line 6 is for a single address; append /LENGTH for a network: 2001:db8::",
            ]
        );
        assert_eq!(compiled.records.len(), 2);
    }

    #[test]
    fn addresses_that_no_client_has() {
        for address in
            ["10", "10.0", "10.0.0", "1.2.3.4.", "1.2.3.4.5", "256.", "010.", ".", "1..", "joe@10.", "a@b@1.2"]
        {
            assert!(nobodys(address.as_bytes()), "{address}");
        }
        for address in
            ["", "10.", "10.0.", "10.0.0.", "10.0.0.0", "joe@10.0.0.0", "joe@=10.0", "=10.0", "=", "joe@", "x"]
        {
            assert!(!nobodys(address.as_bytes()), "{address}");
        }
        let compiled = compile(b"10.0:deny\n10.0-3:deny\n10.0-3.:deny\n");
        let warnings: Vec<_> = compiled.warnings.iter().map(|line| String::from_utf8_lossy(line)).collect();
        assert_eq!(
            warnings,
            ["line 1 is for an address that no client has: 10.0", "line 2 is for an address that no client has: 10.0"]
        );
    }

    #[test]
    fn instructions_are_encoded_as_ever() {
        assert_eq!(instructions(b"deny,A=\"b,c=d\",E=//").as_deref(), Some(&b"D\0+A=b,c=d\0+E=\0"[..]));
        assert_eq!(instructions(b"allow").as_deref(), Some(&b""[..]));
        for text in ["allowed", "allow,", "allow,A", "allow,A=", "allow,A=\"b", "allow,A=\"b\"x", "deny ", "Deny"] {
            assert_eq!(instructions(text.as_bytes()), None, "{text}");
        }
    }
}
