//! What a whole service gives up, the supervisor included: what nobody in it does, and a child that was taken over might.
//!
//! Above all, to change the limits, the priority or the processors of other processes. The kernel asks no more for it than
//! to be the same user, and Landlock knows nothing of it: a child could set the supervisor's limit of processor time, and
//! so end the service. Towards oneself (0 for the process) it is allowed, as programs use it. And, where the service runs
//! no programs, what opens most of the kernel to whoever looks for its faults.
//!
//! It is the supervisor who gives it up, and all that come of it have, at no cost: a filter that is inherited is not
//! compiled anew.

use std::collections::BTreeMap;

use libc::{c_long, sock_filter};

use super::calls::{ARCHITECTURE, Backwards, FROM, NUMBER, Test, lower};

/// Calls, and what has to be true of the arguments of each for it to be allowed.
type Calls = &'static [(c_long, &'static [Test])];

/// The process is the first argument.
const FIRST: &[Test] = &[Test::Equal(lower(0), 0)];
/// It is the second, behind its kind: PRIO_PROCESS.
const PRIORITY: &[Test] = &[Test::Equal(lower(0), libc::PRIO_PROCESS), Test::Equal(lower(1), 0)];
/// The same with IOPRIO_WHO_PROCESS.
const IO_PRIORITY: &[Test] = &[Test::Equal(lower(0), 1), Test::Equal(lower(1), 0)];

/// What is allowed towards oneself, and how that is told.
const ONESELF: Calls = &[
    (libc::SYS_prlimit64, FIRST),
    (libc::SYS_sched_setaffinity, FIRST),
    (libc::SYS_sched_setscheduler, FIRST),
    (libc::SYS_sched_setparam, FIRST),
    (libc::SYS_sched_setattr, FIRST),
    (libc::SYS_setpriority, PRIORITY),
    (libc::SYS_ioprio_set, IO_PRIORITY),
];

/// The same calls as a program of 32 bits makes them: its architecture (<linux/audit.h>), and the numbers there
/// (arch/x86/entry/syscalls/syscall_32.tbl, arch/arm64/tools/syscall_32.tbl).
#[cfg(target_arch = "x86_64")]
const THEIRS: Option<(u32, Calls)> = Some((
    0x4000_0000 | libc::EM_386 as u32,
    &[(340, FIRST), (241, FIRST), (156, FIRST), (154, FIRST), (351, FIRST), (97, PRIORITY), (289, IO_PRIORITY)],
));
#[cfg(target_arch = "aarch64")]
const THEIRS: Option<(u32, Calls)> = Some((
    0x4000_0000 | libc::EM_ARM as u32,
    &[(369, FIRST), (241, FIRST), (156, FIRST), (154, FIRST), (380, FIRST), (97, PRIORITY), (314, IO_PRIORITY)],
));
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const THEIRS: Option<(u32, Calls)> = None;

/// What has uses that nobody here has: typing into a terminal (TIOCSTI, TIOCLINUX), being traced again, moving one's own
/// memory.
const RARE: Calls = &[
    (libc::SYS_ioctl, &[Test::Other(lower(1), libc::TIOCSTI as u32), Test::Other(lower(1), libc::TIOCLINUX as u32)]),
    (
        libc::SYS_prctl,
        &[
            Test::Other(lower(0), libc::PR_SET_DUMPABLE.cast_unsigned()),
            Test::Other(lower(0), libc::PR_SET_MM.cast_unsigned()),
        ],
    ),
];

/// What nobody here uses at all, though programs might.
#[rustfmt::skip]
const NEVER: &[c_long] = &[
    libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register,
    libc::SYS_bpf, libc::SYS_perf_event_open, libc::SYS_userfaultfd, libc::SYS_fanotify_init,
    libc::SYS_add_key, libc::SYS_request_key, libc::SYS_keyctl,
    libc::SYS_unshare, libc::SYS_setns,
    libc::SYS_mount, libc::SYS_umount2, libc::SYS_pivot_root, libc::SYS_move_mount, libc::SYS_open_tree,
    libc::SYS_fsopen, libc::SYS_fsconfig, libc::SYS_fsmount, libc::SYS_fspick, libc::SYS_mount_setattr,
    libc::SYS_ptrace, libc::SYS_process_vm_readv, libc::SYS_process_vm_writev, libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd, libc::SYS_kcmp, libc::SYS_move_pages, libc::SYS_migrate_pages,
    libc::SYS_settimeofday, libc::SYS_clock_settime, libc::SYS_adjtimex, libc::SYS_clock_adjtime,
    libc::SYS_init_module, libc::SYS_finit_module, libc::SYS_delete_module, libc::SYS_kexec_load,
    libc::SYS_kexec_file_load, libc::SYS_reboot, libc::SYS_swapon, libc::SYS_swapoff, libc::SYS_acct,
    libc::SYS_personality, libc::SYS_syslog,
];

/// The filter of a service that runs `programs`, or none; `None` where the numbers of the architecture are not known.
pub fn filter(programs: bool) -> Option<Vec<sock_filter>> {
    let architecture = ARCHITECTURE?;
    let mut code = Backwards::default();
    let deny = code.put(libc::BPF_RET, libc::SECCOMP_RET_ERRNO | libc::EPERM.cast_unsigned(), [0, 0]);
    let allow = code.put(libc::BPF_RET, libc::SECCOMP_RET_ALLOW, [0, 0]);
    // This program makes no call of another architecture.
    let (rare, never, mut otherwise) = if programs { (&[][..], &[][..], allow) } else { (RARE, NEVER, deny) };
    let theirs = THEIRS.filter(|_| programs).map(|(from, calls)| (from, calls.to_vec(), &[][..]));
    for (from, with, without) in theirs.into_iter().chain([(architecture, [ONESELF, rare].concat(), never)]) {
        let mut leads = BTreeMap::new();
        for (number, tests) in with {
            leads.insert(u32::try_from(number).ok()?, code.arguments(vec![tests.to_vec()], allow, deny));
        }
        for &number in without {
            leads.insert(u32::try_from(number).ok()?, deny);
        }
        // Nothing is built for x32.
        code.table(leads, allow, deny);
        let number = code.load(NUMBER);
        otherwise = code.put(libc::BPF_JMP | libc::BPF_JEQ, from, [number, otherwise]);
    }
    code.load(FROM);
    code.forwards()
}

#[cfg(test)]
mod tests {
    use super::super::calls::X32;
    use super::super::calls::tests::{call, verdict};
    use super::*;

    const DENIED: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM.cast_unsigned();

    /// The arguments that these tests ask for, beside others.
    fn wanted(tests: &[Test]) -> [u64; 6] {
        let mut arguments = [7; 6];
        for test in tests {
            if let Test::Equal(part, value) = *test {
                arguments[(part as usize - 16) / 8] = value.into();
            }
        }
        arguments
    }

    #[test]
    fn oneself_is_allowed_and_others_are_not() {
        let filter = filter(true).unwrap();
        for (from, calls) in THEIRS.into_iter().chain([(ARCHITECTURE.unwrap(), ONESELF)]) {
            let said = |number: u32, arguments| verdict(&filter, &call(number, from, arguments));
            for &(number, tests) in calls {
                let number = number as u32;
                assert_eq!(said(number, wanted(tests)), libc::SECCOMP_RET_ALLOW, "{number}");
                for at in 0..tests.len() {
                    let mut others = wanted(tests);
                    others[at] += 1;
                    assert_eq!(said(number, others), DENIED, "{number}");
                }
            }
            for number in (0..600).filter(|&number| calls.iter().all(|(call, _)| *call != c_long::from(number))) {
                assert_eq!(said(number, [7; 6]), libc::SECCOMP_RET_ALLOW, "{number}");
                assert_eq!(said(X32 | number, [0; 6]), DENIED, "{number} of x32");
            }
        }
        assert_eq!(verdict(&filter, &call(302, 0xc000_00f3, [7; 6])), libc::SECCOMP_RET_ALLOW, "what is neither");
    }

    #[test]
    fn without_programs_more_is_given_up() {
        let (filter, here) = (filter(false).unwrap(), ARCHITECTURE.unwrap());
        let said = |number: c_long, arguments| verdict(&filter, &call(number as u32, here, arguments));
        for number in 0..600 {
            let tests = ONESELF.iter().find(|(call, _)| *call == number).map_or(&[][..], |(_, tests)| tests);
            let expect = if NEVER.contains(&number) { DENIED } else { libc::SECCOMP_RET_ALLOW };
            assert_eq!(said(number, wanted(tests)), expect, "{number}");
            assert_eq!(verdict(&filter, &call(number as u32, 0x4000_0003, wanted(tests))), DENIED, "{number}");
        }
        assert_eq!(said(libc::SYS_prlimit64, [1; 6]), DENIED);
        assert_eq!(said(libc::SYS_ioctl, [2, libc::TIOCSTI, 0, 0, 0, 0]), DENIED);
        assert_eq!(said(libc::SYS_prctl, [libc::PR_SET_DUMPABLE as u64, 1, 0, 0, 0, 0]), DENIED);
    }
}
