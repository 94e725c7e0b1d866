//! Small files in memory, for a child that serves one connection after another.
//!
//! An entry is what open, fstat and read gave; it is trusted for a second and then made anew, so that nobody is shown a
//! file that is older than that. One process, one thread: there is nothing to lock.

use connection::Time;

use super::auth::Known;
use super::file::Meta;
use super::mime::Kind;

/// What a handler keeps of the files that it sent: small ones in a [`Cache`], or, as `()`, nothing. A process for one
/// connection has no use for a cache, and an executable of that kind no code for one.
pub trait Keep {
    /// Answers are made too, by scripts and from directories, and not only found.
    const MAKES: bool = true;
    /// Somebody may look at what it does ([`connection::Progress`]), as at no executable that inetd starts.
    const TELLS: bool = false;

    /// Where it is kept.
    fn cache(&mut self) -> Option<&mut Cache>;

    /// The same, to read.
    fn cache_ref(&self) -> Option<&Cache>;

    /// Credentials that were found good.
    fn known(&mut self) -> Option<&mut Known> {
        None
    }
}

impl Keep for () {
    const MAKES: bool = false;

    fn cache(&mut self) -> Option<&mut Cache> {
        None
    }

    fn cache_ref(&self) -> Option<&Cache> {
        None
    }
}

/// No files are kept, and answers are made.
#[derive(Debug, Default)]
pub struct Full(Known);

impl Keep for Full {
    fn cache(&mut self) -> Option<&mut Cache> {
        None
    }

    fn cache_ref(&self) -> Option<&Cache> {
        None
    }

    fn known(&mut self) -> Option<&mut Known> {
        Some(&mut self.0)
    }
}

/// Files are kept if there is a place for them, and answers are made.
#[derive(Debug)]
pub struct Kept<'a> {
    cache: Option<&'a mut Cache>,
    known: Known,
}

impl<'a> Kept<'a> {
    pub(crate) fn new(cache: Option<&'a mut Cache>) -> Kept<'a> {
        Kept { cache, known: Known::default() }
    }

    pub(crate) fn take_cache(&mut self) -> Option<&'a mut Cache> {
        self.cache.take()
    }
}

impl Keep for Kept<'_> {
    const TELLS: bool = true;

    fn cache(&mut self) -> Option<&mut Cache> {
        self.cache.as_deref_mut()
    }

    fn cache_ref(&self) -> Option<&Cache> {
        self.cache.as_deref()
    }

    fn known(&mut self) -> Option<&mut Known> {
        Some(&mut self.known)
    }
}

/// How many files.
const SLOTS: usize = 16;
/// Longest path of a file that is kept.
const PATH: usize = 128;
/// Largest file that is kept.
pub(crate) const BODY: usize = 16 << 10;
/// How long an entry is trusted, in microseconds.
const TRUSTED: u64 = 1_000_000;

/// Longest part of a response's head that is kept.
const HEAD: usize = 240;

/// A bounded set of small files. It is plain data and all zero when empty, so that it costs no memory before it is used.
pub struct Cache {
    slots: [Slot; SLOTS],
    bodies: [[u8; BODY]; SLOTS],
    heads: [([u8; HEAD], u8); SLOTS],
}

#[derive(Clone, Copy)]
struct Slot {
    /// 0: nothing is kept here.
    path_len: u8,
    path: [u8; PATH],
    meta: Meta,
    siblings: Option<u8>,
    kind: Kind,
    read: Time,
}

/// A slot that holds what was asked for.
#[derive(Clone, Copy)]
pub(crate) struct Hit {
    slot: usize,
    pub(crate) meta: Meta,
    /// In which codings the file has a sibling ([`super::negotiate::Coding::bit`]), if that was asked.
    pub(crate) siblings: Option<u8>,
    /// Its media type.
    pub(crate) kind: Kind,
}

impl Hit {
    /// Its bytes are there too: they are not of a file that is too large.
    pub(crate) fn is_whole(&self) -> bool {
        self.meta.size <= BODY as u64
    }
}

impl Cache {
    /// An empty cache.
    #[must_use]
    pub const fn new() -> Cache {
        let slot = Slot {
            path_len: 0,
            path: [0; PATH],
            meta: Meta { size: 0, modified: 0, nanoseconds: 0 },
            siblings: None,
            kind: Kind::UNKNOWN,
            read: Time { seconds: 0, nanoseconds: 0 },
        };
        Cache { slots: [slot; SLOTS], bodies: [[0; BODY]; SLOTS], heads: [([0; HEAD], 0); SLOTS] }
    }

    /// Forgets everything, without touching memory where there is nothing to forget.
    pub(crate) fn clear(&mut self) {
        for slot in self.slots.iter_mut().filter(|slot| slot.path_len > 0) {
            slot.path_len = 0;
        }
    }

    /// The file of that path, unless it is too old or not there.
    pub(crate) fn find(&self, path: &[u8], now: Time) -> Option<Hit> {
        let slot = self.slots.iter().position(|slot| !path.is_empty() && slot.path() == path)?;
        let found = self.slots.get(slot)?;
        // A clock that went back is no reason to trust: the monotonic one does not.
        (now >= found.read && now.micros_since(found.read) < TRUSTED).then_some(Hit {
            slot,
            meta: found.meta,
            siblings: found.siblings,
            kind: found.kind,
        })
    }

    /// The bytes of a file that was found.
    pub(crate) fn body(&self, hit: Hit) -> &[u8] {
        self.bodies.get(hit.slot).and_then(|body| body.get(..hit.meta.size as usize)).unwrap_or(&[])
    }

    /// What a plain response that brings this file says of it, if that was kept.
    pub(crate) fn head(&self, hit: Hit) -> Option<&[u8]> {
        let (head, len) = self.heads.get(hit.slot)?;
        head.get(..usize::from(*len)).filter(|head| !head.is_empty())
    }

    /// Keeps that, if it fits.
    pub(crate) fn keep_head(&mut self, hit: Hit, bytes: &[u8]) {
        if let Some((head, len)) = self.heads.get_mut(hit.slot)
            && let Some(room) = head.get_mut(..bytes.len())
        {
            room.copy_from_slice(bytes);
            *len = bytes.len() as u8;
        }
    }

    /// Keeps a file that `read` reads, in place of the same path's older state or of the entry that is oldest. `None`
    /// when it does not fit or `read` does not fill the whole; of a file that is too large, what is known of it is kept.
    pub(crate) fn keep(
        &mut self,
        path: &[u8],
        meta: Meta,
        siblings: Option<u8>,
        kind: Kind,
        now: Time,
        read: impl FnOnce(&mut [u8]) -> bool,
    ) -> Option<Hit> {
        if path.is_empty() || path.len() > PATH {
            return None;
        }
        let whole = meta.size <= BODY as u64;
        let same = self.slots.iter().position(|slot| slot.path() == path);
        let oldest = || (0..SLOTS).min_by_key(|&slot| self.slots.get(slot).map(|slot| slot.read));
        let slot = same.or_else(oldest)?;
        let place = self.slots.get_mut(slot)?;
        // Empty while it is being filled.
        place.path_len = 0;
        place.read = Time::default();
        self.heads.get_mut(slot)?.1 = 0;
        if whole && !read(self.bodies.get_mut(slot)?.get_mut(..meta.size as usize)?) {
            return None;
        }
        place.path.get_mut(..path.len())?.copy_from_slice(path);
        *place = Slot { path_len: path.len() as u8, meta, siblings, kind, read: now, ..*place };
        whole.then_some(Hit { slot, meta, siblings, kind })
    }
}

impl Default for Cache {
    fn default() -> Self {
        Self::new()
    }
}

impl core::fmt::Debug for Cache {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Cache").finish_non_exhaustive()
    }
}

impl Slot {
    fn path(&self) -> &[u8] {
        self.path.get(..usize::from(self.path_len)).unwrap_or(&[])
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::boxed::Box;
    use std::string::String;

    fn meta(size: u64) -> Meta {
        Meta { size, modified: 9, nanoseconds: 0 }
    }

    fn at(millis: i64) -> Time {
        Time { seconds: millis / 1000, nanoseconds: (millis % 1000 * 1_000_000) as u32 }
    }

    fn keep(cache: &mut Cache, name: &str, body: &[u8], millis: i64) -> bool {
        let fill = |buffer: &mut [u8]| {
            buffer.copy_from_slice(body);
            true
        };
        cache.keep(name.as_bytes(), meta(body.len() as u64), Some(5), Kind::UNKNOWN, at(millis), fill).is_some()
    }

    fn get(cache: &Cache, name: &str, millis: i64) -> Option<String> {
        let hit = cache.find(name.as_bytes(), at(millis)).filter(Hit::is_whole)?;
        assert_eq!(hit.siblings, Some(5));
        Some(String::from_utf8(cache.body(hit).to_vec()).unwrap())
    }

    #[test]
    fn an_entry_lives_for_a_second() {
        let mut cache = Box::new(Cache::new());
        assert_eq!(get(&cache, "a", 5_000), None);
        assert!(keep(&mut cache, "a", b"one", 5_000));
        assert_eq!(get(&cache, "a", 5_999).as_deref(), Some("one"));
        assert_eq!(get(&cache, "a", 6_000), None);
        assert_eq!(get(&cache, "a", 4_999), None);
        assert_eq!(get(&cache, "b", 5_000), None);
        assert!(keep(&mut cache, "a", b"two2", 6_000));
        assert_eq!(get(&cache, "a", 6_001).as_deref(), Some("two2"));
    }

    #[test]
    fn the_oldest_makes_room() {
        let mut cache = Box::new(Cache::new());
        for i in 0..20 {
            assert!(keep(&mut cache, &std::format!("f{i}"), &[b'0' + i], 10_000 + i64::from(i)));
        }
        for i in 0..20 {
            let expect = (i >= 4).then(|| String::from(char::from(b'0' + i)));
            assert_eq!(get(&cache, &std::format!("f{i}"), 10_100), expect, "{i}");
        }
    }

    #[test]
    fn what_does_not_fit_or_was_not_read_is_not_kept() {
        let mut cache = Box::new(Cache::new());
        assert!(keep(&mut cache, &"p".repeat(PATH), b"x", 1_000));
        assert!(!keep(&mut cache, &"p".repeat(PATH + 1), b"x", 1_000));
        assert!(keep(&mut cache, "a", &[b'x'; BODY], 1_000));
        assert!(!keep(&mut cache, "b", &[b'x'; BODY + 1], 1_000));
        assert!(cache.keep(b"a", meta(3), None, Kind::UNKNOWN, at(1_000), |_| false).is_none());
        assert_eq!(get(&cache, "a", 1_000), None);
        // What is known of a large file is kept without its bytes.
        let hit = cache.find(b"b", at(1_000)).unwrap();
        assert_eq!((hit.meta, hit.siblings, hit.is_whole()), (meta(BODY as u64 + 1), Some(5), false));
    }
}
