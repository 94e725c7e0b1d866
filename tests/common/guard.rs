//! No server outlives its test, even when the test is killed with SIGKILL.
//!
//! A shell waits on a pipe whose other end only this process holds. When the pipe closes, it ends what is still
//! registered. (PR_SET_PDEATHSIG would be shorter, but the kernel forgets it when a process changes its user, as a
//! server that was started by root does, and it fires when the starting thread ends, as a test's thread does.)

use std::{
    io::Write,
    process::{Child, Command, Stdio},
    sync::{LazyLock, Mutex},
};

const SCRIPT: &str = r#"
trap '' HUP INT TERM
pids=
while read -r verb pid; do
    case $verb in
    add) pids="$pids $pid" ;;
    del) left=; for p in $pids; do [ "$p" = "$pid" ] || left="$left $p"; done; pids=$left ;;
    esac
done
[ -n "$pids" ] || exit 0
kill -TERM $pids 2>/dev/null
sleep 1
kill -KILL $pids 2>/dev/null
"#;

static SHELL: LazyLock<Mutex<Child>> = LazyLock::new(|| {
    let shell = Command::new("/bin/sh")
        .args(["-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("start the guard's shell");
    Mutex::new(shell)
});

/// From now on this process ends when the test does.
pub fn add(pid: u32) {
    tell("add", pid);
}

/// This process has ended and was waited for: its number may be somebody else's now.
pub fn remove(pid: u32) {
    tell("del", pid);
}

fn tell(verb: &str, pid: u32) {
    let mut shell = SHELL.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let stdin = shell.stdin.as_mut().expect("the guard's pipe");
    writeln!(stdin, "{verb} {pid}").expect("tell the guard");
}
