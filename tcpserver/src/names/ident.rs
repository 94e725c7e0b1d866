//! Whose connection it is, in the words of the other host (RFC 1413).

use std::io::{Read, Write};
use std::net::SocketAddr;

use super::{Deadline, Stream};

const PORT: u16 = 113;

/// As much as ucspi-tcp takes.
const LONGEST: usize = 257;

/// An answer has all before its text in a few bytes; who sends more than this has no answer.
const ENOUGH: usize = 4096;

/// Asks the host of `remote` who owns the connection between `remote` and `local`, which are its ends.
///
/// The text is what ucspi-tcp puts into TCPREMOTEINFO: all behind the third colon of the answer without blanks, tabs and
/// CR, at most 257 bytes, up to a NUL. An error (`ERROR : NO-USER`) has no third colon and gives the empty text. `None`:
/// nobody answered, or not with a line, by the deadline. The question comes from the connection's own local address, which
/// is how the other host knows the connection.
#[must_use]
pub fn ident(remote: SocketAddr, local: SocketAddr, deadline: Deadline) -> Option<Vec<u8>> {
    ask(PORT, remote, local, deadline)
}

/// [`ident`], of a server elsewhere than at port 113.
fn ask(port: u16, remote: SocketAddr, local: SocketAddr, deadline: Deadline) -> Option<Vec<u8>> {
    // Port 0 and not set_ip: a scoped IPv6 address keeps its scope.
    let at = |mut address: SocketAddr, port| {
        address.set_port(port);
        address
    };
    let mut stream = Stream::connect(at(remote, port), Some(at(local, 0)), deadline).ok()?;
    stream.write_all(format!("{} , {}\r\n", remote.port(), local.port()).as_bytes()).ok()?;
    let mut answer = Vec::new();
    let mut piece = [0; 512];
    loop {
        match stream.read(&mut piece) {
            Ok(0) => return None,
            Ok(len) => answer.extend(&piece[..len]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(_) => return None,
        }
        if let Some(text) = text(&answer) {
            return Some(text);
        }
        if answer.len() > ENOUGH {
            return None;
        }
    }
}

/// The text of an answer; `None` while more of it has to come.
fn text(answer: &[u8]) -> Option<Vec<u8>> {
    let line = answer.iter().position(|&byte| byte == b'\n');
    let visible = answer[..line.unwrap_or(answer.len())].iter().copied().filter(|byte| !b" \t\r".contains(byte));
    let mut colons = 0;
    let behind = visible.skip_while(|&byte| {
        let before = colons < 3;
        colons += usize::from(byte == b':');
        before
    });
    let text: Vec<u8> = behind.take(LONGEST).collect();
    if line.is_none() && text.len() < LONGEST {
        return None;
    }
    Some(text.split(|&byte| byte == 0).next().unwrap_or_default().to_vec())
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
    use std::thread;
    use std::time::{Duration, Instant};

    use super::{Deadline, ask, text};

    /// Asks a server that reads the question and then goes on as `answer` does; with the address that it was asked from
    /// and the question.
    fn asked(deadline: Duration, answer: impl FnOnce(TcpStream) + Send + 'static) -> (Option<Vec<u8>>, IpAddr, String) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
        let port = listener.local_addr().expect("an address").port();
        let server = thread::spawn(move || {
            let (stream, client) = listener.accept().expect("accept");
            let mut question = String::new();
            BufReader::new(&stream).read_line(&mut question).expect("a question");
            answer(stream);
            (client.ip(), question)
        });
        let local = SocketAddr::from((Ipv4Addr::new(127, 0, 0, 9), 25));
        let text = ask(port, SocketAddr::from((Ipv4Addr::LOCALHOST, 6193)), local, Deadline::after(deadline));
        let (client, question) = server.join().expect("the server");
        (text, client, question)
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn the_other_host_is_asked_from_the_connections_own_address() {
        let (text, client, question) = asked(LONG, |mut stream| {
            stream.write_all(b"6193 , 25 : USERID : UNIX : joe\r\n").expect("answer");
        });
        assert_eq!(text.as_deref(), Some(&b"joe"[..]));
        assert_eq!(client, Ipv4Addr::new(127, 0, 0, 9));
        assert_eq!(question, "6193 , 25\r\n");
    }

    #[test]
    fn no_answer_is_none() {
        assert_eq!(asked(LONG, drop).0, None);
        let cut = |mut stream: TcpStream| stream.write_all(b"6193,25:USERID:UNIX:joe").expect("answer");
        assert_eq!(asked(LONG, cut).0, None);
        let endless = |mut stream: TcpStream| while stream.write_all(&[b'x'; 1000]).is_ok() {};
        assert_eq!(asked(LONG, endless).0, None);
    }

    /// However an answer trickles, the deadline is for all of it.
    #[test]
    fn the_deadline_is_for_the_whole_answer() {
        let deadline = Duration::from_millis(300);
        let silent = |stream: TcpStream| drop(BufReader::new(&stream).read_line(&mut String::new()));
        let trickling = |mut stream: TcpStream| {
            while stream.write_all(b":").is_ok() {
                thread::sleep(Duration::from_millis(20));
            }
        };
        let start = Instant::now();
        assert_eq!(asked(deadline, silent).0, None);
        assert_eq!(asked(deadline, trickling).0, None);
        assert!(start.elapsed() >= deadline * 2 && start.elapsed() < LONG / 2);
    }

    #[test]
    fn nobody_there_is_none() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
        let there = listener.local_addr().expect("an address");
        drop(listener);
        assert_eq!(ask(there.port(), there, there, Deadline::after(LONG)), None);
    }

    #[test]
    fn the_text_is_what_stands_behind_the_third_colon() {
        assert_eq!(text(b"6193, 23 : USERID : UNIX : stjohns\r\n").as_deref(), Some(&b"stjohns"[..]));
        assert_eq!(text(b"1,2:USERID:OTHER: a b:c\td\r\nmore").as_deref(), Some(&b"ab:cd"[..]));
        assert_eq!(text(b"6195, 23 : ERROR : NO-USER\r\n").as_deref(), Some(&b""[..]));
        assert_eq!(text(b"\n").as_deref(), Some(&b""[..]));
        assert_eq!(text(b"1,2:USERID:UNIX:a\0b\n").as_deref(), Some(&b"a"[..]));
    }

    #[test]
    fn an_answer_without_its_end_is_none_yet() {
        assert_eq!(text(b"1,2:USERID:UNIX:joe"), None);
        assert_eq!(text(b""), None);
    }

    #[test]
    fn a_text_is_cut() {
        let answer = [&b"1,2:USERID:UNIX:"[..], &[b'x'; 1000]].concat();
        assert_eq!(text(&answer).map(|text| text.len()), Some(257));
    }
}
