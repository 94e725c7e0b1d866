//! The clients of one question: who@(1), date@(1), finger@(1), http@(1) and tcpcat(1).

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::net::{Ipv6Addr, TcpStream};
use std::os::unix::ffi::OsStrExt;

use nix::sys::signal::Signal;

use super::dial::{self, Dialer};
use super::failure::Failure;
use super::filter::put;
use super::lines::{DelCr, add_cr};
use crate::names::Resolver;
use crate::sys;

/// `who@ [HOST]`: who is there (systat, port 11).
pub fn who(mut arguments: impl Iterator<Item = OsString>) -> Result<(), Failure> {
    ask(host(&mut arguments), "11".as_ref(), b"", &mut visible_lines())
}

/// `date@ [HOST]`: what time it is there (daytime, port 13).
pub fn date(mut arguments: impl Iterator<Item = OsString>) -> Result<(), Failure> {
    ask(host(&mut arguments), "13".as_ref(), b"", &mut visible_lines())
}

/// `finger@ [HOST [USER]]`: about a user there (finger, port 79).
pub fn finger(mut arguments: impl Iterator<Item = OsString>) -> Result<(), Failure> {
    let host = host(&mut arguments);
    let user = arguments.next().unwrap_or_default();
    ask(host, "79".as_ref(), &add_cr(&[user.as_bytes(), b"\n"].concat()), &mut visible_lines())
}

/// `http@ [HOST [PAGE [PORT]]]`: the contents of a page, with the ends of lines as they are here.
pub fn http(mut arguments: impl Iterator<Item = OsString>) -> Result<(), Failure> {
    let host = host(&mut arguments);
    let page = arguments.next().unwrap_or_default();
    let port = arguments.next().unwrap_or_else(|| "80".into());
    // An address of IPv6 has brackets there (RFC 3986, 3.2.2).
    let six = host.to_str().is_some_and(|host| host.parse::<Ipv6Addr>().is_ok());
    let (open, close): (&[u8], &[u8]) = if six { (b"[", b"]:") } else { (b"", b":") };
    let head = [b"GET /", page.as_bytes(), b" HTTP/1.0\nHost: "].concat();
    let request = [&head, open, host.as_bytes(), close, port.as_bytes(), b"\n\n"].concat();
    let mut lines = DelCr::default();
    let mut body = Body::default();
    let mut change = |piece: &[u8]| body.change(&without_cr(&mut lines, piece));
    ask(host.clone(), &port, &add_cr(&request), &mut change)
}

/// `tcpcat [HOST [PORT]]`: all that is said there; the port is that of the quote of the day.
pub fn tcpcat(mut arguments: impl Iterator<Item = OsString>) -> Result<(), Failure> {
    let host = host(&mut arguments);
    let port = arguments.next().unwrap_or_else(|| "17".into());
    ask(host, &port, b"", &mut <[u8]>::to_vec)
}

fn host(arguments: &mut impl Iterator<Item = OsString>) -> OsString {
    arguments.next().unwrap_or_else(|| "0".into())
}

/// Connects, says the request, and prints the answer up to its end, changed; `change` gets an empty piece there.
fn ask(host: OsString, port: &OsStr, request: &[u8], change: &mut dyn FnMut(&[u8]) -> Vec<u8>) -> Result<(), Failure> {
    let port = dial::port(port)?;
    let (socket, _) = Dialer::default().dial(&Resolver::from_system(), &host.to_string_lossy(), port)?;
    // A reader that has gone ends us, as it ends the other members of a pipeline.
    sys::set_default(Signal::SIGPIPE).map_err(|_| Failure::told())?;
    let mut stream = TcpStream::from(socket);
    // A server that answers before it has read the request, and closes, still has its answer printed.
    let _ = stream.write_all(request);
    let mut buffer = vec![0; 8192];
    loop {
        let len = match stream.read(&mut buffer) {
            Ok(len) => len,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            // What came before it is all there is.
            Err(_) => 0,
        };
        put(&change(&buffer[..len])).map_err(|_| Failure::told())?;
        if len == 0 {
            return Ok(());
        }
    }
}

fn without_cr(lines: &mut DelCr, piece: &[u8]) -> Vec<u8> {
    if piece.is_empty() { lines.finish().to_vec() } else { lines.change(piece) }
}

/// Ends of lines as they are here, and nothing that could do something to a terminal: `cat -v`.
fn visible_lines() -> impl FnMut(&[u8]) -> Vec<u8> {
    let mut lines = DelCr::default();
    move |piece| without_cr(&mut lines, piece).iter().flat_map(|&byte| visible(byte)).collect()
}

/// `^X` for a control character, `M-` before what has the eighth bit set. Tabs and ends of lines stay.
fn visible(byte: u8) -> Vec<u8> {
    let (meta, low): (&[u8], u8) = if byte < 128 { (b"", byte) } else { (b"M-", byte - 128) };
    match low {
        b'\t' | b'\n' if meta.is_empty() => vec![low],
        0..32 | 127 => [meta, &[b'^', low ^ 64]].concat(),
        _ => [meta, &[low]].concat(),
    }
}

/// What follows the first empty line.
#[derive(Default)]
struct Body {
    begun: bool,
    /// In the head: the line so far has something in it.
    inside: bool,
}

impl Body {
    fn change(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut rest = bytes;
        while let (false, [byte, behind @ ..]) = (self.begun, rest) {
            rest = behind;
            self.begun = *byte == b'\n' && !self.inside;
            self.inside = *byte != b'\n';
        }
        if self.begun { rest.to_vec() } else { Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_follows_the_first_empty_line() {
        let text = b"HTTP/1.0 200 OK\nA: b\n\nbody\n\nmore";
        for cut in 0..=text.len() {
            let mut body = Body::default();
            let parts = [body.change(&text[..cut]), body.change(&text[cut..])].concat();
            assert_eq!(parts, b"body\n\nmore", "cut at {cut}");
        }
        assert_eq!(Body::default().change(b"no end of the head\n"), b"");
        assert_eq!(Body::default().change(b"\n\n"), b"\n");
    }
}
