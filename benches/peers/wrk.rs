//! The load: `wrk`, and one request of our own before, to see that what is measured is an answer.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use crate::common::Result;
use crate::place::{self, File};

/// Whether connections are kept.
#[derive(Clone, Copy, PartialEq)]
pub enum Connections {
    /// One for each request: `Connection: close`.
    New,
    /// One for all requests.
    Kept,
}

/// Requests per second that the server at `address` answers to `count` connections at once. An answer other than 200 and any error of a connection
/// make it a failure, not a number.
pub fn measure(address: SocketAddr, file: File, connections: Connections, count: u32, seconds: u32) -> Result<f64> {
    let mut wrk = Command::new("wrk");
    wrk.args(["-t", "1", "-c", &count.to_string(), "-d", &format!("{seconds}s")]);
    if connections == Connections::New {
        wrk.args(["-H", "Connection: close"]);
    }
    let output = place::run(wrk.arg(format!("http://{address}/{}", file.name)))?;
    if let Some(line) = output.lines().find(|line| line.contains("Socket errors") || line.contains("Non-2xx")) {
        return Err(format!("{wrk:?} reports {}", line.trim()));
    }
    let rate = output.lines().find_map(|line| line.strip_prefix("Requests/sec:")?.trim().parse().ok());
    rate.filter(|&rate: &f64| rate > 0.0).ok_or(format!("{wrk:?} counted nothing:\n{output}"))
}

/// One request, to see that the server sends the file, and nothing but the file.
pub fn check(address: SocketAddr, file: File) -> Result<()> {
    let failed = |error: std::io::Error| format!("unable to fetch {} from {address}: {error}", file.name);
    let mut stream = TcpStream::connect(address).map_err(failed)?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).map_err(failed)?;
    let request = format!("GET /{} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n", file.name);
    stream.write_all(request.as_bytes()).map_err(failed)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).map_err(failed)?;
    let head_len = answer.windows(4).position(|window| window == b"\r\n\r\n").map_or(0, |at| at + 4);
    let (head, body) = answer.split_at(head_len);
    if !head.starts_with(b"HTTP/1.1 200 ") || body != file.bytes() {
        let line = String::from_utf8_lossy(head).lines().next().unwrap_or("no head at all").to_owned();
        return Err(format!("{address} did not send {}: {line}, {} bytes", file.name, body.len()));
    }
    Ok(())
}
