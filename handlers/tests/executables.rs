//! The freestanding executables as a super-server starts them: on a pair of pipes and on a socket.
//!
//! That these tests name the executables is also why cargo builds them for `cargo test`.

#[path = "../../tests/common/pauses.rs"]
mod pauses;

use std::fs;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use pauses::unless_paused;

const HTTP: &str = env!("CARGO_BIN_EXE_tine-http");

/// A root of its own for a test, removed behind it.
struct Root(PathBuf);

impl Root {
    fn new() -> Root {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("root-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(path.join("sub")).unwrap();
        let root = Root(path);
        root.file("index.html", b"<p>index\n");
        root.file("ten.txt", b"0123456789");
        root.file("sub/index.html", b"<p>sub\n");
        root
    }

    /// A file that is old enough for a strong tag.
    fn file(&self, name: &str, body: &[u8]) {
        let file = fs::File::create(self.0.join(name)).unwrap();
        (&file).write_all(body).unwrap();
        file.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(784_111_777)).unwrap();
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// All that came of one connection.
#[derive(Debug)]
struct Said {
    answer: String,
    log: String,
    status: ExitStatus,
}

impl Said {
    fn statuses(&self) -> Vec<&str> {
        self.answer.split("HTTP/1.1 ").skip(1).map(|response| &response[..3]).collect()
    }

    fn field(&self, name: &str) -> Option<&str> {
        let head = self.answer.split("\r\n\r\n").next()?;
        head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    fn body(&self) -> &str {
        self.answer.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }
}

fn text(bytes: Vec<u8>) -> String {
    bytes.into_iter().map(char::from).collect()
}

fn spawn(program: &str, arguments: &[&str], input: Stdio, output: Stdio) -> Child {
    let mut command = Command::new(program);
    command.args(arguments).env_clear().stdin(input).stdout(output).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Starts a program with a socket on its descriptors 0 and 1.
fn on_socket(program: &str, arguments: &[&str]) -> (Child, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let theirs = OwnedFd::from(theirs);
    let child = spawn(program, arguments, theirs.try_clone().unwrap().into(), theirs.into());
    ours.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    (child, ours)
}

fn finish(child: Child, mut socket: UnixStream) -> Said {
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer);
    let output = child.wait_with_output().unwrap();
    Said { answer: text(answer), log: text(output.stderr), status: output.status }
}

/// One connection over pipes: everything is sent, then the input ends.
fn pipes(root: &Root, request: &[u8]) -> Said {
    let mut child = spawn(HTTP, &[root.0.to_str().unwrap()], Stdio::piped(), Stdio::piped());
    child.stdin.take().unwrap().write_all(request).unwrap();
    let output = child.wait_with_output().unwrap();
    Said { answer: text(output.stdout), log: text(output.stderr), status: output.status }
}

/// The same over a socket whose other direction stays open until the answer came.
fn socket(root: &Root, request: &[u8]) -> Said {
    let (child, mut ours) = on_socket(HTTP, &["--idle-timeout", "1", root.0.to_str().unwrap()]);
    ours.write_all(request).unwrap();
    finish(child, ours)
}

fn get(root: &Root, target: &str, fields: &str) -> Said {
    let request = format!("GET {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{fields}\r\n");
    let said = pipes(root, request.as_bytes());
    let over_socket = socket(root, request.as_bytes());
    let no_date =
        |answer: &str| answer.lines().filter(|line| !line.starts_with("Date: ")).collect::<Vec<_>>().join("\n");
    assert_eq!(no_date(&said.answer), no_date(&over_socket.answer), "pipes and sockets differ");
    said
}

#[test]
fn a_file() {
    let root = Root::new();
    let said = get(&root, "/ten.txt?query", "");
    assert_eq!(said.body(), "0123456789");
    for (name, value) in [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", "10"),
        ("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("ETag", "\"2ebc98a1-0-a\""),
        ("Accept-Ranges", "bytes"),
        ("Connection", "close"),
    ] {
        assert_eq!(said.field(name), Some(value), "{said:?}");
    }
    assert!(said.log.starts_with("- - - ["), "{}", said.log);
    assert!(said.log.contains("] \"GET /ten.txt?query HTTP/1.1\" 200 10 0."), "{}", said.log);
    assert_eq!(said.log.lines().count(), 1);
    assert_eq!(said.status.code(), Some(0));
}

#[test]
fn statuses() {
    let root = Root::new();
    fs::create_dir(root.0.join("empty")).unwrap();
    fs::write(root.0.join(".hidden"), "x").unwrap();
    symlink("/etc/passwd", root.0.join("out")).unwrap();
    symlink("../../../../../../etc/passwd", root.0.join("up")).unwrap();
    symlink("ten.txt", root.0.join("in")).unwrap();
    symlink("loop", root.0.join("loop")).unwrap();
    let fifo = root.0.join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let _socket = std::os::unix::net::UnixListener::bind(root.0.join("s"));
    for (target, status) in [
        ("/", "200"),
        ("/index.html", "200"),
        ("/sub/", "200"),
        ("/sub", "301"),
        ("//sub//", "200"),
        ("/in", "200"),
        ("/t%65n.txt", "200"),
        ("http://other/ten.txt", "200"),
        ("/nothing", "404"),
        ("/ten.txt/", "404"),
        ("/empty/", "404"),
        ("/out", "404"),
        ("/up", "404"),
        ("/loop", "404"),
        ("/fifo", "404"),
        ("/s", "404"),
        ("/.hidden", "404"),
        ("/%2ehidden", "404"),
        ("/../ten.txt", "404"),
        ("/%2e%2e/etc/passwd", "404"),
        ("/sub/%2e%2e/ten.txt", "200"),
        ("/ten.txt%00.html", "400"),
        ("/%zz", "400"),
        ("/%", "400"),
    ] {
        let said = get(&root, target, "");
        assert_eq!(said.statuses(), [status], "{target} {said:?}");
        let length: usize = said.field("Content-Length").unwrap().parse().unwrap();
        assert_eq!(said.body().len(), length, "{target}");
    }
    let long = format!("/{}", "a".repeat(300));
    assert_eq!(get(&root, &long, "").statuses(), ["404"]);
}

#[test]
fn a_directory_without_its_slash() {
    let root = Root::new();
    for (target, location) in
        [("/sub", "./sub/"), ("/sub?a=b", "./sub/?a=b"), ("//sub", "./sub/"), ("/sub/../sub", "./sub/")]
    {
        assert_eq!(get(&root, target, "").field("Location"), Some(location), "{target}");
    }
}

/// Short and long targets are held in different buffers; neither is seen from outside, nor the change between them.
#[test]
fn targets_of_any_length() {
    let root = Root::new();
    let (outer, inner) = ("d".repeat(200), "e".repeat(200));
    fs::create_dir_all(root.0.join(&outer).join(&inner)).unwrap();
    root.file(&format!("{outer}/{inner}/index.html"), b"<p>deep\n");
    let targets = ["/ten.txt", &format!("/{outer}/{inner}/"), &format!("/{}", "x".repeat(300)), "/ten.txt"];
    let request: String = targets.map(|target| format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n")).concat();
    let said = pipes(&root, request.as_bytes());
    assert_eq!(said.statuses(), ["200", "200", "404", "200"]);
    assert!(said.answer.contains("<p>deep\n") && said.answer.ends_with("0123456789"), "{}", said.answer);
    let said = get(&root, &format!("/{outer}/{inner}"), "");
    assert_eq!((said.statuses(), said.field("Location")), (vec!["301"], Some(&*format!("./{inner}/"))));
}

#[test]
fn conditions_and_ranges() {
    let root = Root::new();
    for (fields, status, body) in [
        ("If-None-Match: \"2ebc98a1-0-a\"\r\n", "304", ""),
        ("If-None-Match: \"x\"\r\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n", "200", "0123456789"),
        ("If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n", "304", ""),
        ("Range: bytes=0-1\r\n", "206", "01"),
        ("Range: bytes=0-\r\n", "206", "0123456789"),
        ("Range: bytes=-3\r\n", "206", "789"),
        ("Range: bytes=8-99\r\n", "206", "89"),
        ("Range: bytes=0-9,3-4\r\n", "200", "0123456789"),
        (
            "If-Match: \"x\"\r\n",
            "412",
            "<!DOCTYPE html>\n<title>412 Precondition Failed</title>\n<h1>412 Precondition Failed</h1>\n",
        ),
        ("Range: bytes=0-1\r\nIf-Range: \"2ebc98a1-0-a\"\r\n", "206", "01"),
        ("Range: bytes=0-1\r\nIf-Range: \"x\"\r\n", "200", "0123456789"),
    ] {
        let said = get(&root, "/ten.txt", fields);
        assert_eq!((said.statuses(), said.body()), (vec![status], body), "{fields} {said:?}");
    }
    let said = get(&root, "/ten.txt", "Range: bytes=8-99\r\n");
    assert_eq!(said.field("Content-Range"), Some("bytes 8-9/10"));
    let said = get(&root, "/ten.txt", "Range: bytes=10-\r\n");
    assert_eq!((said.statuses(), said.field("Content-Range")), (vec!["416"], Some("bytes */10")));
    let said = get(&root, "/ten.txt", "If-None-Match: *\r\n");
    assert_eq!((said.statuses(), said.field("Content-Length")), (vec!["304"], None));
}

#[test]
fn head_is_get_without_the_body() {
    let root = Root::new();
    for target in ["/ten.txt", "/sub", "/nothing"] {
        let [get, head] = ["GET", "HEAD"]
            .map(|method| pipes(&root, format!("{method} {target} HTTP/1.0\r\nRange: bytes=0-99\r\n\r\n").as_bytes()));
        let lines = |said: &Said| {
            let head = said.answer.split_once("\r\n\r\n").unwrap().0.to_string();
            head.lines()
                .filter(|line| !line.starts_with("Date") && !line.starts_with("Content-Range"))
                .map(|line| line.replace("206 Partial Content", "200 OK"))
                .collect::<Vec<_>>()
        };
        assert_eq!(lines(&get), lines(&head));
        assert_eq!(head.body(), "");
        assert!(!get.body().is_empty());
    }
}

#[test]
fn meaningless_times_give_no_validators() {
    let root = Root::new();
    let file = fs::File::options().write(true).open(root.0.join("ten.txt")).unwrap();
    file.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(1)).unwrap();
    let said = get(&root, "/ten.txt", "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
    assert_eq!((said.statuses(), said.field("ETag"), said.field("Last-Modified")), (vec!["200"], None, None));
    file.set_modified(std::time::SystemTime::now() + Duration::from_secs(9)).unwrap();
    let said = get(&root, "/ten.txt", "");
    assert_eq!((said.statuses(), said.field("ETag"), said.field("Last-Modified")), (vec!["200"], None, None));
}

#[test]
fn every_size_arrives_whole() {
    let root = Root::new();
    for size in [0, 1, 3071, 3072, 3073, 32_767, 32_768, 32_769, 65_536, 1_000_003] {
        let body: Vec<u8> = (0..size).map(|i: usize| ((i * i) >> 7) as u8).collect();
        root.file("f.bin", &body);
        let said = get(&root, "/f.bin", "");
        assert!(said.body().chars().map(|c| c as u8).eq(body.iter().copied()), "{size}");
        assert!(said.log.contains(&format!(" 200 {size} ")), "{}", said.log);
        if size > 10 {
            let said = get(&root, "/f.bin", &format!("Range: bytes=7-{}\r\n", size - 2));
            assert!(said.body().chars().map(|c| c as u8).eq(body[7..size - 1].iter().copied()), "{size}");
        }
    }
}

#[test]
fn malformed_requests_end_the_connection() {
    let root = Root::new();
    let long_line = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(9000));
    let long_head = format!("GET / HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n", "a".repeat(9000));
    let next = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    for (request, status) in [
        ("\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n", "400"),
        ("GET /\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost : h\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: h\r\n folded\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", "400"),
        ("GET / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n", "400"),
        ("GET / HTTP/2.0\r\n\r\n", "505"),
        ("GET / HTTP/1.0\r\nHo", "400"),
        (&long_line, "414"),
        (&long_head, "431"),
    ] {
        let request = format!("{request}{}", if request.ends_with("Ho") { "" } else { next });
        for said in [pipes(&root, request.as_bytes()), {
            let (child, mut ours) = on_socket(HTTP, &[root.0.to_str().unwrap()]);
            let _ = ours.write_all(request.as_bytes());
            ours.shutdown(Shutdown::Write).unwrap();
            finish(child, ours)
        }] {
            assert_eq!(said.statuses(), [status], "{request:?} {said:?}");
            assert_eq!(said.field("Connection"), Some("close"), "{request:?}");
            assert_eq!(said.status.code(), Some(100), "{request:?} {said:?}");
            assert_eq!(said.log.lines().count(), 1, "{said:?}");
            assert!(said.log.contains(&format!("\" {status} ")), "{said:?}");
        }
    }
}

#[test]
fn methods() {
    let root = Root::new();
    let said = pipes(&root, b"DELETE / HTTP/1.1\r\nHost: h\r\n\r\nBREW / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(said.statuses(), ["405", "501"]);
    assert_eq!(said.field("Allow"), Some("GET, HEAD, OPTIONS"));
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let root = Root::new();
    let mut requests = String::new();
    for target in ["/ten.txt", "/nothing", "/sub/", "/sub", "/ten.txt"].repeat(60) {
        requests.push_str(&format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n"));
    }
    let said = pipes(&root, requests.as_bytes());
    assert_eq!(said.statuses(), ["200", "404", "200", "301", "200"].repeat(60));
    assert_eq!(said.log.lines().count(), 300);
    assert_eq!(said.status.code(), Some(0));
}

#[test]
fn persistence_follows_version_and_field() {
    let root = Root::new();
    let two = |first: &str| {
        let said = pipes(&root, format!("{first}GET /ten.txt HTTP/1.0\r\n\r\n").as_bytes());
        (said.statuses().len(), said.field("Connection").map(String::from))
    };
    assert_eq!(two("GET / HTTP/1.1\r\nHost: h\r\n\r\n"), (2, None));
    assert_eq!(two("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"), (1, Some("close".into())));
    assert_eq!(two("GET / HTTP/1.0\r\n\r\n"), (1, Some("close".into())));
    assert_eq!(two("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), (2, Some("keep-alive".into())));
    // A body is not read, so what stands behind it is no request.
    assert_eq!(two("GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"), (1, Some("close".into())));
    assert_eq!(two("GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"), (2, None));
}

#[test]
fn an_answer_survives_what_the_client_still_sends() {
    let root = Root::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut ours = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let theirs = OwnedFd::from(listener.accept().unwrap().0);
    let child = spawn(HTTP, &[root.0.to_str().unwrap()], theirs.try_clone().unwrap().into(), theirs.into());
    ours.write_all(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 300000\r\n\r\n").unwrap();
    for _ in 0..30 {
        std::thread::sleep(Duration::from_millis(5));
        ours.write_all(&[b'x'; 10_000]).unwrap();
    }
    let mut answer = Vec::new();
    ours.read_to_end(&mut answer).expect("no reset");
    let output = child.wait_with_output().unwrap();
    assert!(text(answer).starts_with("HTTP/1.1 405 "));
    assert!(text(output.stderr).starts_with("127.0.0.1 - - "));
}

#[test]
fn a_head_byte_by_byte() {
    let root = Root::new();
    let (child, mut ours) = on_socket(HTTP, &[root.0.to_str().unwrap()]);
    for byte in b"\r\nGET /ten.txt HTTP/1.0\r\nX: y\r\n\r\n" {
        ours.write_all(&[*byte]).unwrap();
        std::thread::sleep(Duration::from_millis(1));
    }
    let said = finish(child, ours);
    assert_eq!((said.statuses(), said.body()), (vec!["200"], "0123456789"));
}

/// Seconds that the connection lasted, and what came of it.
fn timed(arguments: &[&str], client: impl FnOnce(&mut UnixStream)) -> (f64, Said) {
    let root = Root::new();
    let arguments: Vec<&str> = arguments.iter().copied().chain([root.0.to_str().unwrap()]).collect();
    let start = Instant::now();
    let (child, mut ours) = on_socket(HTTP, &arguments);
    client(&mut ours);
    let said = finish(child, ours);
    (start.elapsed().as_secs_f64(), said)
}

#[test]
fn silence_ends_a_connection() {
    unless_paused(|| {
        let (seconds, said) = timed(&["--header-timeout", "2", "--idle-timeout", "1"], |_| {});
        assert!((1.9..3.5).contains(&seconds), "{seconds} {said:?}");
        assert_eq!((said.answer.as_str(), said.log.as_str(), said.status.code()), ("", "", Some(0)));
        let (seconds, said) = timed(&["--header-timeout", "5", "--idle-timeout", "1"], |ours| {
            ours.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
        });
        assert!((0.9..4.0).contains(&seconds), "{seconds} {said:?}");
        assert_eq!((said.statuses(), said.status.code()), (vec!["200"], Some(0)));
    });
}

#[test]
fn a_trickle_does_not_extend_the_head() {
    for stop in [3, 100] {
        unless_paused(|| {
            let (seconds, said) = timed(&["--header-timeout=2", "--idle-timeout=1"], |ours| {
                for _ in 0..stop {
                    if ours.write_all(b"GET / HTTP/1.1\r\nX: y\r\n"[..1].as_ref()).is_err() {
                        break;
                    }
                    std::thread::sleep(Duration::from_millis(100));
                }
            });
            assert!(seconds > 1.9, "{seconds}");
            assert_eq!((said.statuses(), said.status.code()), (vec!["408"], Some(0)), "{said:?}");
            assert!(said.log.contains("\"-\" 408 "));
        });
    }
}

#[test]
fn a_client_that_does_not_read_is_left() {
    unless_paused(|| {
        let root = Root::new();
        root.file("big", &vec![b'x'; 8 << 20]);
        let (child, mut ours) = on_socket(HTTP, &["--write-timeout", "1", root.0.to_str().unwrap()]);
        ours.write_all(b"GET /big HTTP/1.0\r\n\r\n").unwrap();
        let start = Instant::now();
        let output = child.wait_with_output().unwrap();
        assert!((0.9..10.0).contains(&start.elapsed().as_secs_f64()), "{:?}", start.elapsed());
        // The polite end, not the alarm's; and the log tells what was really taken.
        assert_eq!(output.status.code(), Some(0));
        let log = text(output.stderr);
        let bytes: usize = log.split("\" 200 ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
        assert!(bytes > 0 && bytes < 8 << 20, "{log}");
    });
}

#[test]
fn a_file_that_shrinks_ends_the_connection() {
    let root = Root::new();
    root.file("big", &vec![b'x'; 8 << 20]);
    let (child, mut ours) = on_socket(HTTP, &[root.0.to_str().unwrap()]);
    ours.write_all(b"GET /big HTTP/1.1\r\nHost: h\r\n\r\nGET /ten.txt HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    ours.read_exact(&mut [0; 1000]).unwrap();
    fs::File::options().write(true).open(root.0.join("big")).unwrap().set_len(1 << 20).unwrap();
    let said = finish(child, ours);
    assert!(said.answer.len() < 8 << 20 && !said.answer.contains("0123456789"), "{}", said.answer.len());
    assert!(said.log.contains("shrank while it was sent: big"), "{}", said.log);
    assert_eq!(said.status.code(), Some(111));
}

#[test]
fn nothing_is_logged_of_nothing() {
    let root = Root::new();
    for request in ["", "\r\n", "\r\n\r\n\n"] {
        let said = pipes(&root, request.as_bytes());
        assert_eq!((said.answer.as_str(), said.log.as_str(), said.status.code()), ("", "", Some(0)));
    }
}

#[test]
fn the_client_is_who_the_environment_says() {
    let root = Root::new();
    let mut command = Command::new(HTTP);
    command.arg(&root.0).env("TCPREMOTEIP", "2001:db8::7").env("TCPREMOTEPORT", "99");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"GET /\"\x1b HTTP/1.0\r\n\r\nGET /\" HTTP/1.0\r\n\r\n").unwrap();
    let log = text(child.wait_with_output().unwrap().stderr);
    assert!(log.starts_with("2001:db8::7 - - ["), "{log}");
}

#[test]
fn wrong_usage_is_100_and_what_cannot_be_opened_111() {
    for (arguments, status, message) in [
        (&["--nothing"][..], 100, "--nothing: there is no such option"),
        (&["-x"], 100, "-x: there is no such option"),
        (&["a", "b"], 100, "b: one argument too many"),
        (&["--idle-timeout"], 100, "--idle-timeout: a value is missing"),
        (&["--idle-timeout", "0"], 100, "--idle-timeout: must be a whole number of seconds from 1 to 86400"),
        (&["--index=a/b"], 100, "--index: must be names of files"),
        (&["--vhosts=yes"], 100, "--vhosts: takes no value"),
        (&["--header", "x"], 100, "--header: must be 'Name: value'"),
        (&["--header", "Content-Length: 1"], 100, "--header: is a field that the server decides on itself"),
        (&["--mime-types", "/nonexist"], 111, "unable to open /nonexist: No such file or directory"),
        (&["--mime-types", "/"], 111, "unable to open /: Is a directory"),
        (&["--mime-types", "/dev/zero"], 111, "unable to open /dev/zero: File too large"),
        (&["/nonexist"], 111, "unable to open /nonexist: No such file or directory"),
        (&["--", "--x"], 111, "unable to open --x: No such file or directory"),
        (&["/dev/null"], 111, "unable to open /dev/null: Not a directory"),
    ] {
        let output = Command::new(HTTP).args(arguments).stdin(Stdio::null()).output().unwrap();
        let said = text(output.stderr);
        assert_eq!(output.status.code(), Some(status), "{arguments:?} {said}");
        assert!(said.starts_with(&format!("tine-http: fatal: {message}")), "{arguments:?} {said}");
        assert_eq!(said.contains("--help"), status == 100, "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    let output = Command::new(HTTP).arg("--help").output().unwrap();
    let said = text(output.stdout);
    assert_eq!(output.status.code(), Some(0));
    for opt in handlers::protocol("http").unwrap().options {
        assert!(said.contains(&format!("--{} {}", opt.name(), opt.value())), "{said}");
    }
}

/// Copies tine-http, as a process of its own: what this one had open for writing, a child that another test makes in that
/// instant would hold until it executes, and nobody could run the program (ETXTBSY).
fn copy_http(to: &Path) {
    assert!(Command::new("cp").arg(HTTP).arg(to).status().unwrap().success());
}

/// Alone it serves what is plain, and says in one line what it would need for the rest.
#[test]
fn without_the_full_one_beside_it() {
    let root = Root::new();
    let alone = root.0.join("tine-http");
    copy_http(&alone);
    let program = alone.to_str().unwrap();
    for arguments in [&["--cgi"][..], &["--listing"], &["--auth", "x"], &["--help"], &["--nothing"], &["/nonexist"]] {
        let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().unwrap();
        let said = text(output.stderr);
        let expect = format!("tine-http: fatal: unable to execute {program}-full: it is not there (install it beside");
        assert_eq!((output.status.code(), said.lines().count()), (Some(111), 1), "{arguments:?} {said}");
        assert!(said.starts_with(&expect) && output.stdout.is_empty(), "{arguments:?} {said}");
    }
    let (child, mut ours) = on_socket(program, &["--index=ten.txt", "--idle-timeout", "9", root.0.to_str().unwrap()]);
    ours.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    assert_eq!(finish(child, ours).body(), "0123456789");
}

/// Each option is known by both: the small one either takes it, or leaves it to the full one.
#[test]
fn no_option_is_lost_between_the_two() {
    let root = Root::new();
    let alone = root.0.join("tine-http");
    copy_http(&alone);
    let made = ["listing", "cgi", "cgi-timeout", "auth", "auth-realm", "auth-hook"];
    let types = root.0.join("ten.txt");
    for opt in handlers::protocol("http").unwrap().options {
        let value = match opt.name() {
            "header" => "X: y",
            "mime-types" | "auth" => types.to_str().unwrap(),
            _ if !opt.default().is_empty() => opt.default(),
            _ => "x",
        };
        let option = format!("--{}", opt.name());
        let words = if opt.is_flag() { vec![option] } else { vec![option, value.to_string()] };
        let output = Command::new(&alone).args(&words).stdin(Stdio::null()).current_dir(&root.0).output().unwrap();
        let status = if made.contains(&opt.name()) { 111 } else { 0 };
        assert_eq!(output.status.code(), Some(status), "{words:?} {}", text(output.stderr));
        let output = Command::new(HTTP).args(&words).stdin(Stdio::null()).current_dir(&root.0).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{words:?} {}", text(output.stderr));
    }
}

#[test]
fn settings_are_heeded() {
    let root = Root::new();
    root.file("home.txt", b"home");
    let (child, mut ours) = on_socket(HTTP, &["--index=home.txt", "--quiet", "--", root.0.to_str().unwrap()]);
    ours.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let said = finish(child, ours);
    assert_eq!((said.body(), said.log.as_str()), ("home", ""));
}

#[test]
fn small_protocols() {
    let run = |program: &str, input: &[u8]| {
        let (child, mut ours) = on_socket(program, &[]);
        ours.write_all(input).unwrap();
        ours.shutdown(Shutdown::Write).unwrap();
        let said = finish(child, ours);
        assert_eq!((said.status.code(), said.log.as_str()), (Some(0), ""), "{program}");
        said.answer
    };
    let long = "echo ".repeat(5000);
    assert_eq!(run(env!("CARGO_BIN_EXE_tine-echo"), long.as_bytes()), long);
    assert_eq!(run(env!("CARGO_BIN_EXE_tine-discard"), long.as_bytes()), "");
    let daytime = run(env!("CARGO_BIN_EXE_tine-daytime"), b"");
    assert!(daytime.len() == 26 && daytime.ends_with("\r\n") && daytime[20..24].parse::<u32>().unwrap() >= 2026);
    let time: Vec<u8> = run(env!("CARGO_BIN_EXE_tine-time"), b"").chars().map(|c| c as u8).collect();
    let since_1970 = u32::from_be_bytes(time.try_into().unwrap()).wrapping_sub(2_208_988_800);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as u32;
    assert!(now.abs_diff(since_1970) < 5);
}

#[test]
fn chargen_speaks_until_nobody_listens() {
    let (child, mut ours) = on_socket(env!("CARGO_BIN_EXE_tine-chargen"), &[]);
    let mut pattern = vec![0; 200_000];
    ours.read_exact(&mut pattern).unwrap();
    drop(ours);
    let lines: Vec<&[u8]> = pattern.split(|&byte| byte == b'\n').collect();
    assert!(lines[..lines.len() - 1].iter().all(|line| line.len() == 73 && line.ends_with(b"\r")));
    assert_eq!(lines[0], lines[95]);
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.status.signal()), (Some(0), None));
}

#[test]
fn silence_ends_echo_and_discard() {
    for program in [env!("CARGO_BIN_EXE_tine-echo"), env!("CARGO_BIN_EXE_tine-discard")] {
        unless_paused(|| {
            let start = Instant::now();
            let (child, ours) = on_socket(program, &["--idle-timeout", "1"]);
            let said = finish(child, ours);
            assert!((0.9..10.0).contains(&start.elapsed().as_secs_f64()), "{program}");
            assert_eq!(said.status.code(), Some(0));
        });
    }
}

/// A pipe has no timeout of its own.
#[test]
fn silence_ends_a_pipe_too() {
    unless_paused(|| {
        let root = Root::new();
        let mut child =
            spawn(HTTP, &["--header-timeout", "1", root.0.to_str().unwrap()], Stdio::piped(), Stdio::piped());
        let start = Instant::now();
        let input = child.stdin.take();
        let output = child.wait_with_output().unwrap();
        drop(input);
        assert!((0.9..10.0).contains(&start.elapsed().as_secs_f64()));
        assert_eq!(output.status.code(), Some(0));
    });
}
