//! The process that becomes the program.

use core::ffi::{CStr, c_char};
use core::ptr;

use connection::Script;
use rustix::process::Signal;

use crate::Kernel;

/// Exit status of a program that could not be executed, as shells have it.
pub(crate) const NOT_EXECUTED: i32 = 126;
/// The most arguments and the most variables.
const STRINGS: usize = 128;

/// What execve(2) is called with: a path, and two arrays of strings that end with a null pointer. Only this module makes
/// one.
pub struct Execution<'a> {
    path: &'a CStr,
    arguments: [*const c_char; 8],
    environment: [*const c_char; STRINGS],
}

impl Execution<'_> {
    /// The executable.
    #[must_use]
    pub fn path(&self) -> *const c_char {
        self.path.as_ptr()
    }

    /// Its arguments, the path first.
    #[must_use]
    pub fn arguments(&self) -> *const *const c_char {
        self.arguments.as_ptr()
    }

    /// Its environment.
    #[must_use]
    pub fn environment(&self) -> *const *const c_char {
        self.environment.as_ptr()
    }
}

/// The child: it leads a session of its own, and ends with its keeper, should that be killed.
pub(crate) fn become_program<K: Kernel>(script: &Script<'_>) -> ! {
    let _ = rustix::process::setsid();
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    let placed = K::fchdir(script.directory.0)
        && K::dup2(script.input.0, 0)
        && K::dup2(script.output.0, 1)
        // The log is descriptor 2 mostly: then it is there already.
        && (script.errors.0 == 2 || K::dup2(script.errors.0, 2));
    if placed {
        K::close_range(3, i32::MAX);
        K::default_signals();
        let mut execution =
            Execution { path: script.path, arguments: [ptr::null(); 8], environment: [ptr::null(); STRINGS] };
        let (first, more) = execution.arguments.split_at_mut(1);
        first.fill(script.path.as_ptr());
        if fill(more, script.arguments) && fill(&mut execution.environment, script.environment) {
            K::exec(&execution);
        }
    }
    K::exit(NOT_EXECUTED)
}

/// Points to each string of a block; false when there are more than fit before the null pointer at the end.
fn fill(pointers: &mut [*const c_char], block: &[u8]) -> bool {
    let mut strings = block.split_inclusive(|&byte| byte == 0);
    let Some((_, places)) = pointers.split_last_mut() else { return false };
    for (place, string) in places.iter_mut().zip(&mut strings) {
        // What does not end with a NUL is no string.
        let Ok(string) = CStr::from_bytes_with_nul(string) else { return false };
        *place = string.as_ptr();
    }
    strings.next().is_none()
}
