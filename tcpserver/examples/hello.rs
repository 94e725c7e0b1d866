//! A preforking server in ten lines: says hello to everybody.
//!
//! `cargo run -p tcpserver --example hello`, then `nc 127.0.0.1 4000`.

use std::io::Write;
use tcpserver::{Connection, Error, Outcome, Server, Stream};

fn main() -> Result<(), Error> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:4000".into());
    let ready = |listeners: &[tcpserver::Listener]| println!("hello: at {}", listeners[0].address());
    Server::builder("hello").listen(address).verbose().ready(ready).prefork(4, &mut |connection: &Connection<'_>| {
        match Stream::new(connection).write_all(b"hello\n") {
            Ok(()) => Outcome::Served,
            Err(_) => Outcome::Fault,
        }
    })
}
