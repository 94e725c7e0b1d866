//! Several requests on one connection: kept, ordered, split, half-closed.

use std::thread;

use crate::{Wire, site};

everywhere! {
    a_connection_is_kept
    close_is_obeyed
    http_1_0_closes
    http_1_0_keeps_when_asked
    pipelined_requests_are_answered_in_order
    requests_may_come_byte_by_byte
    a_half_closed_connection_is_answered
    an_empty_line_before_a_request_is_skipped
    a_connection_without_a_request_just_ends
    an_unfinished_request_is_not_served
    connections_are_served_beside_each_other
    nothing_but_responses_reaches_the_client
}

fn a_connection_is_kept(wire: &Wire) {
    let mut client = wire.connect();
    for _ in 0..100 {
        let response = client.get("/hello.txt").expect(200);
        assert!(response.keeps_alive());
        assert_eq!(response.text(), site::HELLO);
    }
}

fn close_is_obeyed(wire: &Wire) {
    for value in ["close", "Close", "foo, close"] {
        let mut client = wire.connect();
        let response = client.request("GET", "/hello.txt", &format!("Connection: {value}\r\n")).expect(200);
        assert!(!response.keeps_alive(), "the answer says that the connection ends");
        client.expect_end();
    }
}

fn http_1_0_closes(wire: &Wire) {
    let mut client = wire.connect();
    client.send("GET /hello.txt HTTP/1.0\r\n\r\n");
    assert_eq!(client.response("GET").expect(200).text(), site::HELLO);
    client.expect_end();
}

fn http_1_0_keeps_when_asked(wire: &Wire) {
    let mut client = wire.connect();
    for _ in 0..3 {
        client.send("GET /hello.txt HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n");
        let response = client.response("GET").expect(200);
        let connection = response.expect_header("connection").to_ascii_lowercase();
        assert_eq!(connection, "keep-alive", "a client of HTTP/1.0 must be told");
    }
}

fn pipelined_requests_are_answered_in_order(wire: &Wire) {
    let names = ["hello.txt", "large.bin", "digits", "medium.bin", "missing", "empty.txt", "large.bin", "hello.txt"];
    let mut client = wire.connect();
    let request = |name: &&str| format!("GET /{name} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    client.send(names.iter().cycle().take(40).map(request).collect::<String>());
    for name in names.iter().cycle().take(40) {
        let response = client.response("GET");
        if *name == "missing" {
            response.expect(404);
        } else {
            assert!(response.expect(200).body == wire.site.read(name), "{name} differs");
        }
    }
}

fn requests_may_come_byte_by_byte(wire: &Wire) {
    let mut client = wire.connect();
    let requests = "GET /hello.txt HTTP/1.1\r\nHost: localhost\r\n\r\nHEAD /digits HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for byte in requests.bytes() {
        client.send([byte]);
        // Lets the server read the byte alone, on most machines most of the time; no expectation depends on it.
        thread::yield_now();
    }
    assert_eq!(client.response("GET").expect(200).text(), site::HELLO);
    assert_eq!(client.response("HEAD").expect(200).expect_header("content-length"), "10");
}

fn a_half_closed_connection_is_answered(wire: &Wire) {
    let mut client = wire.connect();
    let request = |name: &str| format!("GET /{name} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    client.send([request("large.bin"), request("hello.txt"), request("large.bin")].concat());
    client.finish();
    for name in ["large.bin", "hello.txt", "large.bin"] {
        assert!(client.response("GET").expect(200).body == wire.site.read(name), "{name} differs");
    }
    client.expect_end();
}

/// RFC 9112, section 2.2.
fn an_empty_line_before_a_request_is_skipped(wire: &Wire) {
    let mut client = wire.connect();
    client.send("\r\nGET /hello.txt HTTP/1.1\r\nHost: localhost\r\n\r\n");
    client.response("GET").expect(200);
    client.send("\r\nGET /hello.txt HTTP/1.1\r\nHost: localhost\r\n\r\n");
    client.response("GET").expect(200);
}

fn a_connection_without_a_request_just_ends(wire: &Wire) {
    let mut client = wire.connect();
    client.finish();
    client.expect_end();
    wire.get("/hello.txt").expect(200);
}

fn an_unfinished_request_is_not_served(wire: &Wire) {
    let mut client = wire.connect();
    client.send("GET /hello.txt HTTP/1.1\r\nHost: localhost\r\n");
    client.finish();
    let rest = String::from_utf8_lossy(&client.rest().unwrap_or_default()).into_owned();
    assert!(rest.is_empty() || rest.starts_with("HTTP/1.1 400"), "{rest}");
}

fn connections_are_served_beside_each_other(wire: &Wire) {
    let mut clients: Vec<_> = (0..8).map(|_| wire.connect()).collect();
    for round in 0..3 {
        for client in clients.iter_mut().rev() {
            assert_eq!(client.get("/hello.txt").expect(200).text(), site::HELLO, "round {round}");
        }
    }
}

/// inetd hands the connection out as standard error too: a log line there would be a part of the next response.
fn nothing_but_responses_reaches_the_client(wire: &Wire) {
    let mut client = wire.connect();
    for path in ["/hello.txt", "/missing", "/sub"] {
        client.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    }
    client.send("GET /digits HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    for status in [200, 404, 301, 200] {
        client.response("GET").expect(status);
    }
    client.expect_end();
    let mut client = wire.connect();
    client.send("nonsense\r\n\r\n");
    client.response("GET").expect(400);
    client.expect_end();
}
