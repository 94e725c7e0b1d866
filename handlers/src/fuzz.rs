//! The inside of [`crate::http`], for the fuzz targets alone: what reads foreign bytes, without the system around it.

use connection::Fd;

use crate::http::{file, path, request};
use crate::io::borrow;

/// A request head, as far as it was understood.
#[derive(Debug)]
pub struct Head<'b> {
    /// Its length with the empty line.
    pub len: usize,
    /// The method by name.
    pub method: &'b [u8],
    /// The target as it came.
    pub target: &'b [u8],
    /// 0 or 1.
    pub minor: u8,
    /// The host that is asked.
    pub host: &'b [u8],
    /// The path of the target.
    pub path: &'b [u8],
    /// The query with its `?`.
    pub query: &'b [u8],
    /// More requests may follow.
    pub keep_alive: bool,
    /// A body follows.
    pub body: bool,
    /// It is answered with this status.
    pub refused: Option<u16>,
}

/// Reads a head: `Err(None)` when it is not complete, `Err` with a status when it is none. Each field goes to `field`.
///
/// # Errors
/// See above.
pub fn head<'b>(bytes: &'b [u8], field: &mut dyn FnMut(&'b [u8], &'b [u8])) -> Result<Head<'b>, Option<u16>> {
    let request = request::parse(bytes).map_err(|none| match none {
        request::NoRequest::Partial => None,
        request::NoRequest::Malformed(status) => Some(status.code()),
    })?;
    request.fields().for_each(|(name, value)| field(name, value));
    Ok(Head {
        len: request.len,
        method: request.method_name(),
        target: request.target(),
        minor: request.minor,
        host: request.host,
        path: request.path,
        query: request.query,
        keep_alive: request.keep_alive,
        body: request.body,
        refused: request.refused.map(|status| status.code()),
    })
}

/// The path that a target means, and what is found for it beneath `root`: of a file, how many of its bytes are in
/// `content` now; `None` for a directory.
///
/// # Errors
/// The status that is answered.
pub fn open<'b>(
    root: Fd,
    target: &[u8],
    buffer: &'b mut [u8],
    content: &mut [u8],
) -> (Option<&'b [u8]>, Result<Option<usize>, u16>) {
    let mut path = path::Path::new(buffer);
    if let Err(status) = path.resolve(target) {
        return (None, Err(status.code()));
    }
    let found = file::open(borrow(&root), path.as_c_str()).map_err(|status| status.code()).map(|found| match found {
        file::Found::File(file, _) => file::read(file, content, 0).ok(),
        file::Found::Directory => None,
    });
    let len = path.as_bytes().len();
    (buffer.get(..len), found)
}
