//! Media types by the extension of a name.

use crate::text::{same, words};

/// The type of bytes of no known kind, so that a browser offers to save them.
const UNKNOWN: &[u8] = b"application/octet-stream";

/// Extensions, then the type that they mean; what is asked for most stands first. Text is everything that is `text/`.
const TYPES: &str = "\
html htm text/html
css text/css
js mjs cjs text/javascript
txt text log conf rs c h py sh toml diff patch text/plain
png image/png
jpg jpeg image/jpeg
svg image/svg+xml
webp image/webp
gif image/gif
ico image/vnd.microsoft.icon
woff2 font/woff2
json map application/json
md markdown text/markdown
csv text/csv
vtt text/vtt
ics text/calendar
xml xsl text/xml
yaml yml application/yaml
jsonld application/ld+json
webmanifest application/manifest+json
xhtml xht application/xhtml+xml
atom application/atom+xml
rss application/rss+xml
wasm application/wasm
pdf application/pdf
ps eps application/postscript
rtf application/rtf
epub application/epub+zip
zip application/zip
gz tgz application/gzip
bz2 application/x-bzip2
xz application/x-xz
zst application/zstd
7z application/x-7z-compressed
tar application/x-tar
jar application/java-archive
deb application/vnd.debian.binary-package
torrent application/x-bittorrent
pem crt application/x-pem-file
apng image/apng
jxl image/jxl
avif image/avif
heic image/heic
bmp image/bmp
tif tiff image/tiff
woff font/woff
ttf font/ttf
otf font/otf
eot application/vnd.ms-fontobject
mp3 audio/mpeg
m4a audio/mp4
ogg oga opus audio/ogg
flac audio/flac
wav audio/wav
mid midi audio/midi
mp4 m4v video/mp4
webm video/webm
ogv video/ogg
mov video/quicktime
mkv video/matroska
avi video/x-msvideo
mpg mpeg video/mpeg
ts video/mp2t
m3u8 application/vnd.apple.mpegurl";

/// The type of a file of that name.
pub(crate) fn of(path: &[u8]) -> &'static [u8] {
    let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or(path);
    let mut parts = name.rsplit(|&byte| byte == b'.');
    let extension = parts.next().unwrap_or(name);
    // Types hold a slash: none is mistaken for an extension, nor an extension for a type.
    let mut words = words(TYPES);
    let known = parts.next().and_then(|_| words.find(|word| same(word, extension)));
    known.and_then(|_| words.find(|word| word.contains(&b'/'))).unwrap_or(UNKNOWN)
}

/// What stands behind a type: everything is UTF-8 today, and where the charset of a text is missing it is guessed wrong.
pub(crate) fn charset(kind: &[u8]) -> &'static str {
    if kind.starts_with(b"text/") { "; charset=utf-8" } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(of(path.as_bytes()), kind.as_bytes(), "{path}");
        }
        assert_eq!((charset(b"text/css"), charset(b"image/png")), ("; charset=utf-8", ""));
    }
}
