//! The head of an answer: as much as a client must know to find its end.

use std::fmt;

/// What the head says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its bytes, with the empty line.
    pub length: usize,
    /// 200 and so on.
    pub status: u16,
    /// Bytes of the body; none when only the end of the connection tells.
    pub body: Option<u64>,
    /// Whether the connection ends with this answer.
    pub close: bool,
}

/// What a load generator cannot go on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// It is not HTTP/1.
    Malformed,
    /// The body comes in chunks.
    Chunked,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Problem::Malformed => "the answer is not HTTP/1",
            Problem::Chunked => "the answer comes in chunks, which this client does not read; choose a file",
        })
    }
}

/// Reads a head; none when it is not there in full.
pub fn parse(bytes: &[u8]) -> Result<Option<Head>, Problem> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    let length = match response.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(Problem::Malformed),
    };
    let status = response.code.unwrap_or(0);
    let mut head = Head { length, status, body: None, close: response.version != Some(1) };
    for header in response.headers.iter() {
        let has = |word: &[u8]| header.value.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word));
        match header.name {
            name if name.eq_ignore_ascii_case("content-length") => {
                let number = str::from_utf8(header.value).ok().and_then(|text| text.trim().parse().ok());
                head.body = Some(number.ok_or(Problem::Malformed)?);
            }
            name if name.eq_ignore_ascii_case("transfer-encoding") && has(b"chunked") => return Err(Problem::Chunked),
            name if name.eq_ignore_ascii_case("connection") && has(b"close") => head.close = true,
            name if name.eq_ignore_ascii_case("connection") && has(b"keep-alive") => head.close = false,
            _ => {}
        }
    }
    if status == 304 || status == 204 {
        head.body = Some(0);
    }
    head.close |= head.body.is_none();
    Ok(Some(head))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_tell_the_end() {
        let parsed = |text: &str| parse(text.as_bytes());
        let kept = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
        assert_eq!(parsed(kept), Ok(Some(Head { length: kept.len() - 5, status: 200, body: Some(5), close: false })));
        assert_eq!(parsed(&kept[..20]), Ok(None));
        let close = |text: &str| parsed(text).unwrap().unwrap().close;
        assert!(close("HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 5\r\n\r\n"));
        assert!(close("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n"));
        assert!(!close("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\n"));
        assert!(close("HTTP/1.1 200 OK\r\n\r\n"));
        assert_eq!(parsed("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), Err(Problem::Chunked));
        assert_eq!(parsed("SSH-2.0-OpenSSH\r\n\r\n"), Err(Problem::Malformed));
        assert_eq!(parsed("HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\n"), Err(Problem::Malformed));
    }
}
