//! A whole connection: whatever comes and in whatever pieces, every answer is one, its length is that of its bytes, the
//! log has one line for it, and nothing is said that is not to be shown.

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

static ROOT: LazyLock<PathBuf> = LazyLock::new(|| tree::make("connection"));
/// What may be the body of an answer 200 where nothing is made.
static FILES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let hosts = [b"<p>h\n".to_vec(), b"default\n".to_vec(), tree::SCRIPT.to_vec()];
    tree::files().into_iter().map(|(_, text)| text).chain(hosts).collect()
});

/// What scripts say.
const SCRIPTS: [&[&str]; 8] = [
    &["Content-Type: text/plain\n\n", "hello", " world"],
    &["Status: 404 Nothing\r\nContent-Type: a/b\r\nContent-Length: 4\r\n\r\nbody"],
    &["Location: /a?b\n\n"],
    &["Location: http://h/\n\n"],
    &["Location: /run.cgi/again\n\n"],
    &["HTTP/1.1 200 OK\r\nDate: now\r\n", "\r\nraw"],
    &["Content-Type: a/b\nContent-Length: 9\n\nshort"],
    &[],
];

// Four bytes say how the server is set and how the client speaks; the rest is what it says.
fuzz_target!(|bytes: &[u8]| -> Corpus {
    let Some((&[site, how, split, made], text)) = bytes.split_first_chunk::<4>() else { return Corpus::Reject };
    let is = |flags: u8, bit: u8| flags & 1 << bit != 0;
    let mut settings = Settings { root: ROOT.as_os_str().as_bytes(), ..Settings::default() };
    let mut set = |wanted: bool, name: &str, value: &'static [u8]| {
        if wanted {
            settings.set(name, value).expect("an option");
        }
    };
    let scripted = is(site, 0);
    set(scripted, "cgi", b"");
    set(is(site, 1), "listing", b"");
    set(is(site, 2), "vhosts", b"");
    set(is(site, 3), "clean-urls", b"");
    set(is(site, 4), "redirect-host", b"elsewhere.example");
    set(is(site, 5), "redirect-uri", b"/a");
    set(is(site, 6), "security-headers", b"");
    set(is(site, 7), "index", b"index.html index.cgi a");
    set(is(made, 6), "header", b"X-Own: field");
    set(is(made, 6), "cache-control", b"max-age=1");
    set(is(made, 7), "auth", b"users");
    set(is(how, 7), "auth-hook", b"");
    let guarded = is(made, 7) || is(how, 7);
    set(scripted, "cgi-timeout", b"1");
    let json = is(how, 0);
    set(
        true,
        "log-format",
        if json {
            b"json"
        } else if is(how, 1) {
            b"combined"
        } else {
            b"common"
        },
    );
    let makes = scripted || is(site, 1) || guarded;
    let mut plan = Plan {
        pieces: vec![text.to_vec()],
        to_file: is(how, 2),
        poll: is(how, 3),
        draining: is(how, 4),
        cache: is(how, 5),
        lean: is(how, 6) && !makes,
        says: SCRIPTS[usize::from(made & 7)].iter().map(|piece| piece.as_bytes().to_vec()).collect(),
        status: i32::from(is(made, 4)) + if is(made, 5) { 138 } else { 0 },
        reads: is(made, 3),
    };
    let told = session::serve(&settings, &plan);
    check(text, &plan, &told, json, makes, scripted);
    if guarded && plan.status != 0 {
        // Who may not is told nothing, not even by a validator.
        let lines = answers::log(&told.log, json);
        assert!(lines.iter().all(|line| !matches!(line.status, 200 | 206 | 304)), "{lines:?}");
    }
    if split > 0 && !scripted {
        // The same in pieces says the same.
        (plan.pieces, plan.poll) = (pieces(text, split), true);
        let again = session::serve(&settings, &plan);
        // What stands between the parts of a multipart answer is made from the time.
        let is_timed = told.answer.windows(10).any(|part| part == b"byteranges");
        if !is_timed {
            assert_eq!(String::from_utf8_lossy(&told.answer), String::from_utf8_lossy(&again.answer));
        }
        assert_eq!(told.answer.len(), again.answer.len());
        assert_eq!(told.outcome, again.outcome);
    } else if split > 0 {
        (plan.pieces, plan.poll) = (pieces(text, split), true);
        let again = session::serve(&settings, &plan);
        check(text, &plan, &again, json, makes, scripted);
    }
    Corpus::Keep
});

fn check(text: &[u8], plan: &Plan, told: &session::Told, json: bool, makes: bool, scripted: bool) {
    let lines = answers::log(&told.log, json);
    // A head has an empty line at its end; what comes behind the last may be refused as well.
    let ends = text.windows(2).filter(|pair| *pair == b"\n\n").count()
        + text.windows(3).filter(|three| *three == b"\n\r\n").count();
    assert!(lines.len() <= ends + 1, "{} answers to {ends} heads", lines.len());
    assert!(!told.answer.windows(tree::SECRET.len()).any(|part| part == tree::SECRET));
    assert!(!scripted || !told.answer.windows(tree::SCRIPT.len()).any(|part| part == tree::SCRIPT));
    // What a script writes itself, or cuts short, is its own.
    let raw = makes && text.windows(4).any(|part| part == b"nph-");
    if raw || (makes && text.windows(2).any(|part| part == b"%6" || part == b"%2" || part == b"%7")) {
        return;
    }
    let answers = answers::parse(&told.answer, &lines);
    let last = answers.len().saturating_sub(1);
    for (at, (answer, line)) in answers.iter().zip(&lines).enumerate() {
        assert!(at == last || (answer.whole && !answer.until_close), "more behind an answer without an end");
        assert!(at == last || answer.header("connection") != Some(b"close"), "more behind the last answer");
        assert!(answer.whole || makes, "cut short: {answer:?}");
        assert_eq!(answer.body.len(), line.bytes, "{answer:?}");
        assert!(!(plan.draining && at > 0), "a process that is wanted back goes on");
        if !makes && answer.status == 200 {
            assert!(line.method == "HEAD" || FILES.contains(&answer.body), "no file: {answer:?}");
        }
        if answer.status == 206 && answer.header("content-range").is_some() && line.method == "GET" {
            assert!(makes || FILES.iter().any(|file| contains(file, &answer.body)), "no part of a file: {answer:?}");
        }
        if let Some(location) = answer.header("location") {
            assert!(!location.starts_with(b"//") || location.starts_with(b"//example.org/"), "{answer:?}");
        }
    }
}

fn contains(file: &[u8], part: &[u8]) -> bool {
    part.is_empty() || file.windows(part.len()).any(|window| window == part)
}

/// Splits what is said: the seed says where.
fn pieces(text: &[u8], seed: u8) -> Vec<Vec<u8>> {
    let (mut rest, mut state, mut pieces) = (text, u32::from(seed), Vec::new());
    while !rest.is_empty() && pieces.len() < 64 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let most = if seed & 1 == 0 { 8 } else { 120 };
        let (piece, more) = rest.split_at((1 + (state >> 16) as usize % most).min(rest.len()));
        (pieces, rest) = ([pieces, vec![piece.to_vec()]].concat(), more);
    }
    pieces.push(rest.to_vec());
    pieces.retain(|piece| !piece.is_empty());
    pieces
}
