//! Questions and answers of the DNS (RFC 1035), as far as a stub resolver has to understand them.

use std::io;
use std::net::{IpAddr, Ipv6Addr};

use domain::base::iana::{Class, Opcode, Rcode};
use domain::base::name::ToLabelIter;
use domain::base::{Message, MessageBuilder, Name, ParsedName, Rtype};
use domain::rdata::{A, Aaaa, Ptr, Txt};

/// One question, with the number that its answer must carry.
pub struct Question {
    id: u16,
    name: Name<Vec<u8>>,
    kind: Rtype,
}

/// What a message that has come in is to the question.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Not its answer: somebody guesses, or is late.
    Stranger,
    /// Its answer does not fit a datagram.
    Truncated,
    /// Its answer, of no use: a server that cannot or will not say, or cannot spell.
    Failed,
    /// Its answer: there are records, or there is no such name.
    Answer,
}

impl Question {
    /// About `name`, in its usual text form.
    ///
    /// # Errors
    ///
    /// What cannot be a name; no random number to be had.
    pub fn new(name: &str, kind: Rtype) -> io::Result<Self> {
        let name = Name::vec_from_str(name).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let mut question = Question { id: 0, name, kind };
        question.renew()?;
        Ok(question)
    }

    /// For the host name of `ip` (RFC 1035, 3.5; RFC 3596, 2.5).
    ///
    /// # Errors
    ///
    /// No random number to be had.
    pub fn reverse(ip: IpAddr) -> io::Result<Self> {
        let name = match ip {
            IpAddr::V4(ip) => {
                let [a, b, c, d] = ip.octets();
                format!("{d}.{c}.{b}.{a}.in-addr.arpa")
            }
            IpAddr::V6(ip) => {
                let digits = ip.octets().into_iter().rev().flat_map(|byte| [byte & 15, byte >> 4]);
                digits.map(|digit| format!("{digit:x}.")).collect::<String>() + "ip6.arpa"
            }
        };
        Question::new(&name, Rtype::PTR)
    }

    /// Gives it another number: each message that goes out has one that nobody can know.
    pub fn renew(&mut self) -> io::Result<()> {
        let mut id = [0; 2];
        getrandom::fill(&mut id).map_err(io::Error::from)?;
        self.id = u16::from_ne_bytes(id);
        Ok(())
    }

    /// The message to send.
    pub fn bytes(&self) -> Vec<u8> {
        let mut builder = MessageBuilder::new_vec();
        builder.header_mut().set_id(self.id);
        builder.header_mut().set_rd(true);
        let mut question = builder.question();
        // A vector has room, and one question is no more than a message can count.
        let pushed = question.push((&self.name, self.kind));
        debug_assert!(pushed.is_ok());
        question.finish()
    }

    /// What these bytes, from whom it was sent to, are.
    pub fn judge(&self, bytes: &[u8]) -> Verdict {
        let Ok(message) = Message::from_octets(bytes) else { return Verdict::Stranger };
        let header = message.header();
        if header.id() != self.id || !header.qr() || header.opcode() != Opcode::QUERY {
            return Verdict::Stranger;
        }
        let Ok(question) = message.sole_question() else { return Verdict::Stranger };
        if *question.qname() != self.name || question.qtype() != self.kind || question.qclass() != Class::IN {
            return Verdict::Stranger;
        }
        if header.tc() {
            return Verdict::Truncated;
        }
        if !matches!(header.rcode(), Rcode::NOERROR | Rcode::NXDOMAIN) {
            return Verdict::Failed;
        }
        match message.answer().map(|mut records| records.all(|record| record.is_ok())) {
            Ok(true) => Verdict::Answer,
            _ => Verdict::Failed,
        }
    }
}

fn malformed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// The data of each record of a type in the answer, whatever name it belongs to: the server has followed the aliases.
macro_rules! records {
    ($bytes:expr, $kind:ty) => {
        Message::from_octets($bytes)
            .map_err(malformed)?
            .answer()
            .map_err(malformed)?
            .limit_to_in::<$kind>()
            .map(|record| record.map(|record| record.into_data()).map_err(malformed))
    };
}

/// The first host name of an answer.
///
/// # Errors
///
/// Records that cannot be understood; so for the others.
pub fn host(bytes: &[u8]) -> io::Result<Option<String>> {
    let first = records!(bytes, Ptr<ParsedName<&[u8]>>).next();
    first.map(|data| data.map(|data| text(data.ptrdname()))).transpose()
}

/// The IPv4 addresses of an answer.
pub fn ipv4(bytes: &[u8]) -> io::Result<Vec<IpAddr>> {
    records!(bytes, A).map(|data| data.map(|data| data.addr().into())).collect()
}

/// The IPv6 addresses of an answer.
pub fn ipv6(bytes: &[u8]) -> io::Result<Vec<IpAddr>> {
    records!(bytes, Aaaa).map(|data| data.map(|data| Ipv6Addr::from(data.addr().octets()).into())).collect()
}

/// The texts of an answer, all in one: nothing says where one ends.
pub fn texts(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    for data in records!(bytes, Txt<&[u8]>) {
        all.extend(data?.iter().flatten());
    }
    Ok(all)
}

/// A name as ucspi-tcp spells it: in lower case, and what no host name has in it as a backslash and three octal digits.
fn text(name: &ParsedName<&[u8]>) -> String {
    let mut text = String::new();
    for label in name.iter_labels().filter(|label| !label.is_root()) {
        if !text.is_empty() {
            text.push('.');
        }
        for byte in label.as_slice().to_ascii_lowercase() {
            match byte {
                b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => text.push(char::from(byte)),
                _ => text.push_str(&format!("\\{byte:03o}")),
            }
        }
    }
    if text.is_empty() { ".".to_owned() } else { text }
}
