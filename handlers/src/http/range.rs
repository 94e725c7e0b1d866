//! Byte ranges (RFC 9110 section 14).

use crate::options::decimal;

/// What a Range field asks of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Range {
    /// Everything: there is no range, or none that has to be honoured (several, another unit, malformed).
    Whole,
    /// So many bytes from an offset; at least one.
    Part {
        /// The first byte.
        first: u64,
        /// How many.
        len: u64,
    },
    /// Nothing of it exists.
    Unsatisfiable,
}

/// Reads the value of a Range field for a file of `size` bytes.
pub(crate) fn parse(value: &[u8], size: u64) -> Range {
    let range =
        value.split_at_checked(6).filter(|(unit, _)| unit.eq_ignore_ascii_case(b"bytes=")).and_then(|(_, set)| {
            let set = set.trim_ascii();
            let dash = set.iter().position(|&byte| byte == b'-')?;
            let (first, last) = (set.get(..dash)?, set.get(dash + 1..)?);
            match (first, last) {
                (b"", suffix) => match (decimal(suffix)?, size) {
                    (0, _) => Some(Range::Unsatisfiable),
                    (_, 0) => None,
                    (suffix, _) => {
                        let len = suffix.min(size);
                        Some(Range::Part { first: size - len, len })
                    }
                },
                (first, last) => {
                    let first = decimal(first)?;
                    let last = if last.is_empty() { u64::MAX } else { decimal(last)? };
                    if last < first {
                        None
                    } else if first >= size {
                        Some(Range::Unsatisfiable)
                    } else {
                        Some(Range::Part { first, len: last.min(size - 1) - first + 1 })
                    }
                }
            }
        });
    range.unwrap_or(Range::Whole)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    fn part(first: u64, len: u64) -> Range {
        Range::Part { first, len }
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
            ("bytes=0-1,3-4", Range::Whole),
            ("bytes=0-1,", Range::Whole),
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
