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

/// How many extensions the table has.
const COUNT: usize = {
    let (mut at, mut count) = (0, 0);
    while at < TYPES.len() {
        count += (TYPES[at] == b' ') as usize;
        at += 1;
    }
    count
};

/// A byte for each extension of the table, and where it stands there: to look through a table of bytes takes a tenth of
/// what it takes to read the text, and this is done for each request that is not answered from the cache.
const INDEX: ([u8; COUNT], [u16; COUNT]) = {
    let (mut keys, mut places) = ([0; COUNT], [0; COUNT]);
    let (mut at, mut count) = (0, 0);
    while at < TYPES.len() {
        if TYPES[at] == b' ' {
            let mut end = at + 1;
            let mut sum = 0;
            while end < TYPES.len() && TYPES[end] > b' ' {
                sum = key(sum, TYPES[end]);
                end += 1;
            }
            (keys[count], places[count]) = (sum, at as u16 + 1);
            count += 1;
        }
        at += 1;
    }
    (keys, places)
};
static KEYS: [u8; COUNT] = INDEX.0;
static PLACES: [u16; COUNT] = INDEX.1;

/// Adds a byte to the key of an extension; the case of letters is no difference.
const fn key(sum: u8, byte: u8) -> u8 {
    sum.wrapping_mul(31).wrapping_add(byte | 0x20)
}

/// A type that is longer is none: a head has no room for it.
const LONGEST: usize = 100;

/// A type, by its place in the built-in table or in one's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    own: bool,
    len: u8,
    place: u32,
}

impl Kind {
    /// That of bytes of no known kind.
    pub(crate) const UNKNOWN: Kind = Kind { own: false, len: 0, place: 0 };

    /// The type as text.
    pub(crate) fn text(self, types: &[u8]) -> &[u8] {
        let table = if self.own { types } else { TYPES };
        let start = self.place as usize;
        match table.get(start..start + usize::from(self.len)) {
            None | Some([]) => UNKNOWN,
            Some(text) => text,
        }
    }
}

/// The type of a file of that name, by a table of one's own and then the built-in one.
#[inline(never)]
pub(crate) fn of(path: &[u8], types: &[u8]) -> Kind {
    let dot = path.iter().rposition(|&byte| byte == b'.' || byte == b'/').filter(|&at| path.get(at) == Some(&b'.'));
    let Some(extension) = dot.and_then(|dot| path.get(dot + 1..)) else { return Kind::UNKNOWN };
    let own = if types.is_empty() { None } else { own(types, extension) };
    own.or_else(|| built_in(extension)).unwrap_or(Kind::UNKNOWN)
}

fn built_in(extension: &[u8]) -> Option<Kind> {
    let wanted = extension.iter().fold(0, |sum, &byte| key(sum, byte));
    for (key, &place) in KEYS.iter().zip(&PLACES) {
        if *key == wanted {
            let place = usize::from(place);
            let (before, from) = TYPES.split_at_checked(place)?;
            let end = from.iter().position(|&byte| byte <= b' ').unwrap_or(from.len());
            if same(from.get(..end)?, extension) {
                let start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |line| line + 1);
                let len = before.get(start..)?.iter().position(|&byte| byte == b' ')?;
                return Some(Kind { own: false, len: len as u8, place: start as u32 });
            }
        }
    }
    None
}

/// Looks an extension up. Lines are a type and its extensions, with blanks between; `;` may end them, as nginx has it, and
/// `#` begins a comment.
#[cold]
#[inline(never)]
fn own(table: &[u8], extension: &[u8]) -> Option<Kind> {
    let mut place = 0;
    for line in table.split(|&byte| byte == b'\n') {
        let (mut kind, mut at) = (None, place);
        for word in line.split(|&byte| byte <= b' ' || byte == b';') {
            match (word, kind) {
                ([b'#', ..], _) => break,
                ([], _) => {}
                (_, None) => kind = Some((at, word.len())),
                (_, Some((start, len @ ..=LONGEST))) if same(word, extension) => {
                    return Some(Kind { own: true, len: len as u8, place: start as u32 });
                }
                _ => {}
            }
            at += word.len() + 1;
        }
        place += line.len() + 1;
    }
    None
}

/// What stands behind a type: everything is UTF-8 today, and where the charset of a text is missing it is guessed wrong.
pub(crate) fn charset(kind: &[u8]) -> &'static str {
    if kind.starts_with(b"text/") { "; charset=utf-8" } else { "" }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    #[test]
    fn each_extension_of_the_table_is_found() {
        let mut count = 0;
        for line in TYPES.split(|&byte| byte == b'\n') {
            let mut words = line.split(|&byte| byte == b' ');
            let kind = words.next().unwrap();
            for extension in words {
                assert_eq!(of(&[b"a.b.", extension].concat(), b"").text(b""), kind);
                assert_eq!(of(&[b"a/b.", &extension.to_ascii_uppercase()[..]].concat(), b"").text(b""), kind);
                count += 1;
            }
        }
        assert_eq!(count, COUNT);
    }

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
            assert_eq!(of(path.as_bytes(), table).text(table), kind.as_bytes(), "{path}");
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
            assert_eq!(of(path.as_bytes(), b"").text(b""), kind.as_bytes(), "{path}");
        }
        assert_eq!((charset(b"text/css"), charset(b"image/png")), ("; charset=utf-8", ""));
    }
}
