//! What is not HTTP gets one answer that says so, and the connection ends: nothing behind it is taken for a request.
//!
//! The requests are data, in `requests.txt`; nginx is asked the same where it can be the reference.

use crate::{Wire, site};

everywhere! {
    each_request_of_the_table_has_its_answer
    what_is_malformed_is_so_before_its_line_ends
    too_much_is_refused
    a_client_that_sent_too_much_still_reads_the_answer
}

const HOST: &str = "Host: localhost\r\n";
/// What is sent behind each request of the table.
const NEXT: &str = "GET /digits HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// A record of the table.
struct Case {
    line: usize,
    what: String,
    status: u16,
    kept: bool,
    nginx: Option<u16>,
    request: Vec<u8>,
}

fn table() -> Vec<Case> {
    let lines = include_str!("requests.txt").lines().enumerate();
    let mut lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let mut cases = Vec::new();
    while let Some((number, line)) = lines.next() {
        let mut words = line.splitn(4, ' ');
        let mut word = || words.next().unwrap_or_else(|| panic!("line {}: {line}", number + 1));
        let (status, kept, nginx, what) = (word(), word(), word(), word().to_string());
        assert!(matches!(kept, "kept" | "closed"), "line {}: {line}", number + 1);
        let (_, request) = lines.next().expect("a request behind its line");
        let status = status.parse().expect("a status");
        let nginx = (nginx != "-").then(|| nginx.parse().expect("a status or a dash"));
        let request = unescape(request.as_bytes());
        cases.push(Case { line: number + 1, what, status, kept: kept == "kept", nginx, request });
    }
    assert!(cases.len() > 100, "the table was read");
    cases
}

/// `\r \n \t \\ \xHH`, and `{N*TEXT}`.
fn unescape(text: &[u8]) -> Vec<u8> {
    match text {
        [] => Vec::new(),
        [b'\\', b'x', high, low, rest @ ..] => {
            let digits = String::from_utf8_lossy(&[*high, *low]).into_owned();
            [vec![u8::from_str_radix(&digits, 16).expect("two digits")], unescape(rest)].concat()
        }
        [b'\\', letter, rest @ ..] => {
            let byte = match letter {
                b'r' => b'\r',
                b'n' => b'\n',
                b't' => b'\t',
                other => *other,
            };
            [vec![byte], unescape(rest)].concat()
        }
        [b'{', rest @ ..] => {
            let end = rest.iter().position(|&byte| byte == b'}').expect("a closing brace");
            let star = rest.iter().position(|&byte| byte == b'*').expect("a star");
            let times = String::from_utf8_lossy(&rest[..star]).parse().expect("a number");
            [unescape(&rest[star + 1..end]).repeat(times), unescape(&rest[end + 1..])].concat()
        }
        [byte, rest @ ..] => [vec![*byte], unescape(rest)].concat(),
    }
}

fn each_request_of_the_table_has_its_answer(wire: &Wire) {
    for case in table() {
        let Case { line, what, status, kept, request, .. } = case;
        let mut client = wire.connect();
        // The server may have ended before all was sent; its answer counts.
        let _ = std::io::Write::write_all(&mut client.stream, &[&request, NEXT.as_bytes()].concat());
        let response = client.try_response("GET").unwrap_or_else(|e| panic!("line {line}, {what}: {e}"));
        assert_eq!(response.status, status, "line {line}, {what}: {response:?}");
        assert_eq!(response.keeps_alive(), kept, "line {line}, {what}: {response:?}");
        if kept {
            let next = client.try_response("GET").unwrap_or_else(|e| panic!("line {line}, {what}, the next: {e}"));
            assert_eq!((next.status, next.text().as_str()), (200, "0123456789"), "line {line}, {what}");
        } else {
            client.expect_end();
        }
    }
}

/// The table's word on nginx holds: so what we expect is not our opinion alone.
#[test]
fn nginx_answers_the_table_as_it_says() {
    let site = site::Site::new();
    let Some((nginx, _scratch)) = crate::nginx::start(&site.root()) else { return };
    for Case { line, what, nginx: expect, request, .. } in table() {
        let Some(expect) = expect else { continue };
        let mut client = nginx.connect();
        let _ = std::io::Write::write_all(&mut client.stream, &request);
        let response = client.try_response("GET").unwrap_or_else(|e| panic!("line {line}, {what}: {e}"));
        assert_eq!(response.status, expect, "line {line}, {what}: {response:?}");
    }
}

/// Whoever sends bytes of another protocol and waits is told at once.
fn what_is_malformed_is_so_before_its_line_ends(wire: &Wire) {
    for request in [&b"\x16\x03\x01\x02\0"[..], b"GET /\0", b"GET / HTTP/1.1\r\nHost: localhost\r\nX: \x1b"] {
        let mut client = wire.connect();
        client.send(request);
        client.response("GET").expect(400);
        client.finish();
        client.expect_end();
    }
}

/// Sends it with a good request behind: one answer with one of these statuses, and the end.
#[track_caller]
fn refused(wire: &Wire, request: impl AsRef<[u8]>, statuses: &[u16]) {
    let shown = String::from_utf8_lossy(&request.as_ref()[..request.as_ref().len().min(100)]).into_owned();
    let mut client = wire.connect();
    let all = [request.as_ref(), b"GET /hello.txt HTTP/1.1\r\nHost: localhost\r\n\r\n"].concat();
    // The server may have ended before all was sent; its answer counts.
    let _ = std::io::Write::write_all(&mut client.stream, &all);
    let response = client.response("GET");
    assert!(statuses.contains(&response.status), "{shown:?}: {:?}, not one of {statuses:?}", response.line);
    assert!(!response.keeps_alive(), "{shown:?}: the answer says that the connection ends");
    client.expect_end();
}

fn too_much_is_refused(wire: &Wire) {
    let long = |n: usize| "x".repeat(n);
    refused(wire, format!("GET / HTTP/1.1\r\n{HOST}X: {}\r\n\r\n", long(200_000)), &[400, 431]);
    refused(wire, format!("GET /{} HTTP/1.1\r\n{HOST}\r\n", long(200_000)), &[400, 414, 431]);
    refused(wire, format!("GET / HTTP/1.1\r\n{HOST}{}\r\n", "X: y\r\n".repeat(10_000)), &[400, 431]);
    refused(wire, long(200_000), &[400, 414, 431]);
    // As much as browsers send must do: some 30 header lines and a large cookie.
    let lines: String = (0..30).map(|i| format!("X-Header-{i}: value {i}\r\n")).collect();
    let usual = format!("{lines}Cookie: {}\r\n", long(2_000));
    assert_eq!(wire.connect().request("GET", "/hello.txt", &usual).expect(200).text(), site::HELLO);
}

/// Closing a socket with unread bytes resets it, and the reset overtakes the answer.
fn a_client_that_sent_too_much_still_reads_the_answer(wire: &Wire) {
    for _ in 0..20 {
        let mut client = wire.connect();
        let _ = std::io::Write::write_all(&mut client.stream, &[b'x'; 100_000]);
        let status = client.response("GET").status;
        assert!(matches!(status, 400 | 414 | 431), "{status}");
    }
}
