//! `http`: servers under load, ours in each mode and others beside.
//!
//! All servers run all the time, each with its idle connections; the load goes to one after the other, in every round in
//! another order. In a closed loop a fixed number of clients asks as fast as it is answered: that gives the rate. In an
//! open loop requests come at a rate that all servers can stand, and a request's time counts from when it was due: that
//! gives the times. The load generator is a process of its own, and what it used of a processor is shown.

mod answer;
mod graphs;
mod load;
mod role;
pub mod server;
mod session;
pub mod site;
mod target;
mod watcher;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::experiment::Experiment;
use super::plan::Plan;
use super::recorder::Recorder;
use super::trouble::{Trouble, trouble};
use super::{limits, room};
pub use role::ROLE;
use server::{OWN, Server};
use session::{BUSIEST, Session};
use site::{SMALL, Site};

/// The experiment.
pub const EXPERIMENT: Experiment = Experiment {
    name: "http",
    about: "servers under load: prefork, one-shot, fork, vfork, and any others",
    graphs: graphs::ALL,
    seconds: [80, 8],
    // Server and generator share the machine's processors.
    pinned: false,
    run,
};

fn run(plan: &Plan, recorder: &mut Recorder) -> Result<(), Trouble> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        // Servers end and files go away before this process does.
        signal_hook::flag::register(signal, Arc::clone(&stop)).map_err(trouble("handle", "signals"))?;
    }
    let site = Site::make().map_err(trouble("write", "a directory of files to serve"))?;
    let idle = idle_connections(plan, recorder);
    let servers = start(plan, idle, &site, recorder)?;
    let mut session = Session::new(plan, servers, Arc::clone(&stop));
    match session.measure(idle, recorder) {
        // The user knows.
        Err(_) if stop.load(Ordering::Relaxed) => Ok(()),
        done => done,
    }
}

/// How many idle connections each server will hold: a tenth of the most processes, because there are four servers of ours,
/// of which two make children ahead.
fn idle_connections(plan: &Plan, recorder: &mut Recorder) -> u32 {
    let own = OWN.len() as u32;
    let servers = own + (plan.against.len() + plan.urls.len()) as u32;
    let wanted = limits::descriptors((plan.most_children / 10).max(1), servers, "idle connections", recorder);
    let children = room::children(own * (wanted + BUSIEST), recorder);
    (children / own).saturating_sub(BUSIEST).clamp(1, wanted)
}

/// Starts all servers, and sees that each answers.
fn start(plan: &Plan, idle: u32, site: &Site, recorder: &mut Recorder) -> Result<Vec<Server>, Trouble> {
    // What the user named first: where that fails, it should fail soon.
    let against = plan.against.iter().map(|command| Server::against(command, site));
    let urls = plan.urls.iter().map(|url| Server::at(url));
    let others: Vec<Server> = against.chain(urls).collect::<Result<_, _>>()?;
    let mut servers = Vec::new();
    for (name, options) in OWN {
        match Server::own(name, options, idle + BUSIEST, site) {
            Ok(server) => servers.push(server),
            // vfork needs tine-http beside this program, which may be all that was installed.
            Err(trouble) => recorder.absent(graphs::FIRST, name, &trouble.to_string()),
        }
    }
    servers.extend(others);
    for server in &mut servers {
        let length = server.target.probe()?;
        if let Err(trouble) = server.target.idle_connection() {
            server.keeps = false;
            recorder.absent(graphs::KEPT, &server.name, &trouble.to_string());
        }
        if length != SMALL.1 {
            recorder.note(&format!(
                "unfair: {} answers with {length} bytes, ours with {}; with {{root}} in its command, --against can serve \
                 the same file",
                server.name, SMALL.1
            ));
        }
    }
    number_alike(&mut servers);
    if servers.is_empty() { Err(Trouble::new("measure", "servers", "none could be started")) } else { Ok(servers) }
}

/// Servers of one name get numbers: "nginx", "nginx (2)".
fn number_alike(servers: &mut [Server]) {
    let names: Vec<String> = servers.iter().map(|server| server.name.clone()).collect();
    for (at, server) in servers.iter_mut().enumerate() {
        let before = names[..at].iter().filter(|name| **name == server.name).count();
        if before > 0 {
            server.name += &format!(" ({})", before + 1);
        }
    }
}
