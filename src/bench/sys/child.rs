//! Making a child in every way that there is. This process has one thread, or is a measured process that makes no
//! children but threads.

use std::ffi::{CString, c_char, c_int, c_void};
use std::ptr;

use nix::errno::Errno;
use nix::libc;
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, posix_spawn};
use nix::unistd::Pid;

/// Forks, by libc's fork(3). `child` runs in the child, and what it returns is the exit status.
///
/// The caller has one thread.
#[allow(unsafe_code, reason = "fork has no safe form")]
pub fn fork(child: impl FnOnce() -> i32) -> Result<Pid, Errno> {
    // SAFETY: this process has one thread, so the child finds no lock taken by a thread that it lacks.
    match unsafe { nix::unistd::fork()? } {
        nix::unistd::ForkResult::Parent { child } => Ok(child),
        nix::unistd::ForkResult::Child => exit(child()),
    }
}

/// Forks by clone3(2) itself, so without what libc does about it. `child` makes system calls and nothing else: libc knows
/// nothing of the new process.
///
/// The caller has one thread.
#[allow(unsafe_code, reason = "clone3 has no safe form")]
pub fn fork_by_clone3(child: impl FnOnce() -> i32) -> Result<Pid, Errno> {
    // struct clone_args of linux/sched.h, in its first size: flags, pidfd, child_tid, parent_tid, exit_signal, stack,
    // stack_size, tls.
    let arguments: [u64; 8] = [0, 0, 0, 0, libc::SIGCHLD as u64, 0, 0, 0];
    // SAFETY: the kernel reads the array, whose size it is told. Without flags and stack the child is a copy of this
    // process, as after fork(2), with all of its memory its own; and this process has one thread.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, arguments.as_ptr(), size_of_val(&arguments)) };
    match Errno::result(pid)? {
        0 => exit(child()),
        pid => Ok(Pid::from_raw(pid as libc::pid_t)),
    }
}

/// Ends this process at once, without what exit(3) would do.
#[allow(unsafe_code, reason = "_exit has no safe form")]
pub fn exit(status: i32) -> ! {
    // SAFETY: _exit has no preconditions.
    unsafe { libc::_exit(status) }
}

/// The stack of a child that shares this process's memory until it executes: room for [`into_program`] alone.
const STACK: usize = 16 * 1024;

/// A program that is to be executed with the descriptor `output` as its stdout and an empty environment.
pub struct Program {
    path: CString,
    words: Vec<CString>,
    /// To each word, and a null pointer behind the last.
    pointers: Vec<*const c_char>,
    output: c_int,
    stack: Box<[u128]>,
}

impl Program {
    /// The words are its arguments, the first its name.
    pub fn new(path: CString, words: Vec<CString>, output: c_int) -> Self {
        let pointers = words.iter().map(|word| word.as_ptr()).chain([ptr::null()]).collect();
        Program { path, words, pointers, output, stack: vec![0; STACK / size_of::<u128>()].into() }
    }

    /// fork(2), then execve(2).
    pub fn fork_exec(&self) -> Result<Pid, Errno> {
        fork(|| self.become_program())
    }

    /// What vfork(2) does, then execve(2): the child shares this process's memory until it has executed, and this process
    /// stands still meanwhile. (vfork(2) itself returns twice on one stack, which no Rust function may.)
    #[allow(unsafe_code, reason = "clone has no safe form")]
    pub fn vfork_exec(&mut self) -> Result<Pid, Errno> {
        let top = self.stack.as_mut_ptr_range().end;
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
        // SAFETY: the child runs `into_program` on a stack of its own, aligned by its type and large enough for that
        // function's few frames. It gets a pointer to this program, which it only reads; CLONE_VFORK keeps this process
        // from touching either until the child has executed or exited. No signal handler is set in a process that
        // measures, so none runs there on shared memory.
        let pid = unsafe { libc::clone(into_program, top.cast(), flags, ptr::from_mut(self).cast()) };
        Errno::result(pid).map(Pid::from_raw)
    }

    /// posix_spawn(3), which in libc is much the same with more care for signals.
    pub fn posix_spawn(&self) -> Result<Pid, Errno> {
        let mut actions = PosixSpawnFileActions::init()?;
        actions.add_dup2(self.output, 1)?;
        let attributes = PosixSpawnAttr::init()?;
        posix_spawn(self.path.as_c_str(), &actions, &attributes, &self.words, &[] as &[CString])
    }

    /// In a child: becomes the program, or returns the status to exit with.
    #[allow(unsafe_code, reason = "execve with prepared pointers has no safe form")]
    fn become_program(&self) -> i32 {
        let environment: [*const c_char; 1] = [ptr::null()];
        // SAFETY: the path and the words end with a zero, the two arrays with a null pointer, and all live until the
        // program has begun. dup2 takes numbers.
        unsafe {
            libc::dup2(self.output, 1);
            libc::execve(self.path.as_ptr(), self.pointers.as_ptr(), environment.as_ptr());
        }
        111
    }
}

/// The child of [`Program::vfork_exec`].
#[allow(unsafe_code, reason = "it gets its program through a pointer")]
extern "C" fn into_program(program: *mut c_void) -> c_int {
    // SAFETY: the parent gave a pointer to a program, and stands still until this child has executed or exited.
    let program = unsafe { &*program.cast::<Program>().cast_const() };
    exit(program.become_program())
}
