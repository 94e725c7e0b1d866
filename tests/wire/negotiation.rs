//! Content codings (RFC 9110, section 12.5.3): a sibling `name.zst`, `name.br` or `name.gz` in place of `name`, for those
//! who accept it, and never for others.

use crate::{Wire, common::client::Response};

everywhere! {
    the_sibling_that_is_wanted_most_is_sent
    what_is_not_accepted_is_not_sent
    an_old_sibling_is_none
    what_is_compressed_already_has_no_siblings
    each_coding_has_a_validator_of_its_own
    a_range_is_of_the_file_as_it_is
    a_large_sibling_comes_whole
    siblings_are_files_of_their_own_too
    one_request_leaves_nothing_for_the_next
    a_png_is_sent_for_a_gif
}

fn ask(wire: &Wire, path: &str, accept: &str) -> Response {
    wire.connect().request("GET", path, &format!("Accept-Encoding: {accept}\r\n"))
}

#[track_caller]
fn check(response: &Response, coding: Option<&str>, body: &str) {
    assert_eq!((response.status, response.header("content-encoding")), (200, coding), "{response:?}");
    assert_eq!(response.text(), body);
    assert_eq!(response.expect_header("content-length"), body.len().to_string());
}

fn the_sibling_that_is_wanted_most_is_sent(wire: &Wire) {
    for (accept, coding, ending) in [
        ("gzip, deflate, br, zstd", Some("zstd"), ".zst"),
        ("gzip, deflate, br", Some("br"), ".br"),
        ("gzip", Some("gzip"), ".gz"),
        ("GZIP;Q=0.2", Some("gzip"), ".gz"),
        ("br;q=0.5, gzip;q=0.8", Some("gzip"), ".gz"),
        ("*", Some("zstd"), ".zst"),
        ("*;q=0.5, zstd;q=0", Some("br"), ".br"),
    ] {
        let response = ask(wire, "/all.html", accept);
        check(&response, coding, &format!("this is all.html{ending}"));
        assert_eq!(response.expect_header("vary"), "Accept-Encoding", "{accept}");
        assert_eq!(response.expect_header("content-type"), "text/html; charset=utf-8", "{accept}");
    }
    // Where the one that is wanted most is missing, the next.
    let response = ask(wire, "/gz.css", "zstd, br, gzip;q=0.1");
    check(&response, Some("gzip"), "this is gz.css.gz");
    assert_eq!(response.expect_header("content-type"), "text/css; charset=utf-8");
}

fn what_is_not_accepted_is_not_sent(wire: &Wire) {
    let nothing = ["", "identity", "gzip;q=0", "gzip;q=0.000, br;q=0", "xgzipx", "deflate", "*;q=0", "gzip;q=x"];
    for accept in nothing {
        let response = ask(wire, "/all.html", accept);
        check(&response, None, "all.html as it is");
        // A cache must know that others get something else.
        assert_eq!(response.expect_header("vary"), "Accept-Encoding", "{accept}");
    }
    check(&wire.get("/all.html"), None, "all.html as it is");
    let response = ask(wire, "/hello.txt", "gzip");
    assert_eq!(response.header("vary"), None, "nothing to choose from");
    check(&response, None, crate::site::HELLO);
}

fn an_old_sibling_is_none(wire: &Wire) {
    let response = ask(wire, "/stale.js", "gzip");
    check(&response, None, "stale.js as it is");
}

fn what_is_compressed_already_has_no_siblings(wire: &Wire) {
    check(&ask(wire, "/photo.png", "gzip"), None, "photo.png as it is");
    check(&ask(wire, "/drawing.svg", "gzip"), Some("gzip"), "this is drawing.svg.gz");
}

fn each_coding_has_a_validator_of_its_own(wire: &Wire) {
    let tag = |accept| ask(wire, "/all.html", accept).expect_header("etag").to_string();
    let tags: Vec<String> = ["", "gzip", "br", "zstd"].into_iter().map(tag).collect();
    for (i, tag) in tags.iter().enumerate() {
        assert!(!tags[..i].contains(tag), "{tags:?}");
    }
    let ask = |accept, tag| {
        let fields = format!("Accept-Encoding: {accept}\r\nIf-None-Match: {tag}\r\n");
        wire.connect().request("GET", "/all.html", &fields)
    };
    let response = ask("gzip", &tags[1]).expect(304);
    assert_eq!((response.expect_header("vary"), response.expect_header("etag")), ("Accept-Encoding", tags[1].as_str()));
    assert_eq!(ask("br", &tags[1]).status, 200);
    assert_eq!(ask("", &tags[1]).status, 200);
}

fn a_range_is_of_the_file_as_it_is(wire: &Wire) {
    let fields = "Accept-Encoding: gzip\r\nRange: bytes=0-7\r\n";
    let response = wire.connect().request("GET", "/all.html", fields).expect(206);
    assert_eq!((response.header("content-encoding"), response.text().as_str()), (None, "all.html"));
    // What began with the compressed file does not go on with the other.
    let tag = ask(wire, "/all.html", "gzip").expect_header("etag").to_string();
    let response = wire.connect().request("GET", "/all.html", &format!("{fields}If-Range: {tag}\r\n"));
    check(&response, None, "all.html as it is");
}

fn a_large_sibling_comes_whole(wire: &Wire) {
    let mut client = wire.connect();
    for accept in ["br", "gzip", "br", "", "br"] {
        let response = client.request("GET", "/large.txt", &format!("Accept-Encoding: {accept}\r\n")).expect(200);
        let name = if accept == "br" { "large.txt.br" } else { "large.txt" };
        assert!(response.body == wire.site.read(name), "{accept}: {name} differs");
    }
}

fn siblings_are_files_of_their_own_too(wire: &Wire) {
    let response = ask(wire, "/all.html.gz", "gzip");
    check(&response, None, "this is all.html.gz");
    assert_eq!(response.expect_header("content-type"), "application/gzip");
}

fn one_request_leaves_nothing_for_the_next(wire: &Wire) {
    let mut client = wire.connect();
    for (accept, body) in [("gzip", ".gz"), ("", ""), ("br", ".br"), ("gzip", ".gz"), ("", ""), ("zstd", ".zst")] {
        let response = client.request("GET", "/all.html", &format!("Accept-Encoding: {accept}\r\n")).expect(200);
        let expect = if body.is_empty() { "all.html as it is".into() } else { format!("this is all.html{body}") };
        assert_eq!(response.text(), expect);
        assert_eq!(client.get("/hello.txt").expect(200).header("content-encoding"), None);
    }
}

/// fnord's, for clients that name image/png. Today's say `*/*`, which is not to change what a site looks like.
fn a_png_is_sent_for_a_gif(wire: &Wire) {
    wire.site.file("old.gif", "gif");
    wire.site.file("old.png", "png");
    wire.site.file("only.gif", "gif");
    let mut client = wire.connect();
    for (path, accept, body, kind, vary) in [
        ("/old.gif", "image/png, image/gif", "png", "image/png", Some("Accept")),
        ("/old.gif", "image/png;q=0, */*", "gif", "image/gif", None),
        ("/old.gif", "*/*", "gif", "image/gif", None),
        ("/only.gif", "image/png", "gif", "image/gif", None),
    ] {
        let response = client.request("GET", path, &format!("Accept: {accept}\r\n")).expect(200);
        assert_eq!((response.text().as_str(), response.expect_header("content-type")), (body, kind), "{path} {accept}");
        assert_eq!(response.header("vary"), vary, "{path} {accept}");
    }
    client.request("GET", "/missing.gif", "Accept: image/png\r\n").expect(404);
}
