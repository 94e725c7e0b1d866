//! A request head: what its parts mean.
//!
//! Framing (RFC 9112 section 6) decides where the next request begins, so whatever is doubtful about it is refused.

pub(crate) use super::head::NoRequest;
use super::head::{self, Head};
use super::status::Status;
use crate::options::decimal;
use crate::text::{same, words};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    /// GET without the body of the answer.
    Head,
    Post,
    Options,
    /// One that is known and never served.
    Other,
}

/// The methods that are known: the first four in the order of [`Method`].
const METHODS: &[u8] = b"GET HEAD POST OPTIONS PUT DELETE PATCH TRACE CONNECT";

/// The fields that mean something here.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    Host,
    ContentLength,
    TransferEncoding,
    Connection,
    Expect,
    Range,
    IfRange,
    IfMatch,
    IfNoneMatch,
    IfModifiedSince,
    IfUnmodifiedSince,
    Accept,
    AcceptEncoding,
}

/// How many there are.
const FIELDS: usize = 13;
/// The first so many of them may not be repeated.
const ONCE: usize = 3;

/// Their names, in that order, each behind its length.
const NAMES: &[u8] = b"\x04host\x0econtent-length\x11transfer-encoding\x0aconnection\x06expect\x05range\x08if-range\
\x08if-match\x0dif-none-match\x11if-modified-since\x13if-unmodified-since\x06accept\x0faccept-encoding";

/// A head that can be understood.
#[derive(Clone, Copy)]
pub(crate) struct Request<'b> {
    /// Its length in bytes.
    pub(crate) len: usize,
    /// The request line as it came.
    pub(crate) line: &'b [u8],
    pub(crate) method: Method,
    /// The host that is asked, with its port if that was told: of the target, or else of the field Host.
    pub(crate) host: &'b [u8],
    /// The path of the target, not decoded.
    pub(crate) path: &'b [u8],
    /// What stands behind the path: empty, or `?` and the query.
    pub(crate) query: &'b [u8],
    /// 0 for HTTP/1.0, 1 for HTTP/1.1.
    pub(crate) minor: u8,
    /// The client wants to send more requests.
    pub(crate) keep_alive: bool,
    /// A body follows, which is not read.
    pub(crate) body: bool,
    /// It can be understood, but is answered with this.
    pub(crate) refused: Option<Status>,
    /// What was received behind it.
    pub(crate) behind: &'b [u8],
    /// All of it.
    head: &'b [u8],
    /// The first value of each field.
    values: [Option<&'b [u8]>; FIELDS],
}

impl<'b> Request<'b> {
    /// The first value of a field.
    pub(crate) fn value(&self, field: Field) -> Option<&'b [u8]> {
        self.values.get(field as usize).copied().flatten()
    }

    /// It asks for a whole file, whatever that is.
    pub(crate) fn is_plain(&self) -> bool {
        const CONDITIONS: [Field; 6] = [
            Field::Range,
            Field::IfRange,
            Field::IfMatch,
            Field::IfNoneMatch,
            Field::IfModifiedSince,
            Field::IfUnmodifiedSince,
        ];
        CONDITIONS.iter().all(|&field| self.value(field).is_none())
    }

    /// All fields, in their order.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&'b [u8], &'b [u8])> {
        self.head.split(|&byte| byte == b'\n').skip(1).filter_map(head::field)
    }

    /// The target as it came.
    pub(crate) fn target(&self) -> &'b [u8] {
        self.line.split(|&byte| byte == b' ').nth(1).unwrap_or_default()
    }

    /// The method by name.
    pub(crate) fn method_name(&self) -> &'b [u8] {
        self.line.split(|&byte| byte == b' ').next().unwrap_or_default()
    }

    /// The same client asks for another target, and sends nothing with it.
    pub(crate) fn redirected<'t>(&self, target: &'t [u8]) -> Request<'t>
    where
        'b: 't,
    {
        let query = target.iter().position(|&byte| byte == b'?').unwrap_or(target.len());
        let (path, query) = target.split_at_checked(query).unwrap_or_default();
        let mut values = self.values;
        for field in [Field::ContentLength, Field::TransferEncoding, Field::Expect] {
            if let Some(value) = values.get_mut(field as usize) {
                *value = None;
            }
        }
        let (method, line) = match self.method {
            Method::Head => (Method::Head, &b"HEAD"[..]),
            _ => (Method::Get, &b"GET"[..]),
        };
        Request { path, query, method, line, body: false, behind: b"", values, ..*self }
    }

    /// All values of a field. The head is looked through once more for them: what may be repeated seldom is.
    pub(crate) fn values(&self, field: Field) -> impl Iterator<Item = &'b [u8]> {
        self.fields().filter(move |(name, _)| Field::of(name) == field as usize).map(|(_, value)| value)
    }
}

impl Field {
    /// The place of that name, or one that no field has.
    #[inline(never)]
    fn of(wanted: &[u8]) -> usize {
        let (mut names, mut place) = (NAMES, 0);
        while let [len, rest @ ..] = names {
            let (name, more) = rest.split_at_checked(usize::from(*len)).unwrap_or_default();
            if name.len() == wanted.len() && same(name, wanted) {
                break;
            }
            (names, place) = (more, place + 1);
        }
        place
    }
}

/// Reads a head from the beginning of `bytes`.
// Not inlined, nor are its parts: their frames are gone before the answer needs space.
#[inline(never)]
pub(crate) fn parse(bytes: &[u8]) -> Result<Request<'_>, NoRequest> {
    let mut request = Request {
        len: 0,
        line: b"",
        method: Method::Other,
        host: b"",
        path: b"",
        query: b"",
        minor: 0,
        keep_alive: false,
        body: false,
        refused: None,
        behind: bytes,
        head: bytes,
        values: [None; FIELDS],
    };
    head::read(bytes, &mut |head| {
        request.take_line(&head);
        request.take_fields(&head);
        (request.head, request.behind) = bytes.split_at_checked(head.len).unwrap_or_default();
    })?;
    request.len = request.head.len();
    request.judge();
    Ok(request)
}

impl<'b> Request<'b> {
    /// Looks at the request line.
    #[inline(never)]
    fn take_line(&mut self, head: &Head<'_, 'b>) {
        let (name, target) = (head.method, head.target);
        self.line = head.line;
        self.minor = head.minor;
        self.keep_alive = self.minor == 1;
        match words(METHODS).position(|known| known == name) {
            Some(place) => self.method = METHOD.get(place).copied().unwrap_or(Method::Other),
            None => self.refused = Some(Status::NotImplemented),
        }
        if let Some((host, rest)) = parts_of(target) {
            let query = rest.iter().position(|&byte| byte == b'?').unwrap_or(rest.len());
            (self.path, self.query) = rest.split_at_checked(query).unwrap_or_default();
            self.host = host;
        } else if !(self.method == Method::Options && target == b"*" || name == b"CONNECT") {
            // The other forms of a target (RFC 9112 section 3.2): `*` is for OPTIONS and an authority for CONNECT.
            self.refused = Some(Status::BadRequest);
        }
    }

    /// Looks at the fields.
    #[inline(never)]
    fn take_fields(&mut self, head: &Head<'_, 'b>) {
        let mut close = false;
        for header in head.fields {
            let field = Field::of(header.name.as_bytes());
            if field == Field::Connection as usize {
                for option in header.value.split(|&byte| byte == b',') {
                    close |= same(option.trim_ascii(), b"close");
                    self.keep_alive |= same(option.trim_ascii(), b"keep-alive");
                }
            }
            match self.values.get_mut(field) {
                Some(Some(_)) if field < ONCE => self.refused = Some(Status::BadRequest),
                Some(first @ None) => *first = Some(header.value),
                _ => {}
            }
        }
        self.keep_alive &= !close;
    }

    /// Decides on host, framing and expectation.
    #[inline(never)]
    fn judge(&mut self) {
        let host = self.value(Field::Host);
        let mut bad = self.refused == Some(Status::BadRequest) || (host.is_none() && self.minor == 1);
        let host = host.unwrap_or_default();
        bad |= !host.iter().chain(self.host).all(is_host);
        // What names the host in the target comes before the field (section 3.2.2), which must be there all the same.
        if self.host.is_empty() {
            self.host = host;
        }
        self.body = match (self.value(Field::TransferEncoding), self.value(Field::ContentLength).map(decimal)) {
            (None, None) => false,
            (None, Some(Some(length))) if length < u64::MAX => length > 0,
            (Some(coding), None) if self.minor == 1 => {
                // The one coding that HTTP/1.1 itself has (section 6.1).
                if !same(coding, b"chunked") {
                    self.refused = Some(Status::NotImplemented);
                }
                true
            }
            _ => {
                bad = true;
                true
            }
        };
        let expected = self.value(Field::Expect).is_none_or(|expect| same(expect, b"100-continue"));
        if bad {
            self.refused = Some(Status::BadRequest);
            (self.keep_alive, self.body) = (false, true);
        } else if !expected && self.minor == 1 && self.refused.is_none() {
            self.refused = Some(Status::ExpectationFailed);
        }
    }
}

/// The methods that are more than known.
const METHOD: [Method; 4] = [Method::Get, Method::Head, Method::Post, Method::Options];

/// The host of a target, and what follows it: of origin-form, which has no host, or of absolute-form (RFC 9112 section
/// 3.2). Both are empty for other forms.
#[inline(never)]
pub(crate) fn parts_of(target: &[u8]) -> Option<(&[u8], &[u8])> {
    if target.starts_with(b"/") {
        return Some((b"", target));
    }
    let scheme = [&b"http://"[..], b"https://"]
        .into_iter()
        .find(|scheme| target.get(..scheme.len()).is_some_and(|start| same(start, scheme)))?;
    let rest = target.get(scheme.len()..)?;
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    rest.split_at_checked(end).filter(|(host, _)| !host.is_empty())
}

/// What may stand in a Host field: names, addresses, a port (RFC 3986 section 3.2.2).
fn is_host(byte: &u8) -> bool {
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

    /// `host path query keep-alive body status` of a head.
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
            ("GET http:// HTTP/1.1\r\nHost: a\r\n\r\n", "  close body 400"),
            ("GET ftp://h/ HTTP/1.1\r\nHost: a\r\n\r\n", "  close body 400"),
            ("GET a HTTP/1.1\r\nHost: a\r\n\r\n", "  close body 400"),
            ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", "  close body 400"),
            ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "  keep"),
            ("CONNECT h:1 HTTP/1.1\r\nHost: a\r\n\r\n", "  keep"),
            ("GET / HTTP/1.1\r\n\r\n", "/  close body 400"),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "/  close body 400"),
            ("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", "/  close body 400"),
            ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "/  close body 400"),
            ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "/  close body 400"),
            ("GET / HTTP/1.1\r\nHost:\r\n\r\n", "/  keep"),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "/  keep"),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", "/  keep body"),
            ("BREW / HTTP/1.1\r\nHost: a\r\n\r\n", "/  keep 501"),
            ("get / HTTP/1.1\r\nHost: a\r\n\r\n", "/  keep 501"),
            ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", "/  keep body"),
            ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", "/  keep body"),
            ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n", "/  keep body"),
            ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "/  keep body 501"),
            ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", "/  close body 400"),
            ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\n", "/  close body 400"),
            ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n", "/  close body 400"),
            ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", "/  close body 400"),
            ("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "/  close body 400"),
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
            ("GET / HTTP/1.9\r\nHost: a\r\n\r\n", "/  keep"),
            ("GET / HTTP/0.9\r\n\r\n", "malformed 505"),
            ("GET / HTTP/3\r\n\r\n", "malformed 505"),
            ("GET / HTTP/11.1\r\n\r\n", "malformed 400"),
            ("GET / http/1.1\r\n\r\n", "malformed 400"),
            ("GET\t/ HTTP/1.1\r\n\r\n", "malformed 400"),
            ("GET /\t HTTP/1.1\r\n\r\n", "malformed 400"),
            ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", "/  close body 400"),
            (
                "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
                "/  close body 400",
            ),
            ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", "/  keep body 501"),
            ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n", "/  keep body 501"),
            ("GET http://u@h/ HTTP/1.1\r\nHost: a\r\n\r\n", "/  close body 400"),
            ("GET http://h/ HTTP/1.1\r\n\r\n", "/  close body 400"),
            ("GET http://h/ HTTP/1.0\r\n\r\n", "/  close"),
            ("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 5\r\n\r\n", "/  keep body"),
            ("GET / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n", "/  keep 417"),
            ("GET / HTTP/1.0\r\nHost: a\r\nExpect: x\r\n\r\n", "/  close"),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "malformed 505"),
            ("GET / HTTQ/1.1\r\n\r\n", "malformed 400"),
            ("\x16\x03\x01\x02\0\x01\0", "malformed 400"),
            ("GET / HTTP/1.1\r\nHost: a\r\n", "partial"),
            ("GE", "partial"),
        ] {
            assert_eq!(summary(head), expect, "{head:?}");
        }
    }

    #[test]
    fn the_names_of_fields() {
        for (place, name) in [(0, "HOST"), (ONCE - 1, "Transfer-Encoding"), (FIELDS - 1, "accept-encoding")] {
            assert_eq!(Field::of(name.as_bytes()), place, "{name}");
        }
        assert_eq!(Field::of(b"hos"), FIELDS);
        assert_eq!(Field::of(b""), FIELDS);
        assert_eq!(Field::of(b"if-match"), Field::IfMatch as usize);
        assert_eq!(Field::AcceptEncoding as usize + 1, FIELDS);
    }

    #[test]
    fn the_host_is_that_of_the_target_or_of_the_field() {
        for (head, host, method) in [
            ("GET / HTTP/1.1\r\nHost: a:80\r\n\r\n", "a:80", Method::Get),
            ("HEAD http://b:1/ HTTP/1.1\r\nHost: a\r\n\r\n", "b:1", Method::Head),
            ("POST http://b HTTP/1.1\r\nHost:\r\n\r\n", "b", Method::Post),
            ("OPTIONS * HTTP/1.0\r\n\r\n", "", Method::Options),
            ("TRACE / HTTP/1.0\r\n\r\n", "", Method::Other),
        ] {
            let Ok(request) = parse(head.as_bytes()) else { panic!("{head}") };
            assert_eq!((request.host, request.method), (host.as_bytes(), method), "{head}");
        }
    }

    #[test]
    fn what_a_host_consists_of() {
        for byte in 0..=255u8 {
            let expect = byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:[]".contains(&byte);
            assert_eq!(is_host(&byte), expect, "{byte}");
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
