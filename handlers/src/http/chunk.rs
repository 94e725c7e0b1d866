//! The chunks of a body whose length is not known before it ends (RFC 9112 section 7.1).

use core::ops::Range;

use crate::Text;

/// Room that a chunk needs in front of its data: the size, in hexadecimal digits, and the end of its line.
pub(crate) const FRONT: usize = 8;
/// Room that it needs behind.
pub(crate) const BEHIND: usize = 2;
/// What stands behind the last chunk.
pub(crate) const END: &[u8] = b"0\r\n\r\n";

/// Frames the data that lies at `data` in `space`, in place; says where the chunk lies. No data is no chunk: an empty one
/// would be the end.
pub(crate) fn frame(space: &mut [u8], data: Range<usize>) -> Range<usize> {
    if data.is_empty() {
        return data;
    }
    let mut size = [0; FRONT];
    let mut size = Text::new(&mut size);
    size.digits(data.len() as u64, 16, 1).str("\r\n");
    let size = size.as_bytes();
    let chunk = data.start.saturating_sub(size.len())..data.end + BEHIND;
    for (room, bytes) in [(chunk.start..data.start, size), (data.end..chunk.end, b"\r\n")] {
        if let Some(room) = space.get_mut(room).filter(|room| room.len() == bytes.len()) {
            room.copy_from_slice(bytes);
        }
    }
    chunk
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_framed_in_place() {
        for (len, expect) in [(0, &b""[..]), (1, b"1\r\nx\r\n"), (26, b"1a\r\nxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n")] {
            let mut space = [b'x'; FRONT + 26 + BEHIND];
            let chunk = frame(&mut space, FRONT..FRONT + len);
            assert_eq!(space.get(chunk), Some(expect));
        }
    }

    /// The largest that is ever framed.
    #[test]
    fn the_size_has_room() {
        let mut space = [b'x'; FRONT + (16 << 10) + BEHIND];
        let chunk = frame(&mut space, FRONT..FRONT + (16 << 10));
        assert_eq!((chunk.start, space.get(2..FRONT)), (2, Some(&b"4000\r\n"[..])));
    }
}
