//! Runs an experiment's process, collects what it tells, and sees to it that nothing of it stays.

use std::env;
use std::fs::{self, DirBuilder, Permissions};
use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};

use super::experiment::Experiment;
use super::machine;
use super::recorder::Record;
use super::samples::Results;
use super::trouble::{Trouble, trouble};

/// How long processes have between being asked and being made to end.
const GRACE: Duration = Duration::from_secs(3);

/// Runs experiments, one after the other.
pub struct Collector {
    /// SIGINT, SIGTERM or SIGHUP came.
    interrupted: Arc<AtomicBool>,
    /// Readable when a signal came, SIGCHLD among them.
    wake: UnixStream,
}

impl Collector {
    /// Takes charge of this process's signals, and of every process that will descend from it: one whose parent ends
    /// becomes this one's child, so that the run is over when there are no children and not before.
    pub fn new() -> Result<Self, Trouble> {
        prctl::set_child_subreaper(true).map_err(trouble("become", "the reaper of descendants"))?;
        let interrupted = Arc::new(AtomicBool::new(false));
        let pipe = UnixStream::pair().and_then(|(wake, write)| {
            wake.set_nonblocking(true)?;
            for signal in [SIGINT, SIGTERM, SIGHUP] {
                signal_hook::flag::register(signal, Arc::clone(&interrupted))?;
            }
            for signal in [SIGCHLD, SIGINT, SIGTERM, SIGHUP] {
                signal_hook::low_level::pipe::register(signal, write.try_clone()?)?;
            }
            Ok(wake)
        });
        Ok(Collector { interrupted, wake: pipe.map_err(trouble("handle", "signals"))? })
    }

    /// Whether the user wants an end.
    pub fn interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// Runs an experiment to its end, or to the user's. Whatever it started has ended when this returns.
    pub fn run(&mut self, experiment: &Experiment, see: &mut dyn FnMut(&Record)) -> Result<Results, Trouble> {
        let own = env::current_exe().map_err(trouble("find", "this program"))?;
        let mut command = Command::new(own);
        // The command line of this process, so that both come to the same plan; a group of its own, so that Ctrl-C comes
        // to this process alone, which ends the others in order.
        command.args(env::args_os().skip(1)).args(["--part", experiment.name]).process_group(0);
        let scratch = Scratch::new()?;
        command.env("TMPDIR", &scratch.0);
        let what = || format!("the process that measures {}", experiment.name);
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(trouble("start", what()))?;
        let group = Pid::from_raw(child.id().cast_signed());
        let stdout = child.stdout.take().ok_or_else(|| Trouble::new("read", what(), "it has no stdout"))?;
        let mut reader = Lines { stdout, rest: Vec::new() };
        let mut results = Results::default();
        let mut take = |record: Record| {
            see(&record);
            results.add(record);
        };
        let mut status = None;
        while status.is_none() && !self.interrupted() && reader.wait(&self.wake)? {
            reader.take(&mut take);
            self.hush();
            status = reap(group);
        }
        if self.interrupted() {
            // It may have gone already.
            let _ = killpg(group, Signal::SIGTERM);
        }
        let end = self.see_all_end(group, Instant::now() + GRACE);
        // What was written before the end is in the pipe still.
        reader.make_nonblocking();
        reader.take(&mut take);
        let failed = status.or(end).filter(|status| !status.success());
        if let (Some(status), None, false) = (failed, &results.trouble, self.interrupted()) {
            results.trouble = Some(Trouble::new("complete", what(), status).to_string());
        }
        if self.interrupted() {
            // That it did not complete is what the user wanted.
            results.trouble = None;
        }
        Ok(results)
    }

    /// Waits until there are no descendants, and makes those end that stay beyond the deadline. Returns how `main` ended.
    fn see_all_end(&self, main: Pid, deadline: Instant) -> Option<ExitStatus> {
        let (mut status, mut asked) = (None, false);
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Err(Errno::ECHILD) => return status,
                Ok(WaitStatus::StillAlive) | Err(_) => {}
                Ok(ended) => {
                    status = status.or(exit_status(ended, main));
                    continue;
                }
            }
            // Servers are in groups of their own: they are asked when who started them had the time to do so.
            let left = deadline.saturating_duration_since(Instant::now());
            let signal = match left {
                left if left.is_zero() => Some(Signal::SIGKILL),
                left if left < GRACE * 3 / 4 && !asked => Some(Signal::SIGTERM),
                _ => None,
            };
            if let Some(signal) = signal {
                asked = true;
                for pid in machine::descendants() {
                    // It may have gone already.
                    let _ = kill(Pid::from_raw(pid), signal);
                }
            }
            let pause = u16::try_from(left.as_millis().clamp(20, 250)).unwrap_or(250);
            // An early return is as good as a late one: the loop looks for itself.
            let _ = poll(&mut [PollFd::new(self.wake.as_fd(), PollFlags::POLLIN)], PollTimeout::from(pause));
            self.hush();
        }
    }

    /// Empties the pipe that signals wake by.
    fn hush(&self) {
        let mut bytes = [0; 256];
        while (&self.wake).read(&mut bytes).is_ok_and(|n| n > 0) {}
    }
}

/// The directory for temporary files of one experiment: whatever was left in it goes with it. Open to all, because
/// servers that are measured may have become somebody else.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self, Trouble> {
        let path = env::temp_dir().join(format!("tine-bench-{}", std::process::id()));
        let made =
            DirBuilder::new().create(&path).and_then(|()| fs::set_permissions(&path, Permissions::from_mode(0o755)));
        made.map_err(trouble("make", path.display()))?;
        Ok(Scratch(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed stays in a directory for temporary files.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Reaps whoever has ended: orphans that came to this process, too. How `main` ended, if it has.
fn reap(main: Pid) -> Option<ExitStatus> {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) | Err(_) => return None,
            Ok(ended) => {
                if let Some(status) = exit_status(ended, main) {
                    return Some(status);
                }
            }
        }
    }
}

fn exit_status(ended: WaitStatus, of: Pid) -> Option<ExitStatus> {
    match ended {
        WaitStatus::Exited(pid, code) if pid == of => Some(ExitStatus::from_raw(code << 8)),
        WaitStatus::Signaled(pid, signal, _) if pid == of => Some(ExitStatus::from_raw(signal as i32)),
        _ => None,
    }
}

/// The lines of a measuring process.
struct Lines {
    stdout: ChildStdout,
    /// The beginning of a line whose end has not come.
    rest: Vec<u8>,
}

impl Lines {
    /// Sleeps until there is something to read, or a signal. False at the end of the lines.
    fn wait(&mut self, wake: &UnixStream) -> Result<bool, Trouble> {
        let interest = |fd| PollFd::new(fd, PollFlags::POLLIN);
        self.make_nonblocking();
        let mut fds = [interest(self.stdout.as_fd()), interest(wake.as_fd())];
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(Trouble::new("wait for", "measurements", error)),
        }
        let ended =
            fds[0].revents().is_some_and(|got| got.contains(PollFlags::POLLHUP) && !got.contains(PollFlags::POLLIN));
        Ok(!ended)
    }

    fn make_nonblocking(&self) {
        // Where it fails, reading waits for the writer, which only delays.
        let _ = fcntl(&self.stdout, FcntlArg::F_SETFL(OFlag::O_NONBLOCK));
    }

    /// Reads what there is, and hands over what is whole.
    fn take(&mut self, take: &mut dyn FnMut(Record)) {
        let mut bytes = [0; 64 * 1024];
        loop {
            match self.stdout.read(&mut bytes) {
                Ok(0) => break,
                Ok(n) => self.rest.extend_from_slice(&bytes[..n]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        let end = self.rest.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        let whole: Vec<u8> = self.rest.drain(..end).collect();
        String::from_utf8_lossy(&whole).lines().filter_map(Record::parse).for_each(take);
    }
}
