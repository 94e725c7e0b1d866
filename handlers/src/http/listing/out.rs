//! A body whose length is not known before it ends: in one piece with its length if it is short, else in chunks, or to the
//! end of the connection.

use super::super::answer::Reply;
use super::super::chunk::{self, BEHIND, FRONT};
use super::super::response::{self, HEAD};
use crate::Text;
use crate::io::Sent;
use crate::options::HEADER_BYTES;

/// How much is sent at once.
const PIECE: usize = 16 << 10;

pub(crate) struct Out<'o, 'r, 'c> {
    reply: &'o mut Reply<'r, 'c>,
    kind: &'static str,
    space: [u8; FRONT + PIECE + BEHIND],
    len: usize,
    begun: bool,
    chunked: bool,
    pub(crate) sent: Sent,
}

impl<'o, 'r, 'c> Out<'o, 'r, 'c> {
    pub(crate) fn new(reply: &'o mut Reply<'r, 'c>, kind: &'static str) -> Self {
        let chunked = reply.persistence.minor == 1;
        let sent = Sent { bytes: 0, end: Ok(()) };
        Out { reply, kind, space: [0; FRONT + PIECE + BEHIND], len: 0, begun: false, chunked, sent }
    }

    /// Appends bytes as they are.
    #[inline(never)]
    pub(crate) fn bytes(&mut self, mut bytes: &[u8]) -> &mut Self {
        while !bytes.is_empty() {
            if self.len == PIECE {
                self.flush(false);
            }
            let (now, later) = bytes.split_at_checked((PIECE - self.len).min(bytes.len())).unwrap_or_default();
            if let Some(room) = self.space.get_mut(FRONT + self.len..FRONT + self.len + now.len()) {
                room.copy_from_slice(now);
            }
            self.len += now.len();
            bytes = later;
        }
        self
    }

    /// Appends a string.
    pub(crate) fn str(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    /// Appends what `write` writes, which is short.
    pub(crate) fn text(&mut self, write: impl FnOnce(&mut Text<'_>)) -> &mut Self {
        let mut space = [0; 64];
        let mut text = Text::new(&mut space);
        write(&mut text);
        self.bytes(text.as_bytes())
    }

    /// Nobody reads any more.
    pub(crate) fn is_over(&self) -> bool {
        self.sent.end.is_err()
    }

    /// Sends what there is; with `last`, that was all.
    #[inline(never)]
    fn flush(&mut self, last: bool) {
        let mut head = [0; HEAD + HEADER_BYTES];
        let mut head = Text::new(&mut head);
        if !self.begun {
            let whole = last;
            self.chunked &= !whole;
            self.reply.persistence.keep &= whole || self.chunked;
            response::begin(
                &mut head,
                b"200 OK",
                &self.reply.stream.date(self.reply.now),
                self.reply.persistence,
                self.reply.settings,
            );
            head.str("Cache-Control: no-cache\r\nVary: Accept\r\nContent-Type: ").str(self.kind);
            if whole {
                head.str("\r\nContent-Length: ").decimal(self.len as u64);
            } else if self.chunked {
                head.str("\r\nTransfer-Encoding: chunked");
            }
            head.str("\r\n\r\n");
            self.begun = true;
        }
        let data = FRONT..FRONT + self.len;
        let framed = if self.chunked { chunk::frame(&mut self.space, data) } else { data };
        let body = if self.reply.head_only { &[] } else { self.space.get(framed).unwrap_or_default() };
        if self.sent.end.is_ok() {
            let settled = self.reply.stream.send(head.as_bytes(), body, false);
            self.sent.end = settled.end;
            self.sent.bytes += if body.is_empty() { 0 } else { self.len as u64 };
            self.reply.stream.host.alarm.allow(self.reply.stream.write_timeout());
        }
        self.len = 0;
    }

    /// That was all.
    pub(crate) fn end(&mut self) {
        self.flush(true);
        if self.chunked && !self.reply.head_only && self.sent.end.is_ok() {
            self.sent.end = self.reply.stream.send(chunk::END, &[], false).end;
        }
    }
}
