//! A scoreboard as others see it: who looks from outside, and trusts nothing that is there.

use std::io;
use std::os::fd::OwnedFd;

use super::{Header, Row, Slot, Unreadable, children};
use crate::sys::Shared;

/// A scoreboard of another process.
pub struct View {
    shared: Shared,
}

impl View {
    /// Looks at the memory that this descriptor stands for.
    ///
    /// # Errors
    /// It cannot be mapped; [`io::ErrorKind::InvalidData`] if it is no scoreboard, [`io::ErrorKind::Unsupported`] if
    /// another version made it.
    pub fn open(file: OwnedFd) -> io::Result<View> {
        let shared = Shared::look(file, |header| {
            header.shape().map_err(|why| match why {
                Unreadable::Foreign => io::ErrorKind::InvalidData.into(),
                Unreadable::Version => io::ErrorKind::Unsupported.into(),
            })
        })?;
        Ok(View { shared })
    }

    /// Whose it is, and what is counted.
    #[must_use]
    pub fn header(&self) -> &Header {
        self.shared.header()
    }

    /// Live children, in the order of their places: what the supervisor knows, and what the child says if it is one of a pool.
    pub fn children(&self) -> impl Iterator<Item = (&'static Row, Option<&'static Slot>)> {
        children(&self.shared)
    }
}
