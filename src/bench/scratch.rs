//! Files for the time of a measurement.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use nix::libc;

/// A file in the directory for temporary ones that has no name: it ends with its last descriptor, however the process
/// ends.
pub fn nameless() -> io::Result<File> {
    let directory = std::env::temp_dir();
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    match options.clone().custom_flags(libc::O_TMPFILE).open(&directory) {
        // Not every file system can.
        Err(error) if matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::EISDIR | libc::EINVAL)) => {
            let path = directory.join(format!("tine-bench-{}", std::process::id()));
            let file = options.create_new(true).open(&path)?;
            fs::remove_file(path)?;
            Ok(file)
        }
        opened => opened,
    }
}

/// A path by which this process can open such a file anew.
pub fn path_of(file: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}
