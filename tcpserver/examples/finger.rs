//! A finger server (RFC 1288): the plans of people who have one, in DIR/NAME.
//!
//! `cargo run -p tcpserver --example finger -- 127.0.0.1:7979 DIR`, then `echo anna | nc 127.0.0.1 7979`.
//!
//! A process is forked for each question: it reads a line, answers, and is gone. What a handler has to think of is in here: a
//! line that is too long or never ends, names that are paths, and files that are not there.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use tcpserver::{Connection, Error, Outcome, Server, Stream, Tuning};

/// RFC 1288 gives no limit. Whoever sends more than this has the connection reset under their words.
const LONGEST: u64 = 4096;

fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or("127.0.0.1:7979".into());
    let plans = PathBuf::from(arguments.next().unwrap_or("plans".into()));
    let ready = |listeners: &[tcpserver::Listener]| println!("finger: at {}", listeners[0].address());
    // Whoever says nothing for ten seconds is let go; whoever takes nothing, too.
    let tuning = Tuning { receive_timeout: Some(10), send_timeout: Some(10), ..Tuning::default() };
    let server = Server::builder("finger").listen(address).tuning(tuning).ready(ready);
    server.fork(100, &mut |connection: &Connection<'_>| {
        // Ten seconds of silence are one thing, ten bytes an hour another: SIGALRM ends both.
        connection.host.alarm.allow(30);
        match answer(connection, &plans) {
            Ok(()) => Outcome::Served,
            Err(_) => Outcome::Refused,
        }
    })
}

fn answer(connection: &Connection<'_>, plans: &Path) -> io::Result<()> {
    let mut line = Vec::new();
    BufReader::new(Stream::new(connection).take(LONGEST)).read_until(b'\n', &mut line)?;
    let asked = line.trim_ascii();
    // `/W` asks for more words, and there are none.
    let name = asked.strip_prefix(b"/W").unwrap_or(asked).trim_ascii_start();
    let mut stream = Stream::new(connection);
    let plain = !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte));
    let plan = std::str::from_utf8(name).ok().filter(|_| plain).and_then(|name| std::fs::read(plans.join(name)).ok());
    match plan {
        Some(plan) => stream.write_all(&plan),
        None => stream.write_all(b"nobody of that name has a plan\r\n"),
    }
}
