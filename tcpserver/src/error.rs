//! What can go wrong before the first connection, each failure with its step.

use std::fmt;
use std::io;

/// A failed step: `unable to VERB OBJECT: reason`, and what to do about it where that is known.
#[derive(Debug)]
pub struct Error {
    verb: &'static str,
    object: String,
    reason: String,
    remedy: Option<String>,
}

impl Error {
    /// The step `verb object` failed for `reason`.
    pub fn new(verb: &'static str, object: impl Into<String>, reason: impl fmt::Display) -> Self {
        Error { verb, object: object.into(), reason: reason.to_string(), remedy: None }
    }

    /// The step failed in a system call.
    pub fn os(verb: &'static str, object: impl Into<String>, error: impl Into<io::Error>) -> Self {
        Error::new(verb, object, describe(&error.into()))
    }

    /// Adds what the reader of the message can do.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// The message without what the reader can do, for a line whose wording is not ours.
    #[must_use]
    pub fn plain(&self) -> String {
        format!("unable to {} {}: {}", self.verb, self.object, self.reason)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.plain())?;
        match &self.remedy {
            Some(remedy) => write!(f, " ({remedy})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

/// The text of a system error as strerror(3) has it, without Rust's ` (os error N)` behind it.
#[must_use]
pub fn describe(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((reason, _)) => reason.to_owned(),
        None => text,
    }
}
