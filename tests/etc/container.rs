//! The image of `etc/container/Containerfile` and the pod of `etc/kubernetes.yaml`, as far as they can be run without
//! either: the same files in a root of their own, process 1 of its namespace, a user without a name, no capability.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;

use super::common::{self, Scratch, Server, launch, peer, scratch, tine};

const SITE: &str = "an example in a container\n";

fn text(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("etc").join(name)).expect("read the example")
}

/// The words of a list in square brackets and quotation marks, behind `key`.
fn list(text: &str, key: &str) -> Vec<String> {
    let line = text.lines().find_map(|line| line.trim().strip_prefix(key)).unwrap_or_else(|| panic!("no {key}"));
    let words = line.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).expect("a list");
    // An address has brackets and a colon, but no word has a comma.
    words.split(',').map(|word| word.trim().trim_matches('"').to_owned()).collect()
}

/// The root that the file makes: what it copies, and nothing else.
fn image() -> Scratch {
    let root = Scratch::new();
    let file = text("container/Containerfile");
    let copied = file.split_once("release && cp ").and_then(|(_, rest)| rest.split_once(" /image/bin/")).expect("cp").0;
    fs::create_dir_all(root.join("bin")).expect("make /bin");
    fs::create_dir_all(root.join("srv/www")).expect("make /srv/www");
    for program in copied.split(' ') {
        scratch::copy_program(&tine().with_file_name(program), &root.join("bin").join(program));
    }
    scratch::set_mode(root.path(), 0o755);
    root
}

/// Runs the image with these arguments behind its entry point.
fn start(root: &Scratch, arguments: &[String], port: u16) -> Option<Server> {
    let unshare = peer("unshare")?;
    if !scratch::is_root() {
        common::say("skipped: a root of its own takes root");
        return None;
    }
    let file = text("container/Containerfile");
    let entry = list(&file, "ENTRYPOINT ").join(" ");
    assert!(entry.contains("[::]:8080") && file.contains("\nUSER 65534:65534\n") && file.contains("\nEXPOSE 8080\n"));
    let entry = entry.replace("[::]:8080", &format!("127.0.0.1:{port}"));
    let mut command = Command::new(unshare);
    command.args(["--fork", "--pid", "--kill-child=KILL", "--mount", "--setgid=65534", "--setuid=65534"]);
    command.arg(format!("--root={}", root.path().display())).arg("--").args(entry.split(' ')).args(arguments);
    command.env_clear();
    Some(Server::listening(command, port))
}

#[test]
fn an_image_of_static_executables() {
    let root = image();
    root.file("srv/www/index.html", SITE);
    let arguments = list(&text("container/Containerfile"), "CMD ");
    let Some(server) = start(&root, &arguments, launch::free_port()) else { return };
    assert_eq!(server.connect().get("/").expect(200).text(), SITE);
    assert_eq!(server.connect().get("/").expect(200).text(), SITE);
    assert!(server.log().contains("\"GET / HTTP/1.1\" 200 "), "{}", server.log());
}

/// A ConfigMap is mounted as links through a directory whose name begins with two dots, which must not be taken for the
/// way out; and the pod ends on SIGTERM although it is process 1.
#[test]
fn a_pod() {
    let root = image();
    let data = "srv/www/..2026_11_22_03_00_00.1";
    root.file(&format!("{data}/index.html"), SITE);
    symlink("..2026_11_22_03_00_00.1", root.join("srv/www/..data")).expect("link");
    symlink("..data/index.html", root.join("srv/www/index.html")).expect("link");
    let pod = text("kubernetes.yaml");
    assert!(pod.contains("runAsUser: 65534") && pod.contains("containerPort: 8080"));
    let arguments = list(&pod, "args: ");
    let Some(mut server) = start(&root, &arguments, launch::free_port()) else { return };
    assert_eq!(server.connect().get("/").expect(200).text(), SITE);
    // What is mounted anew appears without a restart.
    root.file("srv/www/..new/index.html", "changed\n");
    symlink("..new", root.join("srv/www/..tmp")).expect("link");
    fs::rename(root.join("srv/www/..tmp"), root.join("srv/www/..data")).expect("rename");
    common::wait_until("the new one is served", || server.connect().get("/").expect(200).text() == "changed\n");
    server.connect().get("/..data/index.html").expect(404);
    common::server::send(server.children()[0].pid, Signal::SIGTERM);
    assert!(server.wait().success(), "{}", server.log());
}
