//! What is tried, and what is to come of it: the table of SPECIFICATION.md.

use nix::errno::Errno;
use nix::libc;

use super::shell::{Answer, Shell};
use crate::common::process;

/// What is to come of an act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// EPERM or EACCES, for everybody.
    Refused,
    /// What it would be done to, the child does not hold.
    Absent,
    /// The child of a pool that accepts for itself holds the socket that it needs; no other does.
    InPool,
    /// The limit that refuses it does not hold for root.
    ButRoot,
    /// Nobody but the user, and the kernel's settings, stands in the way.
    User,
    Done,
    /// Whatever comes of it, others are served as before.
    Harmless,
}

impl Expect {
    /// As it stands in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Expect::Refused => "refused",
            Expect::Absent => "it holds none",
            Expect::InPool => "only where it accepts for itself",
            Expect::ButRoot => "refused, but to root",
            Expect::User => "as its user may",
            Expect::Done => "done",
            Expect::Harmless => "harms nobody",
        }
    }
}

use Expect::{Absent, ButRoot, Done, Harmless, InPool, Refused, User};

/// One way to do it.
pub type Act = (&'static str, fn(&mut Shell<'_>) -> Answer);

/// A line of the table.
pub struct Row {
    pub what: &'static str,
    /// In a pool, or with `--sandbox strict`; for one connection; and where programs are run for clients.
    pub expect: [Expect; 3],
    pub acts: &'static [Act],
}

const CWD: i64 = libc::AT_FDCWD as i64;
/// The numbers of x32 (arch/x86/entry/syscalls/syscall_64.tbl).
const X32: i64 = 0x4000_0000;
/// A line that a log does not have.
const LINE: &[u8] = b"forged\n";

#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    Row { what: "read or write files elsewhere, /proc/*/mem among them", expect: [Refused, Refused, User], acts: &[
        ("read a file", |s| s.open(s.at.secret.display().to_string(), libc::O_RDONLY, 0)),
        ("list a directory", |s| s.open("/", libc::O_RDONLY | libc::O_DIRECTORY, 0)),
        ("write a file", |s| s.open(s.at.secret.display().to_string(), libc::O_WRONLY, 0)),
        ("make a file", |s| s.open("/tmp", libc::O_TMPFILE | libc::O_RDWR, 0o600)),
        ("its own memory as a file", |s| s.open("/proc/self/mem", libc::O_RDWR, 0)),
        ("a device", |s| s.open("/dev/zero", libc::O_RDONLY, 0)),
    ] },
    Row { what: "write, make, link or remove files of ROOT", expect: [Refused, Refused, User], acts: &[
        ("write", |s| { let path = in_site(s, "file"); s.open(path, libc::O_WRONLY, 0) }),
        ("make", |s| { let path = in_site(s, "new"); s.open(path, libc::O_CREAT | libc::O_WRONLY, 0o600) }),
        ("truncate", |s| { let path = in_site(s, "file"); let path = s.text(path); s.call(libc::SYS_truncate, &[path, 0]) }),
        ("link", |s| two_paths(s, libc::SYS_linkat, "file", "link")),
        ("rename", |s| two_paths(s, libc::SYS_renameat2, "file", "other")),
        ("symbolic link", |s| { let (to, name) = (s.text("/"), in_site(s, "l")); let name = s.text(name); s.call(libc::SYS_symlinkat, &[to, CWD, name]) }),
        ("FIFO", |s| { let path = in_site(s, "fifo"); let path = s.text(path); s.call(libc::SYS_mknodat, &[CWD, path, i64::from(libc::S_IFIFO) | 0o600, 0]) }),
        ("directory", |s| { let path = in_site(s, "d"); let path = s.text(path); s.call(libc::SYS_mkdirat, &[CWD, path, 0o700]) }),
        ("remove", |s| { let path = in_site(s, "file"); let path = s.text(path); s.call(libc::SYS_unlinkat, &[CWD, path, 0]) }),
    ] },
    Row { what: "change mode or times of a file of its user", expect: [Refused, User, User], acts: &[
        ("mode", |s| { let path = in_site(s, "file"); let path = s.text(path); s.call(libc::SYS_fchmodat, &[CWD, path, 0o644]) }),
        ("times", |s| { let path = in_site(s, "file"); let path = s.text(path); s.call(libc::SYS_utimensat, &[CWD, path, 0, 0]) }),
    ] },
    Row { what: "see which files there are elsewhere, how large and how old (stat)", expect: [Done, Done, User], acts: &[
        ("stat", |s| { let path = s.text(s.at.secret.display().to_string()); let room = s.bytes(&[0; 144]); s.call(libc::SYS_newfstatat, &[CWD, path, room, 0]) }),
    ] },
    Row { what: "connect to a TCP port, or listen at one", expect: [Refused, Refused, User], acts: &[
        ("connect", |s| { let to = inet(s.at.port, s); socket(s, libc::AF_INET, libc::SOCK_STREAM).then(|fd| s.call(libc::SYS_connect, &[fd, to, 16])) }),
        ("bind", |s| { let to = inet(0, s); socket(s, libc::AF_INET, libc::SOCK_STREAM).then(|fd| s.call(libc::SYS_bind, &[fd, to, 16])) }),
    ] },
    Row { what: "reach an abstract Unix socket", expect: [Refused, Refused, User], acts: &[
        ("connect", |s| { let (to, len) = unix(&format!("\0{}", s.at.name), s); socket(s, libc::AF_UNIX, libc::SOCK_STREAM).then(|fd| s.call(libc::SYS_connect, &[fd, to, len])) }),
    ] },
    Row { what: "reach other sockets: Unix, UDP, raw, netlink, vsock", expect: [Refused, User, User], acts: &[
        ("Unix", |s| { let (to, len) = unix(&s.at.unix.display().to_string(), s); socket(s, libc::AF_UNIX, libc::SOCK_STREAM).then(|fd| s.call(libc::SYS_connect, &[fd, to, len])) }),
        ("UDP", |s| socket(s, libc::AF_INET, libc::SOCK_DGRAM)),
        ("raw", |s| s.call(libc::SYS_socket, &[libc::AF_INET.into(), libc::SOCK_RAW.into(), libc::IPPROTO_ICMP.into()])),
        ("packet", |s| socket(s, libc::AF_PACKET, libc::SOCK_RAW)),
        ("netlink", |s| socket(s, libc::AF_NETLINK, libc::SOCK_RAW)),
        ("vsock", |s| socket(s, libc::AF_VSOCK, libc::SOCK_STREAM)),
        ("a pair", |s| { let room = s.words(&[0]); s.call(libc::SYS_socketpair, &[libc::AF_UNIX.into(), libc::SOCK_DGRAM.into(), 0, room]) }),
    ] },
    Row { what: "make a process", expect: [Refused, ButRoot, User], acts: &[
        ("fork", |s| s.call(libc::SYS_clone, &[0, 0, 0, 0, 0])),
    ] },
    Row { what: "become another program that is a file", expect: [Refused, Refused, User], acts: &[
        ("execve", |s| { let (path, none) = (s.text("/bin/true"), s.words(&[0])); s.call(libc::SYS_execve, &[path, none, none]) }),
    ] },
    Row { what: "run code of its own: executable memory, a program made in memory", expect: [Refused, User, User], acts: &[
        ("mmap", |s| s.call(libc::SYS_mmap, &[0, 4096, 5, 0x22, -1, 0])),
        ("mprotect", |s| s.call(libc::SYS_mprotect, &[s.memory & !4095, 4096, 7])),
        ("memfd_create", |s| { let name = s.text("x"); s.call(libc::SYS_memfd_create, &[name, 0]) }),
        ("execveat", |s| { let (name, none) = (s.text("x"), s.words(&[0])); s.call(libc::SYS_memfd_create, &[name, 0]).then(|fd| {
            let program = s.bytes(EXITS);
            let empty = s.text("");
            s.call(libc::SYS_write, &[fd, program, EXITS.len() as i64]).then(|_| s.call(libc::SYS_execveat, &[fd, empty, none, none, libc::AT_EMPTY_PATH.into()]))
        }) }),
    ] },
    Row { what: "signal the supervisor or a sibling", expect: [Refused, Refused, Refused], acts: &[
        ("kill the supervisor", |s| s.call(libc::SYS_kill, &[s.at.supervisor.into(), 0])),
        ("kill a sibling", |s| s.call(libc::SYS_kill, &[s.at.sibling.into(), 0])),
        ("tgkill", |s| s.call(libc::SYS_tgkill, &[s.at.supervisor.into(), s.at.supervisor.into(), 0])),
        ("rt_sigqueueinfo", |s| { let info = s.words(&[0, i64::from(libc::SI_QUEUE), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]); s.call(libc::SYS_rt_sigqueueinfo, &[s.at.supervisor.into(), 0, info]) }),
        ("by a pidfd", |s| s.call(libc::SYS_pidfd_open, &[s.at.sibling.into(), 0]).then(|fd| s.call(libc::SYS_pidfd_send_signal, &[fd, 0, 0, 0]))),
        ("by SIGIO", by_sigio),
    ] },
    Row { what: "trace or look into the supervisor or a sibling", expect: [Refused, Refused, Refused], acts: &[
        ("ptrace", |s| s.call(libc::SYS_ptrace, &[0x4206, s.at.supervisor.into(), 0, 0])),
        ("read memory", |s| vm(s, libc::SYS_process_vm_readv)),
        ("write memory", |s| vm(s, libc::SYS_process_vm_writev)),
        ("take a descriptor", |s| s.call(libc::SYS_pidfd_open, &[s.at.sibling.into(), 0]).then(|fd| s.call(libc::SYS_pidfd_getfd, &[fd, 2, 0]))),
        ("compare", |s| s.call(libc::SYS_kcmp, &[s.at.supervisor.into(), s.at.sibling.into(), 0, 0, 0])),
        ("move pages", |s| s.call(libc::SYS_move_pages, &[s.at.sibling.into(), 0, 0, 0, 0, 0])),
        ("memory as a file", |s| s.open(format!("/proc/{}/mem", s.at.supervisor), libc::O_RDONLY, 0)),
    ] },
    Row { what: "change limits, priority or processors of the supervisor or a sibling", expect: [Refused, Refused, Refused], acts: &[
        ("prlimit", |s| { let room = s.words(&[0, 0]); s.call(libc::SYS_prlimit64, &[s.at.supervisor.into(), 7, 0, room]) }),
        ("prlimit of i386", |s| s.call_as_i386(340, &[s.at.supervisor.into(), 7, 0, 0])),
        ("setpriority", |s| s.call(libc::SYS_setpriority, &[0, s.at.sibling.into(), 1])),
        ("setpriority of all", |s| s.call(libc::SYS_setpriority, &[libc::PRIO_USER.into(), 0, 1])),
        ("sched_setaffinity", |s| { let all = s.words(&[-1]); s.call(libc::SYS_sched_setaffinity, &[s.at.sibling.into(), 8, all]) }),
        ("sched_setscheduler", |s| { let zero = s.words(&[0]); s.call(libc::SYS_sched_setscheduler, &[s.at.sibling.into(), libc::SCHED_BATCH.into(), zero]) }),
        ("ioprio_set", |s| s.call(libc::SYS_ioprio_set, &[1, s.at.sibling.into(), 2 << 13 | 7])),
    ] },
    Row { what: "shut down, disconnect, silence or reconfigure the listening socket, ring or jam the pool's bell", expect: [Refused, Absent, User], acts: &[
        ("shutdown", |s| s.on_shared(|s, fd| s.call(libc::SYS_shutdown, &[fd, 0]))),
        ("listen", |s| s.on_shared(|s, fd| s.call(libc::SYS_listen, &[fd, 0]))),
        ("disconnect", |s| { let none = s.words(&[0, 0]); s.on_shared(|s, fd| s.call(libc::SYS_connect, &[fd, none, 16])) }),
        ("SO_ATTACH_FILTER", |s| { let drop = s.words(&[6]); let program = s.words(&[1, drop]); set(s, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, program, 16) }),
        ("SO_LOCK_FILTER", |s| option(s, libc::SOL_SOCKET, libc::SO_LOCK_FILTER)),
        ("SO_RCVTIMEO", |s| { let time = s.words(&[0, 1]); set(s, libc::SOL_SOCKET, libc::SO_RCVTIMEO, time, 16) }),
        ("SO_LINGER", |s| option(s, libc::SOL_SOCKET, libc::SO_LINGER)),
        ("TCP_DEFER_ACCEPT", |s| option(s, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT)),
        ("O_NONBLOCK", |s| s.on_shared(|s, fd| s.call(libc::SYS_fcntl, &[fd, libc::F_SETFL.into(), libc::O_NONBLOCK.into()]))),
        ("FIONBIO", |s| ioctl(s, libc::FIONBIO)),
        ("FIOASYNC", |s| ioctl(s, libc::FIOASYNC)),
        ("F_SETOWN", |s| s.on_shared(|s, fd| s.call(libc::SYS_fcntl, &[fd, libc::F_SETOWN.into(), s.at.supervisor.into()]))),
        ("F_SETLEASE", |s| s.on_shared(|s, fd| s.call(libc::SYS_fcntl, &[fd, libc::F_SETLEASE.into(), libc::F_RDLCK.into()]))),
        ("flock", |s| s.on_shared(|s, fd| s.call(libc::SYS_flock, &[fd, libc::LOCK_EX.into()]))),
        ("bind again", |s| { let to = inet(0, s); s.on_shared(|s, fd| s.call(libc::SYS_bind, &[fd, to, 16])) }),
    ] },
    Row { what: "hold the listening socket: take connections and not serve them", expect: [InPool, Absent, User], acts: &[
        ("getsockname", |s| { let room = s.words(&[0, 0, 16]); s.on_shared(|s, fd| s.call(libc::SYS_getsockname, &[fd, room, room + 16]).then(|_| is_inet(s, room))) }),
    ] },
    Row { what: "change what a log file holds already", expect: [Refused, User, User], acts: &[
        ("truncate", |s| s.call(libc::SYS_ftruncate, &[2, 0])),
        ("overwrite", |s| { let line = s.bytes(LINE); let part = s.words(&[line, LINE.len() as i64]); s.call(libc::SYS_pwritev2, &[2, part, 1, 0, 0, 0x20]) }),
        ("O_APPEND off", |s| s.call(libc::SYS_fcntl, &[2, libc::F_SETFL.into(), 0])),
        ("room of a pipe", |s| s.call(libc::SYS_fcntl, &[2, libc::F_SETPIPE_SZ.into(), 4096])),
    ] },
    Row { what: "write false lines to the log, as many as it likes", expect: [Done, Done, User], acts: &[
        ("write", |s| { let line = s.bytes(LINE); s.call(libc::SYS_write, &[2, line, LINE.len() as i64]) }),
    ] },
    Row { what: "type into a terminal that is on descriptor 2", expect: [Refused, Refused, User], acts: &[
        ("TIOCSTI", |s| { let byte = s.text("x"); s.call(libc::SYS_ioctl, &[2, libc::TIOCSTI as i64, byte]) }),
        ("TIOCLINUX", |s| { let byte = s.bytes(&[3]); s.call(libc::SYS_ioctl, &[2, libc::TIOCLINUX as i64, byte]) }),
    ] },
    Row { what: "change mounts", expect: [Refused, Refused, User], acts: &[
        ("mount", |s| { let (site, none) = (s.text(s.at.site.display().to_string()), s.text("")); s.call(libc::SYS_mount, &[none, site, none, libc::MS_SLAVE as i64, 0]) }),
        ("pivot_root", |s| { let root = s.text("/"); s.call(libc::SYS_pivot_root, &[root, root]) }),
    ] },
    Row { what: "get new namespaces", expect: [Refused, Refused, User], acts: &[
        ("unshare", |s| s.call(libc::SYS_unshare, &[libc::CLONE_NEWUSER.into()])),
        ("setns", |s| s.call(libc::SYS_setns, &[s.own, 0])),
    ] },
    Row { what: "get another root", expect: [Refused, User, User], acts: &[
        ("chroot", |s| { let root = s.text("/"); s.call(libc::SYS_chroot, &[root]) }),
    ] },
    Row { what: "the rest of the kernel: io_uring, bpf, userfaultfd, perf, keys, clocks, modules; calls of i386 and x32", expect: [Refused, Refused, User], acts: &[
        ("io_uring", |s| { let room = s.bytes(&[0; 120]); s.call(libc::SYS_io_uring_setup, &[1, room]) }),
        ("bpf", |s| { let map = s.words(&[2 | 4 << 32, 4 | 1 << 32, 0, 0, 0, 0, 0, 0, 0]); s.call(libc::SYS_bpf, &[0, map, 72]) }),
        ("userfaultfd", |s| s.call(libc::SYS_userfaultfd, &[1])),
        ("perf_event_open", |s| { let room = s.words(&[1 | 112 << 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]); s.call(libc::SYS_perf_event_open, &[room, 0, -1, -1, 0]) }),
        ("keyctl", |s| s.call(libc::SYS_keyctl, &[0, -3, 0])),
        ("PR_SET_DUMPABLE", |s| s.call(libc::SYS_prctl, &[libc::PR_SET_DUMPABLE.into(), 1])),
        ("PR_SET_MM", |s| s.call(libc::SYS_prctl, &[libc::PR_SET_MM.into(), libc::PR_SET_MM_BRK.into(), 0, 0, 0])),
        ("personality", |s| s.call(libc::SYS_personality, &[0x0040_0000])),
        ("settimeofday", |s| s.call(libc::SYS_settimeofday, &[0, 0])),
        ("delete_module", |s| { let name = s.text("no such module"); s.call(libc::SYS_delete_module, &[name, 0]) }),
        ("reboot", |s| s.call(libc::SYS_reboot, &[0, 0, 0, 0])),
        ("x32", |s| s.call(X32 | libc::SYS_getpid, &[])),
        ("i386", |s| s.call_as_i386(20, &[])),
    ] },
    Row { what: "raise its own limits again", expect: [Refused, ButRoot, User], acts: &[
        ("prlimit", |s| { let limit = s.words(&[100, 100]); s.call(libc::SYS_prlimit64, &[0, libc::RLIMIT_NPROC.into(), limit, 0]) }),
    ] },
    Row { what: "stop its alarm, block its signals: hold its place until --lifetime", expect: [Done, Done, User], acts: &[
        ("setitimer", |s| { let never = s.words(&[0, 0, 0, 0]); s.call(libc::SYS_setitimer, &[0, never, 0]) }),
        ("rt_sigprocmask", |s| { let all = s.words(&[-1]); s.call(libc::SYS_rt_sigprocmask, &[libc::SIG_SETMASK.into(), all, 0, 8]) }),
    ] },
    Row { what: "write to every descriptor, send its descriptors to others, shut down and close what it shares, end", expect: [Harmless, Harmless, Harmless], acts: &[
        ("write", |s| { let junk = s.bytes(&[0xff; 4096]); (0..40).filter(|&fd| fd != s.own).collect::<Vec<_>>().into_iter().fold(Answer::Done(0), |so_far, fd| so_far.then(|_| match s.call(libc::SYS_write, &[fd, junk, 4096]) { Answer::Ended => Answer::Ended, _ => Answer::Done(0) })) }),
        ("send descriptors", |s| { let message = with_rights(s); s.on_shared(|s, fd| s.call(libc::SYS_sendmsg, &[fd, message, libc::MSG_DONTWAIT.into()])) }),
        ("send descriptors to the log", |s| { let message = with_rights(s); s.call(libc::SYS_sendmsg, &[2, message, libc::MSG_DONTWAIT.into()]) }),
        ("shut down for writing, and end", |s| { s.on_shared(|s, fd| s.call(libc::SYS_shutdown, &[fd, 1])).then(|_| s.call(libc::SYS_exit_group, &[0])) }),
        ("close, and end", |s| { s.on_shared(|s, fd| s.call(libc::SYS_close, &[fd])); s.call(libc::SYS_exit_group, &[111]) }),
    ] },
];

fn in_site(s: &Shell<'_>, name: &str) -> String {
    s.at.site.join(name).display().to_string()
}

fn two_paths(s: &mut Shell<'_>, number: i64, from: &str, to: &str) -> Answer {
    let (from, to) = (in_site(s, from), in_site(s, to));
    let (from, to) = (s.text(from), s.text(to));
    s.call(number, &[CWD, from, CWD, to, 0])
}

fn socket(s: &mut Shell<'_>, family: i32, kind: i32) -> Answer {
    s.call(libc::SYS_socket, &[family.into(), kind.into(), 0])
}

/// A struct sockaddr_in on this machine.
fn inet(port: u16, s: &mut Shell<'_>) -> i64 {
    let family = (libc::AF_INET as u16).to_ne_bytes();
    s.bytes(&[&family[..], &port.to_be_bytes(), &[127, 0, 0, 1], &[0; 8]].concat())
}

/// A struct sockaddr_un, and its length.
fn unix(path: &str, s: &mut Shell<'_>) -> (i64, i64) {
    let family = (libc::AF_UNIX as u16).to_ne_bytes();
    (s.bytes(&[&family[..], path.as_bytes()].concat()), 2 + path.len() as i64)
}

/// Whether that is such an address, and not that of a pair.
fn is_inet(s: &mut Shell<'_>, address: i64) -> Answer {
    if s.byte(address) == libc::AF_INET as u8 { Answer::Done(0) } else { Answer::Failed(Errno::EBADF) }
}

fn set(s: &mut Shell<'_>, level: i32, name: i32, value: i64, len: i64) -> Answer {
    s.on_shared(|s, fd| s.call(libc::SYS_setsockopt, &[fd, level.into(), name.into(), value, len]))
}

fn option(s: &mut Shell<'_>, level: i32, name: i32) -> Answer {
    let one = s.words(&[1]);
    set(s, level, name, one, 8)
}

fn ioctl(s: &mut Shell<'_>, request: libc::c_ulong) -> Answer {
    let one = s.words(&[1]);
    s.on_shared(|s, fd| s.call(libc::SYS_ioctl, &[fd, request as i64, one]))
}

/// A byte of the supervisor's memory: ours is at the same address there, for a child is a copy.
fn vm(s: &mut Shell<'_>, number: i64) -> Answer {
    let part = s.words(&[s.memory, 1]);
    s.call(number, &[s.at.supervisor.into(), part, 1, part, 1, 0])
}

/// Has the kernel send the supervisor SIGKILL when there is something in a pipe of ours.
fn by_sigio(s: &mut Shell<'_>) -> Answer {
    let (pipe, byte) = (s.words(&[0]), s.text("x"));
    let supervisor = s.at.supervisor;
    let asked = s.call(libc::SYS_pipe2, &[pipe, 0]).then(|_| {
        let (reading, writing) = (s.byte(pipe).into(), s.byte(pipe + 4).into());
        let mut fcntl = |what: i32, value: i64| s.call(libc::SYS_fcntl, &[reading, what.into(), value]);
        // 10 is F_SETSIG.
        let armed = fcntl(libc::F_SETOWN, supervisor.into()).then(|_| fcntl(10, libc::SIGKILL.into()));
        armed
            .then(|_| fcntl(libc::F_SETFL, libc::O_ASYNC.into()))
            .then(|_| s.call(libc::SYS_write, &[writing, byte, 1]))
    });
    asked.then(|_| if process::is_alive(supervisor) { Answer::Failed(Errno::EPERM) } else { Answer::Done(0) })
}

/// A struct msghdr with a byte and the connection's descriptor.
fn with_rights(s: &mut Shell<'_>) -> i64 {
    let byte = s.text("x");
    let part = s.words(&[byte, 1]);
    let rights = s.words(&[20, i64::from(libc::SOL_SOCKET) | i64::from(libc::SCM_RIGHTS) << 32, s.own]);
    s.words(&[0, 0, part, 1, rights, 24, 0])
}

/// A program for x86-64 that ends at once: an ELF header, one segment, `exit(0)`.
#[rustfmt::skip]
const EXITS: &[u8] = &[
    0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 62, 0, 1, 0, 0, 0, 0x78, 0, 0x40, 0, 0, 0, 0, 0,
    64, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 0, 0, 0, 0, 0, 0,
    1, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0, 0x40, 0, 0, 0, 0, 0,
    0x81, 0, 0, 0, 0, 0, 0, 0, 0x81, 0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0,
    0xb8, 60, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05,
];
