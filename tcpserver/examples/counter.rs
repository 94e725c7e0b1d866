//! State that children share: how many visitors there were, and how many each child has served.
//!
//! `cargo run -p tcpserver --example counter`, then `nc 127.0.0.1 4001`, again and again.
//!
//! Processes share nothing but what was asked for before they were made. Numbers in shared memory are enough for much:
//! counts, rates, a switch; what is more belongs into a database.

use std::io::Write;
use std::sync::atomic::Ordering::Relaxed;
use tcpserver::{Connection, Error, Outcome, Server, Stream};

fn main() -> Result<(), Error> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:4001".into());
    let visitors = &tcpserver::counters(1).map_err(|error| Error::new("share", "memory", error))?[0];
    let ready = |listeners: &[tcpserver::Listener]| println!("counter: at {}", listeners[0].address());
    // This variable is each child's own: a fork copied it.
    let mut mine = 0;
    Server::builder("counter").listen(address).ready(ready).prefork(8, &mut |connection: &Connection<'_>| {
        mine += 1;
        let all = visitors.fetch_add(1, Relaxed) + 1;
        match writeln!(Stream::new(connection), "visitor {all}, and my {mine}th ({})", std::process::id()) {
            Ok(()) => Outcome::Served,
            Err(_) => Outcome::Fault,
        }
    })
}
