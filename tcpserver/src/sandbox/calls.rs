//! The filter of system calls: what may be called, all else fails with EPERM.
//!
//! When a process takes a filter in, the kernel runs it for each call that there is, to keep those in a map of bits that are
//! allowed whatever their arguments (SECCOMP_CACHE): a list that is gone through from its start takes it most of the time.
//! So this one is a tree. Calls in the map cost next to nothing; the few that depend on an argument run the filter.

use std::collections::BTreeMap;
use std::os::fd::RawFd;

use libc::sock_filter;

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

fn number(name: &str) -> Option<u32> {
    let known = |(known, _): &&(&str, libc::c_long)| known.strip_prefix("SYS_") == Some(name);
    NUMBERS.iter().chain(OLD).find(known).and_then(|&(_, number)| number.try_into().ok())
}

/// The architecture by which the numbers are told: its number in ELF, and what else <linux/audit.h> adds to that.
pub(super) const ARCHITECTURE: Option<u32> = match () {
    () if cfg!(target_arch = "x86_64") => Some(0xc000_0000 | libc::EM_X86_64 as u32),
    () if cfg!(target_arch = "aarch64") => Some(0xc000_0000 | libc::EM_AARCH64 as u32),
    () => None,
};

/// Where the numbers of x32 begin, which are of the same architecture.
pub(super) const X32: u32 = 0x4000_0000;

/// Where the parts of a call lie (struct seccomp_data, seccomp(2)): its number, its architecture, and the lower and the
/// upper half of an argument.
pub(super) const NUMBER: u32 = 0;
pub(super) const FROM: u32 = 4;

pub(super) const fn lower(argument: u32) -> u32 {
    16 + 8 * argument + if cfg!(target_endian = "big") { 4 } else { 0 }
}

const fn upper(argument: u32) -> u32 {
    lower(argument) ^ 4
}

/// What half an argument has to be.
#[derive(Clone, Copy)]
pub(super) enum Test {
    Equal(u32, u32),
    Other(u32, u32),
    Without(u32, u32),
}

/// The filter that lets through these calls, by name, and what a child needs; and the timeouts of all sockets but the
/// listening ones, where a child accepts at `listeners` whose connections inherit none.
pub fn filter(names: &[&str], listeners: &[RawFd]) -> Result<Vec<sock_filter>, Error> {
    let failed = |reason: &str| Error::new("make", "the filter of system calls", reason);
    let architecture = ARCHITECTURE.ok_or_else(|| failed("the numbers of this architecture are not known"))?;
    let mut code = Backwards::default();
    let end = |code: &mut Backwards, action: u32| code.put(libc::BPF_RET, action, [0, 0]);
    let kill = end(&mut code, libc::SECCOMP_RET_KILL_PROCESS);
    let deny = end(&mut code, libc::SECCOMP_RET_ERRNO | libc::EPERM.cast_unsigned());
    let allow = end(&mut code, libc::SECCOMP_RET_ALLOW);
    // What this architecture lacks nobody calls.
    let named = CHILD.iter().chain(names).filter_map(|name| Some((number(name)?, arguments(name))));
    let mut calls: BTreeMap<u32, Vec<Vec<Test>>> = named.collect();
    if !listeners.is_empty() {
        calls.insert(libc::SYS_setsockopt as u32, timeouts(listeners));
    }
    let leads = calls.into_iter().map(|(number, tests)| (number, code.arguments(tests, allow, deny))).collect();
    code.table(leads, deny, deny);
    let number = code.load(NUMBER);
    code.put(libc::BPF_JMP | libc::BPF_JEQ, architecture, [number, kill]);
    code.load(FROM);
    code.forwards().ok_or_else(|| failed("it is too long"))
}

/// With which arguments a call is allowed: one of these, and of that all tests; nothing for any.
fn arguments(name: &str) -> Vec<Vec<Test>> {
    let one_of = |argument: u32, values: &[i32]| {
        values.iter().map(|value| vec![Test::Equal(lower(argument), value.cast_unsigned())]).collect()
    };
    match name {
        // Not what siblings would feel: the flags and owner of a listening socket are everybody's.
        "fcntl" => one_of(1, &[libc::F_GETFD, libc::F_GETFL]),
        // Memory, but none that can be executed.
        "mmap" => vec![vec![Test::Without(lower(2), libc::PROT_EXEC.cast_unsigned())]],
        // Log lines, behind what is there: not over it (RWF_NOAPPEND and a place).
        "pwritev2" => vec![vec![
            Test::Equal(lower(3), u32::MAX),
            Test::Equal(upper(3), u32::MAX),
            Test::Equal(lower(5), libc::RWF_NOWAIT.cast_unsigned()),
        ]],
        // A listening socket that is shut down for reading is so for all who share it.
        "shutdown" => one_of(1, &[libc::SHUT_WR]),
        _ => Vec::new(),
    }
}

/// SO_RCVTIMEO and SO_SNDTIMEO, of sockets that siblings have no part in.
fn timeouts(listeners: &[RawFd]) -> Vec<Vec<Test>> {
    let timeout = |option: i32| {
        let tests =
            [(1, libc::SOL_SOCKET), (2, option)].map(|(at, value)| Test::Equal(lower(at), value.cast_unsigned()));
        let others = listeners.iter().map(|listener| Test::Other(lower(0), listener.cast_unsigned()));
        tests.into_iter().chain(others).collect()
    };
    [libc::SO_RCVTIMEO, libc::SO_SNDTIMEO].map(timeout).into()
}

/// A place in the code, counted from its end.
pub(super) type Place = usize;

/// A jump between two places, which are known when it is made because the code grows from its end to its start: in the
/// filter's language all jumps go forwards, by 255 instructions at the most.
#[derive(Default)]
pub(super) struct Backwards(Vec<(u32, u32, [Place; 2])>);

impl Backwards {
    /// Puts an instruction before the others: its code, its value, and where it leads when it is true and when it is not.
    pub(super) fn put(&mut self, code: u32, value: u32, leads: [Place; 2]) -> Place {
        self.0.push((code, value, leads));
        self.0.len() - 1
    }

    /// Loads a part of the call; what was put last follows.
    pub(super) fn load(&mut self, part: u32) -> Place {
        self.put(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, part, [0, 0])
    }

    /// Leads to `allow` where one of the alternatives is passed; to `deny` otherwise.
    pub(super) fn arguments(&mut self, alternatives: Vec<Vec<Test>>, allow: Place, deny: Place) -> Place {
        if alternatives.is_empty() {
            return allow;
        }
        let mut otherwise = deny;
        for tests in alternatives.into_iter().rev() {
            let mut then = allow;
            for test in tests.into_iter().rev() {
                let (part, code, value, leads) = match test {
                    Test::Equal(part, value) => (part, libc::BPF_JEQ, value, [then, otherwise]),
                    Test::Other(part, value) => (part, libc::BPF_JEQ, value, [otherwise, then]),
                    Test::Without(part, bits) => (part, libc::BPF_JSET, bits, [otherwise, then]),
                };
                self.put(libc::BPF_JMP | code, value, leads);
                then = self.load(part);
            }
            otherwise = then;
        }
        otherwise
    }

    /// Leads the number that was loaded to where the table says, `otherwise` where it says nothing, and those of x32, which
    /// are above all others, to `x32`.
    pub(super) fn table(&mut self, table: BTreeMap<u32, Place>, otherwise: Place, x32: Place) {
        // The numbers in stretches, each with its first one and where it leads.
        let each = table.into_iter().flat_map(|(number, leads)| [(number, leads), (number + 1, otherwise)]);
        let stretches: Vec<_> = [(0, otherwise)].into_iter().chain(each).chain([(X32, x32)]).collect();
        // Of two that begin with the same number the first is empty, and two that lead to the same place are one.
        let empty: Vec<bool> = stretches.windows(2).map(|pair| pair[0].0 == pair[1].0).chain([false]).collect();
        let mut stretches: Vec<_> =
            stretches.into_iter().zip(empty).filter(|(_, empty)| !empty).map(|(s, _)| s).collect();
        stretches.dedup_by_key(|(_, leads)| *leads);
        let root = self.tree(&stretches);
        debug_assert_eq!(root + 1, self.0.len(), "it follows what loads the number");
    }

    /// Leads the number that was loaded to where its stretch does.
    fn tree(&mut self, stretches: &[(u32, Place)]) -> Place {
        let (low, high) = stretches.split_at(stretches.len() / 2);
        match (low, high) {
            ([], [(_, leads)]) => *leads,
            (_, [(first, _), ..]) => {
                let above = self.tree(high);
                let below = self.tree(low);
                self.put(libc::BPF_JMP | libc::BPF_JGE, *first, [above, below])
            }
            (_, []) => 0,
        }
    }

    /// As the kernel wants it; `None` if a jump is too long.
    pub(super) fn forwards(self) -> Option<Vec<sock_filter>> {
        let instruction = |(at, &(code, k, leads)): (Place, &(u32, u32, [Place; 2]))| {
            let jump = |to: Place| if at == 0 || code & 7 != libc::BPF_JMP { Ok(0) } else { u8::try_from(at - to - 1) };
            let [jt, jf] = leads.map(jump);
            Some(sock_filter { code: code.try_into().ok()?, jt: jt.ok()?, jf: jf.ok()?, k })
        };
        self.0.iter().enumerate().rev().map(instruction).collect()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    #[test]
    fn every_call_of_a_child_has_its_number() {
        for name in CHILD.iter().filter(|name| cfg!(target_arch = "x86_64") || **name != "poll") {
            assert!(number(name).is_some(), "{name}");
        }
        assert_eq!(number("read"), u32::try_from(libc::SYS_read).ok());
        assert_eq!(number("execve"), None);
    }

    /// Runs the filter as the kernel does (Documentation/networking/filter.rst), over a struct seccomp_data.
    pub fn verdict(filter: &[sock_filter], data: &[u8; 64]) -> u32 {
        let (mut at, mut loaded, mut steps) = (0, 0, 0);
        loop {
            let sock_filter { code, jt, jf, k } = filter[at];
            let code = u32::from(code);
            let is_true = match (code & 7, code & 0xf0) {
                (libc::BPF_RET, _) => return k,
                (libc::BPF_LD, _) => {
                    loaded = u32::from_ne_bytes(data[k as usize..][..4].try_into().unwrap());
                    at += 1;
                    continue;
                }
                (libc::BPF_JMP, libc::BPF_JEQ) => loaded == k,
                (libc::BPF_JMP, libc::BPF_JGE) => loaded >= k,
                (libc::BPF_JMP, libc::BPF_JSET) => loaded & k != 0,
                other => panic!("{other:?}"),
            };
            at += 1 + usize::from(if is_true { jt } else { jf });
            steps += 1;
            assert!(steps < 16, "a tree");
        }
    }

    pub fn call(number: u32, architecture: u32, arguments: [u64; 6]) -> [u8; 64] {
        let mut data = [0; 64];
        data[..4].copy_from_slice(&number.to_ne_bytes());
        data[4..8].copy_from_slice(&architecture.to_ne_bytes());
        for (at, argument) in arguments.into_iter().enumerate() {
            data[16 + 8 * at..][..8].copy_from_slice(&argument.to_ne_bytes());
        }
        data
    }

    /// Whatever is called, the filter says what the list says.
    #[test]
    fn the_tree_is_the_list() {
        let (here, denied) = (ARCHITECTURE.unwrap(), libc::SECCOMP_RET_ERRNO | libc::EPERM.cast_unsigned());
        let known = || NUMBERS.iter().chain(OLD).map(|(name, _)| &name[4..]);
        let all: Vec<&str> = known().collect();
        for names in [&[][..], &["read", "openat2", "no_such_call"], &["mmap", "pwritev2", "shutdown"], &all] {
            let filter = filter(names, &[]).unwrap();
            assert!(filter.len() < 130, "{}", filter.len());
            let numbers: Vec<u32> = CHILD.iter().chain(names).filter_map(|name| number(name)).collect();
            let by_argument = ["fcntl", "mmap", "pwritev2", "shutdown"].map(|name| number(name).unwrap());
            for asked in (0..600).chain([u32::MAX]).chain((0..600).map(|number| 0x4000_0000 | number)) {
                let is_allowed = numbers.contains(&asked);
                // An argument that no rule allows.
                let said = verdict(&filter, &call(asked, here, [0x0707_0707; 6]));
                let free = is_allowed && !by_argument.contains(&asked);
                assert_eq!(said, if free { libc::SECCOMP_RET_ALLOW } else { denied }, "{asked}");
                let said = verdict(&filter, &call(asked, 0x4000_0003, [0; 6]));
                assert_eq!(said, libc::SECCOMP_RET_KILL_PROCESS, "another architecture");
            }
        }
    }

    #[test]
    fn arguments_decide() {
        let here = ARCHITECTURE.unwrap();
        let filter = filter(&["mmap", "pwritev2", "shutdown"], &[3, 9]).unwrap();
        let is_allowed = |name: &str, arguments: [u64; 6]| {
            verdict(&filter, &call(number(name).unwrap(), here, arguments)) == libc::SECCOMP_RET_ALLOW
        };
        let command = |command: i32| [3, command as u64, 0, 0, 0, 0];
        assert!(is_allowed("fcntl", command(libc::F_GETFD)) && is_allowed("fcntl", command(libc::F_GETFL)));
        assert!(!is_allowed("fcntl", command(libc::F_SETFL)) && !is_allowed("fcntl", command(libc::F_SETOWN)));
        assert!(is_allowed("shutdown", command(libc::SHUT_WR)) && !is_allowed("shutdown", command(libc::SHUT_RDWR)));
        let memory = |protection: i32| [0, 4096, protection as u64, 0, 0, 0];
        assert!(is_allowed("mmap", memory(libc::PROT_READ | libc::PROT_WRITE)));
        assert!(!is_allowed("mmap", memory(libc::PROT_READ | libc::PROT_EXEC)));
        let line = |place: u64, flags: i32| [2, 0, 1, place, 0, flags as u64];
        assert!(is_allowed("pwritev2", line(u64::MAX, libc::RWF_NOWAIT)));
        assert!(!is_allowed("pwritev2", line(0, libc::RWF_NOWAIT)) && !is_allowed("pwritev2", line(u64::MAX, 0x20)));
        assert!(!is_allowed("pwritev2", line(u64::from(u32::MAX), libc::RWF_NOWAIT)), "half of the place");
        let setsockopt = |arguments: [i32; 3]| {
            let [socket, level, option] = arguments.map(|argument| argument as u64);
            let call = call(libc::SYS_setsockopt as u32, here, [socket, level, option, 0, 0, 0]);
            verdict(&filter, &call) == libc::SECCOMP_RET_ALLOW
        };
        assert!(
            setsockopt([4, libc::SOL_SOCKET, libc::SO_RCVTIMEO])
                && setsockopt([4, libc::SOL_SOCKET, libc::SO_SNDTIMEO])
        );
        assert!(
            !setsockopt([3, libc::SOL_SOCKET, libc::SO_RCVTIMEO])
                && !setsockopt([9, libc::SOL_SOCKET, libc::SO_SNDTIMEO])
        );
        assert!(
            !setsockopt([4, libc::IPPROTO_TCP, libc::SO_RCVTIMEO])
                && !setsockopt([4, libc::SOL_SOCKET, libc::SO_LINGER])
        );
    }
}
