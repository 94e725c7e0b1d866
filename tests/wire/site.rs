//! The small site that every expectation is held against, with the traps that real directories have.

use std::{
    fs::{self, File},
    os::unix::net::UnixListener,
    path::PathBuf,
    sync::LazyLock,
    time::{Duration, SystemTime},
};

use crate::common::{Scratch, scratch::set_mode};

/// When the files were last modified: the date of RFC 9110's examples, far enough back for strong validators.
pub const MODIFIED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const MODIFIED_SECONDS: u64 = 784_111_777;

/// What lies outside the root and must never be seen.
pub const SECRET: &str = "the secret outside the root";

pub const HELLO: &str = "hello, world\n";

/// Large enough for sendfile, and for several fills of a socket's buffer.
pub const LARGE: usize = 3 * 1024 * 1024 + 17;

/// Made once: a debug build takes its time over it.
static PATTERN: LazyLock<Vec<u8>> = LazyLock::new(|| pattern(LARGE));

pub struct Site(Scratch);

impl Site {
    pub fn new() -> Site {
        let site = Site(Scratch::new());
        site.file("index.html", "<!doctype html><title>home</title>\n");
        site.file("hello.txt", HELLO);
        site.file("digits", "0123456789");
        site.file("empty.txt", "");
        site.file("medium.bin", &PATTERN[..20_000]);
        site.file("large.bin", &*PATTERN);
        for name in ["style.css", "script.js", "image.png", "image.svg", "module.wasm", "data.json"] {
            site.file(name, "x");
        }
        site.file("with space.txt", "space");
        site.file("ünï.txt", "umlaut");
        site.file("100%.txt", "percent");
        site.file("plus+plus.txt", "plus");
        site.file("a&b='\"<c>.txt", "quotes");
        site.file("sub/index.html", "sub index\n");
        site.file("sub/deep/file.txt", "deep\n");
        site.file("bare/inner.txt", "inner\n");
        site.file(".hidden", SECRET);
        site.file("sub/.hidden", SECRET);
        site.file(".git/config", SECRET);
        set_mode(&site.file("private.txt", SECRET), 0o000);
        let secret = site.0.file("outside/secret.txt", SECRET);
        site.0.symlink("root/inside", "hello.txt");
        site.0.symlink("root/sub/upwards", "../hello.txt");
        site.0.symlink("root/outside", "../outside/secret.txt");
        site.0.symlink("root/absolute", &secret);
        site.0.symlink("root/directory", "../outside");
        site.0.symlink("root/loop", "loop");
        site.0.symlink("root/dangling", "nowhere");
        site.0.fifo("root/fifo");
        site.negotiated();
        site.hosts();
        // Too long a path for a socket leaves nothing there, which must be a 404 as well.
        let _ = UnixListener::bind(site.root().join("socket"));
        site
    }

    pub fn root(&self) -> PathBuf {
        self.0.join("root")
    }

    /// Files with siblings in content codings; what they hold says what they are.
    fn negotiated(&self) {
        for name in ["all.html", "gz.css", "stale.js", "photo.png", "drawing.svg"] {
            self.file(name, format!("{name} as it is"));
        }
        for name in ["all.html.zst", "all.html.br", "all.html.gz", "gz.css.gz", "photo.png.gz", "drawing.svg.gz"] {
            self.file(name, format!("this is {name}"));
        }
        self.file("large.txt", &PATTERN[..100_000]);
        self.file("large.txt.br", &PATTERN[7..60_000]);
        let old = self.file("stale.js.gz", "this is stale");
        let before = SystemTime::UNIX_EPOCH + Duration::from_secs(MODIFIED_SECONDS - 1);
        File::options().write(true).open(old).expect("open it").set_modified(before).expect("make it older");
    }

    /// Directories of virtual hosts, and links that are redirects.
    fn hosts(&self) {
        for name in ["default", "one.example", "two.example", "two.example:81", "[::1]"] {
            self.file(&format!("{name}/index.html"), format!("this is {name}"));
            self.file(&format!("{name}/sub/index.html"), "sub");
        }
        self.file("one.example/own.txt", "own");
        self.file("one.example/404.html", "<p>one.example has no such page");
        self.0.symlink("root/one.example/sideways", "../two.example/index.html");
        self.0.symlink("root/old.example", "http://new.example/");
        self.0.symlink("root/older.example", "http://new.example/archive");
        self.0.symlink("root/moved.example", "=https://new.example/moved");
        self.0.symlink("root/broken.example", "nowhere");
        self.0.symlink("root/gone", "http://new.example/gone");
        self.0.symlink("root/there", "=/sub/");
        self.0.symlink("root/odd", "=https://new.example/a b\"<>");
        self.0.symlink("root/sub/gone", "https://new.example/deep?x=y");
        self.0.symlink("root/outside-link", self.0.join("outside/url"));
        self.0.symlink("outside/url", "http://secret.example/");
        self.0.symlink("root/outside-directory", "../outside");
    }

    /// A file outside the root, for the server alone.
    pub fn outside(&self, name: &str, contents: &str) -> PathBuf {
        self.0.file(&format!("outside/{name}"), contents)
    }

    /// Writes a file beneath the root, with the date of all.
    pub fn file(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.file(&format!("root/{name}"), contents);
        let file = File::options().write(true).open(&path).expect("open it again");
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(MODIFIED_SECONDS)).expect("set its date");
        path
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.root().join(name)).expect("read a file of the site")
    }
}

/// Bytes that differ from their neighbours at every distance that matters, so that a shift is seen.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i.wrapping_mul(31) ^ (i >> 8) ^ (i >> 16)) as u8).collect()
}
