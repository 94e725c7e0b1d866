//! Starting a program in a child that shares this process's memory until it executes: no page table is copied, however
//! large this process is.
//!
//! With vfork(2), or posix_spawn(3) upon it, the parent stands still until the child has executed: on a busy machine that
//! is the time until the child is scheduled, and executing is most of the work. Here the parent goes on. Each child has
//! a [`Pad`] to start from, with a stack and an environment of its own, and the kernel says when it has left it:
//! CLONE_CHILD_CLEARTID writes a zero there when the child lets go of the shared memory.

use std::cell::UnsafeCell;
use std::convert::Infallible;
use std::ffi::{CString, c_char};
use std::io;
use std::mem;
use std::os::fd::RawFd;
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};

use libc::{c_int, c_long, c_void, pid_t, sighandler_t};
use nix::sys::signal::SigSet;

use super::{OneThread, Sink, raw};

/// How many children may be on their way to their programs at once; a further start waits for any of them.
const PADS: usize = 16;

/// Room for the environment's own part, and for the child's few frames. [`into_program`] is all that runs there.
const STACK: usize = 16 * 1024;

/// Strings as execve(2) takes them.
#[derive(Clone, Default)]
pub struct CStrings {
    /// Each with its terminating zero, one after the other.
    text: Vec<u8>,
    /// Where each begins.
    starts: Vec<usize>,
    /// Strings in whose places others were put, and where they begin.
    replaced: Vec<(usize, usize)>,
    /// To each, and a null pointer behind the last.
    pointers: Vec<*const c_char>,
}

impl CStrings {
    /// How many strings there are.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Adds a string that consists of `parts`; it ends at their first zero byte, should there be one.
    pub fn push(&mut self, parts: &[&[u8]]) {
        self.starts.push(self.text.len());
        let bytes = parts.iter().copied().flatten().copied();
        self.text.extend(bytes.take_while(|&byte| byte != 0).chain([0]));
    }

    /// Adds `name=value` in the place of a string that begins with `name=`, should there be one.
    pub fn set(&mut self, name: &[u8], value: &[u8]) {
        self.push(&[name, b"=", value]);
        let last = self.starts.len() - 1;
        let is_named =
            |&start: &usize| self.text[start..].strip_prefix(name).is_some_and(|rest| rest.first() == Some(&b'='));
        if let Some(at) = self.starts[..last].iter().position(is_named) {
            self.replaced.push((at, self.starts[at]));
            self.starts[at] = self.starts[last];
            self.starts.truncate(last);
        }
    }

    /// Takes all but the first `len` strings away, which are again what they were when they were pushed. The memory is
    /// kept.
    pub fn truncate(&mut self, len: usize) {
        while let Some((at, start)) = self.replaced.pop() {
            self.starts[at] = start;
        }
        self.starts.truncate(len);
        let end =
            self.starts.last().map_or(0, |&last| last + 1 + self.text[last..].iter().take_while(|&&b| b != 0).count());
        self.text.truncate(end);
    }

    /// Puts a string that consists of `parts` in the place of the first, until [`CStrings::truncate`].
    pub fn put_first(&mut self, parts: &[&[u8]]) {
        self.push(parts);
        if let Some(last) = self.starts.pop()
            && let Some(first) = self.starts.first_mut()
        {
            self.replaced.push((0, *first));
            *first = last;
        }
    }

    /// The first string; empty if there is none.
    pub fn first(&self) -> &[u8] {
        self.iter().next().unwrap_or_default()
    }

    /// The strings, up to their zeroes.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.starts.iter().map(|&start| self.text[start..].split(|&byte| byte == 0).next().unwrap_or_default())
    }

    /// The array for execve(2), valid until a string is added or taken away.
    fn pointers(&mut self) -> *const *const c_char {
        self.pointers.clear();
        self.pointers.extend(self.starts.iter().map(|&start| self.text[start..].as_ptr().cast::<c_char>()));
        self.pointers.push(ptr::null());
        self.pointers.as_ptr()
    }
}

/// A line for the log, with the number of the process that writes it in its middle.
#[derive(Clone, Default)]
pub struct Line {
    /// What stands before the number.
    pub before: Vec<u8>,
    /// What stands behind it; when this is empty there is no number, and when both are, no line.
    pub after: Vec<u8>,
}

impl Line {
    /// No line.
    pub fn clear(&mut self) {
        self.before.clear();
        self.after.clear();
    }

    /// Writes it. Runs in children on shared memory: system calls only.
    fn write(&self, sink: &Sink) {
        if self.after.is_empty() {
            if !self.before.is_empty() {
                sink.write(&[&self.before]);
            }
            return;
        }
        // SAFETY: getpid takes no arguments.
        let mut number = unsafe { raw::call(libc::SYS_getpid, [0; 5]) }.unwrap_or(0);
        let mut digits = [0; 20];
        let mut at = digits.len();
        while number > 0 || at == digits.len() {
            at -= 1;
            digits[at] = b'0' + (number % 10) as u8;
            number /= 10;
        }
        sink.write(&[&self.before, &digits[at..], &self.after]);
    }
}

/// What one connection's child does.
#[derive(Clone, Default)]
pub struct Orders {
    /// The program's environment.
    pub environment: CStrings,
    /// The program's arguments, where they are not the same for all.
    pub arguments: Option<CStrings>,
    /// Said first of all.
    pub hello: Line,
    /// Said before the program is executed.
    pub verdict: Line,
    /// The exit status of a child that is not to execute the program.
    pub refused: Option<u8>,
}

/// The step at which a child failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Writing the greeting to the client.
    Greet = 1,
    /// Giving the connection the descriptors 0 and 1, or the signals what the program is to find.
    SetUp = 2,
    /// Executing the program.
    Execute = 3,
    /// Limiting the program's resources.
    Limit = 4,
}

/// A step, and errno.
pub type Failed = (Step, c_int);

/// What every start of a program has in common. A pointer into it stays valid for the life of the process.
#[derive(Clone, Copy)]
pub struct Common {
    /// Where the program may be, in the order in which that is tried.
    pub paths: &'static [CString],
    /// The signals whose handling this process changed, and what the program finds: the default, or ignored. All that
    /// have handlers are among them and are blocked, so that none of these runs in a child on shared memory.
    pub actions: &'static [(c_int, sighandler_t)],
    /// The signal mask that the program starts with.
    pub mask: SigSet,
    /// Where the lines go.
    pub sink: &'static Sink,
    /// Written to the client first of all.
    pub banner: &'static [u8],
    /// Resources that are limited, and to what (setrlimit(2)).
    pub limits: &'static [(u32, [u64; 2])],
    /// Whether IP options, such as a route that the client wants, are taken off the connection.
    pub without_ip_options: bool,
}

/// Where one child starts from.
#[repr(C, align(64))]
struct Pad {
    stack: UnsafeCell<[u8; STACK]>,
    /// 0 when no child is on this pad: set by the parent, cleared by the kernel.
    busy: AtomicI32,
    /// The step that failed and its errno, written by the child.
    failure: AtomicI32,
    socket: RawFd,
    common: Common,
    argv: *const *const c_char,
    envp: *const *const c_char,
    orders: Orders,
}

/// A program, ready to be started again and again.
pub struct Launcher {
    common: Common,
    argv: *const *const c_char,
    /// Never freed: children that were just started read them.
    pads: &'static mut [Pad],
    next: usize,
    /// Found on pads that were used again.
    failures: Vec<c_int>,
}

impl Launcher {
    /// Makes a program ready. `environment` is the part that every start has.
    pub fn new(common: Common, arguments: CStrings, environment: &CStrings) -> Self {
        let argv = Box::leak(Box::new(arguments)).pointers();
        let orders = Orders { environment: environment.clone(), ..Orders::default() };
        let pad = || Pad {
            stack: UnsafeCell::new([0; STACK]),
            busy: AtomicI32::new(0),
            failure: AtomicI32::new(0),
            socket: -1,
            common,
            argv,
            envp: ptr::null(),
            orders: orders.clone(),
        };
        let pads: Vec<Pad> = (0..PADS).map(|_| pad()).collect();
        Launcher { common, argv, pads: Vec::leak(pads), next: 0, failures: Vec::new() }
    }

    /// Where the program may be.
    pub fn paths(&self) -> &'static [CString] {
        self.common.paths
    }

    /// Starts the program with `socket` on its descriptors 0 and 1; `complete` gives it the orders for this connection,
    /// and finds in them those of another. What this process opened is close-on-exec: the program gets 0, 1 and 2.
    ///
    /// A child that cannot execute ends with 111 and is reaped like any other; [`Launcher::failure`] says why.
    pub fn start(&mut self, _: &OneThread, socket: RawFd, complete: impl FnOnce(&mut Orders)) -> io::Result<pid_t> {
        let at = self.free_pad();
        let (argv, pad) = (self.argv, &mut self.pads[at]);
        match pad.failure.swap(0, Ordering::Relaxed) {
            0 => {}
            failure => self.failures.push(failure),
        }
        complete(&mut pad.orders);
        pad.envp = pad.orders.environment.pointers();
        pad.argv = pad.orders.arguments.as_mut().map_or(argv, CStrings::pointers);
        pad.socket = socket;
        pad.busy.store(1, Ordering::Relaxed);
        let suspended = if raw::WITHOUT_LIBC { 0 } else { libc::CLONE_VFORK };
        let pad = ptr::from_mut(pad);
        // SAFETY: the child runs `into_program` on the pad's own stack, which is large enough, aligned by the pad's type,
        // and used by nobody else until the kernel has cleared `busy`. It reads nothing but the pad and what that points
        // to, which this process leaves alone until then and never frees, and writes nothing but the pad's `failure`.
        // Its system calls are raw, so that it does not share libc's state with this process either; where they are
        // not, CLONE_VFORK keeps this process from running meanwhile.
        let pid = unsafe {
            let top = (*pad).stack.get().cast::<u8>().add(STACK);
            let flags = libc::CLONE_VM | libc::CLONE_CHILD_CLEARTID | suspended | libc::SIGCHLD;
            let (unused, no_tls) = (ptr::null_mut::<pid_t>(), ptr::null_mut::<c_void>());
            let busy = ptr::addr_of!((*pad).busy);
            libc::clone(into_program, top.cast(), flags, pad.cast(), unused, no_tls, busy)
        };
        if pid >= 0 {
            return Ok(pid);
        }
        let error = io::Error::last_os_error();
        // SAFETY: there is no child on this pad.
        unsafe { (*pad).busy.store(0, Ordering::Relaxed) };
        Err(error)
    }

    /// In a forked child: the first of its steps, said and written before anything that takes time.
    pub fn greet(&self, socket: RawFd, hello: &Line) -> Result<(), Failed> {
        // SAFETY: this process is no other's; see `greet`.
        unsafe { greet(&self.common, socket as usize, hello) }
    }

    /// In a forked child: takes the steps after [`Launcher::greet`]. Returns when one of them failed; if nobody is to
    /// get the program, the process ends.
    pub fn enter(&self, socket: RawFd, mut orders: Orders) -> Failed {
        let envp = orders.environment.pointers();
        let argv = orders.arguments.as_mut().map_or(self.argv, CStrings::pointers);
        // SAFETY: this process is no other's, and what the pointers lead to lives until the end of this function.
        let Err(failed) = unsafe { enter(&self.common, argv, envp, socket as usize, &orders) };
        failed
    }

    /// Why a child could not become the program, once for each.
    pub fn failure(&mut self) -> Option<(Step, io::Error)> {
        let on_pad = |pad: &Pad| match pad.failure.load(Ordering::Relaxed) {
            0 => None,
            _ => Some(pad.failure.swap(0, Ordering::Relaxed)),
        };
        let failure = self.failures.pop().or_else(|| self.pads.iter().find_map(on_pad))?;
        let step = match failure >> 16 {
            1 => Step::Greet,
            2 => Step::SetUp,
            4 => Step::Limit,
            _ => Step::Execute,
        };
        Some((step, io::Error::from_raw_os_error(failure & 0xffff)))
    }

    /// A pad that no child is on. There nearly always is one; else this waits, mostly for the one that has been in use
    /// longest, and never for that one alone: its child may have been stopped.
    fn free_pad(&mut self) -> usize {
        let first = self.next;
        let free = |pads: &[Pad]| {
            let mut places = (0..PADS).map(|i| (first + i) % PADS);
            places.find(|&at| pads[at].busy.load(Ordering::Acquire) == 0)
        };
        let at = loop {
            if let Some(at) = free(self.pads) {
                break at;
            }
            let word = ptr::from_ref(&self.pads[first].busy) as usize;
            let a_moment = libc::timespec { tv_sec: 0, tv_nsec: 10_000_000 };
            let timeout = ptr::from_ref(&a_moment) as usize;
            // SAFETY: futex(2) reads an aligned word and a timespec, both of which exist. The kernel wakes it when it
            // clears the word; an error or an early return is looked at by the loop.
            let _ = unsafe { raw::call(libc::SYS_futex, [word, libc::FUTEX_WAIT as usize, 1, timeout, 0]) };
        };
        self.next = (at + 1) % PADS;
        at
    }
}

/// The child: system calls only, and of the shared memory it writes its pad's `failure` alone, and the sink's atomics.
extern "C" fn into_program(pad: *mut c_void) -> c_int {
    let pad = pad.cast::<Pad>().cast_const();
    // SAFETY: the pad is this child's until it executes or exits; nothing but atomics is written to it.
    unsafe {
        let Pad { socket, common, argv, envp, orders, .. } = &*pad;
        let socket = *socket as usize;
        let result = match greet(common, socket, &orders.hello) {
            Ok(()) => enter(common, *argv, *envp, socket, orders),
            Err(failed) => Err(failed),
        };
        let Err((step, errno)) = result;
        (*pad).failure.store((step as c_int) << 16 | errno, Ordering::Relaxed);
        let _ = raw::call(libc::SYS_exit_group, [111, 0, 0, 0, 0]);
    }
    111
}

/// The steps before it is known whether the client is admitted.
///
/// # Safety
///
/// This process has signals whose handlers must not run in it blocked. Otherwise none: numbers and references are given
/// to the kernel.
unsafe fn greet(common: &Common, socket: usize, hello: &Line) -> Result<(), Failed> {
    hello.write(common.sink);
    if common.without_ip_options {
        // No options in the place of those that there are. It fails where there can be none.
        let arguments = [socket, libc::IPPROTO_IP as usize, libc::IP_OPTIONS as usize, 0, 0];
        // SAFETY: a length of 0 has nothing read.
        let _ = unsafe { raw::call(libc::SYS_setsockopt, arguments) };
    }
    let mut left = common.banner;
    while !left.is_empty() {
        // SAFETY: write reads a valid slice.
        match unsafe { raw::call(libc::SYS_write, [socket, left.as_ptr() as usize, left.len(), 0, 0]) } {
            Ok(written) => left = left.get(written..).unwrap_or_default(),
            Err(libc::EINTR) => {}
            Err(errno) => return Err((Step::Greet, errno)),
        }
    }
    Ok(())
}

/// The steps from the verdict to the program.
///
/// # Safety
///
/// As for [`greet`]; and `argv` and `envp` are arrays as execve(2) takes them.
unsafe fn enter(
    common: &Common,
    argv: *const *const c_char,
    envp: *const *const c_char,
    socket: usize,
    orders: &Orders,
) -> Result<Infallible, Failed> {
    orders.verdict.write(common.sink);
    if let Some(status) = orders.refused {
        super::exit(status.into());
    }
    let set_up = |errno| (Step::SetUp, errno);
    // SAFETY: each call gets numbers, or pointers to what exists. Handlers are reset before the mask is lifted: a signal in
    // between must not run the parent's handler here, on the parent's memory.
    unsafe {
        for &(signal, action) in common.actions {
            // struct sigaction of the kernel: no flags, no restorer, no mask; and the size of its set.
            let action = [action, 0, 0, 0];
            raw::call(libc::SYS_rt_sigaction, [signal as usize, action.as_ptr() as usize, 0, 8, 0]).map_err(set_up)?;
        }
        for number in [0, 1] {
            raw::call(SYS_DUP3, [socket, number, 0, 0, 0]).map_err(set_up)?;
        }
        let mask = ptr::from_ref(common.mask.as_ref()) as usize;
        raw::call(libc::SYS_rt_sigprocmask, [libc::SIG_SETMASK as usize, mask, 0, 8, 0]).map_err(set_up)?;
        for &limit in common.limits {
            super::limit(limit).map_err(|errno| (Step::Limit, errno))?;
        }
        let mut because = libc::ENOENT;
        for path in common.paths {
            let Err(errno) = raw::call(libc::SYS_execve, [path.as_ptr() as usize, argv as usize, envp as usize, 0, 0])
            else {
                continue; // cannot be: execve returns errors alone
            };
            match errno {
                libc::ENOENT => {}
                // Found and not fit: it may be fit in another place, and if not, this is the reason.
                libc::EACCES | libc::EPERM | libc::EISDIR => because = errno,
                _ => return Err((Step::Execute, errno)),
            }
        }
        Err((Step::Execute, because))
    }
}

/// dup2(2) is missing on newer architectures. The two differ for equal numbers alone, and a socket is never 0 or 1: the
/// standard library opens those at start.
const SYS_DUP3: c_long = libc::SYS_dup3;

const _: () = assert!(mem::align_of::<Pad>() >= 16, "the stack begins where the pad does");

#[cfg(test)]
mod tests {
    use super::*;

    fn launcher() -> Launcher {
        let sink = Box::leak(Box::new(Sink::new(2)));
        let (banner, without_ip_options) = (b"", false);
        let common =
            Common { paths: &[], actions: &[], mask: SigSet::empty(), sink, banner, limits: &[], without_ip_options };
        Launcher::new(common, CStrings::default(), &CStrings::default())
    }

    /// All pads are in use, and the one that was taken first stays so.
    #[test]
    fn a_child_that_never_starts_holds_up_nobody_else() {
        let mut launcher = launcher();
        launcher.pads.iter().for_each(|pad| pad.busy.store(1, Ordering::Relaxed));
        let freed = ptr::from_ref(&launcher.pads[5].busy) as usize;
        let later = std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(50));
            // SAFETY: pads are never freed.
            unsafe { (*(freed as *const AtomicI32)).store(0, Ordering::Release) };
        });
        assert_eq!(launcher.free_pad(), 5);
        later.join().unwrap();
    }

    fn strings(of: &CStrings) -> Vec<String> {
        of.iter().map(|string| String::from_utf8_lossy(string).into_owned()).collect()
    }

    #[test]
    fn a_variable_is_replaced_until_the_next_connection() {
        let mut environment = CStrings::default();
        environment.push(&[b"A=1"]);
        environment.push(&[b"AB=2"]);
        for _ in 0..2 {
            environment.push(&[b"C=", b"3"]);
            environment.set(b"A", b"4");
            environment.set(b"A", b"5\0cut");
            environment.set(b"D", b"");
            assert_eq!(strings(&environment), ["A=5", "AB=2", "C=3", "D="]);
            environment.truncate(2);
            assert_eq!(strings(&environment), ["A=1", "AB=2"]);
        }
    }
}
