//! A forking program in C, compiled on the spot both ways: this program is linked statically and cannot be otherwise.

use std::env;
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::bench::trouble::{Trouble, trouble};

/// How it is linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linking {
    Static,
    Dynamic,
}

/// Both executables. Their files have no names any more.
pub struct Compiled {
    with_static: File,
    with_dynamic: File,
}

/// Compiles both; or says why it cannot be.
pub fn compile() -> Result<Compiled, String> {
    let directory = env::temp_dir();
    let source = directory.join("parent.c");
    fs::write(&source, include_str!("parent.c")).map_err(|error| format!("{}: {error}", source.display()))?;
    let compiled = build(&source, "-static")
        .and_then(|with_static| build(&source, "-pie").map(|with_dynamic| Compiled { with_static, with_dynamic }));
    // A directory for temporary files: what stays is removed with it.
    let _ = fs::remove_file(&source);
    compiled.map_err(|trouble| format!("{trouble} (gcc and libc6-dev bring what is missing)"))
}

fn build(source: &Path, linking: &str) -> Result<File, Trouble> {
    let executable = source.with_extension("out");
    let mut command = Command::new("cc");
    command.args(["-O2", linking, "-o"]).arg(&executable).arg(source).stdin(Stdio::null());
    let output = command.output().map_err(trouble("run", "the C compiler cc"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Trouble::new(
            "compile",
            format_args!("with cc {linking}"),
            said.lines().last().unwrap_or("no reason"),
        ));
    }
    let file = File::open(&executable).map_err(trouble("open", executable.display()))?;
    // It is executed by its descriptor.
    let _ = fs::remove_file(&executable);
    Ok(file)
}

impl Compiled {
    /// A command that runs it. Its stdin is empty and its stdout this process's, like that of a role.
    pub fn command(&self, linking: Linking) -> Command {
        let file = match linking {
            Linking::Static => &self.with_static,
            Linking::Dynamic => &self.with_dynamic,
        };
        let mut command = Command::new(format!("/proc/self/fd/{}", file.as_raw_fd()));
        command.stdin(Stdio::null());
        command
    }
}
