//! The options of `tine serve` by which others see what it does, and the words that are spoken at its window.

use std::os::fd::OwnedFd;
use std::str::FromStr;

use clap::builder::ValueParser;
use clap::{Arg, ArgMatches};
use tcpserver::window::{QUESTION, Window};
use tcpserver::{Address, Error};

use crate::cli::{flag, is_given, option};

/// Under which they stand in the help.
pub const HEADING: &str = "Watching";

/// What can be typed.
pub fn options() -> Vec<Arg> {
    vec![
        option(
            "metrics",
            "ADDRESS",
            "Tell Prometheus how full the service is, at ADDR:PORT or\nunix:PATH; answered without any child",
        )
        .value_parser(ValueParser::new(Address::from_str)),
        flag("titles", "Show each child's client, and what it does, to ps"),
    ]
}

/// What was typed.
#[derive(Clone, Debug, Default)]
pub struct Watching {
    metrics: Option<Address>,
    /// Children tell ps(1) whom they serve.
    pub titles: bool,
}

impl Watching {
    /// Takes what was typed.
    pub fn from_matches(matches: &ArgMatches) -> Self {
        Watching { metrics: matches.get_one("metrics").cloned(), titles: matches.get_flag("titles") }
    }

    /// What was typed and has a meaning only where there are children.
    pub fn given(matches: &ArgMatches) -> Option<&'static str> {
        ["metrics", "titles"].into_iter().find(|name| is_given(matches, name))
    }

    /// Opens the window that was asked for, or takes over that of the process before us.
    pub fn window(&self, handed: Option<OwnedFd>) -> Result<Option<Window>, Error> {
        match (&self.metrics, handed) {
            (None, _) => Ok(None),
            (Some(_), Some(socket)) => Window::take_over(socket, answer).map(Some),
            (Some(address), None) => Window::open(address, answer).map(Some),
        }
    }

    /// The effective settings, each for a line.
    pub fn describe(&self, line: &mut dyn FnMut(&str, &dyn std::fmt::Display)) {
        if let Some(address) = &self.metrics {
            line("metrics", address);
        }
        if self.titles {
            line("titles", &true);
        }
    }
}

/// Where the page is.
pub fn url(address: &Address) -> String {
    match address {
        Address::Tcp(address) => format!("http://{address}/metrics"),
        Address::Unix(_) => format!("{address}, /metrics"),
    }
}

/// From a request as far as it came to the whole response, or to nothing while it is not complete.
fn answer(request: &[u8], page: &mut dyn FnMut() -> String) -> Option<Vec<u8>> {
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Request::new(&mut fields);
    let (status, body) = match head.parse(request) {
        Ok(httparse::Status::Partial) if request.len() < QUESTION => return None,
        Ok(httparse::Status::Partial) => ("431 Request Header Fields Too Large", "the request is too long\n".into()),
        Err(_) => ("400 Bad Request", "this is no request\n".into()),
        Ok(httparse::Status::Complete(_)) => {
            let path = head.path.and_then(|path| path.split('?').next()).unwrap_or_default();
            match (head.method.unwrap_or_default(), path) {
                ("GET" | "HEAD", "/metrics") => ("200 OK", page()),
                ("GET" | "HEAD", _) => ("404 Not Found", "/metrics is here, and nothing else\n".into()),
                _ => ("405 Method Not Allowed", "only GET and HEAD\n".into()),
            }
        }
    };
    let kind = if status.starts_with("200") { "text/plain; version=0.0.4; charset=utf-8" } else { "text/plain" };
    let allow = if status.starts_with("405") { "Allow: GET, HEAD\r\n" } else { "" };
    let len = body.len();
    let mut answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len}\r\n{allow}Connection: close\r\n\r\n"
    );
    if head.method != Some("HEAD") {
        answer.push_str(&body);
    }
    Some(answer.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first_line(request: &str) -> Option<String> {
        let answer = answer(request.as_bytes(), &mut || "page".into())?;
        let text = String::from_utf8(answer).unwrap();
        assert_eq!(text.ends_with("\r\n\r\n"), request.starts_with("HEAD"), "{text}");
        text.lines().next().map(String::from)
    }

    #[test]
    fn questions_and_answers() {
        for (request, line) in [
            ("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", Some("HTTP/1.1 200 OK")),
            ("HEAD /metrics?x HTTP/1.0\r\n\r\n", Some("HTTP/1.1 200 OK")),
            ("GET /metrics HTTP/1.1\r\nHost: a\r\n", None),
            ("", None),
            ("GET / HTTP/1.1\r\n\r\n", Some("HTTP/1.1 404 Not Found")),
            ("POST /metrics HTTP/1.1\r\n\r\n", Some("HTTP/1.1 405 Method Not Allowed")),
            ("\0\0\r\n\r\n", Some("HTTP/1.1 400 Bad Request")),
        ] {
            assert_eq!(first_line(request).as_deref(), line, "{request:?}");
        }
        let long = format!("GET /{} HTTP/1.1\r\n", "x".repeat(QUESTION));
        assert_eq!(first_line(&long).as_deref(), Some("HTTP/1.1 431 Request Header Fields Too Large"));
    }
}
