//! Virtual hosts as directories, as fnord has them: `HOST:PORT`, `HOST`, `default`; and hosts that live elsewhere.

use crate::{Wire, common::client::Response, site::Site};

everywhere! {
    options: super::vhosts;
    a_host_has_its_directory
    an_unknown_host_has_the_default
    the_port_may_choose
    no_name_leads_out
    hosts_do_not_see_each_other
    a_host_that_moved_is_redirected
    errors_are_of_the_host
}

fn vhosts(_: &Site) -> Vec<String> {
    vec!["--vhosts".into()]
}

fn ask(wire: &Wire, host: &str, path: &str) -> Response {
    let mut client = wire.connect();
    client.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    client.response("GET")
}

fn a_host_has_its_directory(wire: &Wire) {
    for (host, name) in [
        ("one.example", "one.example"),
        ("ONE.Example", "one.example"),
        ("one.example.", "one.example"),
        ("one.example:1234", "one.example"),
        ("[::1]:80", "[::1]"),
    ] {
        assert_eq!(ask(wire, host, "/").expect(200).text(), format!("this is {name}"), "{host}");
    }
    assert_eq!(ask(wire, "one.example", "/own.txt").expect(200).text(), "own");
    assert_eq!(ask(wire, "one.example", "/sub").expect(301).expect_header("location"), "./sub/");
    // The target's host comes before the field's (RFC 9112, section 3.2.2).
    assert_eq!(ask(wire, "two.example", "http://one.example/own.txt").expect(200).text(), "own");
    // One connection, several hosts.
    let mut client = wire.connect();
    for name in ["one.example", "two.example", "one.example", "default"] {
        client.send(format!("GET / HTTP/1.1\r\nHost: {name}\r\n\r\n"));
        assert_eq!(client.response("GET").expect(200).text(), format!("this is {name}"));
    }
}

fn an_unknown_host_has_the_default(wire: &Wire) {
    for host in ["three.example", "", ":80", "localhost", "broken.example"] {
        assert_eq!(ask(wire, host, "/").expect(200).text(), "this is default", "{host}");
    }
    let mut client = wire.connect();
    client.send("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(client.response("GET").expect(200).text(), "this is default");
}

fn the_port_may_choose(wire: &Wire) {
    assert_eq!(ask(wire, "two.example:81", "/").expect(200).text(), "this is two.example:81");
    assert_eq!(ask(wire, "two.example:82", "/").expect(200).text(), "this is two.example");
    // Where the client names no port, it is the one that it came to.
    let own = format!("two.example:{}", wire.server.address().port());
    wire.site.file(&format!("{own}/index.html"), "this is the port");
    assert_eq!(ask(wire, "two.example", "/").expect(200).text(), "this is the port");
}

fn no_name_leads_out(wire: &Wire) {
    for host in [".", "..", "..:80", ".git", ".%2e", "outside", "directory", "%2e%2e", "..."] {
        assert_eq!(ask(wire, host, "/").expect(200).text(), "this is default", "{host}");
        let response = ask(wire, host, "/secret.txt").expect(404);
        assert!(!response.text().contains(crate::site::SECRET), "{host}");
    }
    // A file is no host.
    assert_eq!(ask(wire, "hello.txt", "/").expect(200).text(), "this is default");
}

fn hosts_do_not_see_each_other(wire: &Wire) {
    for path in ["/../two.example/index.html", "/sideways", "/%2e%2e/two.example/"] {
        ask(wire, "one.example", path).expect(404);
    }
}

fn a_host_that_moved_is_redirected(wire: &Wire) {
    for (host, target, location) in [
        ("old.example", "/", "http://new.example/"),
        ("old.example:80", "/a/b?c=d", "http://new.example/a/b?c=d"),
        ("older.example", "/a", "http://new.example/archive/a"),
        ("moved.example", "/a?b", "https://new.example/moved"),
        ("old.example", "//evil.example/x", "http://new.example//evil.example/x"),
    ] {
        let response = ask(wire, host, target).expect(301);
        assert_eq!(response.expect_header("location"), location, "{host}{target}");
        assert!(response.keeps_alive());
    }
}

fn errors_are_of_the_host(wire: &Wire) {
    let response = ask(wire, "one.example", "/missing").expect(404);
    assert_eq!(response.text(), "<p>one.example has no such page");
    assert!(ask(wire, "two.example", "/missing").expect(404).text().contains("404 Not Found"));
}
