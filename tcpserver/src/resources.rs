//! Resource limits of children (setrlimit(2)): the supervisor keeps its own.

use std::str::FromStr;

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};

use crate::error::Error;

/// A resource that can be limited.
struct Kind {
    name: &'static str,
    resource: Resource,
    /// Less is no limit but a mistake: no program can start.
    least: u64,
    /// It is counted in bytes.
    bytes: bool,
}

/// In the order of the manual page.
const KINDS: [Kind; 8] = [
    Kind { name: "as", resource: Resource::RLIMIT_AS, least: 64 << 10, bytes: true },
    Kind { name: "core", resource: Resource::RLIMIT_CORE, least: 0, bytes: true },
    Kind { name: "cpu", resource: Resource::RLIMIT_CPU, least: 1, bytes: false },
    Kind { name: "data", resource: Resource::RLIMIT_DATA, least: 0, bytes: true },
    Kind { name: "fsize", resource: Resource::RLIMIT_FSIZE, least: 0, bytes: true },
    // It is given three.
    Kind { name: "nofile", resource: Resource::RLIMIT_NOFILE, least: 3, bytes: false },
    Kind { name: "nproc", resource: Resource::RLIMIT_NPROC, least: 0, bytes: false },
    Kind { name: "stack", resource: Resource::RLIMIT_STACK, least: 64 << 10, bytes: true },
];

/// What a handler needs at least, beyond what any program does: sockets and the files that it sends, a stack of which
/// what clients left is wiped, and the memory that it is copied with.
const HANDLERS: [(Resource, u64); 3] =
    [(Resource::RLIMIT_AS, 32 << 20), (Resource::RLIMIT_NOFILE, 64), (Resource::RLIMIT_STACK, 1 << 20)];

/// One limit, soft and hard: the program cannot raise it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResourceLimit {
    resource: Resource,
    value: u64,
}

impl FromStr for ResourceLimit {
    type Err = String;

    /// `NAME=VALUE`. The value is a number, in bytes or seconds or pieces; bytes with K, M or G behind it; or
    /// `unlimited`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
        let Some(kind) = KINDS.iter().find(|kind| kind.name == name) else {
            let names = KINDS.map(|kind| kind.name).join(", ");
            return Err(format!("{name:?} is no limit: {names}"));
        };
        let value = if value == "unlimited" { RLIM_INFINITY } else { number(value, kind.bytes)? };
        if value < kind.least {
            return Err(format!("{value} is too little to start any program: {} or more", kind.least));
        }
        Ok(ResourceLimit { resource: kind.resource, value })
    }
}

impl ResourceLimit {
    /// Whether a child may set it: to be asked as the user who serves. Only a limit above our own hard one may be
    /// refused, to those who are not root as well as beyond what the kernel has (nr_open), so it is raised and put back.
    pub fn check(&self) -> Result<(), Error> {
        let name = KINDS.iter().find(|kind| kind.resource == self.resource).map_or("", |kind| kind.name);
        let failed = |error| Error::os("read the limit", name, error);
        let (soft, hard) = getrlimit(self.resource).map_err(failed)?;
        if self.value > hard {
            setrlimit(self.resource, soft, self.value).map_err(|error| {
                let reason = format!("{}, and the hard limit is {hard}", error.desc());
                Error::new("set the limit", name, reason)
                    .remedy("raising it takes CAP_SYS_RESOURCE, and the kernel has bounds of its own")
            })?;
            setrlimit(self.resource, soft, hard).map_err(|error| Error::os("restore the limit", name, error))?;
        }
        Ok(())
    }

    /// Whether a handler of ours can serve with it.
    ///
    /// # Errors
    /// What it needs, for a message.
    pub fn check_for_handlers(&self) -> Result<(), String> {
        match HANDLERS.iter().find(|&&(resource, least)| resource == self.resource && self.value < least) {
            Some((_, least)) => Err(format!("a child cannot serve with {}: {least} or more", self.value)),
            None => Ok(()),
        }
    }

    /// Whether it ends a process that has worked for long, however many clients that was for.
    #[must_use]
    pub fn counts_work(&self) -> bool {
        self.resource == Resource::RLIMIT_CPU
    }

    /// Whether both limit the same.
    #[must_use]
    pub fn is_same_resource(&self, other: &ResourceLimit) -> bool {
        self.resource == other.resource
    }

    /// What setrlimit(2) takes: the resource, and both limits.
    #[must_use]
    pub(crate) fn raw(&self) -> (u32, [u64; 2]) {
        (self.resource as u32, [self.value; 2])
    }
}

fn number(text: &str, bytes: bool) -> Result<u64, String> {
    let scales = [("K", 10), ("M", 20), ("G", 30)];
    let scale = scales.iter().find_map(|&(suffix, shift)| Some((text.strip_suffix(suffix)?, shift)));
    let (digits, shift) = scale.filter(|_| bytes).unwrap_or((text, 0));
    let plain = digits.bytes().all(|b| b.is_ascii_digit());
    let value = digits.parse::<u64>().ok().filter(|_| plain).and_then(|value| value.checked_mul(1 << shift));
    // The largest number means none.
    value.filter(|&value| value < RLIM_INFINITY).ok_or_else(|| {
        let suffixes = if bytes { ", with K, M or G behind it if need be," } else { "" };
        format!("{text:?} is no such number: digits{suffixes} or unlimited")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Option<(u32, [u64; 2])> {
        text.parse::<ResourceLimit>().ok().map(|limit| limit.raw())
    }

    #[test]
    fn limits() {
        assert_eq!(raw("nofile=64"), Some((libc::RLIMIT_NOFILE, [64; 2])));
        assert_eq!(raw("as=10M"), Some((libc::RLIMIT_AS, [10 << 20; 2])));
        assert_eq!(raw("core=0"), Some((libc::RLIMIT_CORE, [0; 2])));
        assert_eq!(raw("stack=unlimited"), Some((libc::RLIMIT_STACK, [libc::RLIM_INFINITY; 2])));
        for wrong in [
            "",
            "as",
            "as=",
            "as=x",
            "as=-1",
            "as=+5M",
            "as=1T",
            "as=99999999999G",
            "as=1K",
            "cpu=0",
            "cpu=5M",
            "nofile=2",
            "memory=5",
            "AS=5M",
            "as=18446744073709551615",
            "=5",
        ] {
            assert_eq!(raw(wrong), None, "{wrong}");
        }
    }
}
