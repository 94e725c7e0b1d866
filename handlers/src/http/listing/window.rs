//! Sorted without allocation, however many there are: one window after another of what comes next.
//!
//! A window holds a few thousand entries. Where a directory has more, it is read once for each window: whatever is larger
//! than the middle of a full window is left for the next one. So the first lines of a list of a hundred thousand are sent
//! while the last ones have not been looked for.

use core::cmp::Ordering;

/// Bytes for entries, and how many there may be: some hundred KiB of stack, and of a process that never lists nothing.
const BYTES: usize = 160 << 10;
const ENTRIES: usize = 4096;
/// Longest name of a file.
pub(super) const NAME: usize = 255;

/// What entries are ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    Name,
    Size,
    Date,
}

/// An order: directories always stand first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    pub(crate) by: Sort,
    pub(crate) descending: bool,
}

/// What the order of an entry depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Item<'n> {
    pub(crate) directory: bool,
    /// Size or date, or the same for all.
    pub(crate) key: i64,
    pub(crate) name: &'n [u8],
}

impl Item<'_> {
    fn compare(&self, other: &Item<'_>, order: Order) -> Ordering {
        let name = || {
            // As people read them; and then by bytes, so that no two are the same.
            let fold = |name: &[u8], at: usize| name.get(at).map(u8::to_ascii_lowercase);
            let longest = self.name.len().max(other.name.len());
            let differ = (0..longest).find(|&at| fold(self.name, at) != fold(other.name, at));
            let folded = differ.map_or(Ordering::Equal, |at| fold(self.name, at).cmp(&fold(other.name, at)));
            folded.then_with(|| self.name.cmp(other.name))
        };
        let within = self.key.cmp(&other.key).then_with(name);
        let within = if order.descending { within.reverse() } else { within };
        other.directory.cmp(&self.directory).then(within)
    }
}

/// An item with its name, apart from the window.
struct Copy {
    bytes: [u8; HEAD + NAME],
    len: usize,
}

impl Copy {
    const NONE: Copy = Copy { bytes: [0; HEAD + NAME], len: 0 };

    fn set(&mut self, item: &Item<'_>) {
        self.len = put(&mut self.bytes, item).unwrap_or(0);
    }

    fn item(&self) -> Option<Item<'_>> {
        if self.len == 0 { None } else { item(&self.bytes) }
    }
}

/// In front of a name: its length, whether it is a directory's, and the key.
const HEAD: usize = 10;

/// Writes an item, if there is room for it.
fn put(to: &mut [u8], item: &Item<'_>) -> Option<usize> {
    let len = HEAD + item.name.len();
    let (head, name) = to.get_mut(..len)?.split_at_mut_checked(HEAD)?;
    let [size, directory, key @ ..] = head else { return None };
    *size = u8::try_from(item.name.len()).ok()?;
    *directory = u8::from(item.directory);
    key.copy_from_slice(&item.key.to_ne_bytes());
    name.copy_from_slice(item.name);
    Some(len)
}

fn item(from: &[u8]) -> Option<Item<'_>> {
    let (head, rest) = from.split_first_chunk::<HEAD>()?;
    let [size, directory, key @ ..] = *head;
    Some(Item { directory: directory != 0, key: i64::from_ne_bytes(key), name: rest.get(..usize::from(size))? })
}

/// What comes next of an order.
pub(crate) struct Window {
    order: Order,
    bytes: [u8; BYTES],
    used: usize,
    starts: [u32; ENTRIES],
    count: usize,
    /// The last of the windows before.
    after: Copy,
    /// Nothing from here on: it was left for a later window.
    before: Copy,
}

impl Window {
    pub(crate) fn new(order: Order) -> Window {
        Window {
            order,
            bytes: [0; BYTES],
            used: 0,
            starts: [0; ENTRIES],
            count: 0,
            after: Copy::NONE,
            before: Copy::NONE,
        }
    }

    /// Takes an entry into account.
    pub(crate) fn offer(&mut self, new: &Item<'_>) {
        let order = self.order;
        let is = |bound: &Copy, than: Ordering| bound.item().is_none_or(|bound| new.compare(&bound, order) == than);
        if !is(&self.after, Ordering::Greater) || !is(&self.before, Ordering::Less) {
            return;
        }
        if !self.append(new) {
            self.halve();
            if self.before.item().is_none_or(|bound| new.compare(&bound, order) == Ordering::Less) {
                self.append(new);
            }
        }
    }

    fn append(&mut self, new: &Item<'_>) -> bool {
        let Some(start) = self.starts.get_mut(self.count) else { return false };
        let Some(len) = self.bytes.get_mut(self.used..).and_then(|room| put(room, new)) else { return false };
        *start = self.used as u32;
        self.used += len;
        self.count += 1;
        true
    }

    /// Leaves the larger half for a later window.
    fn halve(&mut self) {
        self.sort();
        let Some(middle) = self.starts.get(self.count / 2).and_then(|&start| item(self.bytes.get(start as usize..)?))
        else {
            return;
        };
        let mut bound = Copy::NONE;
        bound.set(&middle);
        let (mut from, mut to) = (0, 0);
        self.count = 0;
        while let Some(one) = self.bytes.get(from..self.used).and_then(item) {
            let len = HEAD + one.name.len();
            if bound.item().is_some_and(|bound| one.compare(&bound, self.order) == Ordering::Less) {
                self.bytes.copy_within(from..from + len, to);
                if let Some(start) = self.starts.get_mut(self.count) {
                    *start = to as u32;
                }
                self.count += 1;
                to += len;
            }
            from += len;
        }
        self.used = to;
        self.before = bound;
    }

    /// Puts what was taken in order: heapsort, for it is the shortest.
    pub(crate) fn sort(&mut self) {
        for at in (0..self.count / 2).rev() {
            self.sift(at, self.count);
        }
        for end in (1..self.count).rev() {
            self.starts.swap(0, end);
            self.sift(0, end);
        }
    }

    fn sift(&mut self, mut at: usize, end: usize) {
        loop {
            let mut child = 2 * at + 1;
            if child + 1 < end && self.less(child, child + 1) {
                child += 1;
            }
            if child >= end || !self.less(at, child) {
                return;
            }
            self.starts.swap(at, child);
            at = child;
        }
    }

    fn less(&self, a: usize, b: usize) -> bool {
        match (self.item(a), self.item(b)) {
            (Some(a), Some(b)) => a.compare(&b, self.order) == Ordering::Less,
            _ => false,
        }
    }

    /// The item of that place, in order once it was sorted.
    pub(crate) fn item(&self, at: usize) -> Option<Item<'_>> {
        let &start = self.starts.get(..self.count)?.get(at)?;
        self.bytes.get(start as usize..).and_then(item)
    }

    /// Makes place for the next window; false when there is none.
    pub(crate) fn next(&mut self) -> bool {
        let mut last = Copy::NONE;
        match self.item(self.count.wrapping_sub(1)) {
            Some(item) => last.set(&item),
            None => return false,
        }
        let more = self.before.len > 0;
        (self.after, self.before) = (last, Copy::NONE);
        (self.used, self.count) = (0, 0);
        more
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::boxed::Box;
    use std::string::{String, ToString};
    use std::vec::Vec;

    /// What comes out, and in how many windows.
    fn listed(items: &[(bool, i64, String)], order: Order) -> (Vec<String>, usize) {
        let mut window = Box::new(Window::new(order));
        let (mut names, mut windows) = (Vec::new(), 0);
        loop {
            for (directory, key, name) in items {
                window.offer(&Item { directory: *directory, key: *key, name: name.as_bytes() });
            }
            window.sort();
            let mut at = 0;
            while let Some(item) = window.item(at) {
                names.push(String::from_utf8(item.name.to_vec()).unwrap());
                at += 1;
            }
            windows += 1;
            if !window.next() {
                return (names, windows);
            }
        }
    }

    fn order(by: Sort, descending: bool) -> Order {
        Order { by, descending }
    }

    #[test]
    fn directories_first_then_as_people_read() {
        let items = ["b", "A", "a", "B2", "c/", "é", "D/"]
            .map(|name| (name.ends_with('/'), 0, name.trim_end_matches('/').to_string()));
        assert_eq!(listed(&items, order(Sort::Name, false)).0, ["c", "D", "A", "a", "b", "B2", "é"]);
        assert_eq!(listed(&items, order(Sort::Name, true)).0, ["D", "c", "é", "B2", "b", "a", "A"]);
        assert_eq!(listed(&[], order(Sort::Name, true)), (Vec::new(), 1));
    }

    /// Many more than fit, with names as long as they get: each comes once, and in order.
    #[test]
    fn more_than_a_window() {
        for (count, len) in [(ENTRIES, 5), (ENTRIES + 1, 5), (20_000, 5), (3_000, NAME)] {
            let items: Vec<_> = (0..count)
                .map(|i| {
                    let key = (i as i64).wrapping_mul(7919) % 1009;
                    (i % 17 == 0, key, std::format!("{:0len$}", i * 7919 % count))
                })
                .collect();
            for descending in [false, true] {
                let (names, windows) = listed(&items, order(Sort::Size, descending));
                let mut expect = items.clone();
                expect.sort_by(|a, b| {
                    let within = (a.1, &a.2).cmp(&(b.1, &b.2));
                    b.0.cmp(&a.0).then(if descending { within.reverse() } else { within })
                });
                assert!(names.iter().eq(expect.iter().map(|item| &item.2)), "{count} {len} {descending}");
                assert_eq!(windows > 1, count * (HEAD + len) > BYTES || count > ENTRIES, "{windows}");
            }
        }
    }
}
