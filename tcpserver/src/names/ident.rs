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
    use super::text;

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
