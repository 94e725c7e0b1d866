//! A request head: what httparse does not decide.
//!
//! Framing (RFC 9112 section 6) decides where the next request begins, so whatever is doubtful about it is refused.

use core::mem::MaybeUninit;

use super::status::Status;
use crate::options::decimal;
use crate::text::{same, words};

/// More fields than this are too large a head.
pub(crate) const FIELDS: usize = 64;

/// Methods that are known and not served.
const METHODS: &str = "OPTIONS POST PUT DELETE PATCH TRACE CONNECT";

/// The fields that mean something here.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    Host,
    Connection,
    ContentLength,
    TransferEncoding,
    Range,
    IfRange,
    IfNoneMatch,
    IfModifiedSince,
}

/// Their names, in that order.
const NAMES: [&str; 8] = [
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
    "range",
    "if-range",
    "if-none-match",
    "if-modified-since",
];

/// What bytes are that are no request.
#[derive(Clone, Copy)]
pub(crate) enum NoRequest {
    /// The beginning of a head.
    Partial,
    /// Nothing that can be understood.
    Malformed(Status),
}

/// A head that can be understood.
#[derive(Clone, Copy)]
pub(crate) struct Request<'b> {
    /// Its length in bytes.
    pub(crate) len: usize,
    /// The request line as it came, for the log.
    pub(crate) line: &'b [u8],
    pub(crate) method: &'b [u8],
    /// The path of the target, not decoded.
    pub(crate) path: &'b [u8],
    /// What stands behind the path: empty, or `?` and the query.
    pub(crate) query: &'b [u8],
    /// HEAD: the answer has no body.
    pub(crate) head_only: bool,
    /// 0 for HTTP/1.0, 1 for HTTP/1.1.
    pub(crate) minor: u8,
    /// The client wants to send more requests.
    pub(crate) keep_alive: bool,
    /// A body follows, which is not read.
    pub(crate) body: bool,
    /// It can be understood, but is answered with this.
    pub(crate) refused: Option<Status>,
    /// All of it.
    head: &'b [u8],
    /// The first value of each field.
    values: [Option<&'b [u8]>; NAMES.len()],
}

impl<'b> Request<'b> {
    /// The first value of a field.
    pub(crate) fn value(&self, field: Field) -> Option<&'b [u8]> {
        self.values.get(field as usize).copied().flatten()
    }

    /// All fields, in their order.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&'b [u8], &'b [u8])> {
        self.head.split(|&byte| byte == b'\n').skip(1).filter_map(|line| {
            let (name, value) = line.split_at_checked(line.iter().position(|&byte| byte == b':')?)?;
            Some((name, value.get(1..).unwrap_or_default().trim_ascii()))
        })
    }

    /// The same client asks for another target, and sends nothing with it.
    pub(crate) fn redirected<'t>(&self, target: &'t [u8]) -> Request<'t>
    where
        'b: 't,
    {
        let query = target.iter().position(|&byte| byte == b'?').unwrap_or(target.len());
        let (path, query) = target.split_at_checked(query).unwrap_or_default();
        let mut values = self.values;
        for field in [Field::ContentLength, Field::TransferEncoding] {
            if let Some(value) = values.get_mut(field as usize) {
                *value = None;
            }
        }
        let method = if self.head_only { &b"HEAD"[..] } else { b"GET" };
        Request { path, query, method, body: false, refused: None, values, ..*self }
    }

    /// All values of a field. The head is looked through once more for them: what may be repeated seldom is.
    pub(crate) fn values(&self, field: Field) -> impl Iterator<Item = &'b [u8]> {
        self.head.split(|&byte| byte == b'\n').skip(1).filter_map(move |line| {
            let (name, value) = line.split_at_checked(line.iter().position(|&byte| byte == b':')?)?;
            let found = Field::of(name) == Some(field as usize);
            found.then(|| value.get(1..).unwrap_or_default().trim_ascii())
        })
    }
}

impl Field {
    /// The place of that name.
    fn of(name: &[u8]) -> Option<usize> {
        NAMES.iter().position(|known| same(known.as_bytes(), name))
    }
}

/// Reads a head from the beginning of `bytes`.
// Not inlined: its frame holds all fields of the head, and is gone before the answer needs space.
#[inline(never)]
pub(crate) fn parse(bytes: &[u8]) -> Result<Request<'_>, NoRequest> {
    let mut parser = httparse::Request::new(&mut []);
    let mut fields = [const { MaybeUninit::uninit() }; FIELDS];
    let len = match parser.parse_with_uninit_headers(bytes, &mut fields) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) => return Err(NoRequest::Partial),
        Err(error) => {
            return Err(NoRequest::Malformed(match error {
                httparse::Error::TooManyHeaders => Status::HeadTooLarge,
                httparse::Error::Version => version(bytes),
                _ => Status::BadRequest,
            }));
        }
    };
    let (method, target) = (parser.method.unwrap_or(""), parser.path.unwrap_or("").as_bytes());
    let minor = parser.version.unwrap_or(0);
    let after_method = path_of(target);
    let asterisk = target == b"*" && method == "OPTIONS";
    let mut bad = after_method.is_none() && !asterisk && method != "CONNECT";
    let mut keep_alive = minor == 1;
    let mut close = false;
    let mut values = [None; NAMES.len()];
    for header in parser.headers {
        let Some(field) = Field::of(header.name.as_bytes()) else { continue };
        if field == Field::Connection as usize {
            for option in header.value.split(|&byte| byte == b',') {
                close |= same(option.trim_ascii(), b"close");
                keep_alive |= same(option.trim_ascii(), b"keep-alive");
            }
        }
        let once = field == Field::Host as usize || field == Field::ContentLength as usize;
        if let Some(value) = values.get_mut(field) {
            bad |= once && value.is_some();
            *value = value.or(Some(header.value));
        }
    }
    let after_method = after_method.unwrap_or(b"/");
    let query = after_method.iter().position(|&byte| byte == b'?').unwrap_or(after_method.len());
    let (path, query) = after_method.split_at_checked(query).unwrap_or_default();
    let head = bytes.get(..len).unwrap_or_default();
    let head_only = method == "HEAD";
    let mut request = Request {
        len,
        line: line(bytes),
        method: method.as_bytes(),
        path,
        query,
        head_only,
        minor,
        keep_alive,
        body: false,
        refused: None,
        head,
        values,
    };
    bad |= match request.value(Field::Host) {
        Some(host) => !host.iter().all(|&byte| is_host(byte)),
        None => minor == 1,
    };
    let coding = request.value(Field::TransferEncoding);
    let encoded = coding.is_some();
    let length = request.value(Field::ContentLength).map(decimal);
    bad |= length == Some(None) || (encoded && length.is_some());
    request.keep_alive &= !bad && !close;
    request.body = bad || encoded || matches!(length, Some(Some(1..)));
    request.refused = match method {
        _ if bad => Some(Status::BadRequest),
        // The one coding that HTTP/1.1 itself has (RFC 9112 section 6.1).
        _ if coding.is_some_and(|coding| !same(coding, b"chunked")) => Some(Status::NotImplemented),
        "GET" | "HEAD" => None,
        other if words(METHODS).any(|known| known == other.as_bytes()) => Some(Status::MethodNotAllowed),
        _ => Some(Status::NotImplemented),
    };
    Ok(request)
}

/// The path and query of a target: origin-form, or absolute-form without its authority (RFC 9112 section 3.2).
#[inline(never)]
fn path_of(target: &[u8]) -> Option<&[u8]> {
    if target.starts_with(b"/") {
        return Some(target);
    }
    let scheme = [&b"http://"[..], b"https://"]
        .into_iter()
        .find(|scheme| target.get(..scheme.len()).is_some_and(|start| same(start, scheme)))?;
    let rest = target.get(scheme.len()..)?;
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    (end > 0).then(|| rest.get(end..).unwrap_or(&[]))
}

/// The first line, without its end.
fn line(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|&byte| byte == b'\r' || byte == b'\n').unwrap_or(bytes.len());
    bytes.get(..end).unwrap_or(&[])
}

/// A line that ends in another version of HTTP, or one that ends in something else.
#[inline(never)]
fn version(bytes: &[u8]) -> Status {
    let version = line(bytes).rsplit(|&byte| byte == b' ').next().unwrap_or_default();
    match version.strip_prefix(b"HTTP/") {
        Some(b"1.0" | b"1.1") => Status::BadRequest,
        Some(b"2" | b"3") => Status::VersionNotSupported,
        Some([major, b'.', minor]) if major.is_ascii_digit() && minor.is_ascii_digit() => Status::VersionNotSupported,
        _ => Status::BadRequest,
    }
}

/// What may stand in a Host field: names, addresses, a port (RFC 3986 section 3.2.2).
fn is_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'!' | b'$'..=b'.' | b':' | b';' | b'=' | b'[' | b']' | b'_' | b'~')
}

#[cfg(test)]
pub(crate) fn with<T>(fields_text: &str, check: impl FnOnce(&Request<'_>) -> T) -> T {
    extern crate std;
    let separator = if fields_text.is_empty() { "" } else { "\r\n" };
    let head = std::format!("GET / HTTP/1.1\r\nHost: h\r\n{fields_text}{separator}\r\n");
    match parse(head.as_bytes()) {
        Ok(request) => check(&request),
        _ => panic!("{head}"),
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::{String, ToString};

    /// `path query keep-alive body status` of a head.
    fn summary(head: &str) -> String {
        match parse(head.as_bytes()) {
            Err(NoRequest::Partial) => "partial".to_string(),
            Err(NoRequest::Malformed(status)) => std::format!("malformed {}", status.code()),
            Ok(request) => std::format!(
                "{} {} {}{}{}",
                String::from_utf8_lossy(request.path),
                String::from_utf8_lossy(request.query),
                if request.keep_alive { "keep" } else { "close" },
                if request.body { " body" } else { "" },
                request.refused.map(|status| std::format!(" {}", status.code())).unwrap_or_default()
            ),
        }
    }

    #[test]
    fn heads() {
        for (head, expect) in [
            ("GET / HTTP/1.0\r\n\r\n", "/  close"),
            ("GET / HTTP/1.0\n\n", "/  close"),
            ("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "/  keep"),
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "/  keep"),
            ("GET / HTTP/1.1\r\nHost:a\r\nConnection: x, Close\r\n\r\n", "/  close"),
            ("GET /a?b=c?d HTTP/1.1\r\nHost: a:80\r\n\r\n", "/a ?b=c?d keep"),
            ("GET http://h/a?b HTTP/1.1\r\nHost: a\r\n\r\n", "/a ?b keep"),
            ("GET HTTPS://h?b HTTP/1.1\r\nHost: a\r\n\r\n", " ?b keep"),
            ("GET http:// HTTP/1.1\r\nHost: a\r\n\r\n", "/  close body 400"),
            ("GET ftp://h/ HTTP/1.1\r\nHost: a\r\n\r\n", "/  close body 400"),
            ("GET a HTTP/1.1\r\nHost: a\r\n\r\n", "/  close body 400"),
            ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", "/  close body 400"),
            ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "/  keep 405"),
            ("CONNECT h:1 HTTP/1.1\r\nHost: a\r\n\r\n", "/  keep 405"),
            ("GET / HTTP/1.1\r\n\r\n", "/  close body 400"),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "/  close body 400"),
            ("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", "/  close body 400"),
            ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "/  close body 400"),
            ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "/  close body 400"),
            ("GET / HTTP/1.1\r\nHost:\r\n\r\n", "/  keep"),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "/  keep 405"),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", "/  keep body 405"),
            ("BREW / HTTP/1.1\r\nHost: a\r\n\r\n", "/  keep 501"),
            ("get / HTTP/1.1\r\nHost: a\r\n\r\n", "/  keep 501"),
            ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", "/  keep body"),
            ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", "/  keep body"),
            ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n", "/  keep body"),
            ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "/  keep body 501"),
            ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", "/  close body 400"),
            ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\n", "/  close body 400"),
            ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n", "/  close body 400"),
            ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", "/  close body 400"),
            ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nTransfer-Encoding: x\r\n\r\n", "/  close body 400"),
            ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", "malformed 400"),
            ("GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", "malformed 400"),
            ("GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", "malformed 400"),
            ("GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", "malformed 400"),
            ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", "malformed 400"),
            ("GET / x HTTP/1.1\r\nHost: a\r\n\r\n", "malformed 400"),
            ("GET /\r\n", "malformed 400"),
            ("GET / HTTP/2.0\r\n\r\n", "malformed 505"),
            ("GET / HTTP/1.9\r\n\r\n", "malformed 505"),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "malformed 505"),
            ("GET / HTTQ/1.1\r\n\r\n", "malformed 400"),
            ("\x16\x03\x01\x02\0\x01\0", "malformed 400"),
            ("GET / HTTP/1.1\r\nHost: a\r\n", "partial"),
            ("GE", "partial"),
        ] {
            assert_eq!(summary(head), expect, "{head:?}");
        }
        let many = std::format!("GET / HTTP/1.0\r\n{}\r\n", "X: y\r\n".repeat(FIELDS + 1));
        assert_eq!(summary(&many), "malformed 431");
    }

    #[test]
    fn what_a_host_consists_of() {
        for byte in 0..=255u8 {
            let expect = byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:[]".contains(&byte);
            assert_eq!(is_host(byte), expect, "{byte}");
        }
    }

    #[test]
    fn fields_are_found_by_name() {
        with("RANGE: 1\r\nx: 2\r\nIf-None-Match:3\nrange: 4\r\nif-none-match:\t 5 \r\nIf-Range: 6: 7", |request| {
            let all = |field| request.values(field).map(String::from_utf8_lossy).collect::<std::vec::Vec<_>>();
            assert_eq!(all(Field::Range), ["1", "4"]);
            assert_eq!(all(Field::IfNoneMatch), ["3", "5"]);
            assert_eq!(all(Field::IfRange), ["6: 7"]);
            assert!(all(Field::IfModifiedSince).is_empty());
            assert_eq!(request.value(Field::Range), Some(&b"1"[..]));
        });
    }

    #[test]
    fn each_beginning_of_a_head_is_partial() {
        let head = "GET /a HTTP/1.1\r\nHost: a\r\nUser-Agent: b\r\n\r\n";
        for len in 0..head.len() {
            assert_eq!(summary(&head[..len]), "partial", "{:?}", &head[..len]);
        }
    }
}
