//! The filter of system calls: what may be called, all else fails with EPERM.
//!
//! Calls that are allowed whatever their arguments cost next to nothing: the kernel keeps them in a map of bits
//! (SECCOMP_CACHE). The few that depend on an argument run the filter.

use std::collections::BTreeMap;
use std::os::fd::RawFd;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

use crate::error::Error;

/// What a child of a pool calls itself, between connections and around them.
const CHILD: &[&str] = &[
    "accept4",
    "close",
    "poll",
    "ppoll",
    "getsockname", // taking a connection, and letting it go
    "recvmsg",
    "write", // being handed one, and telling the supervisor
    "setitimer",
    "clock_gettime", // deadlines
    "rt_sigreturn",
    "rt_sigprocmask",
    "restart_syscall", // signals, and being stopped and continued
    "fcntl",
    "exit",
    "exit_group",
];

macro_rules! table {
    ($($name:ident)*) => { &[$((stringify!($name), libc::$name)),*] };
}

/// The numbers of what may be asked for, in nobody's order. A call that is not here cannot be allowed.
#[rustfmt::skip]
const NUMBERS: &[(&str, libc::c_long)] = table! {
    SYS_accept4 SYS_brk SYS_clock_gettime SYS_close SYS_exit SYS_exit_group SYS_fcntl SYS_fstat SYS_futex SYS_getdents64
    SYS_getpid SYS_getrandom SYS_getsockname SYS_gettid SYS_lseek SYS_madvise SYS_mmap SYS_mremap SYS_munmap
    SYS_newfstatat SYS_openat SYS_openat2 SYS_ppoll SYS_prctl SYS_pread64 SYS_pwritev2 SYS_read SYS_readlinkat SYS_recvfrom
    SYS_recvmsg SYS_restart_syscall SYS_rt_sigprocmask SYS_rt_sigreturn SYS_sendfile SYS_sendmsg SYS_sendto SYS_setitimer
    SYS_shutdown SYS_statx SYS_write SYS_writev
};

/// Those that only some architectures have.
#[cfg(target_arch = "x86_64")]
const OLD: &[(&str, libc::c_long)] = table! { SYS_poll };
#[cfg(not(target_arch = "x86_64"))]
const OLD: &[(&str, libc::c_long)] = &[];

fn number(name: &str) -> Option<i64> {
    let known = |(known, _): &&(&str, libc::c_long)| known.strip_prefix("SYS_") == Some(name);
    NUMBERS.iter().chain(OLD).find(known).map(|&(_, number)| number)
}

/// The filter that lets through these calls, by name, and what a child needs; and the timeouts of all sockets but the
/// listening ones, where a child accepts at `listeners` whose connections inherit none.
pub fn filter(names: &[&str], listeners: &[RawFd]) -> Result<BpfProgram, Error> {
    let failed = |error: BackendError| Error::new("make", "the filter of system calls", error);
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for name in CHILD.iter().chain(names) {
        // What this architecture lacks nobody calls.
        let Some(number) = number(name) else { continue };
        rules.insert(number, arguments(name).map_err(failed)?);
    }
    if !listeners.is_empty() {
        rules.insert(libc::SYS_setsockopt, timeouts(listeners).map_err(failed)?);
    }
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(failed)?;
    let denied = SeccompAction::Errno(libc::EPERM as u32);
    let filter = SeccompFilter::new(rules, denied, SeccompAction::Allow, arch).map_err(failed)?;
    filter.try_into().map_err(failed)
}

/// With which arguments a call is allowed; nothing for any.
fn arguments(name: &str) -> Result<Vec<SeccompRule>, BackendError> {
    let one_of = |argument: u8, values: &[i32]| {
        let is = |value: &i32| {
            let value = u64::from(value.cast_unsigned());
            let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)?;
            SeccompRule::new(vec![condition])
        };
        values.iter().map(is).collect()
    };
    match name {
        // Not what siblings would feel: the flags and owner of a listening socket are everybody's.
        "fcntl" => one_of(1, &[libc::F_GETFD, libc::F_GETFL]),
        // Memory, but none that can be executed.
        "mmap" => {
            let none = SeccompCmpOp::MaskedEq(u64::from(libc::PROT_EXEC.cast_unsigned()));
            Ok(vec![SeccompRule::new(vec![SeccompCondition::new(2, SeccompCmpArgLen::Dword, none, 0)?])?])
        }
        // Log lines, behind what is there: not over it (RWF_NOAPPEND and a place).
        "pwritev2" => {
            let end = SeccompCondition::new(3, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, u64::MAX)?;
            let flags = u64::from(libc::RWF_NOWAIT.cast_unsigned());
            let flags = SeccompCondition::new(5, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, flags)?;
            Ok(vec![SeccompRule::new(vec![end, flags])?])
        }
        // A listening socket that is shut down for reading is so for all who share it.
        "shutdown" => one_of(1, &[libc::SHUT_WR]),
        _ => Ok(Vec::new()),
    }
}

/// SO_RCVTIMEO and SO_SNDTIMEO, of sockets that siblings have no part in.
fn timeouts(listeners: &[RawFd]) -> Result<Vec<SeccompRule>, BackendError> {
    let condition = |argument, how, value: i32| {
        SeccompCondition::new(argument, SeccompCmpArgLen::Dword, how, u64::from(value.cast_unsigned()))
    };
    let rule = |option| {
        let level = [condition(1, SeccompCmpOp::Eq, libc::SOL_SOCKET), condition(2, SeccompCmpOp::Eq, option)];
        let others = listeners.iter().map(|&listener| condition(0, SeccompCmpOp::Ne, listener));
        SeccompRule::new(level.into_iter().chain(others).collect::<Result<_, _>>()?)
    };
    [libc::SO_RCVTIMEO, libc::SO_SNDTIMEO].into_iter().map(rule).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_of_a_child_has_its_number() {
        for name in CHILD.iter().filter(|name| cfg!(target_arch = "x86_64") || **name != "poll") {
            assert!(number(name).is_some(), "{name}");
        }
        assert_eq!(number("read"), Some(libc::SYS_read));
        assert_eq!(number("execve"), None);
    }

    #[test]
    fn a_filter_is_made() {
        let filter = filter(&["read", "openat2", "no_such_call"], &[]).unwrap();
        assert!(filter.len() > 20 && filter.len() < 200, "{}", filter.len());
    }
}
