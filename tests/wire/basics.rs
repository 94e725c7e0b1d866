//! GET and HEAD of files and directories, and the answers to what is not there or not allowed.

use crate::{Wire, site};

everywhere! {
    get_answers_with_the_file
    head_is_get_without_the_body
    an_empty_file_has_length_0
    a_large_file_comes_whole
    types_follow_the_name
    a_directory_is_its_index
    a_directory_without_slash_is_redirected
    a_directory_without_index_is_not_listed
    what_is_missing_is_404
    other_methods_are_405
    a_body_is_never_taken_for_a_request
}

fn get_answers_with_the_file(wire: &Wire) {
    let response = wire.get("/hello.txt").expect(200);
    assert_eq!(response.line, "HTTP/1.1 200 OK");
    assert_eq!(response.text(), site::HELLO);
    assert_eq!(response.expect_header("content-length"), "13");
    assert_eq!(response.expect_header("last-modified"), site::MODIFIED);
    let etag = response.expect_header("etag");
    assert!(etag.len() > 2 && etag.starts_with('"') && etag.ends_with('"'), "a strong validator: {etag}");
    assert_date(response.expect_header("date"));
}

/// IMF-fixdate, the one form that may be sent: `Sun, 06 Nov 1994 08:49:37 GMT`.
fn assert_date(date: &str) {
    let shape: String = date.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let (day, rest) = shape.split_at(3);
    assert!(["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"].contains(&day), "{date}");
    assert_eq!((&rest[..5], &rest[8..]), (", 00 ", " 0000 00:00:00 GMT"), "{date}");
}

fn head_is_get_without_the_body(wire: &Wire) {
    let mut client = wire.connect();
    for path in ["/hello.txt", "/", "/large.bin", "/sub", "/missing"] {
        let head = client.request("HEAD", path, "");
        let get = client.get(path);
        assert_eq!(head.line, get.line, "{path}");
        let lasting = |r: &crate::Response| -> Vec<(String, String)> {
            r.headers.iter().filter(|(n, _)| n != "date").cloned().collect()
        };
        assert_eq!(lasting(&head), lasting(&get), "{path}");
        assert_eq!(head.body, b"");
    }
}

fn an_empty_file_has_length_0(wire: &Wire) {
    let mut client = wire.connect();
    assert_eq!(client.get("/empty.txt").expect(200).expect_header("content-length"), "0");
    assert_eq!(client.get("/hello.txt").expect(200).text(), site::HELLO);
}

fn a_large_file_comes_whole(wire: &Wire) {
    let mut client = wire.connect();
    for name in ["large.bin", "medium.bin", "large.bin"] {
        let response = client.get(&format!("/{name}")).expect(200);
        assert!(response.body == wire.site.read(name), "{name} differs");
    }
}

fn types_follow_the_name(wire: &Wire) {
    let types = [
        ("index.html", "text/html"),
        ("hello.txt", "text/plain"),
        ("style.css", "text/css"),
        ("script.js", "text/javascript"),
        ("image.png", "image/png"),
        ("image.svg", "image/svg+xml"),
        ("module.wasm", "application/wasm"),
        ("data.json", "application/json"),
        ("large.bin", "application/octet-stream"),
        ("digits", "application/octet-stream"),
    ];
    let mut client = wire.connect();
    for (name, expected) in types {
        let response = client.get(&format!("/{name}")).expect(200);
        let value = response.expect_header("content-type");
        assert_eq!(value.split(';').next(), Some(expected), "{name}");
    }
}

fn a_directory_is_its_index(wire: &Wire) {
    for (path, name) in [("/", "index.html"), ("/sub/", "sub/index.html")] {
        let response = wire.get(path).expect(200);
        assert_eq!(response.body, wire.site.read(name));
        assert!(response.expect_header("content-type").starts_with("text/html"));
    }
}

fn a_directory_without_slash_is_redirected(wire: &Wire) {
    let mut client = wire.connect();
    for (path, place) in [("/sub", "/sub/"), ("/sub/deep", "/sub/deep/"), ("/sub?a=b", "/sub/?a=b")] {
        let response = client.get(path).expect(301);
        assert_eq!(resolve(path, response.expect_header("location")), place);
    }
    // A name that a browser would take for a host must not become one.
    let response = client.get("//sub");
    if let Some(location) = response.header("location") {
        assert_eq!(resolve("//sub", location).trim_start_matches('/'), "sub/");
        assert!(!location.starts_with("//"), "a redirect to another host: {location}");
    }
}

/// The path that a reference leads to from a path of this host (RFC 3986, as far as it is needed here).
fn resolve(base: &str, reference: &str) -> String {
    let reference = reference.strip_prefix("http://localhost").unwrap_or(reference);
    if reference.starts_with('/') {
        return reference.to_string();
    }
    let path = base.split('?').next().unwrap_or_default();
    let directory = &path[..path.rfind('/').map_or(0, |at| at + 1)];
    format!("{directory}{}", reference.strip_prefix("./").unwrap_or(reference))
}

fn a_directory_without_index_is_not_listed(wire: &Wire) {
    let response = wire.get("/bare/");
    assert!(matches!(response.status, 403 | 404), "{:?}", response.line);
    assert!(!response.text().contains("inner.txt"));
}

fn what_is_missing_is_404(wire: &Wire) {
    let mut client = wire.connect();
    for path in ["/missing", "/missing/", "/sub/missing.html", "/hello.txt/", "/hello.txt/x", "/dangling", "/loop"] {
        let response = client.get(path).expect(404);
        assert!(!response.body.is_empty(), "a person sees a word");
        assert!(response.header("last-modified").is_none() && response.header("etag").is_none());
    }
    assert_eq!(client.get("/hello.txt").expect(200).text(), site::HELLO);
}

fn other_methods_are_405(wire: &Wire) {
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        let response = wire.connect().request(method, "/hello.txt", "Content-Length: 0\r\n").expect(405);
        let allow = response.expect_header("allow");
        assert!(allow.contains("GET") && allow.contains("HEAD"), "{allow}");
    }
    let unknown = wire.connect().request("BREW", "/hello.txt", "");
    assert!(matches!(unknown.status, 405 | 501), "{:?}", unknown.line);
}

/// A body that looks like a request: whoever answers it, answers what nobody asked.
fn a_body_is_never_taken_for_a_request(wire: &Wire) {
    let inner = "GET /hello.txt HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let chunk = format!("{:x}\r\n{inner}\r\n0\r\n\r\n", inner.len());
    let requests = [
        ("POST", format!("Content-Length: {}\r\n\r\n{inner}", inner.len())),
        ("GET", format!("Content-Length: {}\r\n\r\n{inner}", inner.len())),
        ("POST", format!("Transfer-Encoding: chunked\r\n\r\n{chunk}")),
        ("GET", format!("Transfer-Encoding: chunked\r\n\r\n{chunk}")),
    ];
    for (method, rest) in requests {
        let mut client = wire.connect();
        client.send(format!("{method} /digits HTTP/1.1\r\nHost: localhost\r\n{rest}"));
        client.response(method);
        client.finish();
        client.expect_end();
    }
}
