//! Virtual hosts: a directory for each (fnord's way), and redirects that are symbolic links to nowhere.
//!
//! The directory is `HOST:PORT`, `HOST` or `default` beneath the root, whichever is there first. The port is the one that
//! the client named, or else the one that the connection came to.

use core::ffi::CStr;

use rustix::fd::{BorrowedFd, OwnedFd};

use super::file;
use super::path::Path;
use super::request;
use super::status::Status;
use crate::Text;

/// Longest text of a link that is a redirect.
pub(crate) const LINK: usize = 1024;

/// Where a request goes.
pub(crate) enum Place {
    /// The directory of its host.
    Directory(OwnedFd),
    /// The host lives elsewhere.
    Elsewhere,
}

/// Finds the directory of a host, and puts its name before the path. Where it is a redirect, the path is that of the link.
#[cold]
#[inline(never)]
pub(crate) fn find(root: BorrowedFd<'_>, path: &mut Path<'_>, host: &[u8], port: u16) -> Result<Place, Status> {
    let (name, told) = split(host);
    let mut space = [0; 8];
    let mut own = Text::new(&mut space);
    own.decimal(port.into());
    let port = if told.is_empty() { own.as_bytes() } else { told };
    let known: [&[&[u8]]; 3] = [&[name, b":", port], &[name], &[b"default"]];
    // A name that begins with a dot is hidden, or leads upwards.
    let first = if name.is_empty() || name.starts_with(b".") { 2 } else { 0 };
    for words in known.iter().skip(first) {
        path.clear();
        path.set(b"")?;
        for word in *words {
            path.append(word)?;
            path.settle();
        }
        path.lower_case();
        match file::open_directory(root, path.as_c_str()) {
            Ok(directory) => {
                path.enter();
                return Ok(Place::Directory(directory));
            }
            Err(Status::NotFound)
                if redirect(root, path.as_c_str(), &mut [const { core::mem::MaybeUninit::uninit() }; LINK])
                    .is_some() =>
            {
                return Ok(Place::Elsewhere);
            }
            Err(Status::NotFound) => {}
            Err(status) => return Err(status),
        }
    }
    Err(Status::NotFound)
}

/// Name and port of a host; a dot behind the name means nothing.
fn split(host: &[u8]) -> (&[u8], &[u8]) {
    let colon = host.iter().rposition(|byte| !byte.is_ascii_digit()).filter(|&at| host.get(at) == Some(&b':'));
    let (name, port) = host.split_at_checked(colon.unwrap_or(host.len())).unwrap_or_default();
    (name.strip_suffix(b".").unwrap_or(name), port.get(1..).unwrap_or_default())
}

/// Where a link leads that leads to no file: its text is an absolute URL of HTTP, or anything behind a `=`, which also
/// says that nothing is to be put behind it (the second value).
pub(crate) fn redirect<'s>(
    directory: BorrowedFd<'_>,
    path: &CStr,
    space: &'s mut [core::mem::MaybeUninit<u8>],
) -> Option<(&'s [u8], bool)> {
    let text = file::link(directory, path, space)?;
    // What fills the space was cut.
    match text.strip_prefix(b"=") {
        _ if text.len() >= LINK => None,
        Some(text) => Some((text, true)),
        None => request::parts_of(text).filter(|(host, _)| !host.is_empty()).map(|_| (text, false)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        for (host, name, port) in [
            ("", "", ""),
            ("a", "a", ""),
            ("a:80", "a", "80"),
            ("a.:80", "a", "80"),
            ("a:", "a", ""),
            ("a:b", "a:b", ""),
            ("80", "80", ""),
            (":80", "", "80"),
            ("[::1]", "[::1]", ""),
            ("[::1]:8080", "[::1]", "8080"),
            ("192.0.2.1", "192.0.2.1", ""),
        ] {
            assert_eq!(split(host.as_bytes()), (name.as_bytes(), port.as_bytes()), "{host}");
        }
    }
}
