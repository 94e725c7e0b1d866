//! The system calls of a server, counted by strace: one file for each process, one line for each call.

use std::{fs, path::PathBuf, process::Command};

use super::{Scratch, Server, peer, wait_until};

/// A server under strace.
pub struct Traced {
    pub server: Server,
    scratch: Scratch,
}

/// One line of a trace.
#[derive(Clone, Debug)]
pub struct Call {
    pub line: String,
}

impl Call {
    pub fn name(&self) -> &str {
        self.line.split('(').next().unwrap_or("")
    }

    /// The first argument, when it is a number.
    pub fn descriptor(&self) -> Option<i32> {
        let rest = self.line.split_once('(')?.1;
        rest[..rest.find([',', ')'])?].parse().ok()
    }

    /// What it returned, when that is a number.
    pub fn result(&self) -> Option<i64> {
        self.line.rsplit_once(" = ")?.1.split_whitespace().next()?.parse().ok()
    }
}

impl Traced {
    /// Starts the command under strace and waits until it is ready. `None` without strace.
    #[track_caller]
    pub fn start(command: &Command) -> Option<Traced> {
        let scratch = Scratch::new();
        let mut strace = Command::new(peer("strace")?);
        // -D: the server is our child and strace its grandchild, so signals and exit status are the server's.
        strace.args(["-D", "-ff", "-s", "64", "-o"]).arg(scratch.join("trace"));
        strace.arg(command.get_program()).args(command.get_args());
        Some(Traced { server: Server::ready(strace), scratch })
    }

    /// The calls of one process so far. A call that has not returned is left out.
    pub fn calls(&self, pid: u32) -> Vec<Call> {
        let trace = fs::read_to_string(self.file(pid)).unwrap_or_default();
        let returned = |line: &&str| line.contains(" = ") && !line.starts_with(['-', '+']);
        trace.lines().filter(returned).map(|line| Call { line: line.to_string() }).collect()
    }

    /// The last line of a process, which is a call that waits, if the line has no result.
    pub fn last_line(&self, pid: u32) -> Option<String> {
        fs::read_to_string(self.file(pid)).ok()?.lines().last().map(String::from)
    }

    /// The calls of a process, once the last of them waits in a call with this name that has not returned.
    #[track_caller]
    pub fn calls_until_waiting(&self, pid: u32, name: &str) -> Vec<Call> {
        wait_until(&format!("process {pid} waits in {name}"), || {
            self.last_line(pid).is_some_and(|line| line.starts_with(name) && !line.contains(" = "))
        });
        self.calls(pid)
    }

    /// The processes that have a trace.
    pub fn processes(&self) -> Vec<u32> {
        let names = fs::read_dir(self.scratch.path()).expect("read the traces");
        names.filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_prefix("trace.")?.parse().ok()).collect()
    }

    fn file(&self, pid: u32) -> PathBuf {
        self.scratch.join(&format!("trace.{pid}"))
    }
}
