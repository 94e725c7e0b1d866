//! From a request's target to a path beneath the root.
//!
//! What is decided here is what a URL means; that the path stays beneath the root, whatever links it meets, is decided by
//! the kernel when the file is opened (RESOLVE_BENEATH).

use core::ffi::CStr;

use super::status::Status;

/// PATH_MAX: longer paths the kernel does not take, the final NUL included.
pub(crate) const LONGEST: usize = 4096;
/// Most paths are shorter than this.
pub(crate) const SHORT: usize = 512;
/// What a path can grow by, compared with host and target: a port, slashes, the name of an index, an ending, NULs.
const MORE: usize = 257;

/// The one hidden name that is served, and only at the root (RFC 8615).
const WELL_KNOWN: &[u8] = b".well-known";

/// A path relative to a directory, in a buffer that is used for one request after another.
///
/// In front of it, behind a NUL of its own, may stand the name of that directory: then both together tell one file from
/// another.
pub(crate) struct Path<'b> {
    buffer: &'b mut [u8],
    /// Where the path begins.
    start: usize,
    /// Where what was appended begins.
    base: usize,
    len: usize,
    directory: bool,
}

impl<'b> Path<'b> {
    /// No path yet; the buffer is as long as the longest.
    pub(crate) fn new(buffer: &'b mut [u8]) -> Path<'b> {
        Path { buffer, start: 0, base: 0, len: 0, directory: false }
    }

    /// The path of a file at the root: a name that is known to be harmless.
    pub(crate) fn set(&mut self, name: &[u8]) -> Result<(), Status> {
        self.base = self.start;
        self.append(name)
    }

    /// Begins anew.
    pub(crate) fn clear(&mut self) {
        (self.start, self.base, self.len) = (0, 0, 0);
    }

    /// Letters become lower case.
    pub(crate) fn lower_case(&mut self) {
        self.buffer.get_mut(self.start..self.len).unwrap_or_default().make_ascii_lowercase();
    }

    /// What is there is the name of a directory; what comes is a path in it.
    pub(crate) fn enter(&mut self) {
        self.len += 1;
        (self.start, self.base) = (self.len, self.len);
    }

    /// Decodes the path of a target, once. Empty segments, `.` and `..` are resolved as RFC 3986 section 5.2.4 has it. A
    /// directory (a trailing slash) keeps its slash.
    ///
    /// # Errors
    /// 400 for a malformed escape or a NUL; 404 for what is above the root or hidden by a leading dot; 414 for what is
    /// longer than a path can be.
    pub(crate) fn resolve(&mut self, target: &[u8]) -> Result<(), Status> {
        self.len = self.start;
        let mut segment = self.start;
        let mut bytes = target.iter();
        while let Some(&byte) = bytes.next() {
            let byte = match byte {
                b'%' => {
                    let digits = (bytes.next().and_then(hex), bytes.next().and_then(hex));
                    let (Some(high), Some(low)) = digits else { return Err(Status::BadRequest) };
                    high << 4 | low
                }
                b'#' => return Err(Status::BadRequest),
                byte => byte,
            };
            match byte {
                0 => return Err(Status::BadRequest),
                b'/' => segment = self.end_segment(segment)?,
                byte => self.push(byte)?,
            }
        }
        let last = self.len;
        segment = self.end_segment(segment)?;
        self.directory = last == self.len || segment < last;
        if !self.directory {
            self.len -= 1; // the slash behind the last segment
        }
        self.base = self.len;
        self.append(b"")
    }

    /// Puts this behind what was resolved, in place of what was appended before.
    #[inline(never)]
    pub(crate) fn append(&mut self, ending: &[u8]) -> Result<(), Status> {
        self.len = self.base;
        ending.iter().try_for_each(|&byte| self.push(byte))?;
        self.push(0)?;
        self.len -= 1;
        Ok(())
    }

    /// What was appended stays.
    pub(crate) fn settle(&mut self) {
        self.base = self.len;
    }

    /// So many bytes less were resolved.
    pub(crate) fn retract(&mut self, len: usize) {
        self.base = self.base.saturating_sub(len).max(self.start);
    }

    /// Whether host and target of these lengths fit, whatever they stand for.
    pub(crate) fn has_room(&self, host: usize, target: usize) -> bool {
        host + target + MORE <= self.buffer.len()
    }

    /// The target named a directory.
    pub(crate) fn is_directory(&self) -> bool {
        self.directory
    }

    /// Directory and path.
    pub(crate) fn key(&self) -> &[u8] {
        self.buffer.get(..self.len).unwrap_or_default()
    }

    /// The path alone.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.buffer.get(self.start..self.len).unwrap_or_default()
    }

    pub(crate) fn as_c_str(&self) -> &CStr {
        let path = self.buffer.get(self.start..=self.len);
        path.and_then(|path| CStr::from_bytes_with_nul(path).ok()).unwrap_or(c"")
    }

    #[inline(never)]
    fn push(&mut self, byte: u8) -> Result<(), Status> {
        *self.buffer.get_mut(self.len).ok_or(Status::UriTooLong)? = byte;
        self.len += 1;
        Ok(())
    }

    /// Closes the segment that began at `start` with a slash, or takes it back; says where the next one begins.
    fn end_segment(&mut self, start: usize) -> Result<usize, Status> {
        let done = self.buffer.get(self.start..start).unwrap_or_default();
        match self.buffer.get(start..self.len).unwrap_or_default() {
            b"" | b"." => self.len = start,
            b".." => {
                let parent = done.strip_suffix(b"/").ok_or(Status::NotFound)?;
                self.len = self.start + parent.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
            }
            hidden if hidden.starts_with(b".") && !(start == self.start && hidden == WELL_KNOWN) => {
                return Err(Status::NotFound);
            }
            _ => self.push(b'/')?,
        }
        Ok(self.len)
    }
}

fn hex(digit: &u8) -> Option<u8> {
    char::from(*digit).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::String;
    use std::vec;

    fn resolve(target: &str) -> Result<String, Status> {
        let mut buffer = [0; LONGEST];
        let mut path = Path::new(&mut buffer);
        path.resolve(target.as_bytes())?;
        assert_eq!(path.is_directory(), path.as_bytes().is_empty() || path.as_bytes().ends_with(b"/"));
        if path.is_directory() {
            path.append(b"INDEX")?;
        }
        assert_eq!(path.as_c_str().to_bytes(), path.as_bytes());
        Ok(String::from_utf8(path.as_bytes().to_vec()).unwrap())
    }

    #[test]
    fn targets_that_have_a_path() {
        for (target, path) in [
            ("/", "INDEX"),
            ("", "INDEX"),
            ("//", "INDEX"),
            ("/.", "INDEX"),
            ("/./", "INDEX"),
            ("/a", "a"),
            ("/a/", "a/INDEX"),
            ("//a///b", "a/b"),
            ("/a/./b", "a/b"),
            ("/a/../b", "b"),
            ("/a/b/../c", "a/c"),
            ("/a/b/..", "a/INDEX"),
            ("/a/b/.", "a/b/INDEX"),
            ("/a/b/../..", "INDEX"),
            ("/a%2fb", "a/b"),
            ("/a%2Fb%2f", "a/b/INDEX"),
            ("/%61%20%C3%A9", "a é"),
            ("/%2561", "%61"),
            ("/a+b", "a+b"),
            ("/a\\b", "a\\b"),
            ("/a..b", "a..b"),
            ("/a.", "a."),
            ("/.well-known/x", ".well-known/x"),
            ("/.well-known", ".well-known"),
            ("/%2ewell-known/x", ".well-known/x"),
            ("/a/../.well-known/x", ".well-known/x"),
        ] {
            assert_eq!(resolve(target).as_deref(), Ok(path), "{target}");
        }
    }

    #[test]
    fn targets_that_have_none() {
        for (target, status) in [
            ("/..", Status::NotFound),
            ("/../etc/passwd", Status::NotFound),
            ("/%2e%2e/etc/passwd", Status::NotFound),
            ("/a/../../etc/passwd", Status::NotFound),
            ("/..%2fetc", Status::NotFound),
            ("/.git/config", Status::NotFound),
            ("/a/.htaccess", Status::NotFound),
            ("/a/.well-known/x", Status::NotFound),
            ("/.well-knownx", Status::NotFound),
            ("/...", Status::NotFound),
            ("/%00", Status::BadRequest),
            ("/a%00.html", Status::BadRequest),
            ("/%", Status::BadRequest),
            ("/%4", Status::BadRequest),
            ("/%4g", Status::BadRequest),
            ("/%+1", Status::BadRequest),
            ("/%%61", Status::BadRequest),
            ("/a#b", Status::BadRequest),
        ] {
            assert_eq!(resolve(target), Err(status), "{target}");
        }
    }

    #[test]
    fn a_path_is_as_long_as_the_kernel_takes() {
        let mut buffer = [0; LONGEST];
        let mut path = Path::new(&mut buffer);
        let mut target = vec![b'a'; LONGEST + 1];
        target[0] = b'/';
        assert_eq!(path.resolve(&target[..LONGEST]), Ok(()));
        assert_eq!(path.as_bytes().len(), LONGEST - 1);
        assert_eq!(path.resolve(&target), Err(Status::UriTooLong));
        target[LONGEST - 1] = b'/';
        assert_eq!(path.resolve(&target[..LONGEST]), Ok(()));
        assert_eq!(path.append(b"i"), Err(Status::UriTooLong));
        assert_eq!(path.resolve(b"/x"), Ok(()));
        assert_eq!(path.as_bytes(), b"x");
    }

    #[test]
    fn a_path_stands_behind_its_directory() {
        let mut buffer = [0; 64];
        let mut path = Path::new(&mut buffer);
        path.set(b"host:80").unwrap();
        assert_eq!(path.as_c_str(), c"host:80");
        path.enter();
        path.resolve(b"/a/../.well-known/b").unwrap();
        assert_eq!((path.as_c_str(), path.key()), (c".well-known/b", &b"host:80\0.well-known/b"[..]));
        path.append(b".html").unwrap();
        path.append(b".gz").unwrap();
        assert_eq!(path.as_bytes(), b".well-known/b.gz");
        path.settle();
        path.append(b".br").unwrap();
        assert_eq!(path.as_bytes(), b".well-known/b.gz.br");
        assert_eq!(path.resolve(b"/../b"), Err(Status::NotFound));
        path.set(b"404.html").unwrap();
        assert_eq!(path.as_c_str(), c"404.html");
        path.clear();
        path.set(b"c").unwrap();
        assert_eq!(path.key(), b"c");
    }

    /// Whatever comes: no segment of an accepted path can lead upwards, and none is hidden.
    #[test]
    fn no_accepted_path_leads_upwards() {
        let alphabet = [&b"/"[..], b".", b"a", b"%2e", b"%2F", b"%5c"];
        for number in 0..6usize.pow(7) {
            let mut target = vec![b'/'];
            let mut rest = number;
            while rest > 0 {
                target.extend_from_slice(alphabet[rest % 6]);
                rest /= 6;
            }
            let mut buffer = [0; 64];
            let mut path = Path::new(&mut buffer);
            if path.resolve(&target).is_ok() {
                assert!(!path.as_bytes().starts_with(b"/"));
                path.append(b"i").unwrap();
                for segment in path.as_bytes().split(|&byte| byte == b'/') {
                    assert!(!segment.is_empty() && segment[0] != b'.', "{}", String::from_utf8_lossy(&target));
                }
            }
        }
    }
}
