//! The rules, kept open while their file stays the same.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use super::{Client, Decision, Rules};
use crate::error::Error;

/// What tells one file from another, and from what it was before somebody wrote to it.
type Identity = (u64, u64, u64, (i64, i64), (i64, i64));

/// A file of rules, by its name.
pub(crate) struct RuleFile {
    path: PathBuf,
    may_be_missing: bool,
    /// Which one is open.
    seen: Option<Identity>,
    open: Option<Rules>,
}

impl RuleFile {
    pub(crate) fn new(path: PathBuf, may_be_missing: bool) -> Self {
        RuleFile { path, may_be_missing, seen: None, open: None }
    }

    /// What holds for a client by the file that has the name now.
    ///
    /// At most one system call while the file stays the same: it is the one that asks whether it does.
    pub(crate) fn decide(&mut self, client: &Client<'_>) -> Result<Decision, Error> {
        if let Err(error) = self.refresh() {
            // Not those of before.
            self.open = None;
            return Err(error);
        }
        self.judge(client)
    }

    /// Opens the file that has the name now, unless it is open. When it cannot be, what was read before stays, and it is
    /// tried again the next time.
    pub(crate) fn refresh(&mut self) -> Result<(), Error> {
        let now = self.identity();
        if now.is_some() && self.seen == now {
            return Ok(());
        }
        self.seen = None;
        self.open = self.open()?;
        // Asked for before it was opened: if it was replaced in between, this is noticed the next time.
        self.seen = now;
        Ok(())
    }

    /// What holds for a client by the file that was read last.
    pub(crate) fn judge(&self, client: &Client<'_>) -> Result<Decision, Error> {
        match &self.open {
            Some(rules) => rules.decide(client),
            None if self.may_be_missing => Ok(Decision { allow: true, environment: Vec::new(), key: None }),
            None => Err(Error::new("read", self.path.display().to_string(), "no rules were read yet")),
        }
    }

    fn open(&self) -> Result<Option<Rules>, Error> {
        if self.may_be_missing { Rules::open_if_there(&self.path) } else { Rules::open(&self.path).map(Some) }
    }

    fn identity(&self) -> Option<Identity> {
        let of = |meta: fs::Metadata| {
            let (modified, changed) = ((meta.mtime(), meta.mtime_nsec()), (meta.ctime(), meta.ctime_nsec()));
            (meta.dev(), meta.ino(), meta.size(), modified, changed)
        };
        let found: io::Result<fs::Metadata> = fs::metadata(&self.path);
        found.ok().map(of)
    }
}
