//! What can be set, and to what: one record for each option, from which help, command lines and checks are made.

use core::fmt;

use crate::http::Made;

/// An option of a protocol, as a command line shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opt {
    /// The long name, without dashes.
    pub name: &'static str,
    /// What stands for its value in help, such as `SECONDS`.
    pub value: &'static str,
    /// The value it has when it is not given.
    pub default: &'static str,
    /// One line of help.
    pub help: &'static str,
}

/// What a command line needs to know of a protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protocol {
    /// The name, as in `--handler NAME` and `tine-NAME`.
    pub name: &'static str,
    /// One line of help.
    pub about: &'static str,
    /// The client sends first: a listener may wait for its bytes before it accepts (TCP_DEFER_ACCEPT).
    pub client_speaks_first: bool,
    /// It serves files beneath a root directory.
    pub has_root: bool,
    /// What can be set.
    pub options: &'static [Opt],
}

/// How long to wait for a request head.
pub(crate) const HEADER_TIMEOUT: Opt = Opt {
    name: "header-timeout",
    value: "SECONDS",
    default: "20",
    help: "Close when a request head is not complete after this time",
};

/// How long to wait for the next request.
pub(crate) const IDLE_TIMEOUT: Opt = Opt {
    name: "idle-timeout",
    value: "SECONDS",
    default: "5",
    help: "Close when the client is silent for this time between requests",
};

/// How long to wait for a client that does not read.
pub(crate) const WRITE_TIMEOUT: Opt = Opt {
    name: "write-timeout",
    value: "SECONDS",
    default: "60",
    help: "Close when the client takes nothing of the answer for this time",
};

/// The file that stands for its directory.
pub(crate) const INDEX: Opt =
    Opt { name: "index", value: "NAME", default: "index.html", help: "The file that is served for a directory" };

/// Longest timeout: a day, in seconds.
const LONGEST: u64 = 86_400;

/// The options of a protocol, with their values checked.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'a> {
    /// The directory whose files are served.
    pub root: &'a [u8],
    /// Seconds until a request head must be complete.
    pub header_timeout: u32,
    /// Seconds that a client may be silent between requests.
    pub idle_timeout: u32,
    /// Seconds that a client may take nothing of an answer.
    pub write_timeout: u32,
    /// The name of the file that stands for its directory.
    pub index: &'a [u8],
    /// What is made for a request, rather than found.
    pub made: Made<'a>,
    /// The descriptors do not time out by themselves (SO_RCVTIMEO and SO_SNDTIMEO), as sockets do that a listener with
    /// timeouts accepted: pipes, mostly. Then each read is preceded by poll(2).
    pub poll: bool,
}

impl Default for Settings<'_> {
    fn default() -> Self {
        Settings {
            root: b".",
            header_timeout: 20,
            idle_timeout: 5,
            write_timeout: 60,
            index: b"index.html",
            made: Made::default(),
            poll: false,
        }
    }
}

impl<'a> Settings<'a> {
    /// Sets the option of that name ([`Opt::name`]).
    ///
    /// # Errors
    /// The name is unknown, or the value is not one that the option can have.
    pub fn set(&mut self, name: &str, value: &'a [u8]) -> Result<(), Invalid> {
        let time = match name {
            "header-timeout" => &mut self.header_timeout,
            "idle-timeout" => &mut self.idle_timeout,
            "write-timeout" => &mut self.write_timeout,
            "index" => {
                self.index = file_name(value)?;
                return Ok(());
            }
            _ => return self.made.set(name, value),
        };
        *time = seconds(value)?;
        Ok(())
    }

    /// The longest of the timeouts: how long a process that makes progress at all is let alone.
    pub(crate) fn longest(&self) -> u32 {
        self.header_timeout.max(self.idle_timeout).max(self.write_timeout)
    }
}

/// Why a value was not taken; it shows itself as a clause: "must be ...".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// What is wrong, and what would be right.
    pub reason: &'static str,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason)
    }
}

impl core::error::Error for Invalid {}

pub(crate) const NO_OPTION: Invalid = Invalid { reason: "there is no such option" };
const NO_TIME: Invalid = Invalid { reason: "must be a whole number of seconds from 1 to 86400" };
const NO_NAME: Invalid = Invalid { reason: "must be the name of a file, without '/', of 1 to 255 bytes" };

pub(crate) fn seconds(value: &[u8]) -> Result<u32, Invalid> {
    match decimal(value) {
        Some(number @ 1..=LONGEST) => Ok(number as u32),
        _ => Err(NO_TIME),
    }
}

fn file_name(value: &[u8]) -> Result<&[u8], Invalid> {
    let plain = value.len() <= 255 && value.iter().all(|&byte| byte != b'/' && byte != 0);
    match value {
        b"" | b"." | b".." => Err(NO_NAME),
        _ if plain => Ok(value),
        _ => Err(NO_NAME),
    }
}

/// A number of decimal digits and nothing else; what is too large for 64 bits is the largest.
pub(crate) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |number, digit| {
        digit.is_ascii_digit().then(|| number.saturating_mul(10).saturating_add(u64::from(digit - b'0')))
    })
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    #[test]
    fn defaults_in_the_records_are_those_of_the_settings() {
        for protocol in crate::PROTOCOLS {
            for opt in protocol.options {
                let mut settings = Settings {
                    index: b"x",
                    header_timeout: 0,
                    idle_timeout: 0,
                    write_timeout: 0,
                    ..Settings::default()
                };
                settings.set(opt.name, opt.default.as_bytes()).unwrap();
                let default = Settings::default();
                let same = match opt.name {
                    "header-timeout" => settings.header_timeout == default.header_timeout,
                    "idle-timeout" => settings.idle_timeout == default.idle_timeout,
                    "write-timeout" => settings.write_timeout == default.write_timeout,
                    "index" => settings.index == default.index,
                    _ => false,
                };
                assert!(same, "{}", opt.name);
            }
        }
    }

    #[test]
    fn values_are_checked() {
        let mut settings = Settings::default();
        for bad in ["", "0", "86401", "1s", "-1", "+1", " 1", "1.5", "99999999999999999999999"] {
            assert!(settings.set("idle-timeout", bad.as_bytes()).is_err(), "{bad}");
        }
        for bad in ["", "a/b", "..", ".", "/", "a\0"] {
            assert!(settings.set("index", bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(settings.set("colour", b"red").is_err());
        settings.set("idle-timeout", b"86400").unwrap();
        settings.set("index", b"home.html").unwrap();
        assert_eq!((settings.idle_timeout, settings.index), (86_400, &b"home.html"[..]));
    }

    #[test]
    fn names_are_found() {
        assert_eq!(crate::protocol("chargen").unwrap().name, "chargen");
        assert!(crate::protocol("gopher").is_none());
    }
}
