//! The rows that compare servers under load.

use crate::common::Result;
use crate::common::Server;
use crate::options::Options;
use crate::peer::{self, Peer};
use crate::place::{File, LARGE, Place, SMALL};
use crate::report::{Goal, Report};
use crate::wrk::{self, Connections};

/// Ours against a reference, at one kind of work.
pub struct Row {
    /// Its name on the command line.
    pub name: &'static str,
    title: &'static str,
    ours: Peer,
    reference: Peer,
    /// Measured in the same rounds, for information.
    beside: &'static [Peer],
    file: File,
    connections: Connections,
    /// How many more are connected meanwhile and say nothing, each with a process of its own.
    held: usize,
    /// The ratio of our rate to the reference's that is promised.
    target: f64,
}

const POOL: Peer = Peer::Tine(&["--mode", "prefork", "--children", "N"]);
const ONE_SHOT: Peer = Peer::Tine(&["--mode", "prefork", "--children", "N", "--reuse", "1"]);
const FORK: Peer = Peer::Tine(&["--mode", "fork"]);
const VFORK: Peer = Peer::Tine(&["--mode", "vfork"]);

/// All of them, in the order of the design's table.
pub const ALL: &[Row] = &[
    Row {
        name: "prefork",
        title: "prefork, a connection per request, 512 B",
        ours: POOL,
        reference: Peer::Nginx,
        beside: &[Peer::Apache],
        file: SMALL,
        connections: Connections::New,
        held: 0,
        target: 1.05,
    },
    Row {
        name: "keep-alive",
        title: "prefork, keep-alive, 512 B",
        ours: POOL,
        reference: Peer::Lighttpd,
        beside: &[Peer::Nginx, Peer::Apache],
        file: SMALL,
        connections: Connections::Kept,
        held: 0,
        target: 1.0,
    },
    Row {
        name: "keep-alive-100k",
        title: "prefork, keep-alive, 100 KiB",
        ours: POOL,
        reference: Peer::Lighttpd,
        beside: &[],
        file: LARGE,
        connections: Connections::Kept,
        held: 0,
        target: 1.0,
    },
    Row {
        name: "one-shot",
        title: "one-shot, a connection per request, 512 B",
        ours: ONE_SHOT,
        reference: Peer::Nginx,
        beside: &[],
        file: SMALL,
        connections: Connections::New,
        held: 0,
        target: 0.6,
    },
    Row {
        name: "fork",
        title: "fork, a connection per request, 512 B",
        ours: FORK,
        reference: Peer::UcspiTcp,
        beside: &[],
        file: SMALL,
        connections: Connections::New,
        held: 0,
        target: 2.5,
    },
    Row {
        name: "vfork",
        title: "vfork with tine-http, a connection per request, 512 B",
        ours: VFORK,
        reference: Peer::UcspiTcp,
        beside: &[],
        file: SMALL,
        connections: Connections::New,
        held: 0,
        target: 2.0,
    },
    tcpserver("tcpserver", "tcpserver tine-http, a connection per request, 512 B", 0),
    tcpserver("tcpserver-40", "the same with 40 other children", 40),
    tcpserver("tcpserver-4000", "the same with 4,000 other children", 4000),
];

/// Ours against that of ucspi-tcp, both starting the same program.
const fn tcpserver(name: &'static str, title: &'static str, held: usize) -> Row {
    Row {
        name,
        title,
        ours: Peer::Tcpserver,
        reference: Peer::UcspiTcp,
        beside: &[],
        file: SMALL,
        connections: Connections::New,
        held,
        target: 2.0,
    }
}

/// Starts the servers of a row, lets them take turns, and adds what came out to the report.
pub fn measure(row: &Row, options: &Options, place: &Place, report: &mut Report) -> Result<()> {
    println!("\n{} ({}): {} rounds of {} s", row.title, row.name, options.rounds, options.seconds);
    // Ours and the reference are neighbours in every round.
    let mut contestants = Vec::new();
    for peer in [row.reference, row.ours].iter().chain(row.beside) {
        contestants.extend(peer.start(options, place)?.map(|server| (*peer, server)));
    }
    if contestants[0].0 != row.reference {
        report.skip(row.title, &row.reference.name(), row.target);
        return Ok(());
    }
    for (peer, server) in &contestants {
        wrk::check(server.address, row.file).map_err(|error| format!("{}: {error}", peer.name()))?;
    }
    let _held: Vec<_> = contestants.iter().map(|(_, server)| peer::hold(server, row.held)).collect::<Result<_>>()?;
    let rates = take_turns(row, options, &contestants)?;
    for ((peer, _), rates) in contestants.iter().zip(&rates).filter(|(_, rates)| !rates.is_empty()) {
        report.rates(row.name, &peer.name(), rates);
    }
    report.compare(row.title, &row.reference.name(), &rates[1], &rates[0], Goal::AtLeast(row.target));
    for ((peer, _), theirs) in contestants.iter().zip(&rates).skip(2).filter(|(_, rates)| !rates.is_empty()) {
        report.compare(&format!("{} ({} beside)", row.title, peer.name()), &peer.name(), &rates[1], theirs, Goal::None);
    }
    Ok(())
}

/// The rates of each contestant, a number for each round. A round that nobody counts warms the caches. One that stands
/// beside and fails is told and left out; it has no rates.
fn take_turns(row: &Row, options: &Options, contestants: &[(Peer, Server)]) -> Result<Vec<Vec<f64>>> {
    let mut rates = vec![Vec::new(); contestants.len()];
    let mut failed = vec![false; contestants.len()];
    for round in 0..=options.rounds {
        for (at, (peer, server)) in contestants.iter().enumerate() {
            if failed[at] {
                continue;
            }
            let seconds = if round == 0 { 1 } else { options.seconds };
            match wrk::measure(server.address, row.file, row.connections, options.connections, seconds) {
                Ok(rate) if round > 0 => rates[at].push(rate),
                Ok(_) => {}
                Err(error) if at < 2 => return Err(format!("{}: {error}", peer.name())),
                Err(error) => {
                    println!("  {} is left out: {error}", peer.name());
                    failed[at] = true;
                    rates[at].clear();
                }
            }
        }
    }
    Ok(rates)
}
