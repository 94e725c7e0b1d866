//! rblsmtpd(1): turns away mail from clients that a list in the DNS has.

use std::env;
use std::ffi::OsString;
use std::net::IpAddr;
use std::os::unix::ffi::OsStringExt;

use super::dial::LOOKUP;
use super::failure::{Failure, say};
use super::options::{self, number};
use super::program;
use super::refusal::converse;
use crate::names::{Deadline, Family, Resolver};

const PROGRAM: &str = "rblsmtpd";

const USAGE: &str = "[ -bBcC ] [ -t timeout ] [ -r base ] [ -a base ] smtpd [ arg ... ]";

/// As much of a text as the client is told.
const LONGEST: usize = 200;

/// What has been found out about a client.
#[derive(Debug, PartialEq, Eq)]
enum Decision {
    /// Nothing yet: the next list is asked.
    None,
    Accept,
    /// 451: come again.
    Reject(Vec<u8>),
    /// 553: never.
    Bounce(Vec<u8>),
}

/// Who asks which lists how.
struct Inquiry {
    resolver: Resolver,
    /// The beginning of a name that a list has for the client.
    prefix: String,
    bounce: bool,
    fail_closed: bool,
    /// A list could not say: so the client must be able to come again.
    must_not_bounce: bool,
    decision: Decision,
}

/// `rblsmtpd [OPTION ...] PROGRAM [ARGUMENT ...]`.
pub fn run(arguments: impl Iterator<Item = OsString>) -> Result<(), Failure> {
    let (given, words) = options::parse(PROGRAM, USAGE, "bBcCt:r:a:", arguments)?;
    let ip = variable("TCPREMOTEIP").unwrap_or_default();
    let mut patience = 60;
    let mut inquiry = Inquiry {
        resolver: Resolver::from_system(),
        prefix: prefix(&String::from_utf8_lossy(&ip)),
        bounce: false,
        fail_closed: false,
        must_not_bounce: false,
        decision: told(),
    };
    if words.as_slice().is_empty() {
        return Err(Failure::usage(PROGRAM, USAGE));
    }
    for (letter, value) in given {
        match letter {
            b'b' | b'B' => inquiry.bounce = letter == b'b',
            b'c' | b'C' => inquiry.fail_closed = letter == b'c',
            b't' => patience = number(&value).ok_or_else(|| Failure::usage(PROGRAM, USAGE))?,
            b'r' => inquiry.ask_list(&value.to_string_lossy()),
            _ => inquiry.ask_exceptions(&value.to_string_lossy()),
        }
    }
    let (code, text): (&[u8], _) = match inquiry.decision {
        Decision::None | Decision::Accept => return Err(program::run(PROGRAM, words.collect())),
        Decision::Bounce(text) if !inquiry.must_not_bounce => (b"553 ", text),
        Decision::Reject(text) | Decision::Bounce(text) => (b"451 ", text),
    };
    let text = text.get(..LONGEST).unwrap_or(&text);
    let mut message = [code, text].concat();
    clean(&mut message);
    let mut ip = ip;
    clean(&mut ip);
    let pid = std::process::id().to_string();
    say([b"rblsmtpd: ", ip.as_slice(), b" pid ", pid.as_bytes(), b": ", &message, b"\n"].concat());
    message.extend(b"\r\n");
    // However the conversation ends, there is nothing to be said about it.
    let _ = converse(&message, patience);
    Ok(())
}

fn variable(name: &str) -> Option<Vec<u8>> {
    env::var_os(name).map(OsString::into_vec)
}

/// What the environment says: $RBLSMTPD, usually set by rules.
fn told() -> Decision {
    match variable("RBLSMTPD").as_deref() {
        None => Decision::None,
        Some(b"") => Decision::Accept,
        Some([b'-', text @ ..]) => Decision::Bounce(text.to_vec()),
        Some(text) => Decision::Reject(text.to_vec()),
    }
}

/// `d.c.b.a.` for a.b.c.d, and the digits of an IPv6 address one by one from its end (RFC 5782, 2.4).
fn prefix(ip: &str) -> String {
    match ip.parse::<IpAddr>().map(|ip| ip.to_canonical()) {
        Ok(IpAddr::V6(ip)) => {
            let digits = ip.octets().into_iter().rev().flat_map(|byte| [byte & 15, byte >> 4]);
            digits.map(|digit| format!("{digit:x}.")).collect()
        }
        Ok(IpAddr::V4(ip)) => ip.octets().iter().rev().map(|byte| format!("{byte}.")).collect(),
        Err(_) => ip.split('.').rev().map(|part| format!("{part}.")).collect(),
    }
}

impl Inquiry {
    /// -r: a list of those to be turned away. A text (TXT) says so, and why.
    fn ask_list(&mut self, base: &str) {
        if self.decision != Decision::None {
            return;
        }
        match self.resolver.text_of(&self.name(base), Deadline::after(LOOKUP)) {
            Ok(text) if text.is_empty() => {}
            Ok(text) if self.bounce => self.decision = Decision::Bounce(text),
            Ok(text) => self.decision = Decision::Reject(text),
            Err(_) => {
                self.must_not_bounce = true;
                if self.fail_closed {
                    self.decision = Decision::Reject(b"temporary RBL lookup error".to_vec());
                }
            }
        }
    }

    /// -a: a list of those to be let in. An address (A) says so.
    fn ask_exceptions(&mut self, base: &str) {
        if self.decision != Decision::None {
            return;
        }
        match self.resolver.addresses_of(&self.name(base), Family::V4, Deadline::after(LOOKUP)) {
            Ok(found) if found.is_empty() => {}
            Ok(_) => self.decision = Decision::Accept,
            Err(_) => {
                self.must_not_bounce = true;
                if !self.fail_closed {
                    self.decision = Decision::Accept;
                }
            }
        }
    }

    /// Absolute: no domain of ours is to be tried behind it.
    fn name(&self, base: &str) -> String {
        format!("{}{}.", self.prefix, base.trim_end_matches('.'))
    }
}

/// What could not stand in a line of a conversation or of a log becomes a question mark.
fn clean(text: &mut [u8]) {
    for byte in text {
        if !(32..127).contains(byte) {
            *byte = b'?';
        }
    }
}

#[cfg(test)]
mod tests {
    use super::prefix;

    #[test]
    fn addresses_are_turned_round() {
        assert_eq!(prefix("192.0.2.17"), "17.2.0.192.");
        assert_eq!(prefix("::ffff:192.0.2.17"), "17.2.0.192.");
        let zeros = "0.".repeat(22);
        assert_eq!(prefix("2001:db8::21"), format!("1.2.{zeros}8.b.d.0.1.0.0.2."));
    }
}
