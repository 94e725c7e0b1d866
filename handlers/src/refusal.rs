//! What is said to a client for whom there is no process. It is data for whoever supervises, and in no executable of a
//! handler.

use crate::Protocol;

/// RFC 9110, 15.6.4. A short while, for what holds a client off mostly passes soon.
const HTTP: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
    Retry-After: 5\r\n\
    Connection: close\r\n\
    Cache-Control: no-store\r\n\
    Content-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 38\r\n\
    \r\n\
    The server is busy: try again in 5 s.\n";

impl Protocol {
    /// What to send to a client that is turned away; empty where the protocol has no words for it.
    #[must_use]
    pub fn refusal(&self) -> &'static [u8] {
        match self.name {
            "http" => HTTP,
            _ => b"",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_is_that_of_the_body() {
        let text = core::str::from_utf8(HTTP).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap();
        assert_eq!(length.parse(), Ok(body.len()));
    }
}
