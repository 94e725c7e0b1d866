//! A handler in a house of its own: a small site, a socket pair, and programs that are played.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant, SystemTime};
use std::{fs, thread};

use connection::{Alarm, Clock, Connection, Endpoint, Fd, Handler, Host, Pressure, Programs, Script, Started, Time};
use handlers::{Service, Settings};

/// What lies outside the root, and behind names that are hidden.
pub const SECRET: &[u8] = b"the-secret-outside-the-root";
/// What a played script writes.
static SAYS: Mutex<Vec<u8>> = Mutex::new(Vec::new());
/// The scripts that are being played.
static PLAYS: Mutex<Vec<thread::JoinHandle<()>>> = Mutex::new(Vec::new());

fn now(clock: Clock) -> Time {
    static START: OnceLock<Instant> = OnceLock::new();
    let since = match clock {
        Clock::Wall => SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default(),
        Clock::Monotonic => START.get_or_init(Instant::now).elapsed() + Duration::from_secs(1000),
    };
    Time { seconds: since.as_secs() as i64, nanoseconds: since.subsec_nanos() }
}

/// The site, made once.
fn root() -> &'static str {
    static ROOT: OnceLock<String> = OnceLock::new();
    ROOT.get_or_init(|| {
        let folder = std::env::temp_dir().join(format!("tine-fuzz-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        let file = |name: &str, text: &[u8]| {
            let path: PathBuf = folder.join(name);
            fs::create_dir_all(path.parent().expect("a parent")).expect("make a directory");
            fs::write(&path, text).expect("write a file");
            path
        };
        file("secret", SECRET);
        file("www/index.html", b"<p>index");
        file("www/a.txt", b"0123456789");
        file("www/a.txt.gz", b"not really gzip");
        file("www/large", &[b'x'; 100_000]);
        file("www/sub/b", b"b");
        file("www/.hidden", SECRET);
        file("www/sub/.git/config", SECRET);
        file("www/.well-known/x", b"x");
        for name in ["www/run.cgi", "www/nph-run.cgi", "www/auto/index.cgi"] {
            let script = file(name, SECRET);
            fs::set_permissions(script, fs::Permissions::from_mode(0o755)).expect("make it executable");
        }
        symlink("../secret", folder.join("www/out")).expect("a link");
        symlink("..", folder.join("www/up")).expect("a link");
        symlink("http://elsewhere.example/x", folder.join("www/away")).expect("a link");
        folder.join("www").to_str().expect("text").to_owned()
    })
}

fn start(script: &Script<'_>) -> Result<Started, i32> {
    let (ours, theirs) = UnixStream::pair().expect("a pair");
    // SAFETY: the handler keeps the script's descriptors open during this call; the copies are ours.
    let (input, output) =
        unsafe { (OwnedFd::from_raw_fd(libc::dup(script.input.0)), OwnedFd::from_raw_fd(libc::dup(script.output.0))) };
    let says = SAYS.lock().expect("the lock").clone();
    // It writes, then reads; a thread, as a process would.
    let play = thread::spawn(move || {
        let mut output = fs::File::from(output);
        let _ = output.write_all(&says);
        drop(output);
        let _ = fs::File::from(input).read_to_end(&mut Vec::new());
        drop(theirs);
    });
    PLAYS.lock().expect("the lock").push(play);
    Ok(Started { lifeline: Fd(ours.into_raw_fd()), keeper: 0 })
}

fn end(started: Started) -> i32 {
    // SAFETY: it was made by `start`, and is given back once.
    drop(unsafe { OwnedFd::from_raw_fd(started.lifeline.0) });
    0
}

/// All that comes of a connection on which this is sent, with scripts that say that.
pub fn answer(sent: &[u8], says: &[u8]) -> Vec<u8> {
    // Writing where nobody reads is told by an error.
    // SAFETY: the disposition runs no code.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    *SAYS.lock().expect("the lock") = says.to_vec();
    let mut settings = Settings { root: root().as_bytes(), header_timeout: 1, idle_timeout: 1, ..Settings::default() };
    settings.set("cgi", b"").and_then(|()| settings.set("listing", b"")).expect("options");
    settings.set("clean-urls", b"").and_then(|()| settings.set("cgi-timeout", b"1")).expect("options");
    let protocol = handlers::protocol("http").expect("http");
    let mut service = Service::new(protocol, &settings).expect("open the root");
    let (ours, theirs) = UnixStream::pair().expect("a pair");
    let mut ours_to_write = ours.try_clone().expect("a copy");
    let bytes = sent.to_vec();
    let writer = thread::spawn(move || {
        let _ = ours_to_write.write_all(&bytes);
        let _ = ours_to_write.shutdown(Shutdown::Write);
    });
    let reader = thread::spawn(move || {
        let (mut ours, mut all) = (ours, Vec::new());
        let _ = ours.read_to_end(&mut all);
        all
    });
    let alarm = Alarm::new(|_| {}, now);
    let pressure = Pressure::new();
    let fd = Fd(theirs.as_raw_fd());
    let host = Host { now, alarm: &alarm, pressure: &pressure, programs: Some(Programs { start, end }) };
    let (peer, local) = (Endpoint::UNKNOWN, Endpoint::UNKNOWN);
    let _ = service.serve(&Connection { input: fd, output: fd, peer, local, log: None, host: &host });
    drop(theirs);
    // The handler has closed what they read and write.
    let plays = std::mem::take(&mut *PLAYS.lock().expect("the lock"));
    plays.into_iter().for_each(|play| drop(play.join()));
    let _ = writer.join();
    reader.join().unwrap_or_default()
}

/// What holds of all answers to what was sent.
pub fn check(answer: &[u8], sent: &[u8]) {
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1."), "an answer begins with a status line");
    // The fuzzer sees what is compared with, and soon sends it to be repeated.
    let has = |text: &[u8]| text.windows(SECRET.len()).any(|window| window == SECRET);
    assert!(has(sent) || !has(answer), "the secret stays where it is");
}
