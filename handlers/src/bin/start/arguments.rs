//! The command line, read by the records that the protocol's options are.

use core::ffi::{CStr, c_char};

use connection::Outcome;
use handlers::{Protocol, Settings, Text, numbered};

use super::kernel;

/// Wrong usage.
const USAGE: i32 = 100;

/// The options of every executable, as help shows them.
const OWN: [(&str, &str); 2] = [("quiet", "Write no access lines to descriptor 2"), ("help", "Print this")];

/// What the errors mean that opening a directory and reading a file bring.
const ERRORS: &str = "1 Operation not permitted
2 No such file or directory
8 Exec format error
12 Cannot allocate memory
13 Permission denied
20 Not a directory
23 Too many open files in system
21 Is a directory
24 Too many open files
27 File too large
36 File name too long
40 Too many levels of symbolic links";

/// What is not a setting of the protocol.
pub(crate) struct Arguments {
    /// No access lines.
    pub(crate) quiet: bool,
}

/// The strings of `argv` or `environ`.
#[derive(Clone)]
pub(crate) struct Words {
    next: *const *const c_char,
}

impl Words {
    /// From the vector that the kernel left on the stack.
    pub(crate) fn new(vector: kernel::Vector) -> Words {
        Words { next: vector.first() }
    }
}

impl Iterator for Words {
    type Item = &'static [u8];

    #[allow(unsafe_code, reason = "the kernel hands over its strings as pointers")]
    fn next(&mut self) -> Option<&'static [u8]> {
        // SAFETY: a `kernel::Vector` is an array that ends with a null pointer, and `next` has not passed that one: it is
        // advanced only when what it points to is not null. Each string ends with a NUL and is never written.
        unsafe {
            let word = *self.next;
            if word.is_null() {
                return None;
            }
            self.next = self.next.add(1);
            Some(CStr::from_ptr(word).to_bytes())
        }
    }
}

/// Reads the command line into `settings`.
///
/// # Errors
/// There is nothing to run; the exit status says why, and the reason was printed.
pub(crate) fn read(protocol: &Protocol, mut words: Words, settings: &mut Settings<'static>) -> Result<Arguments, i32> {
    let mut arguments = Arguments { quiet: false };
    let mut root = None;
    let mut options_end = false;
    words.next();
    while let Some(word) = words.next() {
        let option = if options_end { None } else { word.strip_prefix(b"--") };
        match option {
            Some(b"") => options_end = true,
            Some(b"quiet") => arguments.quiet = true,
            Some(b"help") => {
                help(protocol);
                return Err(0);
            }
            Some(option) => set(protocol, option, &mut words, settings)?,
            None if !options_end && word.len() > 1 && word.starts_with(b"-") => {
                return Err(wrong(protocol, "", word, "there is no such option"));
            }
            None if protocol.has_root && root.is_none() => root = Some(word),
            None => return Err(wrong(protocol, "", word, "one argument too many")),
        }
    }
    if let Some(root) = root {
        settings.root = root;
    }
    Ok(arguments)
}

#[inline(never)]
fn set(
    protocol: &Protocol,
    option: &'static [u8],
    words: &mut Words,
    settings: &mut Settings<'static>,
) -> Result<(), i32> {
    let (name, value) = match option.iter().position(|&byte| byte == b'=') {
        Some(end) => (option.get(..end).unwrap_or_default(), option.get(end + 1..)),
        None => (option, None),
    };
    let Some(opt) = protocol.options.iter().find(|opt| opt.name().as_bytes() == name) else {
        return Err(wrong(protocol, "--", name, "there is no such option"));
    };
    let value = match (opt.is_flag(), value) {
        (true, Some(_)) => return Err(wrong(protocol, "--", name, "takes no value")),
        (true, None) => Some(&b""[..]),
        (false, value) => value.or_else(|| words.next()),
    };
    let Some(value) = value else {
        return Err(wrong(protocol, "--", name, "a value is missing"));
    };
    settings.set(opt.name(), value).map_err(|invalid| wrong(protocol, "--", name, invalid.reason))
}

/// Says what is wrong with a word, and where it is told how it would be right.
fn wrong(protocol: &Protocol, dashes: &str, word: &[u8], why: &str) -> i32 {
    fatal(protocol.name, dashes, word, why.as_bytes(), " (--help tells all)");
    USAGE
}

// A frame of its own, which nobody else pays for.
#[cold]
#[inline(never)]
fn help(protocol: &Protocol) {
    let mut space = [0; 4096];
    let mut text = Text::new(&mut space);
    text.str("usage: tine-").str(protocol.name).str(" [OPTION]...").str(if protocol.has_root { " [ROOT]" } else { "" });
    text.str("\n").str(protocol.about).str(", on descriptors 0 and 1.\n");
    for opt in protocol.options {
        line(&mut text, opt.name(), opt.value(), opt.help());
        if !opt.default().is_empty() {
            text.str(" [").str(opt.default()).str("]");
        }
    }
    OWN.iter().for_each(|(name, help)| line(&mut text, name, "", help));
    text.str("\n");
    kernel::write(1, text.as_bytes());
}

/// A line of help, which the next one ends.
#[inline(never)]
fn line(text: &mut Text<'_>, name: &str, value: &str, help: &str) {
    text.str("\n");
    let column = text.room().saturating_sub(28);
    text.str("  --").str(name).str(" ").str(value);
    while text.room() > column {
        text.str(" ");
    }
    text.str(help);
}

/// Says that something cannot be done with a path; the exit status.
#[cold]
pub(crate) fn unable(protocol: &Protocol, what: &str, path: &[u8], errno: i32) -> i32 {
    let errno = errno.unsigned_abs() as u16;
    let mut number = [0; 16];
    let mut number = Text::new(&mut number);
    number.str("error ").decimal(errno.into());
    let reason = match numbered(ERRORS, errno) {
        (b"", _) => number.as_bytes(),
        (_, reason) => reason,
    };
    fatal(protocol.name, what, path, reason, "");
    Outcome::Fault.status()
}

/// The last line of a program that cannot begin.
#[cold]
pub(crate) fn fatal(name: &str, what: &str, word: &[u8], why: &[u8], remedy: &str) {
    let mut space = [0; 1024];
    let mut text = Text::new(&mut space);
    text.str("tine-").str(name).str(": fatal: ").str(what).bytes(word).str(": ").bytes(why).str(remedy).str("\n");
    kernel::write(2, text.as_bytes());
}
