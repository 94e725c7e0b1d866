//! When all children of a full pool are at work: whether clients wait meanwhile, and what is done about it.
//!
//! The child that takes the last spare rings the bell. From then on the supervisor watches the listening sockets: a
//! connection that is there and that nobody takes is a client that waits. Then connections between two requests are asked
//! for, the longest idle first and no more of them than clients wait; and the answers of the others say that theirs are
//! the last.

use connection::Need;

/// The shortest time from one look at the queues to the next, in microseconds; doubled while nobody can be asked, up to
/// the longest.
const SHORTEST: u64 = 5_000;
const LONGEST: u64 = 160_000;

/// So much more for each child: a look goes over all of them.
const FOR_EACH: u64 = 1;

/// How hard-pressed a pool is.
#[derive(Default)]
pub(crate) struct Strain {
    /// No child is idle, and none can be made.
    watching: bool,
    pub(crate) need: Need,
    pause: u64,
    /// The earliest time for the next look.
    next: u64,
}

/// What a look at the queues found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    /// Clients in the queues.
    pub(crate) waiting: usize,
    /// Children that will take one.
    pub(crate) idle: usize,
    /// Children that were asked for the connection that they keep.
    pub(crate) asked: usize,
}

impl Strain {
    /// The last spare child was taken.
    pub(crate) fn begin(&mut self) {
        self.watching = true;
    }

    pub(crate) fn end(&mut self) {
        (self.watching, self.need) = (false, Need::None);
    }

    pub(crate) fn is_on(&self) -> bool {
        self.watching
    }

    /// Whether to be woken by the next client at `now`.
    pub(crate) fn is_watching(&self, now: u64) -> bool {
        self.watching && now >= self.next && self.need == Need::None
    }

    /// When there is something to do without a client who comes.
    pub(crate) fn next(&self, now: u64) -> Option<u64> {
        (self.watching && (now < self.next || self.need != Need::None)).then_some(self.next)
    }

    /// Whether to look at `now`, a client having come or not.
    pub(crate) fn is_due(&self, now: u64, came: bool) -> bool {
        self.watching && now >= self.next && (came || self.need != Need::None)
    }

    /// What follows from a look at `now`, with so many children live.
    pub(crate) fn looked(&mut self, look: Look, live: usize, now: u64) {
        let Look { waiting, idle, asked } = look;
        if waiting == 0 {
            self.need = Need::None;
            self.watching = idle == 0;
        } else if waiting > idle + asked {
            // Those who idle are not enough: all are to help.
            self.need = if self.need == Need::None { Need::Tight } else { Need::Starving };
        }
        let shortest = SHORTEST + FOR_EACH * live as u64;
        let in_vain = waiting > idle && asked == 0;
        self.pause = if in_vain { (2 * self.pause).clamp(shortest, LONGEST.max(shortest)) } else { shortest };
        self.next = now + self.pause;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(waiting: usize, idle: usize, asked: usize) -> Look {
        Look { waiting, idle, asked }
    }

    #[test]
    fn a_client_who_waits_is_looked_for_and_the_need_told_until_none_does() {
        let mut strain = Strain::default();
        assert!(!strain.is_watching(0) && strain.next(0).is_none());
        strain.begin();
        assert!(strain.is_watching(0) && strain.next(0).is_none(), "no time is set while nobody waits");
        assert!(strain.is_due(0, true) && !strain.is_due(0, false));
        strain.looked(look(2, 0, 1), 4, 0);
        assert_eq!((strain.need, strain.next(0)), (Need::Tight, Some(5_004)));
        assert!(
            !strain.is_watching(6_000) && strain.is_due(6_000, false),
            "a queue that is not empty would wake at once"
        );
        strain.looked(look(1, 0, 0), 4, 6_000);
        assert_eq!(strain.need, Need::Starving);
        strain.looked(look(0, 0, 0), 4, 20_000);
        assert_eq!((strain.need, strain.is_on()), (Need::None, true));
        assert!(strain.next(20_000).is_some() && strain.is_watching(30_000) && strain.next(30_000).is_none());
        strain.looked(look(0, 1, 0), 4, 40_000);
        assert!(!strain.is_on());
    }

    #[test]
    fn looks_in_vain_become_seldom() {
        let mut strain = Strain::default();
        strain.begin();
        let mut now = 0;
        let mut pauses = Vec::new();
        for _ in 0..8 {
            strain.looked(look(9, 0, 0), 0, now);
            pauses.push((strain.next(now).unwrap() - now) / 1000);
            now = strain.next(now).unwrap();
        }
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 160, 160]);
        strain.looked(look(9, 0, 3), 0, now);
        assert_eq!(strain.next(now), Some(now + 5_000));
    }
}
