//! The names by which one executable is all of the programs.

use std::env;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};

use super::failure::Failure;

const PROGRAM: &str = "ucspi-tcp";

/// Makes a symbolic link to this executable in `directory` for each of `names`. They are relative, so that both can be
/// moved together. A name that is a link to it already stays; anything else that has the name is left alone.
pub fn make(directory: &Path, names: impl Iterator<Item = &'static str>) -> Result<(), Failure> {
    let unable = |what: &str, path: &Path, error: io::Error| Failure::system(PROGRAM, what, path, error);
    let here = fs::canonicalize(directory).map_err(|error| unable("unable to find ", directory, error))?;
    let executable = env::current_exe().and_then(fs::canonicalize);
    let executable = executable.map_err(|error| unable("unable to find ", Path::new("myself"), error))?;
    let target = relative(&here, &executable);
    for name in names {
        let link = here.join(name);
        match symlink(&target, &link) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if fs::canonicalize(&link).ok().as_ref() != Some(&executable) {
                    return Err(unable("unable to create ", &directory.join(name), error));
                }
            }
            made => made.map_err(|error| unable("unable to create ", &directory.join(name), error))?,
        }
    }
    Ok(())
}

/// The way from a directory to a file, both absolute and without symbolic links.
fn relative(from: &Path, to: &Path) -> PathBuf {
    let (mut from, mut to) = (from.components().peekable(), to.components().peekable());
    while let (Some(a), Some(b)) = (from.peek(), to.peek()) {
        if a != b {
            break;
        }
        from.next();
        to.next();
    }
    from.map(|_| Component::ParentDir).chain(to).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_is_the_shortest() {
        let way = |from, to| relative(Path::new(from), Path::new(to));
        assert_eq!(way("/usr/bin", "/usr/bin/x"), Path::new("x"));
        assert_eq!(way("/usr/local/bin", "/usr/lib/tine/x"), Path::new("../../lib/tine/x"));
        assert_eq!(way("/", "/x"), Path::new("x"));
        assert_eq!(way("/a", "/x"), Path::new("../x"));
    }
}
