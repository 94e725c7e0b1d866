//! A directory of a test's own, readable by everybody: a server that was started by root serves as nobody.

use std::{
    env, fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{self, Command},
    sync::atomic::{AtomicU32, Ordering},
};

use nix::{sys::stat::Mode, unistd};

/// Removed on drop, and kept when the test fails.
pub struct Scratch(PathBuf);

impl Scratch {
    /// A new, empty directory.
    pub fn new() -> Scratch {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let program = env::current_exe().expect("the test's own name");
        let program = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let name = program.split('-').next().unwrap_or("test").to_string();
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}-{number}", process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("make the scratch directory");
        set_mode(&path, 0o755);
        Scratch(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Where `name` lies in it.
    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file, with the directories above it.
    pub fn file(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.join(name);
        self.dir(Path::new(name).parent().and_then(Path::to_str).unwrap_or(""));
        fs::write(&path, contents).unwrap_or_else(|e| panic!("write {}: {e}", path.display()));
        set_mode(&path, 0o644);
        path
    }

    /// Makes a directory, with those above it.
    pub fn dir(&self, name: &str) -> PathBuf {
        let mut path = self.0.clone();
        for part in Path::new(name) {
            path.push(part);
            if !path.exists() {
                fs::create_dir(&path).unwrap_or_else(|e| panic!("make {}: {e}", path.display()));
                set_mode(&path, 0o755);
            }
        }
        path
    }

    pub fn symlink(&self, name: &str, target: impl AsRef<Path>) {
        symlink(target, self.join(name)).expect("make a symbolic link");
    }

    pub fn fifo(&self, name: &str) {
        unistd::mkfifo(&self.join(name), Mode::from_bits_truncate(0o644)).expect("make a fifo");
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}

/// Sets the mode, whatever the umask is.
pub fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .unwrap_or_else(|e| panic!("chmod {}: {e}", path.display()));
}

/// Copies a program, as a process of its own: what this one had open for writing, a child that another test makes in that
/// instant would hold until it executes, and nobody could run the program (ETXTBSY).
pub fn copy_program(from: &Path, to: &Path) {
    let status = Command::new("cp").args([from, to]).status().expect("run cp");
    assert!(status.success(), "cp {} {}: {status}", from.display(), to.display());
}

/// Whether this test runs as root.
pub fn is_root() -> bool {
    unistd::geteuid().is_root()
}

/// Whether somebody without any rights can read `path`: everything above it must be searchable.
pub fn reachable_by_nobody(path: &Path) -> bool {
    let mode = |path: &Path| fs::metadata(path).map_or(0, |m| m.mode());
    let own = if path.is_dir() { 0o5 } else { 0o4 };
    path.is_absolute() && mode(path) & own == own && path.ancestors().skip(1).all(|above| mode(above) & 0o1 != 0)
}
