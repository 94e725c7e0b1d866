//! The files that are served.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Path of the small file, and its size: a page without its pictures.
pub const SMALL: (&str, u64) = ("/small.html", 512);

/// Path of the large file, and its size.
pub const LARGE: (&str, u64) = ("/large.bin", 16 << 20);

/// A directory with the files, which everybody can read. It ends with this value.
pub struct Site {
    root: PathBuf,
}

impl Site {
    /// Makes it, among the temporary files.
    pub fn make() -> io::Result<Site> {
        let root = std::env::temp_dir().join(format!("tine-bench-site-{}", std::process::id()));
        fs::create_dir(&root)?;
        let site = Site { root };
        fs::set_permissions(&site.root, Permissions::from_mode(0o755))?;
        for (path, size) in [SMALL, LARGE] {
            let path = site.root.join(&path[1..]);
            let mut file = File::create(&path)?;
            let piece = [b'x'; 512];
            for _ in 0..size / 512 {
                file.write_all(&piece)?;
            }
            file.set_permissions(Permissions::from_mode(0o644))?;
        }
        Ok(site)
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        &self.root
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // Nobody is left to be told.
        let _ = fs::remove_dir_all(&self.root);
    }
}
