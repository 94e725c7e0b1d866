//! A handler with a hole, and what the sandbox makes of it.
//!
//! `cargo run -p tcpserver --example sandboxed -- 127.0.0.1:4002 DIR`, then `echo /etc/passwd | nc 127.0.0.1 4002`.
//!
//! It sends whatever file it is asked for: a traversal as in a hundred advisories. But its children may read beneath DIR and
//! do little else, and that is the kernel's word, not the handler's.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use tcpserver::sandbox::Plan;
use tcpserver::{Connection, Error, Outcome, Server, Stream};

fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or("127.0.0.1:4002".into());
    let root = PathBuf::from(arguments.next().unwrap_or(".".into()));
    let ready = |listeners: &[tcpserver::Listener]| println!("sandboxed: at {}", listeners[0].address());
    // What the standard library needs to read a line and a file; a call that is not here fails with EPERM.
    let calls = &["read", "write", "openat", "statx", "lseek", "brk", "mmap", "munmap", "mremap", "madvise"];
    let plan = Plan { root: Some(root.clone()), calls, reused: true, ..Plan::default() };
    let server = Server::builder("sandboxed").listen(address).ready(ready).sandbox(plan);
    server.prefork(4, &mut |connection: &Connection<'_>| match answer(connection, &root) {
        Ok(()) => Outcome::Served,
        Err(_) => Outcome::Refused,
    })
}

fn answer(connection: &Connection<'_>, root: &std::path::Path) -> io::Result<()> {
    let mut line = String::new();
    BufReader::new(Stream::new(connection).take(1000)).read_line(&mut line)?;
    // The hole: an absolute path, or one with `..`, leads out of the root.
    match std::fs::read(root.join(line.trim())) {
        Ok(text) => Stream::new(connection).write_all(&text),
        Err(error) => writeln!(Stream::new(connection), "no: {error}"),
    }
}
