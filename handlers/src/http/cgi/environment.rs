//! The environment of a script (RFC 3875 section 4.1): what the request says, and nothing of our own.

use connection::{Connection, Endpoint};

use super::Place;
use crate::Text;
use crate::http::request::Request;
use crate::text::{same, words};

/// Fields of the request that a script does not get as `HTTP_...`: credentials, what is between client and server, what
/// has a name of its own, and `Proxy`, which many libraries would take for the name of one.
const WITHHELD: &[u8] = b"proxy authorization proxy-authorization connection keep-alive te trailer transfer-encoding \
upgrade expect content-length content-type";

/// What the environment is made of.
pub(crate) struct Origin<'a> {
    pub(crate) connection: &'a Connection<'a>,
    pub(crate) request: &'a Request<'a>,
    pub(crate) place: &'a Place<'a>,
    /// The root's own path, from the root of the file system where that is known.
    pub(crate) root: &'a [u8],
    /// The length of the body, if there is one.
    pub(crate) length: Option<u64>,
    /// Who the client has proved to be.
    pub(crate) user: &'a [u8],
}

/// Writes it: each variable with a NUL at its end.
#[inline(never)]
pub(crate) fn write(to: &mut Text<'_>, origin: &Origin<'_>) {
    let Origin { connection, request, place, .. } = *origin;
    let (peer, local) = (&connection.peer, &connection.local);
    let (name, port) = server(request, local);
    set(to, "PATH", &[b"/usr/local/bin:/usr/bin:/bin"]);
    set(to, "GATEWAY_INTERFACE", &[b"CGI/1.1"]);
    set(to, "SERVER_SOFTWARE", &[concat!("tine/", env!("CARGO_PKG_VERSION")).as_bytes()]);
    set(to, "SERVER_PROTOCOL", &[if request.minor == 0 { b"HTTP/1.0" } else { b"HTTP/1.1" }]);
    set(to, "SERVER_NAME", &[name]);
    number(to, "SERVER_PORT", port.into());
    set(to, "SERVER_ADDR", &[local.ip()]);
    set(to, "REMOTE_ADDR", &[peer.ip()]);
    set(to, "REMOTE_HOST", &[peer.ip()]);
    number(to, "REMOTE_PORT", peer.port().into());
    set(to, "REQUEST_METHOD", &[request.method_name()]);
    set(to, "REQUEST_URI", &[request.path, request.query]);
    set(to, "QUERY_STRING", &[request.query.get(1..).unwrap_or_default()]);
    set(to, "DOCUMENT_ROOT", &[origin.root]);
    set(to, "SCRIPT_NAME", &[b"/", place.script]);
    set(to, "SCRIPT_FILENAME", &[origin.root, b"/", place.script]);
    if !place.info.is_empty() {
        set(to, "PATH_INFO", &[place.info]);
        set(to, "PATH_TRANSLATED", &[origin.root, place.info]);
    }
    if !origin.user.is_empty() {
        set(to, "AUTH_TYPE", &[b"Basic"]);
        set(to, "REMOTE_USER", &[origin.user]);
    }
    if let Some(length) = origin.length {
        number(to, "CONTENT_LENGTH", length);
    }
    if let (Some(_), Some((_, kind))) = (origin.length, request.fields().find(|(name, _)| same(name, b"content-type")))
    {
        set(to, "CONTENT_TYPE", &[kind]);
    }
    for (at, (name, _)) in request.fields().enumerate() {
        // A name with an underscore could be taken for another one with a dash, and what else a token may hold is more
        // than the name of a variable can.
        let is_name = name.iter().all(|&byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let is_plain = is_name && !words(WITHHELD).any(|withheld| same(withheld, name));
        if is_plain && !request.fields().take(at).any(|(earlier, _)| same(earlier, name)) {
            field(to, request, name);
        }
    }
}

/// `HTTP_NAME`, with all values of that name.
fn field(to: &mut Text<'_>, request: &Request<'_>, name: &[u8]) {
    to.str("HTTP_");
    for byte in name {
        to.bytes(&[if *byte == b'-' { b'_' } else { byte.to_ascii_uppercase() }]);
    }
    let mut separator = "=";
    for (_, value) in request.fields().filter(|(other, _)| same(other, name)) {
        to.str(separator).bytes(value);
        separator = if same(name, b"cookie") { "; " } else { ", " };
    }
    to.bytes(&[0]);
}

#[inline(never)]
fn set(to: &mut Text<'_>, name: &str, value: &[&[u8]]) {
    to.str(name).str("=");
    value.iter().for_each(|part| {
        to.bytes(part);
    });
    to.bytes(&[0]);
}

fn number(to: &mut Text<'_>, name: &str, value: u64) {
    to.str(name).str("=").decimal(value).bytes(&[0]);
}

/// The name that the client called us by, and the port: as it says, or as the connection has it.
fn server<'a>(request: &Request<'a>, local: &'a Endpoint) -> (&'a [u8], u16) {
    let host = request.host;
    let end = host.iter().rposition(|&byte| byte == b':').filter(|&end| {
        // Within brackets, colons are part of an address.
        host.get(end + 1..).is_some_and(|port| port.iter().all(u8::is_ascii_digit))
    });
    let (name, port) = host.split_at_checked(end.unwrap_or(host.len())).unwrap_or_default();
    let port = crate::options::decimal(port.get(1..).unwrap_or_default()).and_then(|port| u16::try_from(port).ok());
    let known = if local.port() == 0 { port.unwrap_or(80) } else { local.port() };
    (if name.is_empty() { local.ip() } else { name }, known)
}
