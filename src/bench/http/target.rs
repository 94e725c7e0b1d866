//! What is asked: a server's address and the requests for it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use super::answer::{self, Head};
use crate::bench::trouble::{Trouble, trouble};

/// How long a server has for one answer before anything is measured.
const PATIENCE: Duration = Duration::from_secs(10);

/// A resource of a server.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where it listens.
    pub address: SocketAddr,
    /// As it is called in the request: host, and port unless that is 80.
    authority: String,
    path: String,
}

impl Target {
    /// A path of the server at this address.
    pub fn new(address: SocketAddr, path: &str) -> Target {
        Target { address, authority: address.to_string(), path: path.to_owned() }
    }

    /// Reads `http://HOST[:PORT][/PATH]` and looks the host up.
    pub fn from_url(url: &str) -> Result<Target, Trouble> {
        let failed = |reason: &str| Trouble::new("use", format_args!("the URL {url}"), reason);
        let rest = url.strip_prefix("http://").ok_or_else(|| failed("it does not begin with http://"))?;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if authority.is_empty() || authority.contains('@') || path.contains(|c: char| c.is_control() || c == ' ') {
            return Err(failed("it has no host, a user, or a space"));
        }
        let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let place = if has_port { authority.to_owned() } else { format!("{authority}:80") };
        let address = place.to_socket_addrs().map_err(|error| failed(&error.to_string()))?.next();
        let address = address.ok_or_else(|| failed("its host has no address"))?;
        Ok(Target {
            address,
            authority: authority.to_owned(),
            path: if path.is_empty() { "/" } else { path }.to_owned(),
        })
    }

    /// The bytes of a request for it; after the answer the connection is kept or not.
    pub fn request(&self, kept: bool) -> Vec<u8> {
        let connection = if kept { "" } else { "Connection: close\r\n" };
        format!("GET {} HTTP/1.1\r\nHost: {}\r\n{connection}\r\n", self.path, self.authority).into_bytes()
    }

    /// Its address with another path.
    pub fn with_path(&self, path: &str) -> Target {
        Target { path: path.to_owned(), ..self.clone() }
    }

    /// As a user would type it.
    pub fn url(&self) -> String {
        format!("http://{}{}", self.authority, self.path)
    }

    /// Asks once, to see that what will be measured is an answer. Returns the length of its body.
    pub fn probe(&self) -> Result<u64, Trouble> {
        let mut connection = self.connect()?;
        let head = self.ask(&mut connection, false)?;
        let what = || Trouble::new("measure", self.url(), format_args!("it answers with status {}", head.status));
        if head.status == 200 { Ok(head.body.unwrap_or(0)) } else { Err(what()) }
    }

    /// A connection that has got an answer and waits for the next request.
    pub fn idle_connection(&self) -> Result<TcpStream, Trouble> {
        let mut connection = self.connect()?;
        let head = self.ask(&mut connection, true)?;
        if head.status != 200 || head.close || head.body.is_none() {
            return Err(Trouble::new("keep", format_args!("a connection to {}", self.url()), "the server closes it"));
        }
        Ok(connection)
    }

    fn connect(&self) -> Result<TcpStream, Trouble> {
        let connection = TcpStream::connect_timeout(&self.address, PATIENCE);
        let connection = connection.map_err(trouble("reach", self.url()))?;
        connection.set_read_timeout(Some(PATIENCE)).map_err(trouble("set", "a timeout"))?;
        Ok(connection)
    }

    /// Sends a request and reads the whole answer.
    fn ask(&self, connection: &mut TcpStream, kept: bool) -> Result<Head, Trouble> {
        let failed = |reason: &dyn std::fmt::Display| Trouble::new("get", self.url(), reason);
        connection.write_all(&self.request(kept)).map_err(|error| failed(&error))?;
        let (mut bytes, mut piece) = (Vec::new(), [0; 16 * 1024]);
        loop {
            let read = connection.read(&mut piece).map_err(|error| failed(&error))?;
            bytes.extend_from_slice(&piece[..read]);
            let Some(head) = answer::parse(&bytes).map_err(|problem| failed(&problem))? else {
                if read == 0 {
                    return Err(failed(&"the connection ended before the answer did"));
                }
                continue;
            };
            let have = (bytes.len() - head.length) as u64;
            match head.body {
                Some(body) if have >= body => return Ok(head),
                None if read == 0 => return Ok(Head { body: Some(have), close: true, ..head }),
                _ if read == 0 => return Err(failed(&"the connection ended before the answer did")),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read() {
        let target = Target::from_url("http://127.0.0.1:8080").unwrap();
        assert_eq!(
            (target.address.to_string().as_str(), target.url().as_str()),
            ("127.0.0.1:8080", "http://127.0.0.1:8080/")
        );
        let target = Target::from_url("http://127.0.0.1/a?b").unwrap();
        assert_eq!((target.address.port(), target.path.as_str()), (80, "/a?b"));
        assert_eq!(Target::from_url("http://[::1]:81/x").unwrap().address.to_string(), "[::1]:81");
        for bad in ["https://127.0.0.1/", "http://", "http:///x", "http://me@127.0.0.1/", "http://127.0.0.1/a b", "x"] {
            assert!(Target::from_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn requests_name_the_host() {
        let target = Target::new("127.0.0.1:81".parse().unwrap(), "/x");
        assert_eq!(target.request(true), b"GET /x HTTP/1.1\r\nHost: 127.0.0.1:81\r\n\r\n");
        assert!(target.request(false).ends_with(b"Connection: close\r\n\r\n"));
    }
}
