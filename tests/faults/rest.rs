//! A server at rest: what it was before the harm, it is again.

use std::{collections::BTreeSet, process::Command, thread, time::Duration};

use crate::{
    common::{BOUND, Mode, Server, holds_within, process, run, tine, wait_until},
    harness::CHILDREN,
    load::Load,
};

/// Ticks of 10 ms that a process may use in a second in which nothing happens.
const FEW: u64 = 3;

/// What a server holds while nobody is connected.
pub struct Rest {
    descriptors: Vec<String>,
    /// How many descriptors a child holds.
    child: Option<usize>,
}

impl Rest {
    pub fn of(server: &Server, mode: Mode) -> Rest {
        server.settles(mode, CHILDREN);
        // One that comes to the world or leaves it holds more than one that waits, or less.
        let mut held = BTreeSet::new();
        wait_until("all children hold as much", || {
            held = server.children().into_iter().map(|child| process::descriptors(child.pid).len()).collect();
            held.len() <= 1
        });
        let child = held.pop_first();
        Rest { descriptors: kinds(server.pid()), child }
    }

    #[track_caller]
    pub fn is_regained(&self, server: &Server, mode: Mode, load: &Load) {
        load.visit_once();
        server.settles(mode, CHILDREN);
        // One that hands connections over keeps each until it hears that its child is done: then, and before the harm too.
        let no_more = || {
            let mut before = self.descriptors.clone();
            kinds(server.pid()).iter().all(|kind| {
                let at = before.iter().position(|other| other == kind);
                at.map(|at| before.swap_remove(at)).is_some()
            })
        };
        let regained = holds_within(BOUND, no_more);
        assert!(regained, "the supervisor holds {:?}, and held {:?} before", kinds(server.pid()), self.descriptors);
        let mut held = Vec::new();
        // The last client may have left before the child knows.
        let same = holds_within(BOUND, || {
            held = server.children().iter().map(|child| (child.pid, process::descriptors(child.pid))).collect();
            // Before, a child may have been looked at that was just coming to the world.
            held.iter().all(|(_, held)| Some(held.len()) <= self.child)
        });
        assert!(same, "children hold {held:?} while nobody is connected, and held {:?} before", self.child);
        self.shows_nobody(server);
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

    /// No slot of the scoreboard says that anybody is served.
    #[track_caller]
    fn shows_nobody(&self, server: &Server) {
        let mut table = String::new();
        let idle = holds_within(BOUND, || {
            let output = run(Command::new(tine()).args(["status", "--once", &server.pid().to_string()]));
            table = String::from_utf8_lossy(&output.stdout).into_owned();
            let live = server.children().len();
            let states = if live == 0 { String::new() } else { format!("{live} idle") };
            table.contains(&format!("\nchildren {live}/{CHILDREN}: {states}\n"))
        });
        assert!(idle, "nobody is connected:\n{table}");
    }
}

/// What a process holds; the sockets of pairs are made anew when their child has died.
fn kinds(pid: u32) -> Vec<String> {
    let kind = |what: String| what.replace(|letter: char| letter.is_ascii_digit(), "");
    let mut kinds: Vec<String> = process::descriptors(pid).into_values().map(kind).collect();
    kinds.sort();
    kinds
}
