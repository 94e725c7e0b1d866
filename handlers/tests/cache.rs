//! The handler as a function in a process that is reused, with and without a cache: what it answers, what it leaves open.

#[path = "../../tests/common/pauses.rs"]
mod pauses;

use std::fs;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use connection::{Alarm, Clock, Connection, Endpoint, Fd, Handler, Host, Lost, Outcome, Pressure, Reader, Time};
use handlers::http::Cache;
use handlers::{Service, Settings, protocol};
use pauses::unless_paused;

fn now(clock: Clock) -> Time {
    let since = match clock {
        Clock::Wall => SystemTime::now().duration_since(UNIX_EPOCH).unwrap(),
        Clock::Monotonic => {
            static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
            START.get_or_init(std::time::Instant::now).elapsed() + Duration::from_secs(1000)
        }
    };
    Time { seconds: since.as_secs() as i64, nanoseconds: since.subsec_nanos() }
}

fn root(name: &str) -> PathBuf {
    let root = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&root);
    fs::create_dir_all(&root).unwrap();
    root
}

/// One connection: everything that `requests` asks is answered, then the client has no more to say.
fn serve(service: &mut Service<'_>, pressure: &Pressure, requests: &str) -> (String, Outcome) {
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    ours.write_all(requests.as_bytes()).unwrap();
    ours.shutdown(Shutdown::Write).unwrap();
    let alarm = Alarm::new(|_| {}, now);
    let fd = Fd(theirs.as_raw_fd());
    let unknown = Endpoint::UNKNOWN;
    let lost = Lost::new();
    let reader = Reader::new(&lost, false);
    let host = Host {
        now,
        alarm: &alarm,
        pressure,
        demand: None,
        programs: None,
        progress: None,
        title: None,
        reader: &reader,
    };
    let connection = Connection { input: fd, output: fd, peer: unknown, local: unknown, log: None, host: &host };
    let outcome = service.serve(&connection);
    drop(theirs);
    let mut answer = Vec::new();
    ours.read_to_end(&mut answer).unwrap();
    (answer.into_iter().map(char::from).collect(), outcome)
}

fn get(service: &mut Service<'_>, target: &str, fields: &str) -> String {
    serve(service, &Pressure::new(), &format!("GET {target} HTTP/1.0\r\n{fields}\r\n")).0
}

#[test]
fn a_cached_file_is_at_most_a_second_old() {
    unless_paused(|| {
        let root = root("cache");
        let file = root.join("a.txt");
        fs::write(&file, "one").unwrap();
        let settings = Settings { root: root.to_str().unwrap().as_bytes(), ..Settings::default() };
        let mut cache = Box::new(Cache::new());
        let mut service = Service::new(protocol("http").unwrap(), &settings).unwrap().with_cache(&mut cache);
        assert!(get(&mut service, "/a.txt", "").ends_with("\r\n\r\none"));
        fs::write(&file, "three").unwrap();
        // Of the same entry: the old state, whole and consistent, in each form.
        assert!(get(&mut service, "/a.txt", "").ends_with("Content-Length: 3\r\n\r\none"));
        assert!(get(&mut service, "/a.txt", "Range: bytes=1-\r\n").ends_with("Content-Length: 2\r\n\r\nne"));
        let head = serve(&mut service, &Pressure::new(), "HEAD /a.txt HTTP/1.0\r\n\r\n").0;
        assert!(head.ends_with("Content-Length: 3\r\n\r\n"), "{head}");
        sleep(Duration::from_millis(1_050));
        assert!(get(&mut service, "/a.txt", "").ends_with("Content-Length: 5\r\n\r\nthree"));
        fs::remove_file(&file).unwrap();
        sleep(Duration::from_millis(1_050));
        assert!(get(&mut service, "/a.txt", "").starts_with("HTTP/1.1 404 "));
        fs::remove_dir_all(root).unwrap();
    });
}

#[test]
fn a_cache_does_not_outlive_its_root() {
    let mut cache = Box::new(Cache::new());
    for body in ["one", "two"] {
        let root = root(body);
        fs::write(root.join("index.html"), body).unwrap();
        let settings = Settings { root: root.to_str().unwrap().as_bytes(), ..Settings::default() };
        let mut service = Service::new(protocol("http").unwrap(), &settings).unwrap().with_cache(&mut cache);
        assert!(get(&mut service, "/", "").ends_with(body));
        fs::remove_dir_all(root).unwrap();
    }
}

#[test]
fn no_descriptor_stays_open() {
    let root = root("descriptors");
    fs::write(root.join("small"), "x").unwrap();
    fs::write(root.join("large"), vec![b'x'; 100_000]).unwrap();
    fs::create_dir(root.join("sub")).unwrap();
    let settings = Settings { root: root.to_str().unwrap().as_bytes(), ..Settings::default() };
    let mut service = Service::new(protocol("http").unwrap(), &settings).unwrap();
    // Other tests run in this process meanwhile, with roots of their own.
    let held = |root: &PathBuf| {
        let root = fs::canonicalize(root).unwrap();
        let open = fs::read_dir("/proc/self/fd").unwrap().flatten();
        open.filter(|fd| fs::read_link(fd.path()).is_ok_and(|path| path.starts_with(&root))).count()
    };
    for target in ["/small", "/large", "/sub", "/sub/", "/none", "/%00", "/small/"] {
        for fields in ["", "Range: bytes=0-0\r\n", "Range: bytes=999999-\r\n", "If-None-Match: *\r\n"] {
            get(&mut service, target, fields);
            assert_eq!(held(&root), 1, "{target} {fields}");
        }
    }
    drop(service);
    assert_eq!(held(&root), 0);
    fs::remove_dir_all(root).unwrap();
}

#[test]
fn a_long_head_is_received_in_parts_and_followed_by_more() {
    let root = root("long");
    fs::write(root.join("index.html"), "body").unwrap();
    let settings = Settings { root: root.to_str().unwrap().as_bytes(), ..Settings::default() };
    let mut service = Service::new(protocol("http").unwrap(), &settings).unwrap();
    for len in [0, 100, 1_900, 2_000, 2_020, 2_048, 5_000, 8_000] {
        let long = format!("GET / HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n", "y".repeat(len));
        let requests = format!("{long}GET / HTTP/1.1\r\nHost: h\r\n\r\n{long}");
        let (answer, outcome) = serve(&mut service, &Pressure::new(), &requests);
        assert_eq!((answer.matches("\r\n\r\nbody").count(), outcome), (3, Outcome::Served), "{len}");
    }
    fs::remove_dir_all(root).unwrap();
}

#[test]
fn under_pressure_a_connection_is_served_once() {
    let root = root("pressure");
    fs::write(root.join("index.html"), "body").unwrap();
    let settings = Settings { root: root.to_str().unwrap().as_bytes(), ..Settings::default() };
    let mut service = Service::new(protocol("http").unwrap(), &settings).unwrap();
    let two = "GET / HTTP/1.1\r\nHost: h\r\n\r\n".repeat(2);
    let pressure = Pressure::new();
    assert_eq!(serve(&mut service, &pressure, &two).0.matches("200 OK").count(), 2);
    pressure.drain();
    let (answer, outcome) = serve(&mut service, &pressure, &two);
    assert_eq!((answer.matches("200 OK").count(), outcome), (1, Outcome::Served));
    assert!(answer.contains("Connection: close\r\n"));
    fs::remove_dir_all(root).unwrap();
}
