//! Byte ranges (RFC 9110, section 14): what players of video and resumed downloads live on.

use crate::{Wire, site};

everywhere! {
    a_range_is_206
    a_range_beyond_the_end_is_416
    what_is_no_range_is_ignored
    a_range_of_a_large_file
    head_has_no_range
    if_range_guards_a_resumed_download
    ranges_leave_the_connection_in_order
}

/// /digits is `0123456789`.
const RANGES: [(&str, &str, &str); 9] = [
    ("0-0", "0", "0-0"),
    ("0-1", "01", "0-1"),
    ("0-", "0123456789", "0-9"),
    ("5-7", "567", "5-7"),
    ("9-", "9", "9-9"),
    ("5-999", "56789", "5-9"),
    ("-3", "789", "7-9"),
    ("-999", "0123456789", "0-9"),
    ("0-99999999999999999999999", "0123456789", "0-9"),
];

fn a_range_is_206(wire: &Wire) {
    for (range, body, place) in RANGES {
        let response = wire.connect().request("GET", "/digits", &format!("Range: bytes={range}\r\n"));
        if range.len() > 20 && response.status == 200 {
            // A number that no machine word holds may be called no range at all; never a wrong one.
            assert_eq!(response.text(), body);
            continue;
        }
        assert_eq!(response.status, 206, "{range}");
        assert_eq!(response.text(), body, "{range}");
        assert_eq!(response.expect_header("content-range"), format!("bytes {place}/10"));
        assert_eq!(response.expect_header("content-length"), body.len().to_string());
        assert!(response.header("etag").is_some());
    }
}

fn a_range_beyond_the_end_is_416(wire: &Wire) {
    for range in ["10-", "10-20", "999-", "-0"] {
        let response = wire.connect().request("GET", "/digits", &format!("Range: bytes={range}\r\n")).expect(416);
        assert_eq!(response.expect_header("content-range"), "bytes */10", "{range}");
    }
}

fn what_is_no_range_is_ignored(wire: &Wire) {
    for range in ["bytes=5-4", "bytes=", "bytes=a-b", "bytes=-", "lines=0-1", "bytes 0-1", "bytes=0-9,0-1", "0-1"] {
        let response = wire.connect().request("GET", "/digits", &format!("Range: {range}\r\n"));
        assert_eq!(response.status, 200, "{range}");
        assert_eq!(response.text(), "0123456789", "{range}");
    }
}

fn a_range_of_a_large_file(wire: &Wire) {
    let whole = wire.site.read("large.bin");
    let ranges = [(0, 1_000_000), (1_000_001, 2_500_000), (4095, 4096), (site::LARGE - 1, site::LARGE - 1)];
    let mut client = wire.connect();
    for (first, last) in ranges {
        let response = client.request("GET", "/large.bin", &format!("Range: bytes={first}-{last}\r\n")).expect(206);
        assert!(response.body == whole[first..=last], "{first}-{last} differs");
    }
}

/// Range is defined for GET alone (RFC 9110, section 14.2).
fn head_has_no_range(wire: &Wire) {
    let response = wire.connect().request("HEAD", "/digits", "Range: bytes=0-1\r\n").expect(200);
    assert_eq!(response.expect_header("content-length"), "10");
}

fn if_range_guards_a_resumed_download(wire: &Wire) {
    let etag = wire.get("/digits").expect_header("etag").to_string();
    let ask = |validator: &str| {
        wire.connect().request("GET", "/digits", &format!("Range: bytes=5-\r\nIf-Range: {validator}\r\n")).status
    };
    assert_eq!(ask(&etag), 206, "the same file goes on");
    assert_eq!(ask("\"other\""), 200, "another file starts anew");
    assert_eq!(ask(&format!("W/{etag}")), 200, "a weak validator does not do");
    assert_eq!(ask("Sun, 06 Nov 1994 08:49:36 GMT"), 200, "another date");
}

fn ranges_leave_the_connection_in_order(wire: &Wire) {
    let mut client = wire.connect();
    for (range, body, _) in &RANGES[..8] {
        assert_eq!(client.request("GET", "/digits", &format!("Range: bytes={range}\r\n")).text(), *body);
        client.request("GET", "/digits", "Range: bytes=10-\r\n").expect(416);
        assert_eq!(client.get("/hello.txt").expect(200).text(), site::HELLO);
    }
}
