//! The two ways to end a line: LF on Unix, CR LF on the wire.

/// Puts a CR before each LF.
pub fn add_cr(bytes: &[u8]) -> Vec<u8> {
    let mut changed = Vec::with_capacity(bytes.len() + 64);
    for &byte in bytes {
        if byte == b'\n' {
            changed.push(b'\r');
        }
        changed.push(byte);
    }
    changed
}

/// Puts a CR before each LF that has none, in bytes that come in pieces.
#[derive(Debug, Default)]
pub struct FixCr {
    /// The last byte was a CR.
    cr: bool,
}

impl FixCr {
    /// The next piece, changed.
    pub fn change(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut changed = Vec::with_capacity(bytes.len() + 64);
        for &byte in bytes {
            if byte == b'\n' && !self.cr {
                changed.push(b'\r');
            }
            changed.push(byte);
            self.cr = byte == b'\r';
        }
        changed
    }
}

/// Takes away a CR before each LF, in bytes that come in pieces.
#[derive(Debug, Default)]
pub struct DelCr {
    /// A CR has been held back.
    cr: bool,
}

impl DelCr {
    /// The next piece, changed.
    pub fn change(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut changed = Vec::with_capacity(bytes.len() + 1);
        for &byte in bytes {
            if self.cr && byte != b'\n' {
                changed.push(b'\r');
            }
            self.cr = byte == b'\r';
            if !self.cr {
                changed.push(byte);
            }
        }
        changed
    }

    /// What is still held back at the end.
    pub fn finish(&mut self) -> &'static [u8] {
        if std::mem::take(&mut self.cr) { b"\r" } else { b"" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All ways to cut a text into two pieces give the same.
    fn in_pieces<T: Default>(text: &[u8], change: impl Fn(&mut T, &[u8], bool) -> Vec<u8>) -> Vec<u8> {
        let mut results: Vec<Vec<u8>> = (0..=text.len())
            .map(|cut| {
                let mut state = T::default();
                [change(&mut state, &text[..cut], false), change(&mut state, &text[cut..], true)].concat()
            })
            .collect();
        results.dedup();
        assert_eq!(results.len(), 1, "{results:?}");
        results.remove(0)
    }

    #[test]
    fn crs_are_added() {
        assert_eq!(add_cr(b"a\n\r\n\rb\r"), b"a\r\n\r\r\n\rb\r");
    }

    #[test]
    fn crs_are_added_where_none_is() {
        let fixed = in_pieces(b"a\n\r\n\r\r\nb\r\rc\n", |state: &mut FixCr, piece, _| state.change(piece));
        assert_eq!(fixed, b"a\r\n\r\n\r\r\nb\r\rc\r\n");
    }

    #[test]
    fn crs_are_taken_away() {
        let change = |state: &mut DelCr, piece: &[u8], last| {
            let mut changed = state.change(piece);
            if last {
                changed.extend(state.finish());
            }
            changed
        };
        assert_eq!(in_pieces(b"a\r\n\r\r\nb\rc\n\r\n\r", change), b"a\n\r\nb\rc\n\n\r");
        assert_eq!(in_pieces(b"", change), b"");
        assert_eq!(in_pieces(b"\r\r\r", change), b"\r\r\r");
    }
}
