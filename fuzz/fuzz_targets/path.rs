//! Any bytes as a target: nothing outside the root is ever an answer, nor what is hidden in it.
#![no_main]

mod house;

libfuzzer_sys::fuzz_target!(|target: &[u8]| {
    let request =
        [b"GET /", target, b" HTTP/1.1\r\nHost: h\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n"].concat();
    house::check(&house::answer(&request, b"Status: 200 OK\n\nx"), target);
});
