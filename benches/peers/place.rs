//! Where everything lies: our executables, the served files, the peers' configurations.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::common::Result;

/// A small page.
pub const SMALL: File = File { name: "512.html", len: 512 };
/// A picture or a script.
pub const LARGE: File = File { name: "100k.html", len: 100 * 1024 };

/// A file that all servers serve.
#[derive(Clone, Copy)]
pub struct File {
    /// Its name beneath the root.
    pub name: &'static str,
    /// Its size in bytes.
    pub len: usize,
}

impl File {
    /// What is in it: the same bytes in each run.
    pub fn bytes(self) -> Vec<u8> {
        (b' '..=b'~').cycle().take(self.len).collect()
    }
}

/// The directories and executables of a run.
pub struct Place {
    /// Scratch space beneath cargo's target directory, emptied at the start and left for inspection.
    pub directory: PathBuf,
    /// What the servers serve.
    pub root: PathBuf,
    /// The server to be measured.
    pub tine: PathBuf,
    /// The handler that super-servers start.
    pub tine_http: PathBuf,
    /// The super-server to be measured.
    pub tcpserver: PathBuf,
}

impl Place {
    /// Builds what cargo has not built for this benchmark, and writes the files.
    pub fn prepare() -> Result<Place> {
        let tine = PathBuf::from(env!("CARGO_BIN_EXE_tine"));
        // Cargo builds the executables of this package alone. The others come to lie beside them.
        for (package, program) in [("handlers", "tine-http"), ("tcpserver", "tcpserver")] {
            let mut build = Command::new(env!("CARGO"));
            build.args(["build", "--release", "--quiet", "--package", package, "--bin", program]);
            run(build.current_dir(env!("CARGO_MANIFEST_DIR")))?;
        }
        let [tine_http, tcpserver] = ["tine-http", "tcpserver"].map(|program| tine.with_file_name(program));

        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("peers");
        let root = directory.join("root");
        let failed = |error: std::io::Error| format!("unable to write below {}: {error}", directory.display());
        if directory.exists() {
            fs::remove_dir_all(&directory).map_err(failed)?;
        }
        fs::create_dir_all(&root).map_err(failed)?;
        for file in [SMALL, LARGE] {
            fs::write(root.join(file.name), file.bytes()).map_err(failed)?;
        }
        Ok(Place { directory, root, tine, tine_http, tcpserver })
    }

    /// Writes a configuration and says where it lies.
    pub fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.directory.join(name);
        fs::write(&path, text).map_err(|error| format!("unable to write {}: {error}", path.display()))?;
        Ok(path)
    }
}

/// Runs a command that has to succeed; the result is what it printed.
pub fn run(command: &mut Command) -> Result<String> {
    let output = command.output().map_err(|error| format!("unable to run {:?}: {error}", command.get_program()))?;
    if !output.status.success() {
        return Err(format!("{command:?}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
