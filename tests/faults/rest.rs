//! A server at rest: what it was before the harm, it is again.

use std::{collections::BTreeMap, thread, time::Duration};

use crate::{
    common::{BOUND, Mode, Server, holds_within, process},
    harness::CHILDREN,
    load::Load,
};

/// Ticks of 10 ms that a process may use in a second in which nothing happens.
const FEW: u64 = 3;

/// What a server holds while nobody is connected.
pub struct Rest {
    descriptors: BTreeMap<u32, String>,
    /// How many descriptors a child holds.
    child: Option<usize>,
}

impl Rest {
    pub fn of(server: &Server, mode: Mode) -> Rest {
        settles(server, mode);
        // A child that serves holds more: the least is what one holds that waits. Who has gone meanwhile holds nothing.
        let held = server.children().into_iter().map(|child| process::descriptors(child.pid).len());
        let child = held.filter(|&held| held > 0).min();
        Rest { descriptors: process::descriptors(server.pid()), child }
    }

    #[track_caller]
    pub fn is_regained(&self, server: &Server, mode: Mode, load: &Load) {
        load.visit_once();
        settles(server, mode);
        assert_eq!(process::descriptors(server.pid()), self.descriptors, "the supervisor's descriptors");
        let mut held = Vec::new();
        // The last client may have left before the child knows.
        let same = holds_within(BOUND, || {
            held = server.children().iter().map(|child| (child.pid, process::descriptors(child.pid))).collect();
            // Before, a child may have been looked at that was just coming to the world.
            held.iter().all(|(_, held)| Some(held.len()) <= self.child)
        });
        assert!(same, "children hold {held:?} while nobody is connected, and held {:?} before", self.child);
        let all =
            || -> Vec<u32> { [server.pid()].into_iter().chain(server.children().iter().map(|c| c.pid)).collect() };
        let before: Vec<_> = all().into_iter().map(|pid| (pid, process::ticks(pid))).collect();
        thread::sleep(Duration::from_millis(500));
        for (pid, ticks) in before {
            let used = process::ticks(pid).saturating_sub(ticks);
            assert!(used <= FEW, "process {pid} used {used} ticks of 10 ms while nobody came");
        }
        load.visit_once();
    }
}

/// Waits until the children are there that belong there, and no other, alive.
#[track_caller]
pub fn settles(server: &Server, mode: Mode) {
    let at_rest = if mode.is_prefork() { CHILDREN as usize } else { 0 };
    let mut children = Vec::new();
    let settled = holds_within(BOUND, || {
        children = server.children();
        children.len() == at_rest && children.iter().all(|child| child.state != 'Z')
    });
    assert!(settled, "{at_rest} children and no zombie belong there, not {children:?}");
}
