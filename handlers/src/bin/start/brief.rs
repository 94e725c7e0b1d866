//! The command line of an executable that has a larger one beside it (`-full`): what is plain is taken, and all else is left
//! to that one with these very arguments: help, what is wrong, and what this one has no code for. So neither the records of
//! the options nor anything to complain with is loaded for each connection.

use core::ffi::CStr;

use connection::Outcome;
use handlers::{FLAGS, FULL, Settings, Text};

use super::arguments::{Arguments, Words, fatal};
use super::kernel::{self, Stack};

const ENOENT: i32 = 2;

/// Reads a command line into `settings`; `None` when there is anything in it that is not plain.
pub(crate) fn read(mut words: Words, settings: &mut Settings<'static>) -> Option<Arguments> {
    let mut arguments = Arguments { quiet: false };
    let mut root = None;
    let mut options_end = false;
    words.next();
    while let Some(word) = words.next() {
        let option = if options_end { None } else { word.strip_prefix(b"--") };
        match option {
            Some(b"") => options_end = true,
            Some(b"quiet") => arguments.quiet = true,
            Some(option) => set(option, &mut words, settings)?,
            // One hyphen and more is an option that there is not.
            None if root.is_some() || (!options_end && word.len() > 1 && word.starts_with(b"-")) => return None,
            None => root = Some(word),
        }
    }
    if let Some(root) = root {
        settings.root = root;
    }
    Some(arguments)
}

fn set(option: &'static [u8], words: &mut Words, settings: &mut Settings<'static>) -> Option<()> {
    let end = option.iter().position(|&byte| byte == b'=').unwrap_or(option.len());
    let (name, value) = option.split_at_checked(end)?;
    let is_flag = FLAGS.split(|&byte| byte == b' ').any(|flag| flag == name);
    let value = match value.get(1..) {
        Some(_) if is_flag => return None,
        None if is_flag => b"",
        None => words.next()?,
        Some(value) => value,
    };
    settings.set_plain(name, value).ok()
}

/// Leaves these very arguments to the executable beside this one that does more; the exit status, should that fail.
#[cold]
pub(crate) fn leave_to_full(name: &str, stack: &Stack) -> i32 {
    let mut space = [0; 4096];
    let mut path = Text::new(&mut space);
    path.bytes(stack.executable().map_or(b"", CStr::to_bytes)).str(FULL).bytes(&[0]);
    let path = CStr::from_bytes_with_nul(path.as_bytes()).unwrap_or_default();
    let errno = kernel::become_program(path, stack);
    let mut number = [0; 16];
    let mut number = Text::new(&mut number);
    if errno == ENOENT {
        number.str("it is not there");
    } else {
        number.str("error ").decimal(errno.unsigned_abs().into());
    }
    fatal(name, "unable to execute ", path.to_bytes(), number.as_bytes(), REMEDY);
    Outcome::Fault.status()
}

/// What to do when it is missing.
const REMEDY: &str =
    " (install it beside this one: it has help, lists, scripts and access control, and tells what is wrong)";
