//! wget: a mirror that is brought up to date, and a whole tree by its lists.

use std::{
    fs,
    time::{Duration, SystemTime},
};

use crate::{Scratch, client, common::wait_until, lines, noise, serve, succeed};

/// The second time nothing is sent; what has changed meanwhile is.
#[test]
fn a_mirror_is_brought_up_to_date() {
    let site = Scratch::new();
    site.file("index.html", "<a href=a.html>a</a> <a href=sub/b.bin>b</a> <a href='odd%20name.txt'>c</a>");
    let page = site.file("a.html", "<a href=/>back</a>");
    site.file("sub/b.bin", noise(50_000));
    site.file("odd name.txt", "odd");
    let at = |path: &std::path::Path, seconds: u64| {
        let file = fs::File::options().append(true).open(path).expect("open it");
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).expect("set its time");
    };
    for name in ["index.html", "a.html", "sub/b.bin", "odd name.txt"] {
        at(&site.join(name), 1_700_000_000);
    }
    let server = serve(&[], site.path());
    let copy = Scratch::new();
    // Two ways to ask what is new: HEAD, and If-Modified-Since, which leads no further than a page that is not (with
    // nginx neither).
    let mirror = |how: &[&str]| {
        let mut wget = client("wget")?;
        wget.args(["-N", "-nH", "-x", "-e", "robots=off", "--tries=1", "-nv", "-P"]).arg(copy.path()).args(how);
        let base = format!("http://{}/", server.address());
        let urls = ["", "a.html", "sub/b.bin", "odd%20name.txt"].map(|path| format!("{base}{path}"));
        Some(succeed(wget.args(if how.is_empty() { &urls[..] } else { &urls[..1] })))
    };
    let by_links = ["-r", "-l", "5", "--no-if-modified-since"];
    if mirror(&by_links).is_none() {
        return;
    }
    let sent = || lines(&server, &["\"GET ", "\" 200 "]);
    assert_eq!(sent(), 4, "{}", server.log());
    for name in ["index.html", "a.html", "sub/b.bin", "odd name.txt"] {
        assert!(fs::read(copy.join(name)).expect(name) == fs::read(site.join(name)).expect(name), "{name}");
        let time = |place: &Scratch| fs::metadata(place.join(name)).and_then(|meta| meta.modified()).expect(name);
        assert_eq!(time(&copy), time(&site), "{name}");
    }
    mirror(&by_links);
    assert_eq!((sent(), lines(&server, &["\"HEAD ", "\" 200 "])), (4, 4), "nothing is sent anew: {}", server.log());
    mirror(&[]);
    assert_eq!((sent(), lines(&server, &["\" 304 "])), (4, 4), "nor now: {}", server.log());
    fs::write(&page, "<a href=/>anew</a>").expect("write it anew");
    at(&page, 1_700_000_100);
    // A cache may hold the old one for a second.
    wait_until("the mirror has what is new", || {
        mirror(&by_links);
        fs::read_to_string(copy.join("a.html")).expect("the copy") == "<a href=/>anew</a>"
    });
    assert_eq!(sent(), 5, "one file is sent: {}", server.log());
}

/// Without an index, the lists of directories lead to every file, whatever its name.
#[test]
fn a_tree_by_its_lists() {
    let site = Scratch::new();
    let names = [
        "plain",
        "with space",
        "a+b&c=d",
        "50% off",
        "quote'\"",
        "sub/deep/<angle>",
        "sub/\u{e9}t\u{e9}",
        "q?mark#hash",
    ];
    for name in names {
        site.file(name, format!("this is {name}"));
    }
    site.file(".hidden", "not this");
    let server = serve(&["--listing"], site.path());
    let copy = Scratch::new();
    let Some(mut wget) = client("wget") else { return };
    wget.args([
        "-r",
        "-l",
        "5",
        "-np",
        "-nH",
        "-e",
        "robots=off",
        "--tries=1",
        "-nv",
        "--restrict-file-names=nocontrol",
    ]);
    wget.args(["--reject", "index.html*", "-P"]).arg(copy.path());
    let said = succeed(wget.arg(format!("http://{}/", server.address())));
    for name in names {
        let text = fs::read_to_string(copy.join(name)).unwrap_or_else(|e| panic!("{name}: {e}\n{said}"));
        assert_eq!(text, format!("this is {name}"));
    }
    assert!(!copy.join(".hidden").exists());
    assert_eq!(lines(&server, &["\" 404 "]), 0, "{}", server.log());
}
