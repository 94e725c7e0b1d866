//! Clients that account for each of their requests.

use std::{
    cell::Cell,
    collections::BTreeMap,
    fmt,
    io::{self, ErrorKind},
    net::SocketAddr,
    sync::{
        LazyLock,
        atomic::{
            AtomicBool, AtomicUsize,
            Ordering::{Relaxed, SeqCst},
        },
    },
    thread,
    time::Duration,
};

use crate::common::{Client, Scratch, wait_until};

/// How many clients there are at once: one more than can always be served, so that the queue is in use.
pub const CLIENTS: u64 = 7;

/// More than one segment and less than the buffers hold.
static LARGER: LazyLock<Vec<u8>> = LazyLock::new(|| (0..300_000u32).map(|n| (n % 251) as u8).collect());

/// What is asked for: small files, so that much happens, and sometimes a larger one.
pub fn site() -> Scratch {
    let site = Scratch::new();
    site.file("index.html", "hello\n");
    site.file("larger.bin", &*LARGER);
    site
}

/// What is done to one server by all clients.
pub struct Load {
    pub address: SocketAddr,
    header: &'static str,
    over: AtomicBool,
    /// Nobody comes while it is set.
    quiet: AtomicBool,
    /// How many are connected.
    present: AtomicUsize,
    answered: AtomicUsize,
}

/// What the clients met.
#[derive(Debug, Default)]
pub struct Tally {
    pub sent: usize,
    pub answered: usize,
    /// Further requests of a connection that the server had ended between two: RFC 9112 section 9.3.1 has the client ask
    /// again on another.
    pub put_back: usize,
    /// Answers that were not what was asked for, by status.
    pub refused: BTreeMap<u16, usize>,
    /// Connections that ended before the answer did.
    pub cut: Vec<Cut>,
    /// Whatever must never be: no answer in time, wrong bytes, nobody who listens.
    pub wrong: Vec<String>,
}

/// A connection that ended before its answer did.
#[derive(Debug)]
pub struct Cut {
    /// The client's end, as it stands in the log.
    pub client: String,
    pub how: String,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { sent, answered, put_back, refused, cut, .. } = self;
        write!(f, "{sent} requests: {answered} answered, {put_back} put back, {refused:?} refused, {} cut;", cut.len())
    }
}

impl Tally {
    pub fn plus(mut self, other: Tally) -> Tally {
        self.sent += other.sent;
        self.answered += other.answered;
        self.put_back += other.put_back;
        for (status, count) in other.refused {
            *self.refused.entry(status).or_default() += count;
        }
        self.cut.extend(other.cut);
        self.wrong.extend(other.wrong);
        self
    }
}

impl Load {
    /// Requests to this address, each with these lines in its head.
    pub fn new(address: SocketAddr, header: &'static str) -> Load {
        let [over, quiet] = [false; 2].map(AtomicBool::new);
        let [present, answered] = [0; 2].map(AtomicUsize::new);
        Load { address, header, over, quiet, present, answered }
    }

    /// Sends the clients home, after what they are at.
    pub fn end(&self) {
        self.over.store(true, Relaxed);
    }

    pub fn is_over(&self) -> bool {
        self.over.load(Relaxed)
    }

    /// How many requests have been answered so far.
    pub fn answered(&self) -> usize {
        self.answered.load(Relaxed)
    }

    /// One client until the end: connection after connection, each with one to four requests.
    pub fn client(&self, random: &Random) -> Tally {
        let mut tally = Tally::default();
        while !self.is_over() {
            self.present.fetch_add(1, SeqCst);
            if !self.quiet.load(SeqCst) {
                self.visit(random, &mut tally);
            }
            self.present.fetch_sub(1, SeqCst);
            while self.quiet.load(SeqCst) && !self.is_over() {
                thread::sleep(Duration::from_millis(2));
            }
        }
        tally
    }

    /// Does something while nobody is connected.
    pub fn quietly<R>(&self, act: impl FnOnce() -> R) -> R {
        self.quiet.store(true, SeqCst);
        wait_until("all have gone", || self.present.load(SeqCst) == 0);
        let done = act();
        self.quiet.store(false, SeqCst);
        done
    }

    /// A visit that must go well.
    pub fn visit_once(&self) {
        let mut tally = Tally::default();
        self.visit(&Random::new(1), &mut tally);
        assert!(tally.sent > 0 && tally.sent == tally.answered, "{tally:?}");
    }

    fn visit(&self, random: &Random, tally: &mut Tally) {
        let mut client = match Client::try_connect(self.address) {
            Ok(client) => client,
            Err(error) => return tally.wrong.push(format!("connect: {error}")),
        };
        // Its other end may have been reset already.
        let Ok(name) = client.stream.local_addr() else { return };
        let requests = 1 + random.below(4);
        for number in 1..=requests {
            let path = if random.below(8) == 0 { "/larger.bin" } else { "/" };
            tally.sent += 1;
            let goes_on = match exchange(&mut client, path, self.header, number == requests) {
                Ok((200, true, goes_on)) => {
                    tally.answered += 1;
                    self.answered.fetch_add(1, Relaxed);
                    goes_on
                }
                Ok((200, false, _)) => return tally.wrong.push(format!("{name}: other bytes than those of {path}")),
                Ok((status, ..)) => {
                    *tally.refused.entry(status).or_default() += 1;
                    return;
                }
                Err((error, nothing_came)) if error.kind() == ErrorKind::TimedOut => {
                    let part = if nothing_came { "nothing" } else { "a part" };
                    return tally.wrong.push(format!("{name}: request {number} for {path}: {part} came in time"));
                }
                Err((_, true)) if number > 1 => {
                    tally.put_back += 1;
                    return;
                }
                Err((error, _)) => {
                    return tally.cut.push(Cut { client: name.to_string(), how: format!("{path}: {error}") });
                }
            };
            if !goes_on {
                return;
            }
        }
    }
}

/// One request and its answer: the status, whether these are the bytes of the file, and whether the connection goes on. An
/// error says whether nothing of an answer had come.
fn exchange(client: &mut Client, path: &str, header: &str, last: bool) -> Result<(u16, bool, bool), (io::Error, bool)> {
    let close = if last { "Connection: close\r\n" } else { "" };
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{header}{close}\r\n");
    io::Write::write_all(&mut client.stream, request.as_bytes()).map_err(|error| (error, true))?;
    let (head, length) = client.try_head().map_err(|error| (error, client.has_nothing()))?;
    let body = match length {
        Some(length) => client.take(length),
        None => client.rest(),
    };
    let body = body.map_err(|error| (error, false))?;
    let expected = if path == "/" { b"hello\n" } else { &LARGER[..] };
    Ok((head.status, body == expected, head.keeps_alive()))
}

/// Numbers that look random and are the same for the same seed (SplitMix64).
pub struct Random(Cell<u64>);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(Cell::new(seed))
    }

    pub fn next(&self) -> u64 {
        self.0.set(self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15));
        let mut z = self.0.get();
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub fn below(&self, end: u64) -> u64 {
        self.next() % end
    }

    /// One of these.
    pub fn of<'a, T>(&self, all: &'a [T]) -> Option<&'a T> {
        all.get(usize::try_from(self.below(all.len().max(1) as u64)).unwrap_or(0))
    }
}
