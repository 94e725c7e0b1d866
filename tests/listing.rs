//! Promise: a directory without an index is listed as it is: each name once, in order, escaped, however many there are,
//! and nothing that would not be served; by every way that a handler comes to a connection.

mod common;

use std::{
    ffi::OsStr,
    fs,
    io::Write,
    os::unix::ffi::OsStrExt,
    process::{Command, Stdio},
    time::{Duration, SystemTime},
};

use common::{Client, Launcher, Mode, Scratch, Server, client::Response, launch, peer};

fn everywhere(site: &Scratch, options: &[&str], test: impl Fn(Launcher, &Server)) {
    for launcher in Launcher::ALL {
        if let Some(server) = launcher.http(site.path(), options) {
            test(launcher, &server);
        }
    }
}

/// A response with its chunks put together.
#[track_caller]
fn get(client: &mut Client, path: &str, fields: &str) -> Response {
    client.send(format!("GET {path} HTTP/1.1\r\nHost: h\r\n{fields}\r\n"));
    let (mut response, length) = client.try_head().expect("a head");
    match length {
        Some(length) => response.body = client.take(length).expect("a body"),
        None => {
            assert_eq!(response.expect_header("transfer-encoding"), "chunked");
            loop {
                let mut size = Vec::new();
                while !size.ends_with(b"\r\n") {
                    size.extend(client.take(1).expect("a byte of a size"));
                }
                let size = std::str::from_utf8(&size[..size.len() - 2]).expect("digits");
                let size = usize::from_str_radix(size, 16).expect("a size");
                let chunk = client.take(size + 2).expect("a chunk");
                response.body.extend_from_slice(&chunk[..size]);
                if size == 0 {
                    break;
                }
            }
        }
    }
    response
}

/// The links of the lines, without those of the head of the page.
fn links(page: &str) -> Vec<String> {
    let lines = page.split("<tbody>").nth(1).expect("a table").lines().filter(|line| line.contains("href=\"./"));
    lines.filter_map(|line| Some(line.split("href=\"./").nth(1)?.split('"').next()?.to_string())).collect()
}

const JSON: &str = "Accept: application/json\r\n";

/// What Python's json makes of it: it is strict, and it is not ours.
#[track_caller]
fn names(json: &[u8]) -> Option<Vec<String>> {
    let script = "import json, sys\nfor e in json.load(sys.stdin.buffer): print(repr(e['name']), e['type'], e['href'], \
                  e.get('size', '-'), e['mtime'], sep='\\t')";
    let mut python = Command::new(peer("python3")?)
        .args(["-c", script])
        .env("PYTHONIOENCODING", "utf-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("start python");
    let mut input = python.stdin.take().expect("its input");
    let json = json.to_vec();
    let writer = std::thread::spawn(move || input.write_all(&json).expect("write to python"));
    let output = python.wait_with_output().expect("python's answer");
    writer.join().expect("the writer");
    assert!(output.status.success(), "it is JSON");
    Some(String::from_utf8(output.stdout).expect("text").lines().map(String::from).collect())
}

#[test]
fn what_is_listed_is_what_would_be_served() {
    let site = Scratch::new();
    site.file("www/b.txt", "12345");
    site.file("www/A.txt", "");
    site.file("www/sub/inner", "");
    site.file("www/indexed/index.html", "the index");
    site.file("www/.hidden", "");
    site.file("www/.git/config", "");
    site.file("outside", "");
    site.symlink("www/link", "b.txt");
    site.symlink("www/linked", "sub");
    site.symlink("www/outward", "../outside");
    site.symlink("www/upward", "..");
    site.symlink("www/dangling", "nowhere");
    site.symlink("www/moved", "http://h.example/<new>?a&b");
    site.symlink("www/other", "=/b.txt");
    site.symlink("www/secret", "/etc/http://h.example/");
    site.fifo("www/fifo");
    let root = Scratch::new();
    fs::remove_dir(root.path()).expect("make place");
    std::os::unix::fs::symlink(site.join("www"), root.path()).expect("link to it");
    everywhere(&root, &["--listing"], |_, server| {
        let mut client = server.connect();
        let page = get(&mut client, "/", "").expect(200);
        assert_eq!(page.expect_header("content-type"), "text/html; charset=utf-8");
        assert_eq!(links(&page.text()), ["indexed/", "linked/", "sub/", "A.txt", "b.txt", "link", "moved", "other"]);
        assert!(page.text().contains("moved <small>\u{2192} http://h.example/&lt;new&gt;?a&amp;b</small></a><td><td>"));
        assert!(page.text().contains("other <small>\u{2192} /b.txt</small></a>"));
        assert!(!page.text().contains("href=\"../\""), "nothing lies above the root");
        for link in links(&page.text()) {
            let expect = if ["moved", "other"].contains(&link.as_str()) { 301 } else { 200 };
            assert_eq!(get(&mut client, &format!("/{link}"), "").status, expect, "{link}");
        }
        assert_eq!(get(&mut client, "/indexed/", "").text(), "the index");
        let sub = get(&mut client, "/sub/", "").expect(200);
        assert!(sub.text().contains("href=\"../\"") && sub.text().contains("<title>/sub/</title>"));
        get(&mut client, "/missing/", "").expect(404);
        get(&mut client, "/.git/", "").expect(404);
        let json = get(&mut client, "/", JSON).expect(200);
        assert_eq!(json.expect_header("content-type"), "application/json");
        assert_eq!((json.expect_header("vary"), page.expect_header("vary")), ("Accept", "Accept"));
        if let Some(names) = names(&json.body) {
            let first: Vec<&str> = names.iter().filter_map(|line| line.split('\t').next()).collect();
            assert_eq!(first, ["'indexed'", "'linked'", "'sub'", "'A.txt'", "'b.txt'", "'link'", "'moved'", "'other'"]);
            assert!(names[6].starts_with("'moved'\tredirect\t./moved\t-\t"), "{}", names[6]);
            assert!(String::from_utf8_lossy(&json.body).contains("\"target\":\"http://h.example/<new>?a&b\"}"));
            assert!(names[4].starts_with("'b.txt'\tfile\t./b.txt\t5\t") && names[4].ends_with(" GMT"), "{}", names[4]);
            assert!(names[1].starts_with("'linked'\tdirectory\t./linked/\t-\t"), "{}", names[1]);
        }
        assert_eq!(get(&mut client, "/", "Accept: text/html, application/json\r\n").body, page.body);
        let head = client.request("HEAD", "/", "").expect(200);
        assert_eq!(head.header("content-length"), page.header("content-length"));
        client.request("POST", "/", "Content-Length: 0\r\n").expect(405);
    });
    everywhere(&root, &[], |_, server| {
        get(&mut server.connect(), "/", "").expect(404);
    });
}

/// A name can consist of every byte but two: each is shown so that it does no harm, and its link leads to its file.
#[test]
fn every_byte_of_a_name() {
    let site = Scratch::new();
    for byte in (1..=255u8).filter(|&byte| byte != b'/') {
        // Two in a row: what is escaped in one place must be escaped in the next.
        let name = [b'n', byte, byte, b'"', b'>', b'<', b'&', b'\''];
        fs::write(site.path().join(OsStr::from_bytes(&name)), [byte]).expect("write a file");
    }
    for name in ["javascript:x", "?query", "#part", "..x", "%2e", "a b", "http:", "\\"] {
        let name = if name.starts_with('.') { format!("y{name}") } else { name.into() };
        site.file(&name, "");
    }
    let hidden = links("<tbody>").len();
    everywhere(&site, &["--listing"], |_, server| {
        let mut client = server.connect();
        let page = get(&mut client, "/", "").expect(200);
        let table = page.body.split(|&byte| byte == b'\n').filter(|line| line.starts_with(b"<tr>"));
        for line in table {
            let line = String::from_utf8_lossy(line);
            assert!(!line.chars().any(char::is_control), "{line:?}");
            // The tags are ours and nobody else's.
            assert_eq!(line.matches('<').count(), 6, "{line}");
            assert_eq!(line.matches('"').count(), 2, "{line}");
        }
        let links = links(&page.text());
        assert_eq!(links.len(), 254 + 8 + hidden);
        for link in &links {
            let body = get(&mut client, &format!("/{link}"), "").expect(200).body;
            if let Some(bytes) = link.strip_prefix('n') {
                let first = bytes
                    .strip_prefix('%')
                    .map_or(bytes.as_bytes()[0], |digits| u8::from_str_radix(&digits[..2], 16).expect("two digits"));
                assert_eq!(body, [first], "{link}");
            }
        }
        if let Some(names) = names(&get(&mut client, "/", JSON).expect(200).body) {
            assert_eq!(names.len(), links.len());
            let shown: Vec<&str> =
                names.iter().filter_map(|line| line.split("\t./").nth(1)?.split('\t').next()).collect();
            assert_eq!(shown, links);
        }
    });
}

#[test]
fn lists_are_sorted_by_link() {
    let site = Scratch::new();
    for (name, size, age) in [("b", 3, 10), ("C", 1, 30), ("a", 2, 20), ("dir/x", 9, 9)] {
        let path = site.file(name, vec![b'x'; size]);
        let when = SystemTime::now() - Duration::from_secs(age * 86_400);
        fs::File::options().write(true).open(path).and_then(|file| file.set_modified(when)).expect("set its date");
    }
    everywhere(&site, &["--listing"], |_, server| {
        let mut client = server.connect();
        for (query, expect) in [
            ("", ["dir/", "a", "b", "C"]),
            ("?sort=name", ["dir/", "a", "b", "C"]),
            ("?sort=name&order=desc", ["dir/", "C", "b", "a"]),
            ("?sort=size", ["dir/", "C", "a", "b"]),
            ("?order=desc&sort=size", ["dir/", "b", "a", "C"]),
            ("?sort=date", ["dir/", "C", "a", "b"]),
            ("?sort=date&order=desc", ["dir/", "b", "a", "C"]),
            ("?sort=nonsense&order=nonsense", ["dir/", "a", "b", "C"]),
        ] {
            let page = get(&mut client, &format!("/{query}"), "").expect(200).text();
            assert_eq!(links(&page), expect, "{query}");
        }
        // The link of the column that it is sorted by turns it round, those of the others do not.
        let page = get(&mut client, "/?sort=size", "").text();
        let column = |name: &str| page.split(&format!("?sort={name}")).nth(1).expect("a link").chars().next();
        assert_eq!((column("size"), column("name"), column("date")), (Some('&'), Some('"'), Some('"')));
        assert!(page.contains("aria-sort=\"ascending\"><a href=\"?sort=size"));
    });
}

/// Tens of thousands are sent in order, each once, and the process needs no more memory for them than for hundreds.
#[test]
fn tens_of_thousands() {
    const COUNT: usize = 30_000;
    let site = Scratch::new();
    let directory = site.dir("many");
    for i in 0..COUNT {
        fs::File::create(directory.join(format!("file-{:05}.txt", i * 7919 % COUNT))).expect("make a file");
    }
    for mode in [Mode::Prefork, Mode::Vfork] {
        let server = launch::serve(mode, 1, &["--listing"], site.path());
        let mut client = server.connect();
        let page = get(&mut client, "/many/", "").expect(200).text();
        assert_eq!(links(&page), (0..COUNT).map(|i| format!("file-{i:05}.txt")).collect::<Vec<_>>());
        assert!(page.contains(&format!("{COUNT} entries")));
        let child = server.child_of(&client);
        let status = fs::read_to_string(format!("/proc/{child}/status")).expect("its status");
        let peak =
            status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")).expect("VmHWM");
        let peak: u32 = peak.trim().parse().expect("a number");
        assert!(peak < 6_000, "{mode:?}: {peak} KiB for a list of {COUNT}");
        // HTTP/1.0 knows no chunks: the end of the connection is that of the list.
        let mut old = server.connect();
        old.send("GET /many/?order=desc HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        let (head, length) = old.try_head().expect("a head");
        assert_eq!((head.header("connection"), length), (Some("close"), None));
        drop(client);
        let page = String::from_utf8(old.rest().expect("a list")).expect("text");
        assert_eq!(links(&page), (0..COUNT).rev().map(|i| format!("file-{i:05}.txt")).collect::<Vec<_>>());
    }
}
