//! curl: ranges, a download that goes on where it ended, codings, old HTTP, an expectation, bodies for a script.

use std::fs::{self, File};

use crate::{Scratch, Server, client, lines, noise, script, serve, succeed};

/// curl with this path of the server behind its other arguments, and what it received in a file.
#[track_caller]
fn fetch(server: &Server, arguments: &[&str], path: &str) -> Option<(String, Vec<u8>)> {
    let place = Scratch::new();
    let mut command = client("curl")?;
    command.args(["--silent", "--show-error", "--fail", "--dump-header", "-", "--output"]).arg(place.join("body"));
    command.args(arguments).arg(format!("http://{}{path}", server.address()));
    let head = succeed(&mut command);
    Some((head, fs::read(place.join("body")).unwrap_or_default()))
}

#[test]
fn ranges() {
    let site = Scratch::new();
    let bytes = noise(300_000);
    site.file("big.bin", &bytes);
    let server = serve(&[], site.path());
    let part = |range: &str| fetch(&server, &["--range", range], "/big.bin");
    let Some((head, body)) = part("100000-199999") else { return };
    assert!(head.starts_with("HTTP/1.1 206 "), "{head}");
    assert!(body == bytes[100_000..200_000]);
    assert!(part("-5").is_some_and(|(_, body)| body == bytes[299_995..]));
    assert!(part("299990-").is_some_and(|(_, body)| body == bytes[299_990..]));
    let (head, body) = part("0-1,5-6").expect("curl");
    assert!(head.contains("multipart/byteranges; boundary="), "{head}");
    assert!(body.windows(4).any(|four| four == b"\r\n\r\n") && body.len() > 4 && body.len() < 1000);
}

#[test]
fn a_download_goes_on_where_it_ended() {
    let site = Scratch::new();
    let bytes = noise(400_000);
    site.file("big.bin", &bytes);
    let server = serve(&[], site.path());
    let Some(mut curl) = client("curl") else { return };
    let place = Scratch::new();
    let copy = place.file("copy", &bytes[..123_456]);
    curl.args(["--silent", "--show-error", "--fail", "--continue-at", "-", "--output"]).arg(&copy);
    succeed(curl.arg(format!("http://{}/big.bin", server.address())));
    assert!(fs::read(&copy).expect("the copy") == bytes, "the parts make the whole");
    let rest = (bytes.len() - 123_456).to_string();
    server.await_log(&["\"GET /big.bin HTTP/1.1\" 206", &rest]);
}

#[test]
fn codings() {
    if client("gzip").is_none() || client("curl").is_none() {
        return;
    }
    let site = Scratch::new();
    let text = "something to press together\n".repeat(500);
    let file = site.file("page.html", &text);
    succeed(client("gzip").expect("gzip").args(["--keep", "--best"]).arg(&file));
    let server = serve(&[], site.path());
    let (head, body) = fetch(&server, &["--compressed"], "/page.html").expect("curl");
    assert!(
        head.contains("\r\nContent-Encoding: gzip\r\n") && head.contains("\r\nVary: Accept-Encoding\r\n"),
        "{head}"
    );
    assert_eq!(String::from_utf8_lossy(&body), text);
    let (head, body) = fetch(&server, &[], "/page.html").expect("curl");
    assert!(!head.contains("Content-Encoding"), "{head}");
    assert_eq!(String::from_utf8_lossy(&body), text);
}

#[test]
fn http_1_0() {
    let site = Scratch::new();
    site.file("a", "a\n");
    let server = serve(&[], site.path());
    let Some((head, body)) = fetch(&server, &["--http1.0"], "/a") else { return };
    assert!(head.contains("\r\nConnection: close\r\n"), "{head}");
    assert_eq!(body, b"a\n");
    server.await_log(&["\"GET /a HTTP/1.0\" 200 2"]);
}

/// Many requests on one connection, each behind the answer to the one before.
#[test]
fn one_connection_for_many() {
    let site = Scratch::new();
    for number in 0..20 {
        site.file(&number.to_string(), noise(number * 3_000));
    }
    let server = serve(&[], site.path());
    let Some(mut curl) = client("curl") else { return };
    let place = Scratch::new();
    curl.args(["--silent", "--show-error", "--fail", "--write-out", "%{num_connects}\n", "--output"]);
    curl.arg(place.join("#1")).arg(format!("http://{}/[0-19]", server.address()));
    let connects: Vec<usize> = succeed(&mut curl).lines().map(|line| line.parse().expect("a number")).collect();
    assert_eq!((connects.len(), connects.iter().sum::<usize>()), (20, 1));
    for number in 0..20 {
        // curl makes no file for an empty answer.
        assert_eq!(fs::read(place.join(&number.to_string())).unwrap_or_default(), noise(number * 3_000));
    }
}

/// What curl does with a body that is long: it asks first, and sends when it is told to.
#[test]
fn bodies_for_a_script() {
    let site = Scratch::new();
    script(&site, "sum.cgi", "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n%s ' \"$CONTENT_LENGTH\"\ncksum\n");
    let server = serve(&["--cgi"], site.path());
    let place = Scratch::new();
    let bytes = noise(1_500_000);
    let body = place.file("body", &bytes);
    let Some(mut cksum) = client("cksum") else { return };
    let sum = succeed(cksum.arg(&body));
    let sum = sum.split(' ').take(2).collect::<Vec<_>>().join(" ");
    let at = format!("@{}", body.display());
    let expected = ["--header", "Expect: 100-continue", "--expect100-timeout", "20", "--data-binary", &at];
    let Some((head, answer)) = fetch(&server, &expected, "/sum.cgi") else { return };
    assert!(head.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"), "{head}");
    assert_eq!(String::from_utf8_lossy(&answer).trim(), format!("1500000 {sum}"));
    // In chunks, as what is not known in advance is sent.
    let chunked = ["--header", "Transfer-Encoding: chunked", "--data-binary", &at];
    let (_, answer) = fetch(&server, &chunked, "/sum.cgi").expect("curl");
    assert_eq!(String::from_utf8_lossy(&answer).trim(), format!("1500000 {sum}"));
    assert_eq!(lines(&server, &["\"POST /sum.cgi HTTP/1.1\" 200"]), 2);
}

/// Who goes away in the middle costs nobody else anything.
#[test]
fn a_client_that_gives_up() {
    let site = Scratch::new();
    let file = File::create(site.join("endless")).expect("make a file");
    file.set_len(1 << 40).expect("make it long");
    crate::common::scratch::set_mode(&site.join("endless"), 0o644);
    site.file("a", "a\n");
    let server = serve(&[], site.path());
    let Some(mut curl) = client("curl") else { return };
    let url = format!("http://{}/endless", server.address());
    let output = crate::common::run(curl.args(["--silent", "--max-time", "1", "--output", "/dev/null", &url]));
    assert_eq!(output.status.code(), Some(28), "curl gave up");
    server.await_log(&["\"GET /endless HTTP/1.1\" 200"]);
    assert_eq!(server.connect().get("/a").expect(200).text(), "a\n");
}
