//! What a process tells ps(1): whom it serves, and what it does for them.
//!
//! The memory is that of the command line by which the program was started, in the process's own copy of it, so that to tell
//! costs plain stores. Everybody on the machine may read it: of a request there are the method and the path, and nothing
//! of its query.

use core::cell::Cell;
use core::sync::atomic::{AtomicU8, Ordering::Relaxed};

use crate::{Endpoint, Stage};

/// A process's title.
#[derive(Debug)]
pub struct Title<'a> {
    name: &'a [u8],
    /// The last byte stays zero: readers stop there.
    space: &'a [AtomicU8],
    /// The client ends here.
    client: Cell<usize>,
    /// What is behind this is zero.
    end: Cell<usize>,
}

impl<'a> Title<'a> {
    /// The title of a program of this name. Nothing is written before there is something to tell.
    #[must_use]
    pub fn new(name: &'a [u8], space: &'a [AtomicU8]) -> Self {
        Title { name, space, client: Cell::new(0), end: Cell::new(space.len()) }
    }

    /// For the process: it waits for a connection. Nothing of the one before stays.
    pub fn idle(&self) {
        self.write(0, [self.name, b": idle"]);
    }

    /// For the process: it serves this client.
    pub fn serve(&self, client: &Endpoint) {
        let (ip, mut port) = (client.ip(), *b"00000");
        let mut number = client.port();
        for digit in port.iter_mut().rev() {
            *digit = b'0' + (number % 10) as u8;
            number /= 10;
        }
        let port = port.split_at(port.iter().take(4).take_while(|&&digit| digit == b'0').count()).1;
        match ip {
            b"" => self.write(0, [self.name, b": unix"]),
            _ if ip.contains(&b':') => self.write(0, [self.name, b": [", ip, b"]:", port]),
            _ => self.write(0, [self.name, b": ", ip, b":", port]),
        }
        self.client.set(self.end.get());
    }

    /// For the handler: it answers this request.
    pub fn request(&self, line: &[u8]) {
        let mut blanks = 0;
        let is_told = |byte: &&u8| {
            blanks += u32::from(**byte == b' ');
            blanks < 2 && **byte != b'?'
        };
        let told = line.iter().take_while(is_told).count();
        self.write(self.client.get(), [b" answering ", &line[..told]]);
    }

    /// For the handler: what it does now.
    pub fn enter(&self, stage: Stage) {
        let what: &[u8] = match stage {
            Stage::Waiting | Stage::Reading => b" reading",
            Stage::Answering => b" answering",
            Stage::Kept => b" kept",
        };
        self.write(self.client.get(), [what]);
    }

    /// Replaces what is behind the first `kept` bytes, as far as there is room; what would disturb a terminal is cleaned.
    fn write<const N: usize>(&self, kept: usize, parts: [&[u8]; N]) {
        let room = self.space.len().saturating_sub(1);
        let mut at = kept;
        let bytes = parts.into_iter().flatten();
        for (place, &byte) in self.space.iter().take(room).skip(kept).zip(bytes) {
            place.store(if byte == b' ' || byte.is_ascii_graphic() { byte } else { b'?' }, Relaxed);
            at += 1;
        }
        self.space.iter().take(self.end.get()).skip(at).for_each(|place| place.store(0, Relaxed));
        self.end.set(at);
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::String;
    use std::vec::Vec;

    fn space(len: usize) -> Vec<AtomicU8> {
        std::iter::repeat_with(|| AtomicU8::new(b'x')).take(len).collect()
    }

    /// As the kernel shows it; all behind it is zero.
    fn shown(space: &[AtomicU8]) -> String {
        let bytes: Vec<u8> = space.iter().map(|byte| byte.load(Relaxed)).collect();
        let end = bytes.iter().position(|&byte| byte == 0).expect("an end");
        assert!(bytes[end..].iter().all(|&byte| byte == 0), "{bytes:?}");
        String::from_utf8(bytes[..end].to_vec()).expect("text")
    }

    #[test]
    fn it_tells_whom_and_what_and_then_nothing_of_it() {
        let space = space(100);
        let title = Title::new(b"tine", &space);
        title.idle();
        assert_eq!(shown(&space), "tine: idle");
        for (ip, port, client) in [
            ("10.0.0.7", 4242, "10.0.0.7:4242"),
            ("2001:db8::1", 80, "[2001:db8::1]:80"),
            ("::1", 0, "[::1]:0"),
            ("", 0, "unix"),
        ] {
            title.serve(&Endpoint::from_text(ip.as_bytes(), port));
            assert_eq!(shown(&space), std::format!("tine: {client}"));
            title.enter(Stage::Reading);
            assert_eq!(shown(&space), std::format!("tine: {client} reading"));
            title.request(b"GET /path?secret=1 HTTP/1.1");
            assert_eq!(shown(&space), std::format!("tine: {client} answering GET /path"));
            title.request(b"HEAD / HTTP/1.1");
            assert_eq!(shown(&space), std::format!("tine: {client} answering HEAD /"));
            title.enter(Stage::Kept);
            assert_eq!(shown(&space), std::format!("tine: {client} kept"));
            title.idle();
            assert_eq!(shown(&space), "tine: idle");
        }
    }

    #[test]
    fn whatever_is_asked_stays_within_and_is_clean() {
        for len in 0..80 {
            let space = space(len);
            let title = Title::new(b"tine", &space);
            title.serve(&Endpoint::from_text(b"192.0.2.1", 65535));
            title.request(b"GET /\x1b[2J\r\n\xff\0%41");
            if len > 0 {
                let whole = "tine: 192.0.2.1:65535 answering GET /?[2J????%41";
                assert_eq!(shown(&space), whole[..whole.len().min(len - 1)]);
            }
        }
    }
}
