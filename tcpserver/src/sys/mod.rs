//! System calls that have no safe form elsewhere, or that a fresh child makes without libc. The only unsafe code of this
//! crate.

mod confined;
mod descriptor;
mod exec;
mod hand;
mod keep;
mod page;
mod process;
mod queue;
mod raw;
mod rseq;
mod shared;
mod sink;
mod stack;
mod table;
mod title;
mod vdso;

use std::io;
use std::mem::{self, MaybeUninit};
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

pub use confined::{
    attempt_execute, attempt_fork, attempt_limit, attempt_look, attempt_signal, enter_filter, enter_landlock,
    forbid_processes, limit,
};
use connection::{Clock, Fd, Lost, Pressure, Time};
pub use descriptor::duplicate;
pub use exec::{CStrings, Common, Launcher, Line, Orders, Step};
pub use hand::{close_range, give, take};
pub use keep::PROGRAMS;
use libc::{c_int, pid_t};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
pub use page::{published_page, shared_page};
pub use process::signal_process;
pub use queue::queue;
pub use rseq::forget_processor;

pub use shared::Shared;
pub use sink::{Beginnings, Sink, is_file};
pub use stack::{own_stack, wipe_stack};
pub use table::{Table, counters};
pub use title::title_space;
pub use vdso::keep_time_pages;

/// clock_gettime(2); glibc answers from the vDSO, without a system call.
pub fn now(clock: Clock) -> Time {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid timespec to write to. Both clocks exist on every Linux, so it cannot fail.
    unsafe { libc::clock_gettime(id(clock) as c_int, &raw mut time) };
    Time { seconds: time.tv_sec, nanoseconds: u32::try_from(time.tv_nsec).unwrap_or(0) }
}

/// The monotonic clock in microseconds.
pub fn micros() -> u64 {
    now(Clock::Monotonic).micros_since(Time::default())
}

/// The same by a system call, for a process so fresh that touching the vDSO would cost it more, in page faults.
pub fn now_by_call(clock: Clock) -> Time {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid timespec to write to. Both clocks exist on every Linux, so it cannot fail.
    let _ = unsafe { raw::call(libc::SYS_clock_gettime, [id(clock), ptr::from_mut(&mut time) as usize, 0, 0, 0]) };
    Time { seconds: time.tv_sec, nanoseconds: time.tv_nsec as u32 }
}

fn id(clock: Clock) -> usize {
    let id = match clock {
        Clock::Wall => libc::CLOCK_REALTIME,
        Clock::Monotonic => libc::CLOCK_MONOTONIC,
    };
    id as usize
}

/// alarm(2): SIGALRM in `seconds`, 0 for never.
pub fn alarm(seconds: u32) {
    // alarm(2) is this for all architectures.
    let timer = [0, 0, i64::from(seconds), 0];
    let timer = ptr::from_ref(&timer) as usize;
    // SAFETY: setitimer reads a struct itimerval: two timevals, of two 64-bit numbers each.
    let _ = unsafe { raw::call(libc::SYS_setitimer, [libc::ITIMER_REAL as usize, timer, 0, 0, 0]) };
}

/// _exit(2): ends the process without the exit handlers and buffers of the process that it was forked from.
pub fn exit(status: i32) -> ! {
    loop {
        // SAFETY: exit_group runs nothing of ours and does not return.
        let _ = unsafe { raw::call(libc::SYS_exit_group, [status as usize, 0, 0, 0, 0]) };
    }
}

/// sigprocmask(2), SIG_SETMASK.
pub fn set_mask(mask: &SigSet) {
    let mask = ptr::from_ref(mask.as_ref()) as usize;
    // SAFETY: the kernel reads the first 8 bytes of a valid set. It fails for a bad address alone.
    let _ = unsafe { raw::call(libc::SYS_rt_sigprocmask, [libc::SIG_SETMASK as usize, mask, 0, 8, 0]) };
}

/// close(2) of a number, for a child that gives up what its parent still owns.
pub fn close(number: RawFd) {
    // SAFETY: this process, a forked child, uses the descriptor no more; and it leaves by `exit`, without dropping the
    // values that own it.
    let _ = unsafe { raw::call(libc::SYS_close, [number as usize, 0, 0, 0, 0]) };
}

/// Has the kernel send `signal` when the parent ends (PR_SET_PDEATHSIG); `false` if the parent is not `parent` any more.
pub fn end_with_parent(signal: Signal, parent: pid_t) -> bool {
    // SAFETY: both calls take numbers.
    unsafe {
        let set = raw::call(libc::SYS_prctl, [libc::PR_SET_PDEATHSIG as usize, signal as usize, 0, 0, 0]);
        let now = raw::call(libc::SYS_getppid, [0; 5]);
        set.is_ok() && now == Ok(parent as usize)
    }
}

/// Who is at the other end of an accepted socket; `None` for a Unix socket.
pub type Peer = Option<SocketAddr>;

/// accept4(2), close-on-exec, with the peer's address from the same call.
pub fn accept(listener: BorrowedFd<'_>) -> io::Result<(OwnedFd, Peer)> {
    let mut storage = MaybeUninit::<libc::sockaddr_storage>::zeroed();
    let mut len = mem::size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    let arguments = [
        listener.as_raw_fd() as usize,
        storage.as_mut_ptr() as usize,
        ptr::from_mut(&mut len) as usize,
        libc::SOCK_CLOEXEC as usize,
        0,
    ];
    // SAFETY: the kernel writes at most `len` bytes into storage of that size.
    let fd = unsafe { raw::call(libc::SYS_accept4, arguments) }.map_err(io::Error::from_raw_os_error)? as RawFd;
    // SAFETY: accept4 has just made this descriptor, nobody else owns it; all-zero storage is initialised storage.
    Ok(unsafe { (OwnedFd::from_raw_fd(fd), address(&storage.assume_init())) })
}

/// getsockname(2): our end of a connection.
pub fn local_address(socket: BorrowedFd<'_>) -> Peer {
    let mut storage = MaybeUninit::<libc::sockaddr_storage>::zeroed();
    let mut len = mem::size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes into storage of that size.
    let failed = unsafe { libc::getsockname(socket.as_raw_fd(), storage.as_mut_ptr().cast(), &raw mut len) } != 0;
    // SAFETY: all-zero storage is initialised storage.
    if failed { None } else { address(unsafe { storage.assume_init_ref() }) }
}

fn address(storage: &libc::sockaddr_storage) -> Peer {
    let storage = ptr::from_ref(storage);
    // SAFETY: the family says which structure the kernel wrote, and storage is large and aligned enough for each.
    unsafe {
        match c_int::from((*storage).ss_family) {
            libc::AF_INET => {
                let v4 = &*storage.cast::<libc::sockaddr_in>();
                Some(SocketAddr::new(IpAddr::from(v4.sin_addr.s_addr.to_ne_bytes()), u16::from_be(v4.sin_port)))
            }
            libc::AF_INET6 => {
                let v6 = &*storage.cast::<libc::sockaddr_in6>();
                let (ip, port) = (v6.sin6_addr.s6_addr.into(), u16::from_be(v6.sin6_port));
                Some(SocketAddrV6::new(ip, port, 0, v6.sin6_scope_id).into())
            }
            _ => None,
        }
    }
}

/// read(2), once.
pub fn read(from: Fd, bytes: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the kernel writes into a valid slice and not beyond it. A number that is no descriptor any more gives EBADF.
    let read = unsafe { libc::read(from.0, bytes.as_mut_ptr().cast(), bytes.len()) };
    usize::try_from(read).map_err(|_| io::Error::last_os_error())
}

/// write(2), once.
pub fn write(to: Fd, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: the kernel reads from a valid slice. A number that is no descriptor any more gives EBADF.
    let written = unsafe { libc::write(to.0, bytes.as_ptr().cast(), bytes.len()) };
    usize::try_from(written).map_err(|_| io::Error::last_os_error())
}

/// write(2) until all is written, for handlers that have no I/O of their own.
///
/// # Errors
///
/// What write(2) fails with; EAGAIN is the send timeout of the listener.
pub fn write_all(to: Fd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match write(to, bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Closes the descriptors from `first` to `last` (close_range(2)), whoever owns them.
pub fn close_inherited(first: u32, last: u32) -> io::Result<()> {
    // SAFETY: for a process that has just begun, by the word of the caller: nothing in it owns a descriptor yet.
    let result = unsafe { libc::close_range(first, last, 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The descriptor with this number that whoever executed us left open; `None` if there is none.
pub fn inherited(number: RawFd) -> Option<OwnedFd> {
    // SAFETY: fcntl takes numbers here, and says whether the descriptor exists.
    if number < 0 || unsafe { libc::fcntl(number, libc::F_GETFD) } < 0 {
        return None;
    }
    // SAFETY: it is open. That it is ours to own is the word of whoever handed it over and named it: nothing in this
    // process knows its number but by that name, and each is taken once.
    Some(unsafe { OwnedFd::from_raw_fd(number) })
}

/// TCP_DEFER_ACCEPT (tcp(7)): connections are accepted when their first bytes are there, or after `seconds`.
pub fn defer_accept(listener: BorrowedFd<'_>, seconds: u32) -> nix::Result<()> {
    let seconds = c_int::try_from(seconds).unwrap_or(c_int::MAX);
    // SAFETY: the kernel reads an int from a valid pointer to one.
    let result = unsafe {
        libc::setsockopt(
            listener.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_DEFER_ACCEPT,
            ptr::from_ref(&seconds).cast(),
            mem::size_of::<c_int>() as libc::socklen_t,
        )
    };
    nix::errno::Errno::result(result).map(drop)
}

/// Which of the two processes that leave [`fork`] this is.
pub enum Forked {
    /// The new process.
    Child,
    /// The old one, and the number of the new.
    Parent(pid_t),
}

/// From now on the kernel takes in no further TCP connection, while those whose handshake has begun still complete it
/// and are queued: a socket filter (classic BPF, Documentation/networking/filter.rst) drops every segment with SYN.
pub fn drop_syns(listener: BorrowedFd<'_>) -> nix::Result<()> {
    const fn op(code: u32, jt: u8, jf: u8, k: u32) -> libc::sock_filter {
        libc::sock_filter { code: code as u16, jt, jf, k }
    }
    // The filter of a TCP socket sees the segment from its TCP header on; the flags are byte 13, SYN is bit 1.
    let mut program = [
        op(libc::BPF_LD | libc::BPF_B | libc::BPF_ABS, 0, 0, 13),
        op(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K, 0, 1, 2),
        op(libc::BPF_RET | libc::BPF_K, 0, 0, 0),
        op(libc::BPF_RET | libc::BPF_K, 0, 0, u32::MAX),
    ];
    let filter = libc::sock_fprog { len: 4, filter: program.as_mut_ptr() };
    // SAFETY: the kernel reads a sock_fprog, and its four instructions, from valid pointers, and keeps a copy.
    let result = unsafe {
        libc::setsockopt(
            listener.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            ptr::from_ref(&filter).cast(),
            mem::size_of::<libc::sock_fprog>() as libc::socklen_t,
        )
    };
    nix::errno::Errno::result(result).map(drop)
}

/// Says that this process has one thread, so that forking it leaves no lock held by a thread that the child does not
/// have. Nothing in this crate starts another.
pub struct OneThread(());

impl OneThread {
    /// Counts the threads of this process; `Err` with their number when there are others.
    pub fn check() -> Result<OneThread, usize> {
        // Without /proc there is nothing to count: then the contract of `Server::run` stands alone.
        match std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count) {
            1 => Ok(OneThread(())),
            threads => Err(threads),
        }
    }
}

/// fork(2), without libc's share in it: locks that nobody holds, lists of threads that are not there, and the page
/// faults that touching them costs each child. What libc knows of its own thread is the parent's in the child: `raise`
/// and `abort` there find no such thread, and end the process by a fault instead.
pub fn fork(_: &OneThread) -> io::Result<Forked> {
    // SAFETY: without flags but the signal at exit and with no stack given, clone(2) is fork(2): the child gets a copy of
    // everything. The process has one thread, so no lock is held by another.
    match unsafe { raw::call(libc::SYS_clone, [libc::SIGCHLD as usize, 0, 0, 0, 0]) } {
        Err(errno) => Err(io::Error::from_raw_os_error(errno)),
        Ok(0) => Ok(Forked::Child),
        Ok(pid) => Ok(Forked::Parent(pid as pid_t)),
    }
}

/// What a child used, from its `rusage` (getrusage(2)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// CPU time in user mode, microseconds.
    pub user: u64,
    /// CPU time in the kernel, microseconds.
    pub system: u64,
    /// Largest resident set, KiB.
    pub memory: u64,
    /// Page faults that needed no I/O.
    pub minor_faults: u64,
    /// Page faults that did.
    pub major_faults: u64,
}

/// What wait4(2) says without waiting.
pub enum Waited {
    /// A child has ended: its number, raw wait status and accounting. No zombie is left of it.
    Ended(pid_t, c_int, Usage),
    /// None of those that were asked for has ended yet.
    NotYet,
    /// There is no such child.
    NoChild,
}

/// wait4(2) for the child with this number, or for any with -1; without waiting.
pub fn reap(which: pid_t) -> Waited {
    let mut status = 0;
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: both pointers are to storage of the right type.
    let pid = unsafe { libc::wait4(which, &raw mut status, libc::WNOHANG, usage.as_mut_ptr()) };
    match pid {
        0 => return Waited::NotYet,
        ..0 => return Waited::NoChild,
        _ => {}
    }
    // SAFETY: an all-zero rusage is valid, and wait4 filled it in.
    let usage = unsafe { usage.assume_init() };
    let count = |n: i64| u64::try_from(n).unwrap_or(0);
    let micros = |t: libc::timeval| count(t.tv_sec) * 1_000_000 + count(t.tv_usec);
    let usage = Usage {
        user: micros(usage.ru_utime),
        system: micros(usage.ru_stime),
        memory: count(usage.ru_maxrss),
        minor_faults: count(usage.ru_minflt),
        major_faults: count(usage.ru_majflt),
    };
    Waited::Ended(pid, status, usage)
}

/// Memory that children share with the supervisor, for what they know of the log's reader. Never freed.
pub fn shared_lost() -> io::Result<&'static Lost> {
    let lost = map::<Lost>(1, libc::MAP_SHARED)?;
    // SAFETY: the mapping was just made, zeroed, page-aligned, and is never unmapped. A Lost is made of atomic integers:
    // zeroes are valid, and so is whatever another process writes.
    Ok(unsafe { &*lost })
}

fn map<T>(len: usize, flags: c_int) -> io::Result<*mut T> {
    let bytes = len.checked_mul(mem::size_of::<T>()).ok_or(io::ErrorKind::OutOfMemory)?;
    let hint = if flags == libc::MAP_SHARED { page::beside_data(bytes) } else { ptr::null_mut() };
    // SAFETY: a new anonymous mapping at an address of the kernel's choice touches nothing that exists: without MAP_FIXED
    // the hint is one.
    let address = unsafe {
        libc::mmap(hint, bytes.max(1), libc::PROT_READ | libc::PROT_WRITE, flags | libc::MAP_ANONYMOUS, -1, 0)
    };
    if address == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(address.cast()) }
}

/// Has `signal` raise `pressure` in whichever process it arrives, beside what else is registered for it.
pub fn drain_on_signal(signal: c_int, pressure: &'static Pressure) -> io::Result<()> {
    // SAFETY: the action stores to an atomic and does nothing else, which is async-signal-safe (signal-safety(7)).
    unsafe { signal_hook::low_level::register(signal, || pressure.drain()) }.map(drop)
}

/// Has `signal` retire `pressure`, likewise.
pub fn retire_on_signal(signal: c_int, pressure: &'static Pressure) -> io::Result<()> {
    // SAFETY: the action stores to an atomic and does nothing else, which is async-signal-safe (signal-safety(7)).
    unsafe { signal_hook::low_level::register(signal, || pressure.retire()) }.map(drop)
}

/// Has `signal` leave in `sender` who sent it (si_pid, sigaction(2)): for SIGCHLD, who has ended.
pub fn keep_sender(signal: c_int, sender: Arc<AtomicI32>) -> io::Result<()> {
    // SAFETY: the action reads what the kernel handed over and stores to an atomic, which is async-signal-safe
    // (signal-safety(7)). SIGCHLD is sent by the kernel alone but for kill(2) and its like, whose siginfo has the sender's
    // number in the same place, so the field is always initialised.
    let action = move |info: &libc::siginfo_t| sender.store(unsafe { info.si_pid() }, Ordering::Relaxed);
    // SAFETY: see above.
    unsafe { signal_hook_registry::register_sigaction(signal, action) }.map(drop)
}

/// Has `signal` do nothing.
pub fn ignore(signal: Signal) -> nix::Result<()> {
    let ignore = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
    // SAFETY: to ignore a signal runs no code of ours.
    unsafe { sigaction(signal, &ignore) }.map(drop)
}

/// Has `signal` ask this process for the connection that it serves.
pub fn ask_on_signal(signal: c_int, pressure: &'static Pressure) -> io::Result<()> {
    // SAFETY: the action changes an atomic and does nothing else, which is async-signal-safe (signal-safety(7)).
    unsafe { signal_hook::low_level::register(signal, || pressure.ask()) }.map(drop)
}

/// Gives `signal` its default action.
pub fn set_default(signal: Signal) -> nix::Result<()> {
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    // SAFETY: the default action runs no code of ours.
    unsafe { sigaction(signal, &default) }.map(drop)
}

/// Gives `signal` its default action if code of ours, or the standard library's, has it.
pub fn set_default_unless_ignored(signal: Signal) -> nix::Result<()> {
    let mut now = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: with no new action, sigaction writes the present one to a valid place; all-zero is a valid one.
    let now = unsafe {
        libc::sigaction(signal as c_int, ptr::null(), now.as_mut_ptr());
        now.assume_init()
    };
    if now.sa_sigaction == libc::SIG_IGN { Ok(()) } else { set_default(signal) }
}

/// listen(2) with any length of the queue: the kernel takes no more than net.core.somaxconn.
pub fn listen(socket: BorrowedFd<'_>, backlog: c_int) -> nix::Result<()> {
    // SAFETY: both arguments are numbers.
    nix::errno::Errno::result(unsafe { libc::listen(socket.as_raw_fd(), backlog) }).map(drop)
}
