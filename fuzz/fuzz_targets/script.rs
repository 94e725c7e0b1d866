//! What a script says, and how it is told on: whatever that is, the client gets one answer with an end, no line of the
//! script's becomes a field that says where the answer ends, and the next request of the connection has its own answer.

#![no_main]

#[path = "../src/answers.rs"]
mod answers;
#[path = "../src/session.rs"]
mod session;
#[path = "../src/tree.rs"]
mod tree;

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::LazyLock;

use handlers::Settings;
use libfuzzer_sys::{Corpus, fuzz_target};
use session::Plan;

static ROOT: LazyLock<PathBuf> = LazyLock::new(|| tree::make("script"));

/// How the script is asked.
const REQUESTS: [(&str, &str); 8] = [
    ("GET", "GET /run.cgi HTTP/1.1\r\nHost: h\r\n\r\n"),
    ("HEAD", "HEAD /run.cgi/x?y HTTP/1.1\r\nHost: h\r\n\r\n"),
    ("GET", "GET /run.cgi HTTP/1.0\r\n\r\n"),
    ("GET", "GET /run.cgi HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
    ("POST", "POST /run.cgi HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"),
    ("POST", "POST /run.cgi HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
    ("GET", "GET /scripts/ HTTP/1.1\r\nHost: h\r\n\r\n"),
    ("POST", "POST /run.cgi HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello"),
];
const NEXT: &str = "GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";

// Two bytes say how it is asked and in what pieces it speaks; the rest is what it says.
fuzz_target!(|bytes: &[u8]| -> Corpus {
    let Some((&[how, split], says)) = bytes.split_first_chunk::<2>() else { return Corpus::Reject };
    if says.len() > 60_000 {
        return Corpus::Reject;
    }
    let mut settings = Settings { root: ROOT.as_os_str().as_bytes(), ..Settings::default() };
    settings.set("cgi", b"").expect("an option");
    let (method, request) = REQUESTS[usize::from(how & 7)];
    let killed = how & 0xc0 == 0xc0;
    let size = if split == 0 { says.len() } else { 1 + usize::from(split) * usize::from(split) / 16 };
    let plan = Plan {
        pieces: vec![[request, NEXT].concat().into_bytes()],
        to_file: how & 8 != 0,
        poll: how & 16 != 0,
        says: says.chunks(size.max(1)).map(<[u8]>::to_vec).collect(),
        status: if killed { 139 } else { 0 },
        reads: how & 32 != 0,
        ..Plan::default()
    };
    let told = session::serve(&settings, &plan);
    assert!(told.started >= 1 && told.started <= 9);
    if plan.reads && method == "POST" && told.started == 1 && !told.read.is_empty() {
        assert!(b"hello".starts_with(&told.read[..]), "{:?}", told.read);
    }
    let lines = answers::log(&told.log, false);
    assert!((1..=2).contains(&lines.len()));
    // A script's answer until the end of the connection is what it says, and may look like anything.
    let answers = answers::parse(&told.answer, &lines);
    let first = &answers[0];
    assert!((200..600).contains(&first.status));
    assert!(first.body.len() <= lines[0].bytes.max(first.body.len()));
    if answers.len() == 2 {
        let next = &answers[1];
        assert!(first.whole && !first.until_close, "more behind an answer without an end");
        assert_eq!((next.status, &next.body[..]), (200, &b"a\n"[..]), "the next request's answer is another's");
    } else if !killed && first.whole {
        assert!(
            first.header("connection").is_some_and(|value| value == b"close"),
            "kept, and not gone on with: {first:?}"
        );
    }
    let may_be_elsewhere = says.windows(9).any(|part| part.eq_ignore_ascii_case(b"location:"));
    if killed && first.status < 500 && !first.until_close && method != "HEAD" && !may_be_elsewhere {
        assert_eq!(answers.len(), 1, "a script that was killed gave no whole answer");
    }
    // The body is what stands behind the head, as far as it goes.
    if first.status != 502 && !may_be_elsewhere && method != "HEAD" && told.started == 1 {
        assert!(
            says.ends_with(&first.body)
                || says.windows(first.body.len().max(1)).any(|part| part == first.body)
                || first.body.is_empty()
                || first.status >= 500,
            "the body is not the script's"
        );
    }
    Corpus::Keep
});
