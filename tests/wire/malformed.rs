//! What is not HTTP gets one answer that says so, and the connection ends: nothing behind it is taken for a request.

use crate::{Wire, site};

everywhere! {
    malformed_requests_are_400
    too_much_is_refused
    other_versions_are_refused
    a_client_that_sent_too_much_still_reads_the_answer
}

const HOST: &str = "Host: localhost\r\n";

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

fn malformed_requests_are_400(wire: &Wire) {
    let requests = [
        "GET\r\n\r\n".into(),
        "GET /\r\n\r\n".into(),
        " GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".into(),
        format!("GET  / HTTP/1.1\r\n{HOST}\r\n"),
        format!("G\u{1}T / HTTP/1.1\r\n{HOST}\r\n"),
        format!("GET /\u{7f} HTTP/1.1\r\n{HOST}\r\n"),
        format!("GET / HTTP/1.1\r\n{HOST}no colon\r\n\r\n"),
        format!("GET / HTTP/1.1\r\n{HOST}Space : before the colon\r\n\r\n"),
        format!("GET / HTTP/1.1\r\n{HOST}: no name\r\n\r\n"),
        format!("GET / HTTP/1.1\r\n{HOST}Folded: a\r\n b\r\n\r\n"),
        format!("GET / HTTP/1.1\r\n{HOST}Nul: a\0b\r\n\r\n"),
        format!("GET / HTTP/1.1\r\n{HOST}Cr: a\rb\r\n\r\n"),
        // RFC 9112, section 3.2: no Host, two of them.
        "GET / HTTP/1.1\r\n\r\n".into(),
        format!("GET / HTTP/1.1\r\n{HOST}{HOST}\r\n"),
        // Section 6.3: lengths that cannot be understood, or contradict each other.
        format!("GET / HTTP/1.1\r\n{HOST}Content-Length: x\r\n\r\n"),
        format!("GET / HTTP/1.1\r\n{HOST}Content-Length: -1\r\n\r\n"),
        format!("GET / HTTP/1.1\r\n{HOST}Content-Length: +1\r\n\r\n"),
        format!("GET / HTTP/1.1\r\n{HOST}Content-Length: 1\r\nContent-Length: 2\r\n\r\n"),
        "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\u{fc}\u{3}\u{3}\r\n\r\n".into(),
        "\0\0\0\0\r\n\r\n".into(),
    ];
    for request in requests {
        refused(wire, request, &[400]);
    }
    // A length beyond every number may be called a body that does not come; never a body of some other length.
    let endless = format!("GET / HTTP/1.1\r\n{HOST}Content-Length: 99999999999999999999999\r\n\r\n");
    refused(wire, endless, &[200, 400, 413]);
    let both = format!("GET / HTTP/1.1\r\n{HOST}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n");
    refused(wire, both, &[400, 501]);
    let coding = format!("GET / HTTP/1.1\r\n{HOST}Transfer-Encoding: rot13\r\n\r\n");
    // RFC 9112, section 6.1.
    refused(wire, coding, &[501]);
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

fn other_versions_are_refused(wire: &Wire) {
    refused(wire, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[400, 505]);
    refused(wire, format!("GET / HTTP/2.0\r\n{HOST}\r\n"), &[400, 505]);
    refused(wire, format!("GET / HTTP/0.9\r\n{HOST}\r\n"), &[400, 505]);
    refused(wire, format!("GET / http/1.1\r\n{HOST}\r\n"), &[400, 505]);
    // What stands where the version belongs, and is none.
    refused(wire, format!("GET / HTTP/1.1 \r\n{HOST}\r\n"), &[400, 505]);
    refused(wire, format!("GET / x HTTP/1.1\r\n{HOST}\r\n"), &[400, 505]);
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
