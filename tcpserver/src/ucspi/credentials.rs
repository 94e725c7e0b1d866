//! The user and the group to serve as, by number.

use std::io;

use nix::unistd::{Gid, Uid, getegid, geteuid, setgid, setgroups, setuid};

use super::Failure;

/// Becomes group `gid` and user `uid`; 0 leaves either as it is. The group's comes first: only root may change it.
///
/// 0.88 lets a user without a group keep the groups that root had. Here there is none but the one of this process.
pub(super) fn take_on(uid: u32, gid: u32) -> Result<(), Failure> {
    if gid != 0 {
        let gid = Gid::from_raw(gid);
        setgroups(&[gid]).and_then(|()| setgid(gid)).map_err(|error| unable("set gid", error))?;
    } else if uid != 0 && geteuid().is_root() {
        setgroups(&[getegid()]).map_err(|error| unable("set groups", error))?;
    }
    if uid != 0 {
        setuid(Uid::from_raw(uid)).map_err(|error| unable("set uid", error))?;
    }
    Ok(())
}

fn unable(verb: &str, error: nix::errno::Errno) -> Failure {
    Failure::system(verb, &io::Error::from(error))
}
