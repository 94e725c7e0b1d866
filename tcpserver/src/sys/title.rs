//! The memory in which ps(1) finds a process's command line.

use std::fs;
use std::io;
use std::slice;
use std::sync::atomic::AtomicU8;

/// A title has no more bytes, unless the command line did.
const MOST: usize = 512;

/// The memory that /proc shows as this process's command line. Where a title is longer than the arguments were, it goes
/// on into the environment's, which lies behind them, as setproctitle has it: the kernel shows it to the first zero if the
/// last byte of the arguments is none (proc_pid_cmdline(5)).
///
/// # Errors
/// /proc is not mounted.
pub fn title_space() -> io::Result<&'static [AtomicU8]> {
    let stat = fs::read("/proc/self/stat")?;
    let stat = String::from_utf8_lossy(&stat);
    // The fields from the third on stand behind the name, which may hold anything, in parentheses (proc_pid_stat(5)).
    let fields: Vec<usize> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .map(|field| field.parse().unwrap_or(0))
        .collect();
    let Some(&[arguments, arguments_end, environment, environment_end]) = fields.get(45..49) else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    let end = if environment == arguments_end { environment_end } else { arguments_end };
    let (given, all) = (arguments_end.saturating_sub(arguments), end.saturating_sub(arguments));
    if arguments == 0 || given == 0 {
        return Err(io::ErrorKind::InvalidData.into());
    }
    // SAFETY: the kernel put the strings of the arguments and of the environment there when it executed this program, and
    // says so itself; they are mapped, and writable, for the life of the process. Nobody holds a reference to them but
    // what reads arguments and environment, and that is done before anybody writes here, which children do alone: they
    // read neither, and have one thread.
    Ok(unsafe { slice::from_raw_parts(arguments as *const AtomicU8, all.min(given.max(MOST))) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering::Relaxed;

    #[test]
    fn the_command_line_is_there() {
        let space = title_space().unwrap();
        let shown = fs::read("/proc/self/cmdline").unwrap();
        assert!(space.len() >= shown.len());
        let bytes: Vec<u8> = space.iter().take(shown.len()).map(|byte| byte.load(Relaxed)).collect();
        assert_eq!(bytes, shown);
    }
}
