//! Questions and answers of the DNS (RFC 1035), as far as a stub resolver has to understand them.

use std::io;
use std::net::{IpAddr, Ipv6Addr};

use domain::base::iana::{Class, Opcode, Rcode};
use domain::base::name::ToLabelIter;
use domain::base::{Message, MessageBuilder, Name, ParsedName, Rtype};
use domain::rdata::{A, Aaaa, Ptr, Txt};
use nix::errno::Errno;

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
    /// EPROTO for what cannot be a name; no random number to be had.
    pub fn new(name: &str, kind: Rtype) -> io::Result<Self> {
        let name = Name::vec_from_str(name).map_err(|_| Errno::EPROTO)?;
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

/// What the parser has to say beyond that is of use to the server's owner alone.
fn malformed<E>(_: E) -> io::Error {
    Errno::EPROTO.into()
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
/// EPROTO for records that cannot be understood; so for the others.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer with a record of each kind, names compressed.
    fn answer(question: &Question) -> Vec<u8> {
        let mut bytes = question.bytes();
        (bytes[2], bytes[7]) = (bytes[2] | 0x80, 4);
        let records: [(u8, &[u8]); 4] =
            [(12, b"\x04mail\xc0\x0c"), (1, &[192, 0, 2, 1]), (28, &[0x20; 16]), (16, b"\x03one\x03two")];
        for (kind, data) in records {
            bytes.extend([0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 60, 0, data.len() as u8]);
            bytes.extend(data);
        }
        bytes
    }

    #[test]
    fn an_answer_is_understood() {
        let question = Question::reverse([192, 0, 2, 1].into()).expect("a question");
        let bytes = answer(&question);
        assert_eq!(question.judge(&bytes), Verdict::Answer);
        assert_eq!(host(&bytes).expect("a host").as_deref(), Some("mail.1.2.0.192.in-addr.arpa"));
        assert_eq!(ipv4(&bytes).expect("addresses"), [IpAddr::from([192, 0, 2, 1])]);
        assert_eq!(ipv6(&bytes).expect("addresses"), [IpAddr::from([0x20; 16])]);
        assert_eq!(texts(&bytes).expect("texts"), b"onetwo");
    }

    /// Whatever the bytes are: no panic, no loop, and no name that could do harm.
    #[test]
    fn any_bytes_are_survived() {
        let question = Question::reverse([192, 0, 2, 1].into()).expect("a question");
        let whole = answer(&question);
        let mut state = 1_u64;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        let mut answers = 0;
        for _ in 0..10_000 {
            let mut bytes = whole.clone();
            for _ in 0..random(4) {
                let at = random(bytes.len());
                bytes[at] = [0, 0xc0, 0xff, 0x3f, random(256) as u8][random(5)];
            }
            if random(4) == 0 {
                bytes.truncate(random(bytes.len() + 1));
            }
            answers += u32::from(question.judge(&bytes) == Verdict::Answer);
            let name = host(&bytes).ok().flatten().unwrap_or_default();
            assert!(name.bytes().all(|byte| byte.is_ascii_graphic()) && name.len() < 1024, "{name:?}");
            let _ = (ipv4(&bytes), ipv6(&bytes), texts(&bytes));
        }
        assert!(answers > 1_000, "{answers} of them were still answers");
    }
}
