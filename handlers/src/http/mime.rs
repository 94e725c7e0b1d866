//! Media types by the extension of a name.

use crate::text::same;

/// The type of bytes of no known kind, so that a browser offers to save them.
const UNKNOWN: &[u8] = b"application/octet-stream";

/// Types, then the extensions that mean them, as in mime.types; what is asked for most stands first.
const TYPES: &[u8] = b"\
text/html html htm
text/css css
text/javascript js mjs cjs
text/plain txt text log conf rs c h py sh toml diff patch
image/png png
image/jpeg jpg jpeg
image/svg+xml svg
image/webp webp
image/gif gif
image/vnd.microsoft.icon ico
font/woff2 woff2
application/json json map
text/markdown md markdown
text/csv csv
text/vtt vtt
text/calendar ics
text/xml xml xsl
application/yaml yaml yml
application/ld+json jsonld
application/manifest+json webmanifest
application/xhtml+xml xhtml xht
application/atom+xml atom
application/rss+xml rss
application/wasm wasm
application/pdf pdf
application/postscript ps eps
application/rtf rtf
application/epub+zip epub
application/zip zip
application/gzip gz tgz
application/x-bzip2 bz2
application/x-xz xz
application/zstd zst
application/x-7z-compressed 7z
application/x-tar tar
application/java-archive jar
application/vnd.debian.binary-package deb
application/x-bittorrent torrent
application/x-pem-file pem crt
image/apng apng
image/jxl jxl
image/avif avif
image/heic heic
image/bmp bmp
image/tiff tif tiff
font/woff woff
font/ttf ttf
font/otf otf
application/vnd.ms-fontobject eot
audio/mpeg mp3
audio/mp4 m4a
audio/ogg ogg oga opus
audio/flac flac
audio/wav wav
audio/midi mid midi
video/mp4 mp4 m4v
video/webm webm
video/ogg ogv
video/quicktime mov
video/matroska mkv
video/x-msvideo avi
video/mpeg mpg mpeg
video/mp2t ts
application/vnd.apple.mpegurl m3u8";

/// A type that is longer is none: a head has no room for it.
const LONGEST: usize = 100;

/// The type of a file of that name, by a table of one's own and then the built-in one.
pub(crate) fn of<'t>(path: &[u8], types: &'t [u8]) -> &'t [u8] {
    let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or(path);
    let mut parts = name.rsplit(|&byte| byte == b'.');
    let extension = parts.next().unwrap_or(name);
    let known = parts.next().and_then(|_| find(types, extension).or_else(|| find(TYPES, extension)));
    known.filter(|kind| kind.len() <= LONGEST).unwrap_or(UNKNOWN)
}

/// Looks an extension up. Lines are a type and its extensions, with blanks between; `;` may end them, as nginx has it, and
/// `#` begins a comment.
#[inline(never)]
fn find<'t>(table: &'t [u8], extension: &[u8]) -> Option<&'t [u8]> {
    for line in table.split(|&byte| byte == b'\n') {
        let mut kind = None;
        for word in line.split(|&byte| byte <= b' ' || byte == b';').filter(|word| !word.is_empty()) {
            match kind {
                _ if word.starts_with(b"#") => break,
                None => kind = Some(word),
                Some(_) if same(word, extension) => return kind,
                Some(_) => {}
            }
        }
    }
    None
}

/// What stands behind a type: everything is UTF-8 today, and where the charset of a text is missing it is guessed wrong.
pub(crate) fn charset(kind: &[u8]) -> &'static str {
    if kind.starts_with(b"text/") { "; charset=utf-8" } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_ones_own_comes_first() {
        let table =
            b"# text/x html\ntypes {\n  application/x-own  own html; # text/x css\n\ttext/x-other\tother;\n}\nnone\n";
        for (path, kind) in [
            ("a.own", "application/x-own"),
            ("a.HTML", "application/x-own"),
            ("a.other", "text/x-other"),
            ("a.css", "text/css"),
            ("a.#", "application/octet-stream"),
            ("a.none", "application/octet-stream"),
        ] {
            assert_eq!(of(path.as_bytes(), table), kind.as_bytes(), "{path}");
        }
    }

    #[test]
    fn types() {
        for (path, kind) in [
            ("a/index.html", "text/html"),
            ("INDEX.HTM", "text/html"),
            ("a.b.mjs", "text/javascript"),
            ("a.wasm", "application/wasm"),
            ("a.webmanifest", "application/manifest+json"),
            ("a.avif", "image/avif"),
            ("a.md", "text/markdown"),
            ("a.m3u8", "application/vnd.apple.mpegurl"),
            ("a.text/html", "application/octet-stream"),
            ("a.html htm", "application/octet-stream"),
            ("a.woff2", "font/woff2"),
            ("a.tar.gz", "application/gzip"),
            ("html", "application/octet-stream"),
            ("a.html/b", "application/octet-stream"),
            ("a.", "application/octet-stream"),
            ("", "application/octet-stream"),
            ("a.extensionthatislong", "application/octet-stream"),
        ] {
            assert_eq!(of(path.as_bytes(), b""), kind.as_bytes(), "{path}");
        }
        assert_eq!((charset(b"text/css"), charset(b"image/png")), ("; charset=utf-8", ""));
    }
}
