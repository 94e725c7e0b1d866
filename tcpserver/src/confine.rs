//! Giving up what is not needed any more once the sockets are there: the root directory, groups, the user.

use std::fs;
use std::os::fd::RawFd;
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Uid, chdir, chroot, getegid, geteuid, setgid, setgroups, setuid};

use crate::error::Error;
use crate::sys;

/// Whom to become and where to stay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Confinement {
    /// The user and group to become; `None` to stay what we are.
    pub identity: Option<Identity>,
    /// The directory to be locked in (chroot(2)).
    pub chroot: Option<PathBuf>,
}

/// A user and the one group to belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The name, or the number as text.
    pub name: String,
    /// The user's number.
    pub uid: Uid,
    /// The group's.
    pub gid: Gid,
}

impl Identity {
    /// Looks up a user by name or number, and a group likewise; without one it is the user's own.
    ///
    /// /etc/passwd and /etc/group are read as files: a static binary cannot load the modules of the name service
    /// switch, so users from LDAP and the like are named by number.
    pub fn find(user: &str, group: Option<&str>) -> Result<Identity, Error> {
        let (uid, own_gid) = match (entry("/etc/passwd", user)?, user.parse()) {
            (Some(fields), _) => (number(&fields, 2), number(&fields, 3)),
            (None, Ok(uid)) => (Some(uid), by_uid(uid)?),
            (None, Err(_)) => {
                let unknown = Error::new("find user", user, "not in /etc/passwd");
                return Err(unknown.remedy("name another with --user, or give a number"));
            }
        };
        let gid = match group {
            None => own_gid,
            Some(group) => match (entry("/etc/group", group)?, group.parse()) {
                (Some(fields), _) => number(&fields, 2),
                (None, Ok(gid)) => Some(gid),
                (None, Err(_)) => {
                    let unknown = Error::new("find group", group, "not in /etc/group");
                    return Err(unknown.remedy("name another with --group, or give a number"));
                }
            },
        };
        let (Some(uid), Some(gid)) = (uid, gid) else {
            let incomplete = Error::new("find the group of user", user, "no such entry in /etc/passwd");
            return Err(incomplete.remedy("give one with --group"));
        };
        Ok(Identity { name: user.to_owned(), uid: Uid::from_raw(uid), gid: Gid::from_raw(gid) })
    }
}

/// The fields of the line of `file` whose first field is `name`.
fn entry(file: &str, name: &str) -> Result<Option<Vec<String>>, Error> {
    search(file, |fields| fields.first() == Some(&name))
}

/// The group of the user with this number, if the number has an entry.
fn by_uid(uid: u32) -> Result<Option<u32>, Error> {
    let text = uid.to_string();
    Ok(search("/etc/passwd", |fields| fields.get(2) == Some(&text.as_str()))?.and_then(|fields| number(&fields, 3)))
}

fn search(file: &str, matches: impl Fn(&[&str]) -> bool) -> Result<Option<Vec<String>>, Error> {
    let text = fs::read(file).map_err(|error| Error::os("read", file, error))?;
    let text = String::from_utf8_lossy(&text);
    let mut lines = text.lines().map(|line| line.split(':').collect::<Vec<_>>());
    Ok(lines.find(|fields| matches(fields)).map(|fields| fields.iter().map(ToString::to_string).collect()))
}

fn number(fields: &[String], at: usize) -> Option<u32> {
    fields.get(at)?.parse().ok()
}

/// Closes every descriptor above 2 but these: no other that this process was started with reaches a child or a program.
///
/// The first thing to be done: it closes what is open, whoever opened it.
pub fn close_inherited_but(kept: &[RawFd]) -> Result<(), Error> {
    let mut kept: Vec<u32> = kept.iter().filter_map(|&number| u32::try_from(number).ok()).collect();
    kept.sort_unstable();
    let mut first = 3;
    for next in kept.into_iter().filter(|&number| number > 2).map(Some).chain([None]) {
        let last = next.map_or(u32::MAX, |next| next - 1);
        if first <= last {
            sys::close_inherited(first, last)
                .map_err(|error| Error::os("close", "the inherited descriptors", error))?;
        }
        first = next.unwrap_or(last).saturating_add(1);
    }
    Ok(())
}

/// Whether this process has root's rights.
pub fn is_root() -> bool {
    geteuid().is_root()
}

/// Locks this process in and changes who it is. In this order: only root may do the first two steps, and the last one
/// ends being root.
pub fn confine(confinement: &Confinement) -> Result<(), Error> {
    if let Some(directory) = &confinement.chroot {
        lock_in(directory)?;
    }
    let Some(Identity { name, uid, gid }) = &confinement.identity else { return Ok(()) };
    if (geteuid(), getegid()) == (*uid, *gid) && !is_root() {
        return Ok(());
    }
    let failed = |verb, error| Error::os(verb, name, error).remedy("only root can become another user");
    // No group but this one: root's own groups would be kept otherwise.
    setgroups(&[*gid]).map_err(|error| failed("set the groups of user", error))?;
    setgid(*gid).map_err(|error| failed("set the group of user", error))?;
    setuid(*uid).map_err(|error| failed("become user", error))
}

fn lock_in(directory: &Path) -> Result<(), Error> {
    let failed = |error| Error::os("change the root to", directory.display().to_string(), error);
    chroot(directory).map_err(failed)?;
    // Without this the working directory would still be outside.
    chdir("/").map_err(failed)
}
