//! A small tree of files with everything in it that leads astray.

#![allow(dead_code, reason = "part of several targets, and each uses a part of it")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::sys::stat::Mode;

/// What stands in files that are never to be shown: no client can say it, because no answer repeats control characters.
pub const SECRET: &[u8] = b"\x01never\x02shown\x03";

/// What stands in scripts: theirs is to say, not to be shown, where scripts are executed.
pub const SCRIPT: &[u8] = b"\x01a\x02script\x03";

/// Links that leave the root, though they may come back.
pub const WAYS_OUT: [&[u8]; 5] = [b"out", b"out-dir", b"back", b"absolute", b"proc"];

/// The files that may be shown, with what stands in them.
pub fn files() -> Vec<(&'static str, Vec<u8>)> {
    let long = |len: u32| (0..len).map(|n| b'a' + (n % 23) as u8).collect::<Vec<u8>>();
    vec![
        ("index.html", b"<p>root\n".to_vec()),
        ("a", b"a\n".to_vec()),
        ("empty", Vec::new()),
        ("b.txt", long(100)),
        ("b.txt.gz", b"\x1f\x8bnot really\n".to_vec()),
        ("b.txt.br", b"br, not really\n".to_vec()),
        ("b.txt.zst", b"zst, not really\n".to_vec()),
        ("page.html", b"<p>page\n".to_vec()),
        ("old.gif", b"GIF89a\n".to_vec()),
        ("old.png", b"\x89PNG\n".to_vec()),
        ("dir/index.html", b"<p>dir\n".to_vec()),
        ("dir/deep/x.js", long(20_000)),
        ("list/one", b"1".to_vec()),
        ("list/<&\">", b"markup\n".to_vec()),
        ("big.bin", long(70_000)),
        (".well-known/x", b"known\n".to_vec()),
        ("404.html", b"<p>not here\n".to_vec()),
        ("name with \u{e9}", b"odd\n".to_vec()),
    ]
}

/// Makes it, and a secret beside it; says where its root is.
pub fn make(name: &str) -> PathBuf {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("target/trees/{name}-{}", std::process::id()));
    let root = place.join("root");
    let _ = fs::remove_dir_all(&place);
    for (name, text) in files() {
        write(&root.join(name), &text);
    }
    // Two virtual hosts.
    write(&root.join("h/index.html"), b"<p>h\n");
    write(&root.join("default/a"), b"default\n");
    for script in ["run.cgi", "nph-run.cgi", "scripts/index.cgi"] {
        write(&root.join(script), SCRIPT);
        fs::set_permissions(root.join(script), fs::Permissions::from_mode(0o755)).expect("chmod");
    }
    write(&root.join(".hidden"), SECRET);
    // They are played: what they say is the plan's. A host without one is open, as with fnord.
    for host in [".http-auth", "h/.http-auth", "default/.http-auth"] {
        write(&root.join(host), SECRET);
    }
    write(&root.join("dir/.git/config"), SECRET);
    write(&place.join("secret"), SECRET);
    write(&place.join("beside/secret"), SECRET);
    let link = |name: &str, to: &str| symlink(to, root.join(name)).expect("link");
    link("out", "../secret");
    link("out-dir", "../beside");
    link("back", "../root/dir");
    link("in", "dir/deep");
    link("loop", "loop");
    link("proc", "/proc/self/root");
    link("moved", "http://example.org/x");
    link("gone", "=//example.org/");
    link("dangling", "nowhere");
    symlink(root.join("a"), root.join("absolute")).expect("link");
    nix::unistd::mkfifo(&root.join("fifo"), Mode::from_bits_truncate(0o644)).expect("fifo");
    root
}

/// Writes a file that was there for long: validators of a new one are weak.
fn write(path: &Path, text: &[u8]) {
    fs::create_dir_all(path.parent().expect("a directory")).expect("mkdir");
    fs::write(path, text).expect("write");
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    fs::File::options().write(true).open(path).expect("open").set_modified(time).expect("set its time");
}
