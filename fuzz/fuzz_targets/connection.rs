//! Any bytes as a whole connection: heads, bodies, requests one behind another.
#![no_main]

mod house;

libfuzzer_sys::fuzz_target!(|sent: &[u8]| {
    house::check(&house::answer(sent, b"Content-Type: text/plain\n\nfrom a script"), sent);
});
