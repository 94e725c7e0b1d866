//! Text in a fixed buffer: `core::fmt` would be the larger half of an executable.
//!
//! What is done with text everywhere is one function each, called and not inlined, because that is what a row of them
//! costs.

/// Text that is written into a buffer. What does not fit is left out, and remembered.
pub struct Text<'b> {
    buffer: &'b mut [u8],
    len: usize,
    cut: bool,
}

impl<'b> Text<'b> {
    /// Empty text.
    #[must_use]
    pub fn new(buffer: &'b mut [u8]) -> Self {
        Text { buffer, len: 0, cut: false }
    }

    /// What was written so far.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.buffer.get(..self.len).unwrap_or_default()
    }

    /// Something did not fit.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    /// Bytes that still fit.
    #[must_use]
    pub fn room(&self) -> usize {
        self.buffer.len() - self.len
    }

    /// Empty again.
    pub fn clear(&mut self) {
        self.len = 0;
        self.cut = false;
    }

    /// Appends bytes as they are.
    #[inline(never)]
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        let room = self.buffer.get_mut(self.len..).unwrap_or_default();
        self.cut |= room.len() < bytes.len();
        let len = room.len().min(bytes.len());
        if let (Some(to), Some(from)) = (room.get_mut(..len), bytes.get(..len)) {
            to.copy_from_slice(from);
            self.len += len;
        }
        self
    }

    /// Appends a string.
    pub fn str(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    /// Appends a number in decimal digits.
    pub fn decimal(&mut self, number: u64) -> &mut Self {
        self.digits(number, 10, 1)
    }

    /// Appends a number in at least `width` digits to the base 10 or 16, with leading zeroes.
    #[inline(never)]
    pub fn digits(&mut self, mut number: u64, base: u64, width: usize) -> &mut Self {
        let mut digits = [b'0'; 20];
        let mut unused = digits.len();
        for digit in digits.iter_mut().rev() {
            if number == 0 && 20 - unused >= width {
                break;
            }
            let value = (number % base) as u8;
            *digit = value + if value < 10 { b'0' } else { b'a' - 10 };
            number /= base;
            unused -= 1;
        }
        self.bytes(digits.get(unused..).unwrap_or_default())
    }
}

/// The words of a table that is packed into one string: a space or a line's end stands between any two.
pub(crate) fn words(table: &[u8]) -> impl Iterator<Item = &[u8]> {
    table.split(|&byte| byte <= b' ')
}

/// The line of a table that begins with that number: the whole of it, and what follows the number and a space.
#[must_use]
pub fn numbered(table: &'static str, number: u16) -> (&'static [u8], &'static [u8]) {
    for line in table.as_bytes().split(|&byte| byte == b'\n') {
        let (mut value, mut rest) = (0, line);
        while let [digit @ b'0'..=b'9', more @ ..] = rest {
            (value, rest) = (value * 10 + u16::from(digit - b'0'), more);
        }
        if value == number {
            return (line, rest.get(1..).unwrap_or_default());
        }
    }
    Default::default()
}

/// Equal but for the case of letters. The standard library's function is made for long texts, at ten times the size.
#[inline(never)]
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.eq_ignore_ascii_case(b))
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::format;

    #[test]
    fn numbers_are_those_of_the_standard_library() {
        for number in [0, 1, 9, 10, 99, 100, 15, 16, 255, 256, 4_294_967_296, u64::MAX] {
            let mut space = [0; 100];
            let mut text = Text::new(&mut space);
            text.decimal(number).str(" ").digits(number, 10, 6).str(" ").digits(number, 16, 1);
            assert_eq!(text.as_bytes(), format!("{number} {number:06} {number:x}").as_bytes());
        }
    }

    #[test]
    fn what_does_not_fit_is_cut() {
        let mut space = [0; 4];
        let mut text = Text::new(&mut space);
        text.str("abc");
        assert!(!text.is_cut() && text.room() == 1);
        text.str("de");
        assert!(text.is_cut());
        assert_eq!(text.as_bytes(), b"abcd");
    }

    #[test]
    fn lines_are_found_by_their_number() {
        let table = "1 one\n12 one two";
        assert_eq!(numbered(table, 12), (&b"12 one two"[..], &b"one two"[..]));
        assert_eq!(numbered(table, 1).1, b"one");
        assert_eq!(numbered(table, 2), Default::default());
    }

    #[test]
    fn case_is_no_difference() {
        assert!(same(b"", b"") && same(b"aZ-", b"Az-"));
        assert!(!same(b"a", b"ab") && !same(b"@", b"`") && !same(b"[", b"{"));
    }
}
