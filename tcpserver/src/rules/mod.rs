//! Rules by which connections are admitted: which record of a cdb holds for a client, and what it says.
//!
//! The contract is ucspi-tcp 0.88's, tcprules(1) and tcprulescheck(1); the manual pages of ours say what was added.
//! The file is opened for each decision, so that rules take effect when a new file is renamed over the old one, and a
//! decision sees the one or the other.

mod cdb;
mod file;
mod ipv6;
mod program;
pub(crate) mod reason;
mod text;

use std::ffi::OsString;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use crate::error::Error;
use cdb::Cdb;

pub(crate) use file::RuleFile;

pub use program::{tcprules, tcprulescheck};

/// Whom a decision is about.
#[derive(Clone, Copy, Debug)]
pub struct Client<'a> {
    /// The address. One of IPv4 within IPv6 (`::ffff:192.0.2.1`) is looked up as that of IPv4.
    pub ip: IpAddr,
    /// The host name, if it was asked for and found.
    pub host: Option<&'a [u8]>,
    /// What an ident server said about the owner of the connection, if it was asked.
    pub info: Option<&'a [u8]>,
}

/// What the rules say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether the client is admitted; everybody is for whom there is no rule.
    pub allow: bool,
    /// Names and values for the program's environment, in the order in which they are to be set.
    pub environment: Vec<(OsString, OsString)>,
    /// The key of the rule that holds, if one does.
    pub key: Option<Vec<u8>>,
}

/// A file of rules, open.
#[derive(Debug)]
pub struct Rules {
    path: PathBuf,
    cdb: Cdb,
}

impl Rules {
    /// Opens the file that has this name now. A missing one is an error; see [`Rules::open_if_there`].
    pub fn open(path: impl AsRef<Path>) -> Result<Rules, Error> {
        let path = path.as_ref();
        Rules::open_if_there(path)?.ok_or_else(|| failed(path, &Errno::ENOENT.into()))
    }

    /// Like [`Rules::open`], but `None` where no file has this name (tcpserver's -X). Every other failure is one.
    pub fn open_if_there(path: impl AsRef<Path>) -> Result<Option<Rules>, Error> {
        let path = path.as_ref();
        match Cdb::open(path) {
            Ok(cdb) => Ok(Some(Rules { path: path.to_owned(), cdb })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(path, &error)),
        }
    }

    /// What holds for a client. A file that turns out to be damaged on the way is an error, which should deny.
    pub fn decide(&self, client: &Client<'_>) -> Result<Decision, Error> {
        let ip = client.ip.to_canonical().to_string();
        let names = Names { ip: ip.as_bytes(), host: client.host, info: client.info };
        match search(&self.cdb, &names, &mut |_, _| ()) {
            Ok(Some((key, data))) => Ok(decision(key, &data)),
            Ok(None) => Ok(Decision { allow: true, environment: Vec::new(), key: None }),
            Err(error) => Err(failed(&self.path, &error)),
        }
    }
}

fn failed(path: &Path, error: &io::Error) -> Error {
    let failed = Error::new("read", path.display().to_string(), reason::reason(error));
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EPROTO | Errno::EINVAL) => failed.remedy("it is damaged or no cdb: make it anew with tcprules"),
        _ => failed,
    }
}

/// Reads the data of a record: text behind a letter, each ended by a NUL. Unknown letters are passed over, and so is a
/// variable without `=`, which no program could be given.
fn decision(key: Vec<u8>, data: &[u8]) -> Decision {
    let mut decision = Decision { allow: true, environment: Vec::new(), key: Some(key) };
    for (letter, text) in texts(data) {
        match letter {
            b'D' => decision.allow = false,
            b'+' => {
                if let Some(equals) = text.iter().position(|&byte| byte == b'=') {
                    let string = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
                    decision.environment.push((string(&text[..equals]), string(&text[equals + 1..])));
                }
            }
            _ => {}
        }
    }
    decision
}

/// The letters and texts of a record. What no NUL ends is not one of them.
fn texts(data: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let end = data.iter().rposition(|&byte| byte == 0).unwrap_or(0);
    data[..end].split(|&byte| byte == 0).filter_map(|text| text.split_first().map(|(&letter, text)| (letter, text)))
}

/// What a client is called in keys.
struct Names<'a> {
    ip: &'a [u8],
    host: Option<&'a [u8]>,
    info: Option<&'a [u8]>,
}

/// Looks for the first key that has a record, and tells each key that was asked for and whether it has one.
fn search(cdb: &Cdb, names: &Names<'_>, tell: &mut dyn FnMut(&[u8], bool)) -> io::Result<Option<(Vec<u8>, Vec<u8>)>> {
    let mut found = None;
    let mut ask = |parts: &[&[u8]]| -> io::Result<bool> {
        let key = parts.concat();
        let data = cdb.find(&key)?;
        tell(&key, data.is_some());
        found = data.map(|data| (key, data));
        Ok(found.is_some())
    };
    walk(cdb, names, &mut ask)?;
    Ok(found)
}

/// Asks for keys, the most particular first, until one has a record.
fn walk(cdb: &Cdb, names: &Names<'_>, ask: &mut dyn FnMut(&[&[u8]]) -> io::Result<bool>) -> io::Result<bool> {
    let Names { ip, host, info } = *names;
    let address = std::str::from_utf8(ip).ok().and_then(|ip| ip.parse::<Ipv6Addr>().ok());
    if let Some(info) = info {
        if ask(&[info, b"@", ip])? {
            return Ok(true);
        }
        if let Some(host) = host
            && ask(&[info, b"@=", host])?
        {
            return Ok(true);
        }
    }
    if ask(&[ip])? {
        return Ok(true);
    }
    if let Some(single) = address.map(ipv6::address_key).filter(|key| key != ip)
        && ask(&[&single])?
    {
        return Ok(true);
    }
    if let Some(host) = host
        && ask(&[b"=", host])?
    {
        return Ok(true);
    }
    if let Some(address) = address {
        for length in lengths(cdb)? {
            if ask(&[ipv6::network_key(address, length).as_bytes()])? {
                return Ok(true);
            }
        }
    }
    for end in (1..=ip.len()).rev() {
        // Prefixes that end in a colon are not made by our tcprules, but by those of others who know IPv6.
        let border = ip[end - 1] == b'.' || (address.is_some() && ip[end - 1] == b':');
        if border && ask(&[&ip[..end]])? {
            return Ok(true);
        }
    }
    if let Some(host) = host {
        for start in 0..host.len() {
            if host[start] == b'.' && ask(&[b"=", &host[start..]])? {
                return Ok(true);
            }
        }
        if ask(&[b"="])? {
            return Ok(true);
        }
    }
    ask(&[])
}

/// The lengths of IPv6 prefixes that the file says it has; what is no length is passed over.
fn lengths(cdb: &Cdb) -> io::Result<Vec<u8>> {
    let text = cdb.find(ipv6::LENGTHS)?.unwrap_or_default();
    let lengths = text.split(|&byte| byte == b',').filter_map(|length| std::str::from_utf8(length).ok()?.parse().ok());
    let mut lengths: Vec<u8> = lengths.filter(|&length| length < 128).take(128).collect();
    lengths.sort_unstable_by(|a, b| b.cmp(a));
    Ok(lengths)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// What the lookup makes of records that our tcprules does not write.
    fn decide(name: &str, records: &[(&[u8], &[u8])], ip: &str) -> Decision {
        let path = std::env::temp_dir().join(format!("tcpserver-rules-{}-{name}", std::process::id()));
        fs::write(&path, cdb::image(records.iter().copied()).expect("a small image")).expect("write it");
        let rules = Rules::open(&path).expect("open it");
        fs::remove_file(path).expect("remove it");
        let client = Client { ip: ip.parse().expect("an address"), host: None, info: None };
        rules.decide(&client).expect("decide")
    }

    /// The dialect of Debian's ucspi-tcp-ipv6: text that ends with a colon is a prefix of text.
    #[test]
    fn prefixes_of_text_are_read() {
        let records: &[(&[u8], &[u8])] = &[(b"2001:db8::", b"D\0"), (b"2001:db8:1:", b""), (b"2001:", b"D\0")];
        assert_eq!(decide("text", records, "2001:db8::7:8").key.as_deref(), Some(&b"2001:db8::"[..]));
        assert_eq!(decide("text", records, "2001:db8:1:2::").key.as_deref(), Some(&b"2001:db8:1:"[..]));
        assert_eq!(decide("text", records, "2001:db8:2::1").key.as_deref(), Some(&b"2001:"[..]));
        assert_eq!(decide("text", records, "2002::1").key, None);
    }

    #[test]
    fn strange_records_are_read_without_harm() {
        let data = b"\0+\0+A\0+=v\0-X\0?\0+A=b\0D";
        let decision = decide("strange", &[(b"1.2.3.4", data)], "1.2.3.4");
        let pairs = [("", "v"), ("A", "b")].map(|(name, value)| (name.into(), value.into()));
        assert_eq!((decision.allow, decision.environment.as_slice()), (true, &pairs[..]));
        let lengths: &[(&[u8], &[u8])] = &[(b"/6", b"x,,999,128,-1,64,+3,200,64"), (b"2001:db8::/64", b"D\0")];
        assert!(!decide("lengths", lengths, "2001:db8::1").allow);
        let unsorted: &[(&[u8], &[u8])] = &[(b"/6", b"32,64"), (b"2001:db8::/64", b"D\0"), (b"2001:db8::/32", b"")];
        assert_eq!(decide("lengths", unsorted, "2001:db8::1").key.as_deref(), Some(&b"2001:db8::/64"[..]));
    }
}
