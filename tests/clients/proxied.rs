//! What holds behind any proxy.

use std::{net::SocketAddr, path::Path};

use crate::{
    Scratch, Server,
    common::{Client, Mode, client::Response, launch, wait_until},
    lines, noise, script,
};

/// Says who it thinks the client is, and sums up what it is given.
const ECHO: &str = r#"#!/bin/sh
sum=$(cksum)
said="port $REMOTE_PORT for $HTTP_X_FORWARDED_FOR proto $HTTP_X_FORWARDED_PROTO host $HTTP_HOST length $CONTENT_LENGTH sum $sum"
printf 'Content-Type: text/plain\nContent-Length: %d\n\n%s' "${#said}" "$said"
"#;

/// A site for all that is asked.
pub fn site() -> Scratch {
    let site = Scratch::new();
    site.file("index.html", "<p>behind a proxy\n");
    site.file("dir/index.html", "<p>a directory\n");
    site.file("404.html", "<p>our own page\n");
    site.file("large.bin", noise(20_000_000));
    script(&site, "echo.cgi", ECHO);
    site
}

/// tine on a port that stays its own when it is started again.
#[track_caller]
pub fn backend(site: &Path, port: u16) -> Server {
    launch::serve(Mode::Prefork, 8, &["--cgi", "--listen", &format!("127.0.0.1:{port}")], site)
}

/// An example of `etc/`, with what it says moved: each pair must be there.
#[track_caller]
pub fn example(name: &str, moves: &[(&str, &str)]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("etc").join(name);
    let mut text = std::fs::read_to_string(path).expect("read the example");
    for (from, to) in moves {
        assert!(text.contains(from), "{name} does not say {from:?}");
        text = text.replace(from, to);
    }
    text
}

/// All that is expected; `backend` is what stands behind the proxy, on a port of its own.
#[track_caller]
pub fn expectations(proxy: SocketAddr, site: &Scratch, port: u16) {
    let mut server = backend(site.path(), port);
    files(proxy, site);
    kept(proxy);
    body(proxy);
    assert_eq!(lines(&server, &["\" 400 "]), 0, "{}", server.log());
    restart(proxy, site, &mut server, port);
}

fn files(proxy: SocketAddr, site: &Scratch) {
    let mut client = Client::connect(proxy);
    let page = client.get("/").expect(200);
    assert_eq!(page.text(), "<p>behind a proxy\n");
    let head = client.request("HEAD", "/", "").expect(200);
    for name in ["content-length", "content-type", "etag", "last-modified"] {
        assert_eq!(head.header(name), page.header(name), "{name}");
    }
    let tag = format!("If-None-Match: {}\r\n", page.expect_header("etag"));
    client.request("GET", "/", &tag).expect(304);
    assert_eq!(client.get("/nowhere").expect(404).text(), "<p>our own page\n");
    // Relative, so that it leads back through the proxy.
    assert_eq!(client.get("/dir?q").expect(301).expect_header("location"), "./dir/?q");

    let large = std::fs::read(site.join("large.bin")).expect("read it");
    let whole = Client::connect(proxy).get("/large.bin").expect(200);
    assert!(whole.body == large, "{} bytes came of {}", whole.body.len(), large.len());
    let part = client.request("GET", "/large.bin", "Range: bytes=15000000-15099999\r\n").expect(206);
    assert_eq!(part.expect_header("content-range"), "bytes 15000000-15099999/20000000");
    assert!(part.body == large[15_000_000..15_100_000]);
    let parts = client.request("GET", "/large.bin", "Range: bytes=0-9,-10\r\n").expect(206);
    assert!(parts.expect_header("content-type").starts_with("multipart/byteranges"));
    client.request("GET", "/large.bin", "Range: bytes=20000000-\r\n").expect(416);
}

/// What a script says of who asks.
fn told(response: &Response) -> (String, String) {
    let text = response.text();
    let (port, rest) = text.strip_prefix("port ").and_then(|text| text.split_once(' ')).expect("a port");
    (port.to_owned(), rest.to_owned())
}

/// Connections to us are kept, and the client's own address is told.
fn kept(proxy: SocketAddr) {
    let mut client = Client::connect(proxy);
    let answers: Vec<(String, String)> = (0..10).map(|_| told(&client.get("/echo.cgi").expect(200))).collect();
    for (_, rest) in &answers {
        assert!(rest.starts_with("for 127.0.0.1 proto http host localhost length "), "{rest}");
    }
    let mut ports: Vec<&String> = answers.iter().map(|(port, _)| port).collect();
    ports.dedup();
    assert!(ports.len() <= 5, "a new connection for each request: {ports:?}");
}

/// A long body reaches a script, and the connection goes on.
fn body(proxy: SocketAddr) {
    let bytes = noise(700_000);
    let mut client = Client::connect(proxy);
    let mut sums = Vec::new();
    for _ in 0..2 {
        client.send("POST /echo.cgi HTTP/1.1\r\nHost: localhost\r\nContent-Length: 700000\r\n\r\n");
        client.send(&bytes);
        let (_, rest) = told(&client.response("POST").expect(200));
        assert!(rest.contains(" length 700000 sum ") && rest.ends_with(" 700000"), "{rest}");
        sums.push(rest);
    }
    assert_eq!(sums[0], sums[1]);
}

/// The proxy says that we are away, and finds us again.
fn restart(proxy: SocketAddr, site: &Scratch, server: &mut Server, port: u16) {
    server.stop();
    let away = Client::connect(proxy).get("/");
    assert!(matches!(away.status, 502 | 503), "{away:?}");
    *server = backend(site.path(), port);
    wait_until("the proxy finds the server again", || Client::connect(proxy).get("/").status == 200);
}
