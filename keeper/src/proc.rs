//! The children of a process, as /proc tells them. (/proc/PID/task/TID/children would be shorter, but not every kernel is
//! built with it.)

use core::mem::MaybeUninit;

use rustix::fs::{CWD, Mode, OFlags, RawDir};
use rustix::process::{Pid, Signal};

/// Kills every child of `parent`, which is this process: so none of the numbers can be another's meanwhile. False when
/// there is no /proc to look at.
pub(crate) fn kill_children(parent: Pid) -> bool {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(proc) = rustix::fs::openat(CWD, c"/proc", flags, Mode::empty()) else { return false };
    let mut space = [MaybeUninit::uninit(); 4096];
    let mut entries = RawDir::new(&proc, &mut space);
    while let Some(Ok(entry)) = entries.next() {
        let name = entry.file_name().to_bytes();
        // Threads are not listed; and a number that was read here stays that of our child until we wait for it.
        if let Some(pid) = number(name)
            && parent_of(&proc, name) == Some(parent.as_raw_nonzero().get())
            && let Some(pid) = Pid::from_raw(pid)
        {
            let _ = rustix::process::kill_process(pid, Signal::KILL);
        }
    }
    true
}

/// The parent of the process whose directory has that name: the second field behind the command of proc_pid_stat(5). The
/// command may hold anything; behind its last parenthesis there is none.
fn parent_of(proc: &rustix::fd::OwnedFd, name: &[u8]) -> Option<i32> {
    let mut path = [0; 24];
    path.get_mut(..name.len())?.copy_from_slice(name);
    path.get_mut(name.len()..name.len() + 5)?.copy_from_slice(b"/stat");
    let path = core::ffi::CStr::from_bytes_until_nul(&path).ok()?;
    let file = rustix::fs::openat(proc, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mut space = [MaybeUninit::uninit(); 512];
    let (text, _) = rustix::io::read(&file, &mut space).ok()?;
    let behind = text.rsplit(|&byte| byte == b')').next()?;
    number(behind.split(|&byte| byte == b' ').nth(2)?)
}

fn number(digits: &[u8]) -> Option<i32> {
    let number = |number: i32, digit: &u8| {
        digit.is_ascii_digit().then(|| number.wrapping_mul(10).wrapping_add(i32::from(digit - b'0')))
    };
    if digits.is_empty() { None } else { digits.iter().try_fold(0, number) }
}
