//! Fields of one's own, Cache-Control and what browsers are to refuse.

use crate::{Wire, common::Launcher, site::Site};

everywhere! {
    options: super::options;
    each_response_has_the_fields
    files_alone_may_be_cached
    long_fields_and_long_heads_fit
}

fn options(_: &Site) -> Vec<String> {
    // openbsd-inetd splits its lines at blanks, and nothing quotes them.
    let mut options: Vec<String> =
        ["--header=X-One:1", "--header", "X-Two:2", "--security-headers"].map(String::from).into();
    options.extend([format!("--header=X-Long:{}", "l".repeat(500)), "--cache-control=max-age=60,immutable".into()]);
    options
}

fn each_response_has_the_fields(wire: &Wire) {
    let etag = wire.get("/hello.txt").expect_header("etag").to_string();
    let condition = format!("If-None-Match: {etag}\r\n");
    for (method, path, fields, status) in [
        ("GET", "/hello.txt", "", 200),
        ("HEAD", "/hello.txt", "", 200),
        ("GET", "/large.bin", "", 200),
        ("GET", "/digits", "Range: bytes=0-1\r\n", 206),
        ("GET", "/digits", "Range: bytes=0-1,3-4\r\n", 206),
        ("GET", "/hello.txt", condition.as_str(), 304),
        ("GET", "/sub", "", 301),
        ("GET", "/missing", "", 404),
        ("GET", "/digits", "Range: bytes=99-\r\n", 416),
        ("GET", "/digits", "If-Match: \"x\"\r\n", 412),
        ("OPTIONS", "/", "", 204),
        ("DELETE", "/", "", 405),
    ] {
        let response = wire.connect().request(method, path, fields).expect(status);
        let own = (response.header("x-one"), response.header("x-two"));
        assert_eq!(own, (Some("1"), Some("2")), "{method} {path}: {response:?}");
        assert_eq!(response.expect_header("x-content-type-options"), "nosniff", "{method} {path}");
        assert_eq!(response.expect_header("x-frame-options"), "SAMEORIGIN", "{method} {path}");
        assert!(response.header("referrer-policy").is_some(), "{method} {path}");
    }
    let mut client = wire.connect();
    client.send("nonsense\r\n\r\n");
    assert_eq!(client.response("GET").expect(400).expect_header("x-frame-options"), "SAMEORIGIN");
}

fn files_alone_may_be_cached(wire: &Wire) {
    let mut client = wire.connect();
    for (path, fields, cached) in [
        ("/hello.txt", "", true),
        ("/digits", "Range: bytes=0-1\r\n", true),
        ("/hello.txt", "If-None-Match: *\r\n", true),
        ("/missing", "", false),
        ("/sub", "", false),
    ] {
        let response = client.request("GET", path, fields);
        let expect = cached.then_some("max-age=60,immutable");
        assert_eq!(response.header("cache-control"), expect, "{path} {fields}");
    }
}

fn long_fields_and_long_heads_fit(wire: &Wire) {
    let path = format!("/sub?{}", "q".repeat(3_000));
    let response = wire.connect().get(&path).expect(301);
    assert_eq!(response.expect_header("location"), format!("./sub/?{}", "q".repeat(3_000)));
    assert_eq!(response.expect_header("x-long").len(), 500);
}

/// Without options there are none of these.
#[test]
fn nothing_is_added_unasked() {
    crate::run(Launcher::ALL[0], crate::no_options, |wire| {
        let response = wire.get("/hello.txt");
        let names: Vec<&str> = response.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["date", "last-modified", "etag", "accept-ranges", "content-type", "content-length"]);
    });
}
