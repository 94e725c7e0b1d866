//! An HTTP client that knows exactly what it sends and what came back: tests of a server need the bytes.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, SocketAddrV4, TcpStream},
    os::fd::AsRawFd,
    time::Duration,
};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, socket};

use super::BOUND;

/// One response, as it stood on the wire.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    /// The status line without its end.
    pub line: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// How many bytes stood before the body.
    pub head_len: usize,
}

impl Response {
    /// The value of a header that may appear once only.
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str());
        let value = values.next();
        assert_eq!(values.next(), None, "{name} appears twice in {self:?}");
        value
    }

    /// The value of a header that must be there.
    #[track_caller]
    pub fn expect_header(&self, name: &str) -> &str {
        self.header(name).unwrap_or_else(|| panic!("no {name} in {:?} {:?}", self.line, self.headers))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The same response, if it has this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Response {
        assert_eq!(self.status, status, "{:?} {:?} {:?}", self.line, self.headers, self.text());
        self
    }

    /// Whether the server said that the connection goes on.
    pub fn keeps_alive(&self) -> bool {
        let connection = self.header("connection").map(str::to_ascii_lowercase);
        match connection.as_deref() {
            Some("close") => false,
            Some("keep-alive") => true,
            _ => self.line.starts_with("HTTP/1.1"),
        }
    }
}

/// One connection.
pub struct Client {
    pub stream: TcpStream,
    /// Received, not yet taken.
    buffer: Vec<u8>,
}

impl Client {
    /// Connects; panics when nobody listens.
    #[track_caller]
    pub fn connect(address: SocketAddr) -> Client {
        Client::try_connect(address).unwrap_or_else(|e| panic!("connect to {address}: {e}"))
    }

    /// The same as a client with this address, one of 127.0.0.0/8.
    #[track_caller]
    pub fn connect_from(ip: &str, address: SocketAddr) -> Client {
        let from = SocketAddrV4::new(ip.parse().expect("an address"), 0);
        let SocketAddr::V4(to) = address else { panic!("{address} is not an IPv4 address") };
        let client = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).expect("a socket");
        bind(client.as_raw_fd(), &SockaddrIn::from(from)).unwrap_or_else(|e| panic!("bind to {ip}: {e}"));
        connect(client.as_raw_fd(), &SockaddrIn::from(to)).unwrap_or_else(|e| panic!("connect {ip} to {to}: {e}"));
        Client::over(TcpStream::from(client)).expect("set it up")
    }

    pub fn try_connect(address: SocketAddr) -> io::Result<Client> {
        Client::over(TcpStream::connect_timeout(&address, BOUND)?)
    }

    fn over(stream: TcpStream) -> io::Result<Client> {
        stream.set_read_timeout(Some(BOUND))?;
        stream.set_write_timeout(Some(BOUND))?;
        stream.set_nodelay(true)?;
        Ok(Client { stream, buffer: Vec::new() })
    }

    /// Sends bytes as they are.
    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("send to the server");
    }

    /// Nothing more will be sent: half of the connection is closed.
    pub fn finish(&self) {
        self.stream.shutdown(Shutdown::Write).expect("shutdown");
    }

    /// Sends a request of HTTP/1.1 and reads its response.
    #[track_caller]
    pub fn get(&mut self, path: &str) -> Response {
        self.request("GET", path, "")
    }

    /// The same with a method and more header lines, each with its CRLF.
    #[track_caller]
    pub fn request(&mut self, method: &str, path: &str, headers: &str) -> Response {
        self.send(format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n"));
        self.response(method)
    }

    /// Reads the response to a request with this method.
    #[track_caller]
    pub fn response(&mut self, method: &str) -> Response {
        let response = self.try_response(method);
        response.unwrap_or_else(|e| panic!("reading a response: {e}; so far: {:?}", self.seen()))
    }

    /// Reads a response; an error when the connection ends before the response does.
    pub fn try_response(&mut self, method: &str) -> io::Result<Response> {
        let (mut response, length) = self.try_head()?;
        let bodiless = method == "HEAD" || matches!(response.status, 100..=199 | 204 | 304);
        response.body = match length {
            _ if bodiless => Vec::new(),
            Some(length) => self.take(length)?,
            None => self.rest()?,
        };
        Ok(response)
    }

    /// Reads the head of a response, and says how long the body is that follows.
    pub fn try_head(&mut self) -> io::Result<(Response, Option<usize>)> {
        let end = loop {
            if let Some(at) = self.buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                break at + 4;
            }
            self.fill(16 * 1024)?;
        };
        let head = String::from_utf8(self.take(end)?).map_err(|e| io::Error::new(ErrorKind::InvalidData, e))?;
        let invalid = || io::Error::new(ErrorKind::InvalidData, format!("no HTTP response: {head:?}"));
        let mut lines = head[..end - 4].split("\r\n");
        let line = lines.next().unwrap_or_default().to_string();
        let status = line.strip_prefix("HTTP/1.").and_then(|l| l.get(2..5)?.parse().ok()).ok_or_else(invalid)?;
        let header = |l: &str| l.split_once(':').map(|(n, v)| (n.to_ascii_lowercase(), v.trim().to_string()));
        let headers = lines.map(|l| header(l).ok_or_else(invalid)).collect::<io::Result<Vec<_>>>()?;
        let response = Response { status, line, headers, body: Vec::new(), head_len: end };
        let length = response.header("content-length").map(|l| l.parse().map_err(|_| invalid())).transpose()?;
        Ok((response, length))
    }

    /// Reads exactly so many bytes.
    pub fn take(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.buffer.len() < length {
            self.fill(length - self.buffer.len())?;
        }
        let rest = self.buffer.split_off(length);
        Ok(std::mem::replace(&mut self.buffer, rest))
    }

    /// Reads to the end of the connection.
    pub fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut all = std::mem::take(&mut self.buffer);
        self.stream.read_to_end(&mut all)?;
        Ok(all)
    }

    /// Reads to the end of the connection, be it closed or reset, and says how much came.
    #[track_caller]
    pub fn drain(&mut self) -> usize {
        let mut count = std::mem::take(&mut self.buffer).len();
        let mut chunk = vec![0; 256 * 1024];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => return count,
                Ok(n) => count += n,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::ConnectionReset => return count,
                Err(e) => panic!("the connection did not end: {e}; {count} bytes came"),
            }
        }
    }

    /// The server must have closed the connection, or do so soon, and send nothing more.
    #[track_caller]
    pub fn expect_end(&mut self) {
        match self.rest() {
            Ok(rest) => assert_eq!(String::from_utf8_lossy(&rest), "", "nothing more may come"),
            Err(e) if e.kind() == ErrorKind::ConnectionReset => (),
            Err(e) => panic!("the connection did not end: {e}"),
        }
    }

    /// Whether the connection is open and silent.
    pub fn is_open(&self) -> bool {
        self.stream.set_nonblocking(true).expect("nonblocking");
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false).expect("blocking");
        matches!(peeked, Err(e) if e.kind() == ErrorKind::WouldBlock)
    }

    /// Whether nothing was received that was not taken.
    pub fn has_nothing(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Our end, as it stands in the server's log.
    pub fn name(&self) -> String {
        self.stream.local_addr().expect("our address").to_string()
    }

    fn fill(&mut self, wish: usize) -> io::Result<()> {
        let have = self.buffer.len();
        self.buffer.resize(have + wish.clamp(16 * 1024, 1024 * 1024), 0);
        let read = self.stream.read(&mut self.buffer[have..]);
        self.buffer.truncate(have + read.as_ref().map_or(0, |&n| n));
        match read {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(_) => Ok(()),
            // With a timeout on the socket, being stopped and continued is enough (signal(7)). The next turn reads on.
            Err(e) if e.kind() == ErrorKind::Interrupted => Ok(()),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Err(io::Error::new(
                ErrorKind::TimedOut,
                format!("nothing came for {:?}", Duration::from_secs(BOUND.as_secs())),
            )),
            Err(e) => Err(e),
        }
    }

    fn seen(&self) -> String {
        String::from_utf8_lossy(&self.buffer[..self.buffer.len().min(2000)]).into_owned()
    }
}
