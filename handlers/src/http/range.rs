//! Byte ranges (RFC 9110 section 14).

use crate::options::decimal;
use crate::text::same;

/// More parts than this are not sent: the whole is.
const PARTS: usize = 16;

/// What a Range field asks of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Range<'r> {
    /// Everything: there is no range, or none that has to be honoured (another unit, malformed, too much of it).
    Whole,
    /// One part of it.
    Part(Part),
    /// Several parts: those that [`parts`] finds in this set.
    Several(&'r [u8]),
    /// Nothing of it exists.
    Unsatisfiable,
}

/// So many bytes from an offset; at least one, if it came from a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// The first byte.
    pub(crate) first: u64,
    /// How many.
    pub(crate) len: u64,
}

/// Reads the value of a Range field for a file of `size` bytes.
///
/// Who asks for more parts than players and viewers do, or for more bytes together than there are, gets the file as a
/// whole: parts that overlap are an old way to have a server send much (RFC 9110 section 17.15).
#[inline(never)]
pub(crate) fn parse(value: &[u8], size: u64) -> Range<'_> {
    let Some((_, set)) = value.split_at_checked(6).filter(|(unit, _)| same(unit, b"bytes=")) else {
        return Range::Whole;
    };
    let (mut asked, mut found, mut bytes) = (0, None, 0u64);
    let mut several = false;
    for text in set.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
        match part(text, size) {
            Err(NoRange) if text.is_empty() => continue,
            Err(NoRange) => return Range::Whole,
            Ok(None) => {}
            Ok(Some(part)) => {
                several |= found.is_some();
                found = Some(part);
                bytes = bytes.saturating_add(part.len);
            }
        }
        asked += 1;
    }
    match found {
        _ if asked == 0 || asked > PARTS => Range::Whole,
        None => Range::Unsatisfiable,
        Some(_) if several && bytes > size => Range::Whole,
        Some(_) if several => Range::Several(set),
        Some(part) => Range::Part(part),
    }
}

/// The parts that exist of a set of ranges.
pub(crate) fn parts(set: &[u8], size: u64) -> impl Iterator<Item = Part> {
    set.split(|&byte| byte == b',').filter_map(move |text| part(text.trim_ascii(), size).ok().flatten())
}

/// What is written is no range.
struct NoRange;

/// One range of a set; `None` when nothing of it exists.
#[inline(never)]
fn part(text: &[u8], size: u64) -> Result<Option<Part>, NoRange> {
    let dash = text.iter().position(|&byte| byte == b'-').ok_or(NoRange)?;
    let (first, last) = text.split_at_checked(dash).unwrap_or_default();
    let last = last.get(1..).unwrap_or_default();
    if first.is_empty() {
        let len = decimal(last).ok_or(NoRange)?.min(size);
        return match size {
            0 if last != b"0" => Err(NoRange),
            _ => Ok((len > 0).then_some(Part { first: size - len, len })),
        };
    }
    let first = decimal(first).ok_or(NoRange)?;
    let last = if last.is_empty() { u64::MAX } else { decimal(last).ok_or(NoRange)? };
    if last < first {
        return Err(NoRange);
    }
    Ok((first < size).then(|| Part { first, len: last.min(size - 1) - first + 1 }))
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    fn part(first: u64, len: u64) -> Range<'static> {
        Range::Part(Part { first, len })
    }

    #[test]
    fn ranges_of_ten_bytes() {
        for (value, range) in [
            ("bytes=0-0", part(0, 1)),
            ("bytes=0-1", part(0, 2)),
            ("bytes=0-", part(0, 10)),
            ("bytes=5-999", part(5, 5)),
            ("bytes=9-", part(9, 1)),
            ("bytes=9-9", part(9, 1)),
            ("BYTES=2-3", part(2, 2)),
            ("bytes= 2-3 ", part(2, 2)),
            ("bytes=-1", part(9, 1)),
            ("bytes=-10", part(0, 10)),
            ("bytes=-999", part(0, 10)),
            ("bytes=0-99999999999999999999999", part(0, 10)),
            ("bytes=-99999999999999999999999", part(0, 10)),
            ("bytes=10-", Range::Unsatisfiable),
            ("bytes=10-11", Range::Unsatisfiable),
            ("bytes=99999999999999999999999-", Range::Unsatisfiable),
            ("bytes=-0", Range::Unsatisfiable),
            ("bytes=3-2", Range::Whole),
            ("bytes=-", Range::Whole),
            ("bytes=", Range::Whole),
            ("bytes", Range::Whole),
            ("", Range::Whole),
            ("bytes=a-b", Range::Whole),
            ("bytes=0x1-2", Range::Whole),
            ("bytes=+1-2", Range::Whole),
            ("bytes=1--2", Range::Whole),
            ("bytes=1 - 2", Range::Whole),
            ("bytes=0-1,3-4", Range::Several(b"0-1,3-4")),
            ("bytes=3-4, 0-1 ,,-1", Range::Several(b"3-4, 0-1 ,,-1")),
            ("bytes=0-9,0-0", Range::Whole),
            ("bytes=0-,0-,0-", Range::Whole),
            ("bytes=0-1,", part(0, 2)),
            ("bytes=,0-1", part(0, 2)),
            ("bytes=0-1,99-", part(0, 2)),
            ("bytes=88-,99-", Range::Unsatisfiable),
            ("bytes=0-1,x", Range::Whole),
            ("bytes=,", Range::Whole),
            ("bytes=0-0,1-1,2-2,3-3,4-4,5-5,6-6,7-7,8-8,9-9,10-,11-,12-,13-,14-,15-,16-", Range::Whole),
            ("lines=0-1", Range::Whole),
        ] {
            assert_eq!(parse(value.as_bytes(), 10), range, "{value}");
        }
    }

    #[test]
    fn ranges_of_nothing() {
        assert_eq!(parse(b"bytes=0-", 0), Range::Unsatisfiable);
        assert_eq!(parse(b"bytes=-0", 0), Range::Unsatisfiable);
        assert_eq!(parse(b"bytes=-5", 0), Range::Whole);
    }

    /// Whatever is asked: a part lies within the file and is not empty.
    #[test]
    fn a_part_lies_within_the_file() {
        for size in 0..6 {
            for first in 0..8 {
                for last in 0..8 {
                    let value = std::format!("bytes={first}-{last}");
                    let expect = match (first, last) {
                        (first, last) if last < first => Range::Whole,
                        (first, _) if first >= size => Range::Unsatisfiable,
                        (first, last) => part(first, (last + 1).min(size) - first),
                    };
                    assert_eq!(parse(value.as_bytes(), size), expect, "{value} of {size}");
                }
            }
        }
    }
}
