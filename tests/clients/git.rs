//! git over dumb HTTP: a repository is a tree of files.

use std::{fs, path::Path};

use crate::{Scratch, client, lines, serve, succeed};

/// git in a directory, with a home of its own.
#[track_caller]
fn git(home: &Path, directory: &Path, arguments: &[&str]) -> Option<String> {
    let mut git = client("git")?;
    git.current_dir(directory).env("HOME", home).env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_TERMINAL_PROMPT", "0");
    git.args(["-c", "user.name=Somebody", "-c", "user.email=somebody@example.org", "-c", "safe.directory=*"]);
    Some(succeed(git.args(arguments)))
}

#[test]
fn clone_and_fetch() {
    let (site, work, home) = (Scratch::new(), Scratch::new(), Scratch::new());
    let run = |directory: &Path, arguments: &[&str]| git(home.path(), directory, arguments);
    if run(work.path(), &["init", "-q", "-b", "main"]).is_none() {
        return;
    }
    let commit = |name: &str, text: &str| {
        work.file(name, text);
        run(work.path(), &["add", "."]);
        run(work.path(), &["commit", "-q", "-m", name]);
    };
    commit("a", "first\n");
    commit("b", &"second\n".repeat(10_000));
    let bare = site.join("project.git");
    let bare_name = bare.display().to_string();
    run(site.path(), &["clone", "-q", "--bare", &work.path().display().to_string(), &bare_name]);
    // One pack, and what is newer as loose objects: both are asked for.
    run(&bare, &["gc", "-q"]);
    commit("c", "third\n");
    run(work.path(), &["push", "-q", &bare_name, "main"]);
    run(&bare, &["update-server-info"]);
    let server = serve(&[], site.path());
    let copy = Scratch::new();
    let url = format!("http://{}/project.git", server.address());
    run(copy.path(), &["clone", "-q", &url, "copy"]);
    for name in ["a", "b", "c"] {
        let read = |place: &Path| fs::read(place.join(name)).expect(name);
        assert!(read(&copy.join("copy")) == read(work.path()), "{name} differs");
    }
    run(&copy.join("copy"), &["fsck", "--strict"]);
    assert!(lines(&server, &["/project.git/objects/pack/", ".pack HTTP/1.1\" 200"]) >= 1, "{}", server.log());

    commit("d", "fourth\n");
    run(work.path(), &["push", "-q", &bare_name, "main"]);
    run(&bare, &["update-server-info"]);
    run(&copy.join("copy"), &["pull", "-q"]);
    assert_eq!(fs::read_to_string(copy.join("copy/d")).expect("what was pulled"), "fourth\n");
}
