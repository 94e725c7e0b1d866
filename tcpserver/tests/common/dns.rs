//! A name server of the tests' own: what it answers, right or wrong, each test says itself.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;

pub const A: u16 = 1;
pub const PTR: u16 = 12;
pub const TXT: u16 = 16;
pub const AAAA: u16 = 28;

/// A question that has come in.
#[derive(Clone, Debug)]
pub struct Query {
    pub bytes: Vec<u8>,
    /// In lower case, with a dot between labels and none at the end.
    pub name: String,
    pub kind: u16,
    pub over_tcp: bool,
}

impl Query {
    fn parse(bytes: &[u8], over_tcp: bool) -> Query {
        let (mut at, mut labels) = (12, Vec::new());
        while bytes[at] != 0 {
            let len = usize::from(bytes[at]);
            labels.push(String::from_utf8_lossy(&bytes[at + 1..at + 1 + len]).to_ascii_lowercase());
            at += 1 + len;
        }
        let kind = u16::from_be_bytes([bytes[at + 1], bytes[at + 2]]);
        assert_eq!(bytes.len(), at + 5, "one question and nothing else");
        Query { bytes: bytes.to_vec(), name: labels.join("."), kind, over_tcp }
    }

    /// The answer with these records, given as type and data; each belongs to the name that was asked for.
    pub fn answer(&self, records: &[(u16, Vec<u8>)]) -> Vec<u8> {
        let mut bytes = self.with_code(0);
        bytes[7] = u8::try_from(records.len()).expect("few records");
        for (kind, data) in records {
            bytes.extend([0xc0, 12]);
            bytes.extend(kind.to_be_bytes());
            bytes.extend([0, 1, 0, 0, 0, 60]);
            bytes.extend(u16::try_from(data.len()).expect("a short record").to_be_bytes());
            bytes.extend(data);
        }
        bytes
    }

    /// The answer without records: 0 no such data, 2 the server failed, 3 no such name.
    pub fn with_code(&self, code: u8) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        bytes[2] |= 0x80;
        bytes[3] = 0x80 | code;
        bytes
    }

    /// "Ask again, over TCP."
    pub fn truncated(&self) -> Vec<u8> {
        let mut bytes = self.with_code(0);
        bytes[2] |= 2;
        bytes
    }
}

/// The data of an A or AAAA record.
pub fn address(text: &str) -> (u16, Vec<u8>) {
    match text.parse().expect("an address") {
        IpAddr::V4(ip) => (A, ip.octets().to_vec()),
        IpAddr::V6(ip) => (AAAA, ip.octets().to_vec()),
    }
}

/// A name as it goes over the wire.
pub fn wire(name: &str) -> Vec<u8> {
    let labels = name.split('.').filter(|label| !label.is_empty());
    let mut bytes: Vec<u8> =
        labels.flat_map(|label| [&[u8::try_from(label.len()).expect("a label")], label.as_bytes()].concat()).collect();
    bytes.push(0);
    bytes
}

/// The data of a TXT record of one string.
pub fn text(text: &str) -> (u16, Vec<u8>) {
    (TXT, [&[u8::try_from(text.len()).expect("a short text")], text.as_bytes()].concat())
}

/// The server. It answers until the test's process ends.
pub struct Dns {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<Query>>>,
}

type Answers = dyn Fn(&Query) -> Vec<Vec<u8>> + Send + Sync;

impl Dns {
    /// Answers each question with these messages: none, one, or several at once.
    pub fn start(at: &str, answers: impl Fn(&Query) -> Vec<Vec<u8>> + Send + Sync + 'static) -> Dns {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let answers: Arc<Answers> = Arc::new(answers);
        let (udp, tcp) = sockets(at);
        let address = udp.local_addr().expect("an address");
        let (for_udp, for_tcp) = ((asked.clone(), answers.clone()), (asked.clone(), answers));
        thread::spawn(move || serve_udp(&udp, &for_udp.0, &*for_udp.1));
        thread::spawn(move || serve_tcp(&tcp, &for_tcp.0, &*for_tcp.1));
        Dns { address, asked }
    }

    /// What it was asked, in order: name, type, and whether over TCP.
    pub fn asked(&self) -> Vec<(String, u16, bool)> {
        let asked = self.asked.lock().expect("no poison");
        asked.iter().map(|query| (query.name.clone(), query.kind, query.over_tcp)).collect()
    }

    /// The messages as they came.
    pub fn queries(&self) -> Vec<Query> {
        self.asked.lock().expect("no poison").clone()
    }
}

/// Both at one port.
fn sockets(at: &str) -> (UdpSocket, TcpListener) {
    for _ in 0..100 {
        let udp = UdpSocket::bind(at).unwrap_or_else(|e| panic!("bind {at}: {e}"));
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().expect("an address")) {
            return (udp, tcp);
        }
    }
    panic!("no port of {at} is free for both UDP and TCP");
}

fn serve_udp(socket: &UdpSocket, asked: &Mutex<Vec<Query>>, answers: &Answers) {
    let mut bytes = [0; 1024];
    while let Ok((len, client)) = socket.recv_from(&mut bytes) {
        let query = Query::parse(&bytes[..len], false);
        asked.lock().expect("no poison").push(query.clone());
        for answer in answers(&query) {
            let _ = socket.send_to(&answer, client);
        }
    }
}

fn serve_tcp(listener: &TcpListener, asked: &Mutex<Vec<Query>>, answers: &Answers) {
    let mut silent = Vec::new();
    for stream in listener.incoming() {
        let Ok(mut stream) = stream else { continue };
        let mut read = |len: usize| -> Option<Vec<u8>> {
            let mut bytes = vec![0; len];
            stream.read_exact(&mut bytes).ok().map(|()| bytes)
        };
        let Some(length) = read(2) else { continue };
        let Some(bytes) = read(usize::from(u16::from_be_bytes([length[0], length[1]]))) else { continue };
        let query = Query::parse(&bytes, true);
        asked.lock().expect("no poison").push(query.clone());
        let answers = answers(&query);
        for answer in &answers {
            send_at_length(&mut stream, answer);
        }
        // Who has nothing to say hangs on.
        if answers.is_empty() {
            silent.push(stream);
        }
    }
}

fn send_at_length(stream: &mut TcpStream, message: &[u8]) {
    let length = u16::try_from(message.len()).expect("a message").to_be_bytes();
    let _ = stream.write_all(&[&length, message].concat());
}
