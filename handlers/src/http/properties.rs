//! Properties of everything that reads foreign bytes: what holds whatever comes, and agreement with a reference where
//! there is one.

extern crate std;

use std::format;
use std::string::String;
use std::vec;
use std::vec::Vec;

use proptest::collection::vec as several;
use proptest::prelude::*;

use super::conditional::{Space, Validators, evaluate};
use super::file::Meta;
use super::negotiate::{Coding, choose};
use super::path::Path;
use super::range::{self, Part, Range};
use super::request::{Field, NoRequest, parse, parts_of, with};
use super::{head, mime};
use crate::Text;
use crate::date::{self, Date, IMF};
use crate::options::decimal;

/// Pieces that heads are made of, right and wrong.
const PIECES: [&str; 40] = [
    "GET",
    "HEAD",
    "POST",
    "OPTIONS",
    "*",
    "/",
    "/a",
    "/a?b",
    "http://h",
    "http://h/a",
    "HTTP/1.1",
    "HTTP/1.0",
    "HTTP/2",
    " ",
    "  ",
    "\t",
    "\r\n",
    "\r\n",
    "\r\n",
    "\n",
    "\r",
    "\r\n\r\n",
    "Host",
    "Host: h",
    ":",
    ": ",
    "Content-Length: 3",
    "Content-Length: 0",
    "Transfer-Encoding: chunked",
    "Connection: close",
    "x",
    "X: y",
    "X : y",
    " folded",
    "\0",
    "\x7f",
    "\u{e9}",
    "%41",
    "GET / HTTP/1.1\r\n",
    "GET / HTTP/1.1\r\nHost: h\r\n",
];

fn head_bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => prop::sample::select(PIECES.as_slice()).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => several(any::<u8>(), 0..4),
    ];
    several(piece, 0..16).prop_map(|pieces| pieces.concat())
}

/// Heads that are mostly right, so that the ends are reached.
fn plausible_head() -> impl Strategy<Value = String> {
    let field = "[A-Za-z-]{1,12}:[ \t]{0,3}[ -~]{0,20}[ \t]{0,2}(\r\n|\n)";
    (
        "(GET|HEAD|PUT|X!#|OPTIONS)",
        "(/[!-~\u{e9}]{0,20}|http://[a-z]{1,8}(/[a-z?]{0,8})?)",
        "[0129]",
        several(field, 0..8),
    )
        .prop_map(|(method, target, minor, fields)| {
            format!("{method} {target} HTTP/1.{minor}\r\nHost: h\r\n{}\r\n", fields.concat())
        })
}

/// A head by its parts: length, method, target, minor version, fields.
type Parts<'b> = (usize, &'b [u8], &'b [u8], u8, Vec<(&'b [u8], &'b [u8])>);

/// RFC 9112, sections 2 to 5, line after line: `None` where a line that has ended is wrong, and `Some(None)` where the
/// lines end too early.
fn read_by_lines(bytes: &[u8]) -> Option<Option<Parts<'_>>> {
    let is_token = |text: &[u8]| {
        let other = b"!#$%&'*+-.^_`|~";
        !text.is_empty() && text.iter().all(|byte| byte.is_ascii_alphanumeric() || other.contains(byte))
    };
    let mut line: Option<(&[u8], &[u8], u8)> = None;
    let mut fields = Vec::new();
    let mut len = 0;
    for whole in bytes.split_inclusive(|&byte| byte == b'\n') {
        let Some(text) = whole.strip_suffix(b"\n") else { break };
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        len += whole.len();
        if text.iter().any(|&byte| byte.is_ascii_control() && byte != b'\t') {
            return None;
        }
        match (line, text) {
            (None, _) => {
                let [method, target, version] = text.split(|&byte| byte == b' ').collect::<Vec<_>>().try_into().ok()?;
                let minor = version.strip_prefix(b"HTTP/1.").filter(|minor| minor.len() == 1)?[0];
                let right =
                    is_token(method) && minor.is_ascii_digit() && !target.is_empty() && !target.contains(&b'\t');
                (right && std::str::from_utf8(target).is_ok()).then_some(())?;
                line = Some((method, target, (minor - b'0').min(1)));
            }
            (Some((method, target, minor)), b"") => return Some(Some((len, method, target, minor, fields))),
            (Some(_), field) => {
                let colon = field.iter().position(|&byte| byte == b':')?;
                is_token(&field[..colon]).then_some(())?;
                fields.push((&field[..colon], field[colon + 1..].trim_ascii()));
            }
        }
    }
    Some(None)
}

/// A head is read as its lines are.
fn agrees_with_lines(bytes: &[u8]) -> Result<(), TestCaseError> {
    let read = parse(bytes);
    let ours = read.as_ref().ok().map(|request| -> Parts<'_> {
        (request.len, request.method_name(), request.target(), request.minor, request.fields().collect())
    });
    match read_by_lines(bytes) {
        Some(Some(theirs)) => prop_assert_eq!(ours, Some(theirs)),
        // The line that has not ended may be wrong already.
        Some(None) => prop_assert!(ours.is_none(), "{ours:?}"),
        None => prop_assert!(matches!(read, Err(NoRequest::Malformed(_)))),
    }
    if let Ok(request) = read {
        let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
        prop_assert_eq!(request.line, line.strip_suffix(b"\r").unwrap_or(line));
    }
    Ok(())
}

/// RFC 3986, section 5.2.4, and the rules on hidden names, on lists of segments.
fn resolve_by_lists(target: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::new();
    let mut bytes = target.iter().copied();
    while let Some(byte) = bytes.next() {
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        let byte = match byte {
            b'%' => (digit(bytes.next())? << 4 | digit(bytes.next())?) as u8,
            b'#' => return None,
            byte => byte,
        };
        decoded.push(byte);
    }
    if decoded.contains(&0) {
        return None;
    }
    let mut segments: Vec<&[u8]> = Vec::new();
    for segment in decoded.split(|&byte| byte == b'/') {
        match segment {
            b"" | b"." => {}
            b".." => drop(segments.pop()?),
            b".well-known" if segments.is_empty() => segments.push(segment),
            hidden if hidden.starts_with(b".") => return None,
            name => segments.push(name),
        }
    }
    let directory =
        matches!(decoded.rsplit(|&byte| byte == b'/').next(), Some(b"" | b"." | b"..")) || segments.is_empty();
    let mut path = segments.join(&b'/');
    if directory && !path.is_empty() {
        path.push(b'/');
    }
    Some(path)
}

/// Pieces that targets are made of.
const SEGMENTS: [&str; 18] = [
    "/",
    "/",
    "/",
    ".",
    "..",
    "a",
    "a/",
    "b.c",
    "%2e",
    "%2F",
    "%00",
    "%4",
    "%zz",
    "#",
    ".well-known",
    ".git",
    "%61",
    "\\",
];

fn target() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        9 => prop::sample::select(SEGMENTS.as_slice()).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => several(any::<u8>(), 1..3),
    ];
    several(piece, 0..14).prop_map(|pieces| [b"/".to_vec(), pieces.concat()].concat())
}

fn spec() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => (0..40u64, 0..40u64).prop_map(|(first, last)| format!("{first}-{last}")),
        2 => (0..40u64).prop_map(|first| format!("{first}-")),
        2 => (0..40u64).prop_map(|len| format!("-{len}")),
        1 => "[0-9 -]{0,6}",
        1 => Just(String::from("18446744073709551616-99999999999999999999")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4 * ProptestConfig::default().cases, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn heads_are_read_as_their_lines_are(bytes in head_bytes()) {
        agrees_with_lines(&bytes)?;
    }

    #[test]
    fn plausible_heads_are_read_as_their_lines_are(head in plausible_head()) {
        agrees_with_lines(head.as_bytes())?;
        prop_assert!(parse(head.as_bytes()).is_ok(), "{head:?}");
    }

    /// A head with one thing wrong, wherever it is.
    #[test]
    fn spoilt_heads_are_read_as_their_lines_are(
        head in plausible_head(),
        piece in prop::sample::select(PIECES.as_slice()),
        place in any::<prop::sample::Index>(),
    ) {
        let (before, behind) = head.as_bytes().split_at(place.index(head.len() + 1));
        agrees_with_lines(&[before, piece.as_bytes(), behind].concat())?;
    }

    /// Where a head ends does not depend on how it comes: each beginning is partial, and what follows is not looked at.
    #[test]
    fn a_head_ends_where_it_ends(head in plausible_head(), behind in several(any::<u8>(), 0..20)) {
        let bytes = head.as_bytes();
        for len in 0..bytes.len() {
            prop_assert!(matches!(parse(&bytes[..len]), Err(NoRequest::Partial)));
        }
        let more = [bytes, &behind].concat();
        let request = parse(&more);
        prop_assert!(request.is_ok_and(|request| request.len == bytes.len() && request.behind == behind));
    }

    /// No pair of a head that ends a connection and one that goes on differs by more than what is said.
    #[test]
    fn a_doubtful_length_never_keeps_a_connection(lengths in several("[ -~]{0,6}", 1..3), chunked in any::<bool>()) {
        let mut fields: Vec<String> = lengths.iter().map(|length| format!("Content-Length: {length}\r\n")).collect();
        if chunked {
            fields.push("Transfer-Encoding: chunked\r\n".into());
        }
        let head = format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", fields.concat());
        if let Ok(request) = parse(head.as_bytes()) {
            let plain = lengths.len() == 1 && !chunked && decimal(lengths[0].trim().as_bytes()).is_some();
            prop_assert!(plain || (!request.keep_alive && request.refused.is_some()));
            prop_assert!(request.body || decimal(lengths[0].trim().as_bytes()) == Some(0));
        }
    }

    #[test]
    fn targets_resolve_as_lists_of_segments_do(target in target()) {
        let mut space = [0; 1024];
        let mut path = Path::new(&mut space);
        let resolved = path.resolve(&target).is_ok().then(|| path.as_bytes().to_vec());
        prop_assert_eq!(&resolved, &resolve_by_lists(&target), "{:?}", String::from_utf8_lossy(&target));
        if let Some(resolved) = resolved {
            // Whoever asks for what it means gets the same.
            let mut escaped = vec![b'/'];
            resolved.iter().for_each(|byte| match byte {
                b'/' => escaped.push(b'/'),
                byte => escaped.extend_from_slice(format!("%{byte:02x}").as_bytes()),
            });
            prop_assert_eq!(path.resolve(&escaped), Ok(()));
            prop_assert_eq!(path.as_bytes(), resolved);
        }
    }

    /// The parts of a set lie in the file, are not empty, are those that were asked for, and are no more than the file.
    #[test]
    fn parts_lie_in_the_file(specs in several(spec(), 1..20), size in 0..30u64) {
        let value = format!("bytes={}", specs.join(", "));
        let naive = |spec: &str| -> Option<Vec<u64>> {
            let (first, last) = spec.trim().split_once('-')?;
            let number = |text: &str| decimal(text.as_bytes());
            Some(match (first, last) {
                ("", last) => { let len = number(last)?.min(size); (size - len..size).collect() }
                (first, "") => (number(first)?..size).collect(),
                (first, last) => { let (first, last) = (number(first)?, number(last)?); (first..size.min(last.saturating_add(1))).collect() }
            })
        };
        let bytes = |part: Part| (part.first..part.first + part.len).collect::<Vec<u64>>();
        match range::parse(value.as_bytes(), size) {
            Range::Whole => {}
            Range::Unsatisfiable => prop_assert!(specs.iter().all(|spec| naive(spec).is_none_or(|part| part.is_empty()))),
            Range::Part(part) => {
                let asked: Vec<Vec<u64>> = specs.iter().filter_map(|spec| naive(spec)).filter(|part| !part.is_empty()).collect();
                prop_assert_eq!(asked, vec![bytes(part)]);
            }
            Range::Several(set) => {
                let sent: Vec<Vec<u64>> = range::parts(set, size).map(bytes).collect();
                let asked: Vec<Vec<u64>> = specs.iter().filter_map(|spec| naive(spec)).filter(|part| !part.is_empty()).collect();
                prop_assert!(sent.len() > 1 && sent.len() <= 16 && sent.concat().len() as u64 <= size);
                prop_assert_eq!(sent, asked);
            }
        }
    }

    #[test]
    fn dates_survive_being_written(seconds in 0..253_402_300_800i64) {
        let mut space = [0; 40];
        let mut text = Text::new(&mut space);
        Date::from_unix(seconds).write(&mut text, &IMF);
        prop_assert_eq!(date::parse(text.as_bytes(), 0), Some(seconds));
    }

    #[test]
    fn no_text_is_too_strange_for_a_date(text in several(any::<u8>(), 0..40), now in any::<i64>()) {
        let _ = date::parse(&text, now);
    }

    /// The coding that is sent is available and wanted, and none that is available is wanted more.
    #[test]
    fn the_best_coding_is_chosen(weights in several((0..6usize, 0..=1000u16), 0..6), available in 0..8u8) {
        const NAMES: [&str; 6] = ["zstd", "br", "gzip", "identity", "*", "deflate"];
        let items: Vec<String> = weights
            .iter()
            .map(|&(name, weight)| format!("{};q={}.{:03}", NAMES[name], weight / 1000, weight % 1000))
            .collect();
        let own = |name: &str| weights.iter().find(|(known, _)| NAMES[*known] == name).map(|(_, weight)| *weight);
        let star = || weights.iter().rev().find(|(known, _)| NAMES[*known] == "*").map(|(_, weight)| *weight);
        let wanted = |name: &str| own(name).or_else(star).unwrap_or(0);
        let chosen = with(&format!("Accept-Encoding: {}", items.join(",")), |request| choose(request, available));
        let offered: Vec<Coding> = Coding::all().filter(|coding| available & coding.bit() != 0).collect();
        let best = offered.iter().map(|coding| wanted(coding.name())).max().unwrap_or(0);
        let identity = own("identity").unwrap_or(0);
        match chosen {
            Some(coding) => {
                prop_assert!(offered.contains(&coding));
                prop_assert_eq!(wanted(coding.name()), best);
                prop_assert!(best > 0 && best >= identity);
            }
            None => prop_assert!(best == 0 || best < identity),
        }
    }

    #[test]
    fn no_list_of_codings_is_too_strange(list in "[ -~]{0,30}", available in 0..8u8) {
        if let Some(coding) = with(&format!("Accept-Encoding: {list}"), |request| choose(request, available)) {
            prop_assert!(list.to_ascii_lowercase().contains(coding.name()) || list.contains('*'));
        }
    }

    /// A tag is found wherever it stands in a list, and never where it does not.
    #[test]
    fn a_tag_is_found_in_its_list(others in several("(W/)?\"[!#-~]{0,8}\"", 0..6), place in 0..7usize, there in any::<bool>()) {
        let meta = Meta { size: 0x200, modified: 784_111_777, nanoseconds: 0xab };
        let own = "\"2ebc98a1-ab-200\"";
        let mut list: Vec<&str> = others.iter().map(String::as_str).filter(|other| !other.ends_with(own)).collect();
        if there {
            list.insert(place.min(list.len()), own);
        }
        let mut space: Space = [0; _];
        let validators = Validators::new(&mut space, &meta, "", 1_795_293_068);
        for (field, found, missing) in [("If-None-Match", Some(304), None), ("If-Match", None, Some(412))] {
            let fields = format!("{field}: {}", list.join(" , "));
            let status = with(&fields, |request| evaluate(validators.as_ref(), request, 1_795_293_068));
            prop_assert_eq!(status.map(|status| status.code()), if there { found } else { missing }, "{}", fields);
        }
    }

    #[test]
    fn no_condition_is_too_strange(value in "[ -~]{0,40}", modified in any::<i64>(), now in any::<i64>()) {
        let mut space: Space = [0; _];
        let validators = Validators::new(&mut space, &Meta { size: 1, modified, nanoseconds: 0 }, "br", now);
        for field in ["If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"] {
            let _ = with(&format!("{field}: {value}"), |request| evaluate(validators.as_ref(), request, now));
        }
        let _ = with(&format!("If-Range: {value}"), |request| validators.as_ref().map(|v| v.range_counts(request, now)));
    }

    /// What is found is the first word of a line that has the extension behind it.
    #[test]
    fn types_come_from_their_line(table in "([a-z/#; \t]{0,20}\n){0,5}", extension in "[a-z]{1,2}") {
        let name = format!("x.{extension}");
        let kind = mime::of(name.as_bytes(), table.as_bytes()).text(table.as_bytes());
        let kind = String::from_utf8_lossy(kind).into_owned();
        let words = |line: &str| -> Vec<String> {
            let line = line.split([' ', '\t', ';']).filter(|word| !word.is_empty());
            line.take_while(|word| !word.starts_with('#')).map(String::from).collect()
        };
        let own = table.lines().map(words).find(|words| words.iter().skip(1).any(|word| *word == extension));
        match own {
            Some(words) => prop_assert_eq!(&kind, &words[0]),
            None => prop_assert_eq!(kind.as_bytes(), mime::of(name.as_bytes(), b"").text(b"")),
        }
    }

    #[test]
    fn a_target_is_its_host_and_the_rest(target in "(/|http://|HTTPS://|ftp://|)[!-~]{0,20}") {
        if let Some((host, rest)) = parts_of(target.as_bytes()) {
            let whole = [host, rest].concat();
            prop_assert!(target.as_bytes().ends_with(&whole));
            prop_assert!(host.is_empty() == target.starts_with('/') && !host.contains(&b'/'));
        }
    }

    #[test]
    fn a_field_is_a_token_and_text(line in "[ -~\t]{0,30}") {
        if let Some((name, value)) = head::field(line.as_bytes()) {
            prop_assert!(!name.is_empty() && name.iter().all(|byte| byte.is_ascii_graphic() && *byte != b':'));
            prop_assert_eq!(value, value.trim_ascii());
            prop_assert!(line.as_bytes().starts_with(&[name, b":"].concat()));
        }
    }

    /// All values of a field are found, in their order, whatever stands between.
    #[test]
    fn values_are_found_in_their_order(fields in several(("(Range|range|X|If-Match|Accept)", "[!-~]{1,8}"), 0..10)) {
        let text: Vec<String> = fields.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        let expect: Vec<&[u8]> =
            fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case("range")).map(|(_, value)| value.as_bytes()).collect();
        with(&text.join("\r\n"), |request| {
            assert_eq!(request.values(Field::Range).collect::<Vec<_>>(), expect);
            assert_eq!(request.value(Field::Range), expect.first().copied());
        });
    }
}
