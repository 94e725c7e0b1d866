//! What can be set, and to what: one record for each option, from which help, command lines and checks are made.

use core::fmt;

use crate::http::{self, LogFormat, Made};
use crate::text::{same, words};

/// An option of a protocol, as a command line shows it: its name, what stands for its value in help, its default and one
/// line of help, in one string with a bar between each two. A table of such strings is a quarter of the size of one with
/// a field for each, and this table is part of an executable that is loaded for each connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opt(&'static str);

impl Opt {
    /// `NAME|VALUE|DEFAULT|HELP`. No VALUE: a flag. A VALUE that ends with three dots: the option may be repeated.
    pub(crate) const fn new(record: &'static str) -> Opt {
        Opt(record)
    }

    /// The long name, without dashes.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.part(0)
    }

    /// What stands for its value in help, such as `SECONDS`; empty for a flag.
    #[must_use]
    pub fn value(&self) -> &'static str {
        self.part(1)
    }

    /// The value it has when it is not given; empty when it has none.
    #[must_use]
    pub fn default(&self) -> &'static str {
        self.part(2)
    }

    /// One line of help.
    #[must_use]
    pub fn help(&self) -> &'static str {
        self.part(3)
    }

    /// It is given or not, without a value.
    #[must_use]
    pub fn is_flag(&self) -> bool {
        self.value().is_empty()
    }

    /// It may be given several times.
    #[must_use]
    pub fn is_repeatable(&self) -> bool {
        self.value().ends_with("...")
    }

    #[inline(never)]
    fn part(&self, number: usize) -> &'static str {
        let mut rest = self.0;
        for _ in 0..number {
            let bar = rest.bytes().position(|byte| byte == b'|').map_or(rest.len(), |bar| bar + 1);
            rest = rest.get(bar..).unwrap_or_default();
        }
        let bar = rest.bytes().position(|byte| byte == b'|').unwrap_or(rest.len());
        rest.get(..bar).unwrap_or_default()
    }
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
pub(crate) const HEADER_TIMEOUT: Opt =
    Opt::new("header-timeout|SECONDS|20|Close when a request head is not complete after this time");

/// How long to wait for the next request.
pub(crate) const IDLE_TIMEOUT: Opt =
    Opt::new("idle-timeout|SECONDS|5|Close when the client is silent for this time between requests");

/// How long to wait for a client that does not read.
pub(crate) const WRITE_TIMEOUT: Opt =
    Opt::new("write-timeout|SECONDS|60|Close when the client takes nothing of the answer for this time");

/// The file that stands for its directory.
pub(crate) const INDEX: Opt =
    Opt::new("index|NAMES|index.html|What is served for a directory: the first of these files that is there");

/// A directory for each name of the server.
pub(crate) const VHOSTS: Opt =
    Opt::new("vhosts|||Serve each host from ROOT/HOST:PORT, ROOT/HOST or ROOT/default, whichever is there");

/// `/about` is `about.html`.
pub(crate) const CLEAN_URLS: Opt = Opt::new("clean-urls|||Serve NAME.html for NAME where there is no NAME");

/// Fields of our own.
pub(crate) const HEADER: Opt = Opt::new("header|NAME: VALUE...||Add this field to each response; may be repeated");

/// How long a response is good.
pub(crate) const CACHE_CONTROL: Opt = Opt::new("cache-control|VALUE||Send this Cache-Control with each file");

/// What browsers are to refuse.
pub(crate) const SECURITY_HEADERS: Opt =
    Opt::new("security-headers|||Forbid browsers to guess types, to be framed by others and to tell them paths");

/// A table of types.
pub(crate) const MIME_TYPES: Opt =
    Opt::new("mime-types|FILE||Types by extension, before the built-in ones (mime.types)");

/// Where requests go for what is not here.
pub(crate) const REDIRECT_HOST: Opt =
    Opt::new("redirect-host|HOST||Redirect to this host what is not found here [$REDIRECT_HOST]");

/// What to ask for there.
pub(crate) const REDIRECT_URI: Opt =
    Opt::new("redirect-uri|URI||Redirect to this path what is not found here [$REDIRECT_URI]");

/// So many fields can be added.
pub const HEADERS: usize = 8;
/// Of at most so many bytes, all together.
pub(crate) const HEADER_BYTES: usize = 2048;

/// The options of [`Settings::set_plain`] that take no value.
pub const FLAGS: &[u8] = b"vhosts clean-urls security-headers";

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
    /// The names of files that stand for their directory, with a space between each two.
    pub index: &'a [u8],
    /// A directory for each host.
    pub vhosts: bool,
    /// `.html` may be left out.
    pub clean_urls: bool,
    /// Fields of each response; empty where there are none any more.
    pub headers: [&'a [u8]; HEADERS],
    /// The value of Cache-Control of each file; empty for none.
    pub cache_control: &'a [u8],
    /// The usual fields that restrict what a browser does with a response.
    pub security_headers: bool,
    /// The path of a table of types; empty for none. Whoever makes a [`crate::Service`] reads it into `types`.
    pub mime_types: &'a [u8],
    /// That table: lines with a type and its extensions, as in mime.types.
    pub types: &'a [u8],
    /// Where to redirect what is not found: a host, a path, or both; empty for the one that was asked.
    pub redirect_host: &'a [u8],
    /// See there.
    pub redirect_uri: &'a [u8],
    /// The form of access lines.
    pub log_format: LogFormat,
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
            vhosts: false,
            clean_urls: false,
            headers: [b""; HEADERS],
            cache_control: b"",
            security_headers: false,
            mime_types: b"",
            types: b"",
            redirect_host: b"",
            redirect_uri: b"",
            log_format: LogFormat::default(),
            made: Made::default(),
            poll: false,
        }
    }
}

impl<'a> Settings<'a> {
    /// Sets the option of that name ([`Opt::name`]); the value of a flag is ignored.
    ///
    /// # Errors
    /// The name is unknown, or the value is not one that the option can have.
    pub fn set(&mut self, name: &str, value: &'a [u8]) -> Result<(), Invalid> {
        match self.set_plain(name.as_bytes(), value) {
            Err(NO_OPTION) => self.made.set(name, value),
            set => set,
        }
    }

    /// The same, for options of what is found, and not of what is made.
    ///
    /// # Errors
    /// The name is none of these, or the value is not one that the option can have.
    pub fn set_plain(&mut self, name: &[u8], value: &'a [u8]) -> Result<(), Invalid> {
        // A pattern of bytes would be compared byte by byte, in code that is ten times as long.
        match name {
            _ if is(name, "header-timeout") => self.header_timeout = seconds(value)?,
            _ if is(name, "idle-timeout") => self.idle_timeout = seconds(value)?,
            _ if is(name, "write-timeout") => self.write_timeout = seconds(value)?,
            _ if is(name, "index") => self.index = file_names(value)?,
            _ if is(name, "vhosts") => self.vhosts = true,
            _ if is(name, "clean-urls") => self.clean_urls = true,
            _ if is(name, "header") => self.add_header(value)?,
            _ if is(name, "cache-control") => self.cache_control = line(value)?,
            _ if is(name, "security-headers") => self.security_headers = true,
            _ if is(name, "mime-types") => self.mime_types = line(value)?,
            _ if is(name, "redirect-host") => self.redirect_host = line(value)?,
            _ if is(name, "redirect-uri") => self.redirect_uri = line(value)?,
            _ if is(name, "log-format") => self.log_format = LogFormat::parse(value)?,
            _ => return Err(NO_OPTION),
        }
        Ok(())
    }

    fn add_header(&mut self, header: &'a [u8]) -> Result<(), Invalid> {
        let (name, _) = http::head::field(line(header)?).ok_or(NO_HEADER)?;
        if words(RESERVED).any(|reserved| same(reserved, name)) {
            return Err(OWN_HEADER);
        }
        let room = self.headers.iter_mut().find(|header| header.is_empty()).ok_or(FULL)?;
        *room = header;
        let sum = self.headers.iter().map(|header| header.len()).sum::<usize>();
        if sum > HEADER_BYTES / 2 { Err(FULL) } else { Ok(()) }
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
const NO_NAME: Invalid = Invalid { reason: "must be names of files, without '/', of 1 to 200 bytes" };
const NO_LINE: Invalid = Invalid { reason: "must be 1 to 512 bytes of text in one line" };
const NO_HEADER: Invalid = Invalid { reason: "must be 'Name: value'" };
const OWN_HEADER: Invalid = Invalid { reason: "is a field that the server decides on itself" };
const FULL: Invalid = Invalid { reason: "is one field too many: 8, of 1024 bytes together, can be added" };

/// Fields that say where a response ends and what it is: two of one of them would be a contradiction.
const RESERVED: &[u8] = b"content-length transfer-encoding connection date content-range content-encoding";

#[inline(never)]
fn is(name: &[u8], known: &str) -> bool {
    name == known.as_bytes()
}

pub(crate) fn seconds(value: &[u8]) -> Result<u32, Invalid> {
    match decimal(value) {
        Some(number @ 1..=LONGEST) => Ok(number as u32),
        _ => Err(NO_TIME),
    }
}

/// Their place in a path is kept free, so they are short.
fn file_names(value: &[u8]) -> Result<&[u8], Invalid> {
    let is_name = |name: &[u8]| !matches!(name, b"" | b"." | b"..") && !name.contains(&b'/') && !name.contains(&0);
    let names = value.len() <= 200 && value.split(|&byte| byte == b' ').all(is_name);
    if names { Ok(value) } else { Err(NO_NAME) }
}

/// What can stand in a field of a response.
fn line(value: &[u8]) -> Result<&[u8], Invalid> {
    let is_line = (1..=512).contains(&value.len()) && value.iter().all(|&byte| byte >= b' ' && byte != 0x7f);
    if is_line { Ok(value) } else { Err(NO_LINE) }
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

    /// What an option of each name sets, as text.
    fn shown(settings: &Settings<'_>, name: &str) -> std::string::String {
        match name {
            "header-timeout" => std::format!("{}", settings.header_timeout),
            "idle-timeout" => std::format!("{}", settings.idle_timeout),
            "write-timeout" => std::format!("{}", settings.write_timeout),
            "log-format" => std::format!("{:?}", settings.log_format),
            "auth-realm" => std::format!("{:?}", settings.made.realm),
            "cgi-timeout" => std::format!("{}", settings.made.cgi_timeout),
            _ => std::format!("{settings:?}"),
        }
    }

    #[test]
    fn defaults_in_the_records_are_those_of_the_settings() {
        for protocol in crate::PROTOCOLS {
            for opt in protocol.options.iter().filter(|opt| !opt.default().is_empty()) {
                let zero = Settings { header_timeout: 0, idle_timeout: 0, write_timeout: 0, ..Settings::default() };
                let mut settings = Settings { index: if opt.name() == "index" { b"x" } else { zero.index }, ..zero };
                settings.set(opt.name(), opt.default().as_bytes()).unwrap();
                let default = match opt.name() {
                    "index" => zero,
                    _ => Settings::default(),
                };
                assert_eq!(shown(&settings, opt.name()), shown(&default, opt.name()), "{}", opt.name());
            }
        }
    }

    #[test]
    fn each_record_is_complete_and_known() {
        for opt in crate::PROTOCOLS.iter().flat_map(|protocol| protocol.options) {
            assert_eq!(opt.0.matches('|').count(), 3, "{opt:?}");
            assert!(!opt.name().is_empty() && !opt.help().is_empty() && opt.help().len() < 90, "{opt:?}");
            let set = Settings::default().set(opt.name(), b"");
            assert_ne!(set, Err(NO_OPTION), "{opt:?}");
            // An empty value is a flag's alone.
            assert_eq!(opt.is_flag(), set.is_ok(), "{opt:?}");
            assert!(!opt.is_flag() || opt.default().is_empty(), "{opt:?}");
        }
        assert_eq!(INDEX.value(), "NAMES");
        assert!(HEADER.is_repeatable() && VHOSTS.is_flag() && !INDEX.is_flag() && !INDEX.is_repeatable());
    }

    #[test]
    fn flags_are_those_of_the_records() {
        for opt in crate::http::PROTOCOL.options {
            let plain = Settings::default().set_plain(opt.name().as_bytes(), b"") != Err(NO_OPTION);
            let known = words(FLAGS).any(|flag| flag == opt.name().as_bytes());
            assert_eq!(known, plain && opt.is_flag(), "{opt:?}");
        }
    }

    #[test]
    fn headers_are_checked() {
        let mut settings = Settings::default();
        for bad in ["", "X", "X y: z", ": z", "X: a\nb", "X: a\rb", "Content-Length: 1", "connection: close", " X: y"] {
            assert!(settings.set("header", bad.as_bytes()).is_err(), "{bad}");
        }
        for number in 0..HEADERS {
            assert!(settings.headers[number].is_empty());
            settings.set("header", b"X-Y: z").unwrap();
        }
        assert_eq!(settings.set("header", b"X-Y: z"), Err(FULL));
        let long = std::vec![b'x'; 513];
        assert!(Settings::default().set("cache-control", &long).is_err());
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
        assert!(settings.set("index", b"a  b").is_err() && settings.set("index", b"a b").is_ok());
        settings.set("index", b"home.html").unwrap();
        assert_eq!((settings.idle_timeout, settings.index), (86_400, &b"home.html"[..]));
    }

    #[test]
    fn names_are_found() {
        assert_eq!(crate::protocol("chargen").unwrap().name, "chargen");
        assert!(crate::protocol("gopher").is_none());
    }
}
