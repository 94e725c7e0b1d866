//! A preforking server in ten lines: says hello to everybody.
//!
//! `cargo run -p tcpserver --example hello`, then `nc 127.0.0.1 4000`.

use connection::{Connection, Fd, Outcome};
use tcpserver::log::Verbosity;
use tcpserver::{Error, Limits, Log, Mode, Server, Tuning};

fn main() -> Result<(), Error> {
    let log = Log::new("hello", Fd(2), Verbosity::Status);
    let server = Server::bind(&["127.0.0.1:4000".parse().unwrap()], Tuning::default(), Limits::default(), log)?;
    let mut hello = |connection: &Connection<'_>| match tcpserver::write_all(connection.output, b"hello\n") {
        Ok(()) => Outcome::Served,
        Err(_) => Outcome::Fault,
    };
    server.run(Mode::Prefork { handler: &mut hello, children: 4, reuse: 0 }, None, |_| println!("ready"))
}
