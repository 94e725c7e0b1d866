//! Content codings (RFC 9110 section 12.5.3): `name.zst`, `name.br` or `name.gz` in place of `name`, for those who accept
//! them. Nothing is compressed here: whoever publishes a site does that once, and better.

use super::request::{Field, Request};
use crate::text::same;

/// A content coding, by its place in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Coding(usize);

/// As it is named in fields, and the ending of files in it. Those that compress better stand first.
const CODINGS: [(&str, &str); 3] = [("zstd", ".zst"), ("br", ".br"), ("gzip", ".gz")];

/// The most that a coding can be wanted, in thousandths.
const MOST: u16 = 1000;

impl Coding {
    /// All that there are.
    pub(crate) fn all() -> impl Iterator<Item = Coding> {
        (0..CODINGS.len()).map(Coding)
    }

    /// As it is named in fields.
    pub(crate) fn name(self) -> &'static str {
        CODINGS.get(self.0).map_or("", |coding| coding.0)
    }

    /// The ending of the names of files in it.
    pub(crate) fn ending(self) -> &'static [u8] {
        CODINGS.get(self.0).map_or(b"", |coding| coding.1.as_bytes())
    }

    /// Its place in a set of codings.
    pub(crate) fn bit(self) -> u8 {
        1 << self.0
    }
}

/// A type whose files are compressed by themselves: looking for siblings would be in vain.
pub(crate) fn is_compressed(kind: &[u8]) -> bool {
    [&b"image/"[..], b"audio/", b"video/"].iter().any(|start| kind.starts_with(start)) && !kind.ends_with(b"xml")
}

/// The coding that this client wants most of a set of codings; `None` when it wants the file as it is.
#[inline(never)]
pub(crate) fn choose(request: &Request<'_>, available: u8) -> Option<Coding> {
    // A part of a file is a part of what it is without a coding: so parts of it fit together, whoever asked before.
    if available == 0 || request.value(Field::Range).is_some() {
        return None;
    }
    let mut most = quality(request, Field::AcceptEncoding, b"identity", true);
    let mut chosen = None;
    for coding in Coding::all().filter(|coding| available & coding.bit() != 0) {
        let wanted = quality(request, Field::AcceptEncoding, coding.name().as_bytes(), false);
        // Where both are wanted as much, the file as it is comes last.
        if wanted > most || (wanted == most && wanted > 0 && chosen.is_none()) {
            (most, chosen) = (wanted, Some(coding));
        }
    }
    chosen
}

/// Whether a client says that it takes this type, by its own name.
pub(crate) fn accepts(request: &Request<'_>, kind: &[u8]) -> bool {
    quality(request, Field::Accept, kind, true) > 0
}

/// How much a coding or a type is wanted, in thousandths. `exactly` counts its own name alone, and not `*`.
#[inline(never)]
fn quality(request: &Request<'_>, field: Field, name: &[u8], exactly: bool) -> u16 {
    let mut quality = 0;
    for list in request.values(field) {
        for item in list.split(|&byte| byte == b',') {
            let end = item.iter().position(|&byte| byte == b';').unwrap_or(item.len());
            let (coding, weight) = item.split_at_checked(end).unwrap_or_default();
            match coding.trim_ascii() {
                coding if same(coding, name) => return self::weight(weight),
                b"*" if !exactly => quality = self::weight(weight),
                _ => {}
            }
        }
    }
    quality
}

/// A weight (RFC 9110 section 12.4.2), in thousandths; what is malformed is nothing wanted.
fn weight(parameter: &[u8]) -> u16 {
    let text = parameter.trim_ascii().strip_prefix(b";").unwrap_or(parameter).trim_ascii();
    let (number, decimals) = match text {
        b"" => return MOST,
        [b'q' | b'Q', b'=', digit @ (b'0' | b'1')] => (digit, &b""[..]),
        [b'q' | b'Q', b'=', digit @ (b'0' | b'1'), b'.', decimals @ ..] if decimals.len() <= 3 => (digit, decimals),
        _ => return 0,
    };
    let mut place = MOST;
    let mut weight = u16::from(number - b'0') * place;
    for digit in decimals {
        if !digit.is_ascii_digit() {
            return 0;
        }
        place /= 10;
        weight += u16::from(digit - b'0') * place;
    }
    if weight > MOST { 0 } else { weight }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::super::request::with;
    use super::*;

    const ALL: u8 = 7;

    #[test]
    fn choices() {
        for (fields, available, expect) in [
            ("", ALL, None),
            ("Accept-Encoding:", ALL, None),
            ("Accept-Encoding: gzip", ALL, Some("gzip")),
            ("Accept-Encoding: GZIP", ALL, Some("gzip")),
            ("Accept-Encoding: gzip", 3, None),
            ("Accept-Encoding: gzip", 0, None),
            ("Accept-Encoding: gzip, deflate, br, zstd", ALL, Some("zstd")),
            ("Accept-Encoding: gzip, deflate, br", ALL, Some("br")),
            ("Accept-Encoding: gzip;q=1.0, br;q=0.9", ALL, Some("gzip")),
            ("Accept-Encoding: br;q=0.001, gzip;q=0", ALL, Some("br")),
            ("Accept-Encoding: gzip;q=0", ALL, None),
            ("Accept-Encoding: gzip;q=0.000", ALL, None),
            ("Accept-Encoding: gzip ; q=0.5", ALL, Some("gzip")),
            ("Accept-Encoding: xgzipx", ALL, None),
            ("Accept-Encoding: *", ALL, Some("zstd")),
            ("Accept-Encoding: *;q=0, gzip", ALL, Some("gzip")),
            ("Accept-Encoding: *, zstd;q=0", ALL, Some("br")),
            ("Accept-Encoding: identity", ALL, None),
            ("Accept-Encoding: identity, gzip;q=0.5", ALL, None),
            ("Accept-Encoding: identity, gzip", ALL, Some("gzip")),
            ("Accept-Encoding: identity;q=0.5, gzip;q=0.6", ALL, Some("gzip")),
            ("Accept-Encoding: gzip;q=1.001", ALL, None),
            ("Accept-Encoding: gzip;q=2", ALL, None),
            ("Accept-Encoding: gzip;q=-1", ALL, None),
            ("Accept-Encoding: gzip;q=0.5x", ALL, None),
            ("Accept-Encoding: gzip;q=0.12345", ALL, None),
            ("Accept-Encoding: gzip;level=9", ALL, None),
            ("Accept-Encoding: deflate\r\nAccept-Encoding: gzip", ALL, Some("gzip")),
            ("Accept-Encoding: gzip\r\nRange: bytes=0-1", ALL, None),
        ] {
            let chosen = with(fields, |request| choose(request, available)).map(Coding::name);
            assert_eq!(chosen, expect, "{fields} of {available}");
        }
    }

    #[test]
    fn types_that_are_accepted() {
        for (accept, expect) in [
            ("image/png", true),
            ("text/html, IMAGE/PNG;q=0.1", true),
            ("image/png;q=0", false),
            ("image/*, */*", false),
            ("image/pngx", false),
            ("", false),
        ] {
            assert_eq!(
                with(&std::format!("Accept: {accept}"), |request| accepts(request, b"image/png")),
                expect,
                "{accept}"
            );
        }
    }

    #[test]
    fn types_that_are_compressed() {
        assert!(is_compressed(b"image/png") && is_compressed(b"video/mp4") && is_compressed(b"audio/ogg"));
        assert!(!is_compressed(b"image/svg+xml") && !is_compressed(b"text/html"));
    }
}
