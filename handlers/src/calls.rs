//! Which system calls the protocols make, for whoever forbids a process all others.
//!
//! By name, because this crate knows no numbers but those of rustix. What a protocol needs of programs (scripts, who may)
//! is not here: a process that starts programs is held by other means.

use crate::Protocol;

/// A stream, its deadlines and its end.
const STREAM: &[&str] = &[
    "read", "sendmsg", "write", "writev", "pwritev2", // bytes, and log lines
    "poll", "ppoll", // where a descriptor has no timeout of its own
    "fcntl", "shutdown",
];

/// The same, and files beneath a root.
const FILES: &[&str] = &[
    "openat2",
    "fstat",
    "close",
    "sendfile",
    "pread64", // from a file to a client
    "read",
    "sendmsg",
    "write",
    "writev",
    "pwritev2",
    "poll",
    "ppoll",
    "fcntl",
    "shutdown", // a stream
    "newfstatat",
    "readlinkat", // links that are redirects, and what a name stands for
    "getdents64",
    "lseek", // lists
];

/// The names of the system calls that a protocol makes, as in the kernel's table of x86-64.
#[must_use]
pub fn calls(protocol: &Protocol) -> &'static [&'static str] {
    if protocol.has_root { FILES } else { STREAM }
}
