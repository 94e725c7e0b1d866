//! Any bytes as the output of a script: what the client gets is one answer, and its framing holds.
#![no_main]

mod house;

libfuzzer_sys::fuzz_target!(|says: &[u8]| {
    let ask = |name: &str| {
        format!("GET /{name} HTTP/1.1\r\nHost: h\r\n\r\nGET /a.txt HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    };
    let answer = house::answer(ask("run.cgi").as_bytes(), says);
    house::check(&answer, says);
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("the end of a head");
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    for line in head.split("\r\n").skip(1) {
        assert!(line.contains(": ") && !line.contains(['\r', '\n', '\0']), "{line:?}");
    }
    let count = |name: &str| head.lines().filter(|line| line.starts_with(name)).count();
    assert!(count("content-length:") + count("transfer-encoding:") <= 1, "{head}");
    assert_eq!((count("date:"), count("connection:") <= 1), (1, true), "{head}");
    // What follows a chunked answer that was kept is the answer to the second request.
    if count("transfer-encoding:") == 1 && count("connection:") == 0 {
        assert!(
            answer.ends_with(b"0123456789") || !head.starts_with("http/1.1 2"),
            "{}",
            String::from_utf8_lossy(&answer)
        );
    }
    let raw = house::answer(ask("nph-run.cgi").as_bytes(), says);
    assert!(raw.starts_with(b"HTTP/1."), "{}", String::from_utf8_lossy(&raw));
});
