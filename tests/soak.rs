//! Promise: a million connections leave nothing behind. Each is answered whole; afterwards there is no zombie, no
//! descriptor more than before, as many children as before, and no more memory in the supervisor; and nobody works.
//!
//! They are shared out among the modes by what a connection costs there. `TINE_SOAK` sets their number.

mod common;

use std::{
    env,
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use common::{BOUND, Mode, Scratch, launch, process, say};

/// Connections in all, and of a hundred how many in each mode.
const MILLION: usize = 1_000_000;
const SHARES: [(Mode, usize); 4] = [(Mode::Prefork, 90), (Mode::OneShot, 4), (Mode::Fork, 4), (Mode::Vfork, 2)];

const CHILDREN: u32 = 4;
const CLIENTS: usize = 4;

/// Memory of its own that a supervisor may have more of than after its first connections, in KiB.
const GROWTH: u64 = 256;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// One connection: the answer, to its end.
fn visit(address: SocketAddr, space: &mut [u8]) -> Result<usize, String> {
    let mut stream = TcpStream::connect(address).map_err(|error| format!("connect: {error}"))?;
    stream.set_read_timeout(Some(BOUND)).map_err(|error| format!("set a timeout: {error}"))?;
    stream.write_all(REQUEST).map_err(|error| format!("send: {error}"))?;
    let mut len = 0;
    loop {
        match stream.read(&mut space[len..]) {
            Ok(0) => return Ok(len),
            Ok(more) => len += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(format!("read, after {len} bytes: {error}")),
        }
    }
}

fn is_whole(answer: &[u8]) -> bool {
    answer.starts_with(b"HTTP/1.1 200 ") && answer.ends_with(b"\r\n\r\nhello\n")
}

/// So many connections, a few at a time. Says what went wrong.
fn visits(address: SocketAddr, count: usize, what: &str) -> Vec<String> {
    let begun = AtomicUsize::new(0);
    let start = Instant::now();
    thread::scope(|scope| {
        let client = || {
            let mut wrong = Vec::new();
            let mut space = [0; 4096];
            loop {
                let number = begun.fetch_add(1, Relaxed);
                if number >= count || wrong.len() > 10 {
                    return wrong;
                }
                if number > 0 && number.is_multiple_of(50_000) {
                    say(&format!("{what}: {number} connections after {} s", start.elapsed().as_secs()));
                }
                match visit(address, &mut space) {
                    Ok(len) if is_whole(&space[..len]) => {}
                    Ok(len) => wrong.push(format!("{number}: {}", space[..len].escape_ascii())),
                    Err(error) => wrong.push(format!("{number}: {error}")),
                }
            }
        };
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        clients.into_iter().flat_map(|client| client.join().expect("a client")).collect()
    })
}

fn soak(mode: Mode, count: usize) {
    let site = Scratch::new();
    site.file("index.html", "hello\n");
    let mut server = launch::serve(mode, CHILDREN, &["--quiet"], site.path());
    let wrong = visits(server.address(), 200, "");
    assert!(wrong.is_empty(), "{mode:?}: {wrong:?}");
    server.settles(mode, CHILDREN);
    let descriptors = process::descriptors(server.pid());
    let memory = process::own_memory(server.pid());

    let wrong = visits(server.address(), count, &format!("soak in {mode:?}"));

    assert!(wrong.is_empty(), "{mode:?}: of {count} connections these went wrong: {wrong:?}");
    server.settles(mode, CHILDREN);
    assert_eq!(process::descriptors(server.pid()), descriptors, "{mode:?}: the supervisor's descriptors");
    let grown = process::own_memory(server.pid()).saturating_sub(memory);
    assert!(grown <= GROWTH, "{mode:?}: the supervisor has {grown} KiB more than after the first connections");
    let before = process::ticks(server.pid());
    thread::sleep(Duration::from_millis(500));
    let used = process::ticks(server.pid()) - before;
    assert!(used <= 3, "{mode:?}: it used {used} ticks of 10 ms while nobody came");
    let wrong = visits(server.address(), 10, "");
    assert!(wrong.is_empty(), "{mode:?}: a newcomer is answered: {wrong:?}");
    assert!(!server.log().contains("warning"), "{mode:?}: nothing went wrong");
    server.stop();
}

#[test]
fn a_million_connections() {
    let all = env::var("TINE_SOAK").ok().and_then(|number| number.parse().ok()).unwrap_or(MILLION);
    let start = Instant::now();
    for (mode, share) in SHARES {
        soak(mode, all / 100 * share);
    }
    say(&format!("soak: {all} connections after {} s", start.elapsed().as_secs()));
}
