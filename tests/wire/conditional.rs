//! Preconditions (RFC 9110, section 13): a client that has the file is told so, and no other is.

use crate::{Wire, common::wait_until, site};

everywhere! {
    the_same_etag_is_304
    another_etag_is_200
    the_same_date_is_304_in_each_form
    an_older_or_unreadable_date_is_200
    an_etag_decides_over_a_date
    a_changed_file_is_200
    a_304_is_followed_by_the_next_response
}

fn etag(wire: &Wire) -> String {
    wire.get("/hello.txt").expect(200).expect_header("etag").to_string()
}

fn the_same_etag_is_304(wire: &Wire) {
    let etag = etag(wire);
    let weak = format!("W/{etag}");
    for value in [etag.clone(), weak, format!("\"other\", {etag}"), format!("\"a,b\",{etag} , \"c\""), "*".into()] {
        let response = wire.connect().request("GET", "/hello.txt", &format!("If-None-Match: {value}\r\n")).expect(304);
        assert_eq!(response.expect_header("etag"), etag);
        assert!(response.header("date").is_some());
        // A length here would be the file's, and a careless proxy would wait for it.
        assert!(response.header("content-length").is_none_or(|length| length == "13"));
    }
    let head = wire.connect().request("HEAD", "/hello.txt", &format!("If-None-Match: {etag}\r\n"));
    head.expect(304);
}

fn another_etag_is_200(wire: &Wire) {
    let etag = etag(wire);
    let unquoted = etag.trim_matches('"').to_string();
    for value in ["\"other\"".into(), "\"\"".into(), unquoted, format!("\"x{}", &etag[1..])] {
        let response = wire.connect().request("GET", "/hello.txt", &format!("If-None-Match: {value}\r\n"));
        assert_eq!(response.expect(200).text(), site::HELLO, "{value}");
    }
}

fn the_same_date_is_304_in_each_form(wire: &Wire) {
    let forms = [site::MODIFIED, "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"];
    for date in forms.into_iter().chain(["Mon, 07 Nov 1994 08:49:37 GMT"]) {
        let response = wire.connect().request("GET", "/hello.txt", &format!("If-Modified-Since: {date}\r\n"));
        assert_eq!(response.status, 304, "{date}");
    }
}

fn an_older_or_unreadable_date_is_200(wire: &Wire) {
    for date in ["Sun, 06 Nov 1994 08:49:36 GMT", "yesterday", "", "Sun, 99 Nov 1994 08:49:37 GMT", "0"] {
        let response = wire.connect().request("GET", "/hello.txt", &format!("If-Modified-Since: {date}\r\n"));
        assert_eq!(response.expect(200).text(), site::HELLO, "{date}");
    }
}

fn an_etag_decides_over_a_date(wire: &Wire) {
    let date = format!("If-Modified-Since: {}\r\n", site::MODIFIED);
    let response = wire.connect().request("GET", "/hello.txt", &format!("If-None-Match: \"other\"\r\n{date}"));
    response.expect(200);
    let old = "If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT\r\n";
    let response = wire.connect().request("GET", "/hello.txt", &format!("If-None-Match: {}\r\n{old}", etag(wire)));
    response.expect(304);
}

fn a_changed_file_is_200(wire: &Wire) {
    let old = etag(wire);
    // The same date, as deployments from a build that fixes dates have it; the size tells.
    wire.site.file("hello.txt", "changed");
    // A child that is reused may trust what it has cached for a moment, and no longer.
    let mut client = wire.connect();
    let mut seen = None;
    wait_until("the change is seen", || {
        let response = client.request("GET", "/hello.txt", &format!("If-None-Match: {old}\r\n"));
        seen = Some(response).filter(|response| response.status == 200);
        seen.is_some()
    });
    let response = seen.expect("a response");
    assert_eq!(response.text(), "changed");
    assert_ne!(response.expect_header("etag"), old);
}

fn a_304_is_followed_by_the_next_response(wire: &Wire) {
    let etag = etag(wire);
    let mut client = wire.connect();
    for _ in 0..3 {
        client.request("GET", "/hello.txt", &format!("If-None-Match: {etag}\r\n")).expect(304);
        assert_eq!(client.get("/hello.txt").expect(200).text(), site::HELLO);
    }
}
