//! What is not here: links that are redirects, as fnord has them, and a page of one's own.

use crate::{Wire, common::wait_until};

everywhere! {
    a_link_to_a_url_is_a_redirect
    a_link_that_leads_out_tells_nothing
    a_page_of_ones_own_says_404
    a_head_of_it_has_no_body
}

fn a_link_to_a_url_is_a_redirect(wire: &Wire) {
    let mut client = wire.connect();
    for (target, location) in [
        ("/gone", "http://new.example/gone"),
        ("/gone?a=b", "http://new.example/gone?a=b"),
        ("/there", "/sub/"),
        ("/there?a=b", "/sub/"),
        ("/odd", "https://new.example/a%20b%22%3c%3e"),
        ("/sub/gone", "https://new.example/deep?x=y"),
    ] {
        let response = client.get(target).expect(301);
        assert_eq!(response.expect_header("location"), location, "{target}");
        assert!(response.text().contains("301"));
    }
    // A link to nowhere is no redirect, nor is one to a file that is there.
    client.get("/dangling").expect(404);
    client.get("/gone/x").expect(404);
    client.get("/inside").expect(200);
    let response = client.request("POST", "/gone", "Content-Length: 0\r\n");
    assert_eq!(response.status, 301);
}

/// What is written in a link outside the root is nobody's business.
fn a_link_that_leads_out_tells_nothing(wire: &Wire) {
    for target in ["/outside-link", "/outside-directory/url", "/absolute", "/outside"] {
        let response = wire.get(target).expect(404);
        assert_eq!(response.header("location"), None, "{target}");
    }
}

const PAGE: &str = "<!doctype html><p>Nothing of that name";

fn a_page_of_ones_own_says_404(wire: &Wire) {
    wire.site.file("404.html", PAGE);
    let mut client = wire.connect();
    for target in ["/missing", "/sub/missing/", "/bare/", "/.git/config", "/../x"] {
        let response = client.get(target).expect(404);
        assert_eq!(response.text(), PAGE, "{target}");
        assert_eq!(response.expect_header("content-type"), "text/html; charset=utf-8");
        let conditional = |name| response.header(name).is_some();
        assert!(!conditional("etag") && !conditional("last-modified") && !conditional("accept-ranges"), "{response:?}");
    }
    // By its own name it is a file like others; malformed requests have the plain page.
    assert_eq!(client.get("/404.html").expect(200).text(), PAGE);
    assert!(client.get("/%zz").expect(400).text().contains("400 Bad Request"));
    wire.site.file("404.html", vec![b'x'; 300_000]);
    wait_until("the change is seen", || client.get("/missing").expect(404).body.len() == 300_000);
    std::fs::remove_file(wire.site.root().join("404.html")).expect("remove it");
    assert!(client.get("/missing").expect(404).text().contains("404 Not Found"));
}

fn a_head_of_it_has_no_body(wire: &Wire) {
    wire.site.file("404.html", PAGE);
    let mut client = wire.connect();
    let response = client.request("HEAD", "/missing", "").expect(404);
    assert_eq!(response.expect_header("content-length"), PAGE.len().to_string());
    client.get("/hello.txt").expect(200);
}

/// `--redirect-host` and `--redirect-uri`: fnord's `$REDIRECT_HOST` and `$REDIRECT_URI`.
mod host {
    use crate::{Wire, site::Site};

    everywhere! {
        options: super::options;
        what_is_not_here_is_at_the_other_host
    }

    fn options(_: &Site) -> Vec<String> {
        vec!["--redirect-host=other.example:81".into()]
    }

    fn what_is_not_here_is_at_the_other_host(wire: &Wire) {
        let mut client = wire.connect();
        for (target, location) in [
            ("/missing", "http://other.example:81/missing"),
            ("/a/b/?c=d", "http://other.example:81/a/b/?c=d"),
            ("//evil.example/", "http://other.example:81//evil.example/"),
            ("/gone", "http://new.example/gone"),
        ] {
            assert_eq!(client.get(target).expect(301).expect_header("location"), location, "{target}");
        }
        client.get("/hello.txt").expect(200);
    }
}

mod uri {
    use crate::{Wire, site::Site};

    everywhere! {
        options: super::options;
        what_is_not_here_is_at_the_other_path
    }

    fn options(_: &Site) -> Vec<String> {
        vec!["--redirect-uri=/missing.html".into()]
    }

    fn what_is_not_here_is_at_the_other_path(wire: &Wire) {
        let mut client = wire.connect();
        for target in ["/missing", "/a/b/?c=d"] {
            assert_eq!(client.get(target).expect(301).expect_header("location"), "/missing.html", "{target}");
        }
        // And when that is missing too, it is missing.
        client.get("/missing.html").expect(404);
        client.get("/hello.txt").expect(200);
    }
}
