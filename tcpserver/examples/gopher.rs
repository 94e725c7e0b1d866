//! A gopher server (RFC 1436): a directory of text files as a menu, and the files.
//!
//! `cargo run -p tcpserver --example gopher -- 127.0.0.1:7070 DIR`, then `curl gopher://127.0.0.1:7070/`.
//!
//! Sixteen children are forked ahead. They are reused, so the handler keeps nothing between two connections.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use tcpserver::{Connection, Error, Outcome, Server, Stream, Tuning};

/// RFC 1436 section 3.1 asks for no more than 255 characters of a selector.
const LONGEST: u64 = 257;

fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or("127.0.0.1:7070".into());
    let root = PathBuf::from(arguments.next().unwrap_or(".".into()));
    let ready = |listeners: &[tcpserver::Listener]| println!("gopher: at {}", listeners[0].address());
    let tuning = Tuning { receive_timeout: Some(10), send_timeout: Some(10), ..Tuning::default() };
    let server = Server::builder("gopher").listen(address).tuning(tuning).ready(ready);
    server.prefork(16, &mut |connection: &Connection<'_>| {
        connection.host.alarm.allow(60);
        match answer(connection, &root) {
            Ok(()) => Outcome::Served,
            Err(_) => Outcome::Refused,
        }
    })
}

fn answer(connection: &Connection<'_>, root: &Path) -> io::Result<()> {
    let mut line = String::new();
    BufReader::new(Stream::new(connection).take(LONGEST)).read_line(&mut line)?;
    let selector = line.trim_end().trim_start_matches('/');
    // Names within the directory, and none that is hidden or leads out of it.
    let within = selector.split('/').all(|part| !part.starts_with('.') && !part.is_empty());
    let mut stream = io::BufWriter::new(Stream::new(connection));
    let path = root.join(selector);
    if selector.is_empty() || (within && path.is_dir()) {
        let mut names: Vec<_> = fs::read_dir(&path)?.filter_map(Result::ok).collect();
        names.sort_by_key(fs::DirEntry::file_name);
        for entry in names {
            let (name, kind) = (entry.file_name(), entry.file_type()?);
            let Some(name) = name.to_str().filter(|name| !name.starts_with('.') && !name.contains('\t')) else {
                continue;
            };
            let item = if kind.is_dir() { '1' } else { '0' };
            let place = if selector.is_empty() { name.to_owned() } else { format!("{selector}/{name}") };
            let (host, port) = (String::from_utf8_lossy(connection.local.ip()), connection.local.port());
            write!(stream, "{item}{name}\t{place}\t{host}\t{port}\r\n")?;
        }
        write!(stream, ".\r\n")?;
    } else {
        match fs::read(&path) {
            Ok(text) if within => stream.write_all(&text)?,
            _ => write!(stream, "3there is no {}\t\terror.host\t1\r\n.\r\n", selector.escape_default())?,
        }
    }
    stream.flush()
}
