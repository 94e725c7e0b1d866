//! Chromium without a screen: a film is wound forward by ranges, a WebAssembly module runs, a list is looked at.

use std::{fs, process::Command};

use crate::{Scratch, Server, client, common::server, lines, noise, serve, succeed};

/// A page that says what became of it by asking for a file of that name.
const FILM: &str = r#"<!doctype html><title>a film</title><video id=film muted preload=metadata src=tone.wav></video><script>
const film = document.getElementById("film"), tell = what => fetch("told-" + what);
film.onerror = () => tell("error-" + film.error.code);
film.onloadedmetadata = () => { film.currentTime = 0.9 * film.duration };
film.onseeked = () => tell("at-" + Math.round(film.currentTime) + "-of-" + Math.round(film.duration));
</script>"#;

/// Compiled while it comes, which browsers do for `application/wasm` alone.
const SUM: &str = r#"<!doctype html><title>waiting</title><script type=module>
const {instance} = await WebAssembly.instantiateStreaming(fetch("add.wasm"));
document.title = "the sum is " + instance.exports.add(40, 2);
</script>"#;

/// A module that exports `add`.
const ADD: &[u8] = b"\0asm\x01\0\0\0\x01\x07\x01\x60\x02\x7f\x7f\x01\x7f\x03\x02\x01\0\x07\x07\x01\x03add\0\0\
\x0a\x09\x01\x07\0\x20\0\x20\x01\x6a\x0b";

/// Chromium with a profile of its own.
#[track_caller]
fn chromium(place: &Scratch) -> Option<Command> {
    let mut chromium = client("chromium")?;
    // Its own sandbox needs what containers do not give, and shared memory more room than they have.
    chromium.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]);
    chromium.args(["--disable-background-networking", "--no-proxy-server"]);
    chromium.env("HOME", place.path()).env_remove("DBUS_SESSION_BUS_ADDRESS");
    chromium.arg(format!("--user-data-dir={}", place.join("profile").display()));
    Some(chromium)
}

/// Sound of a thousand seconds, in the one format that takes no tool to make: 8,000 samples of a byte a second.
fn tone() -> Vec<u8> {
    let samples = 8_000_000_u32;
    let mut file = Vec::new();
    file.extend_from_slice(b"RIFF");
    file.extend_from_slice(&(36 + samples).to_le_bytes());
    file.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0data");
    file.extend_from_slice(&samples.to_le_bytes());
    file.resize(44 + samples as usize, 0x80);
    file
}

#[test]
fn a_film_is_wound_forward() {
    let (site, place) = (Scratch::new(), Scratch::new());
    site.file("film.html", FILM);
    site.file("tone.wav", tone());
    let server = serve(&[], site.path());
    let Some(mut chromium) = chromium(&place) else { return };
    chromium.args(["--remote-debugging-port=0"]).arg(format!("http://{}/film.html", server.address()));
    let browser = Server::spawn(chromium);
    server.await_log(&["GET /told-"]);
    assert_eq!(lines(&server, &["GET /told-at-900-of-1000 "]), 1, "{}", server.log());
    // It asked for the beginning, which it let go, and for where it was wound to.
    let parts = || lines(&server, &["\"GET /tone.wav HTTP/1.1\" 206 "]);
    crate::common::wait_until("both parts are in the log", || parts() >= 2);
    assert_eq!(lines(&server, &["\"GET /tone.wav HTTP/1.1\" 200 "]), 0, "{}", server.log());
    end(browser);
}

#[test]
fn a_module_runs() {
    let (site, place) = (Scratch::new(), Scratch::new());
    site.file("sum.html", SUM);
    site.file("add.wasm", ADD);
    let server = serve(&[], site.path());
    let Some(mut chromium) = chromium(&place) else { return };
    chromium.args(["--virtual-time-budget=5000", "--dump-dom"]);
    let page = succeed(chromium.arg(format!("http://{}/sum.html", server.address())));
    assert!(page.contains("<title>the sum is 42</title>"), "{page}");
}

/// A list is drawn: the picture is not that of an empty page.
#[test]
fn a_list_is_looked_at() {
    let (site, place) = (Scratch::new(), Scratch::new());
    for name in ["a page.html", "picture.png", "sub/x", "<script>document.title='broken'</script>"] {
        site.file(&name.replace("</", "<|"), noise(2_000));
    }
    let server = serve(&["--listing"], site.path());
    let Some(mut chromium) = chromium(&place) else { return };
    let picture = |name: &str, path: &str, chromium: &mut Command| {
        let picture = place.join(name);
        chromium.arg("--window-size=400,500").arg(format!("--screenshot={}", picture.display()));
        succeed(chromium.arg(format!("http://{}{path}", server.address())));
        fs::read(picture).expect("a picture")
    };
    let list = picture("list.png", "/", &mut chromium);
    assert!(list.starts_with(b"\x89PNG"), "no picture");
    let Some(mut chromium) = self::chromium(&place) else { return };
    let missing = picture("missing.png", "/nowhere", &mut chromium);
    assert!(list.len() > missing.len() && list.len() > 5_000, "{} and {} bytes", list.len(), missing.len());
    let Some(mut chromium) = self::chromium(&place) else { return };
    let page = succeed(chromium.arg("--dump-dom").arg(format!("http://{}/", server.address())));
    assert!(page.contains("a%20page.html") && !page.contains("<title>broken"), "{page}");
}

/// A browser is many processes, which go with the first.
fn end(browser: Server) {
    let family = family(browser.pid());
    drop(browser);
    for pid in family {
        server::send(pid, nix::sys::signal::Signal::SIGKILL);
    }
}

/// A process and all below it.
fn family(pid: u32) -> Vec<u32> {
    let mut found = vec![pid];
    let all = crate::common::process::all();
    let mut at = 0;
    while let Some(&parent) = found.get(at) {
        found.extend(all.iter().filter(|process| process.parent == parent).map(|process| process.pid));
        at += 1;
    }
    found.split_off(1)
}
