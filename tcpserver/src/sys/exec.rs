//! Starting a program in a child that shares this process's memory until it executes: no page table is copied, however
//! large this process is.
//!
//! With vfork(2), or posix_spawn(3) upon it, the parent stands still until the child has executed: on a busy machine that
//! is the time until the child is scheduled, and executing is most of the work. Here the parent goes on. Each child has
//! a [`Pad`] to start from, with a stack and an environment of its own, and the kernel says when it has left it:
//! CLONE_CHILD_CLEARTID writes a zero there when the child lets go of the shared memory.

use std::cell::UnsafeCell;
use std::ffi::{CStr, c_char};
use std::io;
use std::mem;
use std::os::fd::RawFd;
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};

use libc::{c_int, c_long, c_void, pid_t, sighandler_t};
use nix::sys::signal::SigSet;

use super::{OneThread, raw};

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

    /// Takes all but the first `len` strings away. The memory is kept.
    pub fn truncate(&mut self, len: usize) {
        if let Some(&start) = self.starts.get(len) {
            self.text.truncate(start);
            self.starts.truncate(len);
        }
    }

    /// The array for execve(2), valid until a string is added or taken away.
    fn pointers(&mut self) -> *const *const c_char {
        self.pointers.clear();
        self.pointers.extend(self.starts.iter().map(|&start| self.text[start..].as_ptr().cast::<c_char>()));
        self.pointers.push(ptr::null());
        self.pointers.as_ptr()
    }
}

/// What every start of a program has in common.
#[derive(Clone, Copy)]
struct Common {
    /// The executable, without a search.
    path: &'static CStr,
    argv: *const *const c_char,
    /// The signals whose handling this process changed, and what the program finds: the default, or ignored. All that
    /// have handlers are among them and are blocked, so that none of these runs in a child on shared memory.
    actions: &'static [(c_int, sighandler_t)],
    /// The signal mask that the program starts with.
    mask: SigSet,
}

/// Where one child starts from.
#[repr(C, align(64))]
struct Pad {
    stack: UnsafeCell<[u8; STACK]>,
    /// 0 when no child is on this pad: set by the parent, cleared by the kernel.
    busy: AtomicI32,
    /// errno of the step that failed, written by the child.
    failure: AtomicI32,
    socket: RawFd,
    common: Common,
    envp: *const *const c_char,
    environment: CStrings,
}

/// A program, ready to be started again and again.
pub struct Launcher {
    path: &'static CStr,
    /// Never freed: children that were just started read them.
    pads: &'static mut [Pad],
    next: usize,
}

impl Launcher {
    /// Makes a program ready. `environment` is the part that every start has.
    pub fn new(
        path: &'static CStr,
        arguments: CStrings,
        environment: &CStrings,
        actions: &'static [(c_int, sighandler_t)],
        mask: SigSet,
    ) -> Self {
        let arguments = Box::leak(Box::new(arguments));
        let common = Common { path, argv: arguments.pointers(), actions, mask };
        let pad = || Pad {
            stack: UnsafeCell::new([0; STACK]),
            busy: AtomicI32::new(0),
            failure: AtomicI32::new(0),
            socket: -1,
            common,
            envp: ptr::null(),
            environment: environment.clone(),
        };
        let pads: Vec<Pad> = (0..PADS).map(|_| pad()).collect();
        Launcher { path, pads: Vec::leak(pads), next: 0 }
    }

    /// The executable.
    pub fn path(&self) -> &'static CStr {
        self.path
    }

    /// Starts the program with `socket` on its descriptors 0 and 1; `environment` completes its environment. The
    /// descriptors of this process are close-on-exec: the program gets 0, 1 and 2.
    ///
    /// A child that cannot execute ends with 111 and is reaped like any other; [`Launcher::failure`] says why.
    pub fn start(
        &mut self,
        _: &OneThread,
        socket: RawFd,
        environment: impl FnOnce(&mut CStrings),
    ) -> io::Result<pid_t> {
        let pad = self.free_pad();
        environment(&mut pad.environment);
        pad.envp = pad.environment.pointers();
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

    /// Why a child could not execute, once for each.
    pub fn failure(&mut self) -> Option<io::Error> {
        self.pads.iter().find_map(|pad| match pad.failure.swap(0, Ordering::Relaxed) {
            0 => None,
            errno => Some(io::Error::from_raw_os_error(errno)),
        })
    }

    /// A pad that no child is on. There nearly always is one; else this waits, mostly for the one that has been in use
    /// longest, and never for that one alone: its child may have been stopped.
    fn free_pad(&mut self) -> &mut Pad {
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
        &mut self.pads[at]
    }
}

/// The child: system calls only, and of the shared memory it writes its pad's `failure` alone.
extern "C" fn into_program(pad: *mut c_void) -> c_int {
    let pad = pad.cast::<Pad>().cast_const();
    // SAFETY: the pad is this child's until it executes or exits. Each call gets numbers, or pointers whose targets are
    // the pad's or never freed. Handlers are reset before the mask is lifted: a signal in between must not run the
    // parent's handler here, on the parent's memory.
    unsafe {
        let (socket, common, envp) = ((*pad).socket as usize, &(*pad).common, (*pad).envp);
        let steps = || -> Result<usize, c_int> {
            for &(signal, action) in common.actions {
                // struct sigaction of the kernel: no flags, no restorer, no mask; and the size of its set.
                let action = [action, 0, 0, 0];
                raw::call(libc::SYS_rt_sigaction, [signal as usize, action.as_ptr() as usize, 0, 8, 0])?;
            }
            for number in [0, 1] {
                raw::call(SYS_DUP3, [socket, number, 0, 0, 0])?;
            }
            let mask = ptr::from_ref(common.mask.as_ref()) as usize;
            raw::call(libc::SYS_rt_sigprocmask, [libc::SIG_SETMASK as usize, mask, 0, 8, 0])?;
            let path = common.path.as_ptr() as usize;
            raw::call(libc::SYS_execve, [path, common.argv as usize, envp as usize, 0, 0])
        };
        if let Err(errno) = steps() {
            (*pad).failure.store(errno, Ordering::Relaxed);
        }
        let _ = raw::call(libc::SYS_exit_group, [111, 0, 0, 0, 0]);
    }
    111
}

/// dup2(2) is missing on newer architectures. The two differ for equal numbers alone, and a socket is never 0 or 1: the
/// standard library opens those at start.
const SYS_DUP3: c_long = libc::SYS_dup3;

const _: () = assert!(mem::align_of::<Pad>() >= 16, "the stack begins where the pad does");

#[cfg(test)]
mod tests {
    use super::*;

    /// All pads are in use, and the one that was taken first stays so.
    #[test]
    fn a_child_that_never_starts_holds_up_nobody_else() {
        let mut launcher = Launcher::new(c"/", CStrings::default(), &CStrings::default(), &[], SigSet::empty());
        launcher.pads.iter().for_each(|pad| pad.busy.store(1, Ordering::Relaxed));
        let freed = ptr::from_ref(&launcher.pads[5].busy) as usize;
        let later = std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(50));
            // SAFETY: pads are never freed.
            unsafe { (*(freed as *const AtomicI32)).store(0, Ordering::Release) };
        });
        assert_eq!(ptr::from_ref(&launcher.free_pad().busy) as usize, freed);
        later.join().unwrap();
    }
}
