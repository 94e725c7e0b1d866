//! The reckoning between what clients met and what the log says.

use crate::{
    common::{BOUND, Server, holds_within},
    load::Tally,
};

/// A warning about a child that ended as it should not: `child PID from CLIENT killed by ...`.
pub fn deaths(log: &str) -> impl Iterator<Item = &str> {
    log.lines().filter(|line| line.contains(": warning: child "))
}

/// The client in such a line. A child of a pool that died between accept(2) and its next instruction had told nobody.
pub fn client(death: &str) -> Option<&str> {
    death.split_once(" from ")?.1.split(' ').next()
}

/// Each connection that was cut has a death in the log, by the client's name; and nothing happened that never may.
#[track_caller]
pub fn balances(server: &Server, tally: &Tally) {
    assert!(tally.wrong.is_empty(), "{:#?}", tally.wrong);
    let refused: usize = tally.refused.values().sum();
    assert_eq!(
        tally.sent,
        tally.answered + tally.put_back + refused + tally.cut.len(),
        "each request is accounted for: {tally:?}"
    );
    let mut missing = Vec::new();
    let mut nameless = 0;
    let balanced = holds_within(BOUND, || {
        let log = server.log();
        let mut named: Vec<&str> = deaths(&log).filter_map(client).collect();
        nameless = deaths(&log).count() - named.len();
        // Each line stands for one connection: numbers of ports come again.
        missing = tally
            .cut
            .iter()
            .filter(|cut| !take(&mut named, &cut.client))
            .map(|cut| format!("{} {}", cut.client, cut.how))
            .collect();
        missing.len() <= nameless
    });
    eprintln!("{tally} {} deaths in the log, {nameless} of them without a client", deaths(&server.log()).count());
    assert!(
        balanced,
        "{} of {} requests were cut, {} of them without a death in the log ({nameless} deaths without a client): {:?}",
        tally.cut.len(),
        tally.sent,
        missing.len(),
        &missing[..missing.len().min(5)]
    );
}

fn take(named: &mut Vec<&str>, client: &str) -> bool {
    let at = named.iter().position(|&name| name == client);
    at.map(|at| named.swap_remove(at)).is_some()
}
