//! Promise: a large real site is served without a difference, by every way that a handler comes to a connection.
//!
//! The site is the HTML documentation that comes with the Rust toolchain (some 50,000 files), or else /usr/share/doc.
//! Every file is fetched whole and compared byte for byte; files are requested in pipelined batches, and a connection
//! is used for so many requests only, so that connections come and go too.

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use common::{Client, Launcher, Mode, Scratch, Server, launch, peer, say};

/// Requests sent before the first answer is read.
const BATCH: usize = 16;

/// Batches for each connection.
const BATCHES: usize = 16;

struct Tree {
    root: PathBuf,
    /// Paths below the root.
    files: Vec<PathBuf>,
}

static TREE: LazyLock<Tree> = LazyLock::new(|| {
    let sysroot = Command::new("rustc").args(["--print", "sysroot"]).output().expect("ask rustc for its sysroot");
    let sysroot = PathBuf::from(String::from_utf8_lossy(&sysroot.stdout).trim());
    let candidates = [sysroot.join("share/doc/rust/html"), PathBuf::from("/usr/share/doc")];
    let root = candidates.into_iter().find(|root| root.is_dir()).expect("a large tree of real files");
    let mut files = Vec::new();
    collect(&root, Path::new(""), &mut files);
    files.sort();
    say(&format!("note: {} files of {}", files.len(), root.display()));
    assert!(files.len() > 500, "too few for a large tree");
    Tree { root, files }
});

/// The regular files below, without those whose name starts with a dot (which are not served) and without symbolic links.
fn collect(root: &Path, below: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(root.join(below)).expect("read a directory of the tree") {
        let entry = entry.expect("read a directory of the tree");
        let path = below.join(entry.file_name());
        let kind = entry.file_type().expect("the kind of a file");
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        } else if kind.is_dir() {
            collect(root, &path, files);
        } else if kind.is_file() {
            files.push(path);
        }
    }
}

/// The path of a URL: everything but the unreserved characters and `/` is percent-encoded.
fn url(path: &Path) -> String {
    let mut url = String::from("/");
    for &byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => url.push(byte.into()),
            _ => url.push_str(&format!("%{byte:02X}")),
        }
    }
    url
}

/// Fetches these files over connections of `BATCH * BATCHES` requests and compares each.
fn fetch(server: &Server, files: &[PathBuf], root: &Path) {
    for connection in files.chunks(BATCH * BATCHES) {
        let mut client = server.connect();
        for batch in connection.chunks(BATCH) {
            let request = |path: &PathBuf| format!("GET {} HTTP/1.1\r\nHost: localhost\r\n\r\n", url(path));
            client.send(batch.iter().map(request).collect::<String>());
            for path in batch {
                compare(&mut client, path, root);
            }
        }
    }
}

fn compare(client: &mut Client, path: &Path, root: &Path) {
    let response = client.try_response("GET");
    let response = response.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert_eq!(response.status, 200, "{}: {:?}", path.display(), response);
    let original = fs::read(root.join(path)).expect("read the original");
    assert!(
        response.body == original,
        "{} differs: {} bytes came, {} are right",
        path.display(),
        response.body.len(),
        original.len()
    );
}

/// The whole tree, by two clients at once.
fn whole_tree(launcher: Launcher) {
    let tree = &*TREE;
    let Some(server) = launcher.http(&tree.root, &[]) else { return };
    let done = AtomicUsize::new(0);
    let share = tree.files.len().div_ceil(2);
    thread::scope(|scope| {
        for files in tree.files.chunks(share) {
            scope.spawn(|| {
                fetch(&server, files, &tree.root);
                done.fetch_add(files.len(), Ordering::Relaxed);
            });
        }
    });
    assert_eq!(done.into_inner(), tree.files.len());
}

#[test]
fn prefork() {
    whole_tree(Launcher::Serve(Mode::Prefork));
}

#[test]
fn one_shot() {
    whole_tree(Launcher::Serve(Mode::OneShot));
}

#[test]
fn fork() {
    whole_tree(Launcher::Serve(Mode::Fork));
}

#[test]
fn vfork() {
    whole_tree(Launcher::Serve(Mode::Vfork));
}

#[test]
fn under_inetd() {
    whole_tree(Launcher::InetdExecutable);
}

#[test]
fn under_tcpserver() {
    whole_tree(Launcher::TcpserverExecutable);
}

#[test]
fn big_binary_under_inetd() {
    whole_tree(Launcher::InetdServe);
}

#[test]
fn big_binary_under_tcpserver() {
    whole_tree(Launcher::TcpserverServe);
}

/// What wget finds by following links, as a browser would, is what lies on the disk.
#[test]
fn wget_follows_the_links() {
    let Some(wget) = peer("wget") else { return };
    let tree = &*TREE;
    let server = launch::serve(Mode::Prefork, 8, &[], &tree.root);
    let scratch = Scratch::new();
    let start = if tree.root.join("error_codes/index.html").exists() { "error_codes/index.html" } else { "" };
    let mut command = Command::new(wget);
    // No parents and no other hosts: the links of that part alone. Broken links of the documentation are not ours.
    command.args(["-r", "-l", "2", "-np", "-nH", "-e", "robots=off", "--tries=1", "-nv", "-P"]).arg(scratch.path());
    command.arg(format!("http://{}/{start}", server.address()));
    let output = command.output().expect("run wget");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let mut fetched = Vec::new();
    collect(scratch.path(), Path::new(""), &mut fetched);
    assert!(fetched.len() >= 50 || start.is_empty(), "wget found {} files only:\n{said}", fetched.len());
    assert!(!fetched.is_empty(), "wget found nothing:\n{said}");
    for path in &fetched {
        let (copy, original) = (fs::read(scratch.join(path.to_str().unwrap_or(""))), fs::read(tree.root.join(path)));
        assert!(copy.expect("read the copy") == original.expect("a file of the tree"), "{} differs", path.display());
    }
}

/// curl agrees about a part of the tree, with a connection for each file.
#[test]
fn curl_on_fresh_connections() {
    let Some(curl) = peer("curl") else { return };
    let tree = &*TREE;
    let server = launch::serve(Mode::Fork, 16, &[], &tree.root);
    let scratch = Scratch::new();
    let part: Vec<&PathBuf> = tree.files.iter().step_by(tree.files.len().div_ceil(400)).collect();
    let entry = |(i, path): (usize, &&PathBuf)| {
        let copy = scratch.join(&i.to_string());
        format!("url = \"http://{}{}\"\noutput = \"{}\"\n", server.address(), url(path), copy.display())
    };
    let config = scratch.file("list.conf", part.iter().enumerate().map(entry).collect::<String>());
    let mut command = Command::new(curl);
    command.args(["--silent", "--show-error", "--fail", "--header", "Connection: close", "--config"]).arg(config);
    let output = command.output().expect("run curl");
    assert!(output.status.success(), "curl: {} {}", output.status, String::from_utf8_lossy(&output.stderr));
    for (i, path) in part.iter().enumerate() {
        let original = fs::read(tree.root.join(path)).expect("read the original");
        // curl makes no file for an empty answer.
        let copy = fs::read(scratch.join(&i.to_string())).unwrap_or_default();
        assert!(copy == original, "{} differs", path.display());
    }
}
