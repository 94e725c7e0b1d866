//! The buffer that requests are received into.

/// A request head is at most this long.
pub(crate) const LONGEST: usize = 8 << 10;
/// Most heads are shorter than this. A fresh process pays for each page that it touches, so this is tried first.
pub(crate) const SHORT: usize = 2 << 10;

/// Bytes from the client that were not answered yet: a head or part of one, and what was sent behind it.
///
/// The buffer is of one connection alone, so that none sees bytes of one before it.
pub(crate) struct Receiver<'b> {
    buffer: &'b mut [u8],
    start: usize,
    end: usize,
}

impl<'b> Receiver<'b> {
    /// Nothing received.
    pub(crate) fn new(buffer: &'b mut [u8]) -> Receiver<'b> {
        Receiver { buffer, start: 0, end: 0 }
    }

    /// The same bytes in a larger buffer.
    pub(crate) fn grown<'g>(&self, buffer: &'g mut [u8]) -> Receiver<'g> {
        let mut grown = Receiver::new(buffer);
        if let Some(room) = grown.buffer.get_mut(..self.bytes().len()) {
            room.copy_from_slice(self.bytes());
            grown.end = room.len();
        }
        grown
    }

    /// There is no larger buffer.
    pub(crate) fn is_largest(&self) -> bool {
        self.buffer.len() >= LONGEST
    }

    /// What there is.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Nothing more fits: whatever this is, it is too long.
    pub(crate) fn is_full(&self) -> bool {
        self.end - self.start == self.buffer.len()
    }

    /// Room for more, as much as there can be.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        self.buffer.get_mut(self.end..).unwrap_or_default()
    }

    /// So many bytes were put into the room.
    pub(crate) fn received(&mut self, len: usize) {
        self.end = (self.end + len).min(self.buffer.len());
    }

    /// So many bytes were answered.
    pub(crate) fn answered(&mut self, len: usize) {
        self.start = (self.start + len).min(self.end);
    }

    /// Leaves out empty lines before a head (RFC 9112 section 2.2), so that they are nothing rather than its beginning.
    pub(crate) fn skip_empty_lines(&mut self) {
        loop {
            let len = match self.bytes() {
                [b'\r', b'\n', ..] => 2,
                [b'\n', ..] => 1,
                _ => return,
            };
            self.start += len;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(receiver: &mut Receiver<'_>, bytes: &[u8]) {
        receiver.room()[..bytes.len()].copy_from_slice(bytes);
        receiver.received(bytes.len());
    }

    #[test]
    fn what_was_answered_makes_room() {
        let mut buffer = [0; SHORT];
        let mut receiver = Receiver::new(&mut buffer);
        put(&mut receiver, &[b'a'; SHORT]);
        assert!(receiver.is_full() && receiver.room().is_empty());
        receiver.answered(SHORT - 2);
        assert_eq!(receiver.bytes(), b"aa");
        assert_eq!(receiver.room().len(), SHORT - 2);
        put(&mut receiver, b"b");
        assert_eq!(receiver.bytes(), b"aab");
        receiver.answered(1);
        let mut larger = [0; LONGEST];
        let mut grown = receiver.grown(&mut larger);
        put(&mut grown, b"c");
        assert_eq!((grown.bytes(), grown.is_largest()), (&b"abc"[..], true));
        receiver.answered(99);
        assert!(receiver.is_empty());
    }

    #[test]
    fn empty_lines_are_nothing() {
        let mut buffer = [0; SHORT];
        let mut receiver = Receiver::new(&mut buffer);
        put(&mut receiver, b"\r\n\n\r\n");
        receiver.skip_empty_lines();
        assert!(receiver.is_empty());
        put(&mut receiver, b"\r\n\rx");
        receiver.skip_empty_lines();
        assert_eq!(receiver.bytes(), b"\rx");
    }
}
