//! Status codes (RFC 9110 section 15).

use crate::text::numbered;

/// A status that is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(crate) enum Status {
    Ok = 200,
    NoContent = 204,
    PartialContent = 206,
    MovedPermanently = 301,
    NotModified = 304,
    BadRequest = 400,
    Unauthorized = 401,
    Forbidden = 403,
    NotFound = 404,
    MethodNotAllowed = 405,
    RequestTimeout = 408,
    PreconditionFailed = 412,
    ContentTooLarge = 413,
    UriTooLong = 414,
    RangeNotSatisfiable = 416,
    ExpectationFailed = 417,
    HeadTooLarge = 431,
    InternalServerError = 500,
    NotImplemented = 501,
    BadGateway = 502,
    ServiceUnavailable = 503,
    GatewayTimeout = 504,
    VersionNotSupported = 505,
}

/// Each with its reason.
const LINES: &str = "200 OK
206 Partial Content
204 No Content
304 Not Modified
301 Moved Permanently
404 Not Found
400 Bad Request
401 Unauthorized
403 Forbidden
405 Method Not Allowed
408 Request Timeout
412 Precondition Failed
413 Content Too Large
414 URI Too Long
416 Range Not Satisfiable
417 Expectation Failed
431 Request Header Fields Too Large
500 Internal Server Error
501 Not Implemented
502 Bad Gateway
503 Service Unavailable
504 Gateway Timeout
505 HTTP Version Not Supported";

impl Status {
    pub(crate) fn code(self) -> u16 {
        self as u16
    }

    /// Code and reason: `404 Not Found`.
    pub(crate) fn line(self) -> &'static [u8] {
        numbered(LINES, self.code()).0
    }
}
