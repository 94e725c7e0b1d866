//! Paths: whatever a target says, what is opened for it lies beneath the root, is what a naive reading of the target
//! names there, and is not hidden.

#![no_main]

#[path = "../src/tree.rs"]
mod tree;

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

/// The root, open and by name.
static ROOT: LazyLock<(File, PathBuf)> = LazyLock::new(|| {
    let root = tree::make("path");
    (File::open(&root).expect("open the root"), fs::canonicalize(&root).expect("its name"))
});

fuzz_target!(|target: &[u8]| {
    let (root, name) = &*ROOT;
    let (mut buffer, mut content) = ([0; 4096], vec![0; 80_000]);
    let (path, found) = handlers::fuzz::open(connection::Fd(root.as_raw_fd()), target, &mut buffer, &mut content);
    let expected = segments(target);
    let Some(path) = path else {
        assert!(expected.is_none() || target.len() > 4000, "{:?} was refused", String::from_utf8_lossy(target));
        return assert!(matches!(found, Err(400 | 404 | 414)));
    };
    let expected = expected.expect("what is malformed or hidden is refused");
    let plain: Vec<&[u8]> = path.split(|&byte| byte == b'/').filter(|segment| !segment.is_empty()).collect();
    assert_eq!(plain, expected);
    assert!(!path.starts_with(b"/") && !path.contains(&0));
    // What the standard library finds there, links followed.
    let real = fs::canonicalize(name.join(std::ffi::OsStr::from_bytes(path)));
    match found {
        Ok(Some(len)) => {
            let real = real.expect("what was opened is there");
            assert!(real.starts_with(name), "{} lies outside", real.display());
            let text = &content[..len];
            assert_eq!(text, fs::read(&real).expect("read it by name"));
            assert!(!text.windows(tree::SECRET.len()).any(|part| part == tree::SECRET));
        }
        Ok(None) => {
            let real = real.expect("what was opened is there");
            assert!(real.starts_with(name) && real.is_dir());
        }
        Err(status) => {
            assert!(matches!(status, 403 | 404), "{status}");
            // Only what leads out of the root on its way, or is no file, may be there all the same; and the root itself,
            // to which a name is always appended.
            let inside = real.is_ok_and(|real| real.starts_with(name) && (real.is_file() || real.is_dir()));
            let way_out = expected.first().is_some_and(|first| tree::WAYS_OUT.contains(&&first[..]));
            assert!(!inside || way_out || path.is_empty(), "{:?} is there", String::from_utf8_lossy(path));
        }
    }
});

/// The names that a target is made of (RFC 3986 section 5.2.4), or `None` where it is refused.
fn segments(target: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut decoded = Vec::new();
    let mut bytes = target.iter();
    while let Some(&byte) = bytes.next() {
        let mut digit = || char::from(*bytes.next()?).to_digit(16);
        decoded.push(match byte {
            b'%' => (digit()? << 4 | digit()?) as u8,
            b'#' => return None,
            byte => byte,
        });
    }
    let mut names: Vec<Vec<u8>> = Vec::new();
    for name in decoded.split(|&byte| byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." => drop(names.pop()?),
            hidden if hidden[0] == b'.' && !(names.is_empty() && hidden == b".well-known") => return None,
            name => names.push(name.to_vec()),
        }
    }
    (!decoded.contains(&0)).then_some(names)
}
