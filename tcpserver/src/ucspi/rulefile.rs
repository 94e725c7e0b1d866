//! The rules, kept open while their file stays the same.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use crate::error::Error;
use crate::rules::{Client, Decision, Rules};

/// What tells one file from another, and from what it was before somebody wrote to it.
type Identity = (u64, u64, u64, (i64, i64), (i64, i64));

/// A file of rules, by its name.
pub(crate) struct RuleFile {
    path: PathBuf,
    may_be_missing: bool,
    open: Option<(Identity, Rules)>,
}

impl RuleFile {
    pub(crate) fn new(path: PathBuf, may_be_missing: bool) -> Self {
        RuleFile { path, may_be_missing, open: None }
    }

    /// What holds for a client by the file that has the name now.
    ///
    /// At most one system call while the file stays the same: it is the one that asks whether it does.
    pub(crate) fn decide(&mut self, client: &Client<'_>) -> Result<Decision, Error> {
        let now = self.identity();
        if self.open.as_ref().is_none_or(|(identity, _)| Some(*identity) != now) {
            // Asked for before it is opened: if it is replaced in between, this is noticed the next time.
            self.open = None;
            match self.open()? {
                Some(rules) => self.open = Some((now.unwrap_or_default(), rules)),
                None => return Ok(Decision { allow: true, environment: Vec::new(), key: None }),
            }
        }
        match &self.open {
            Some((_, rules)) => rules.decide(client),
            None => Ok(Decision { allow: true, environment: Vec::new(), key: None }),
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
