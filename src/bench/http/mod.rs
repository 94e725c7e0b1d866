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
pub mod site;
mod target;

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::experiment::Experiment;
use super::limits;
use super::plan::Plan;
use super::recorder::Recorder;
use super::trouble::{Trouble, trouble};
use load::{Load, Outcome, Pace};
pub use role::ROLE;
use server::{OWN, Server};
use site::{LARGE, SMALL, Site};

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

/// Clients in a closed loop: enough to keep two processors busy.
const CLIENTS: u32 = 16;

/// The most connections at once in an open loop; further requests wait, and their time runs.
const MOST: u32 = 64;

/// How much of what the slowest server can do all are asked for in an open loop.
const SHARE: f64 = 0.5;

/// A generator that uses more of its processor than this may have set the pace itself.
const BUSY: f64 = 0.9;

fn run(plan: &Plan, recorder: &mut Recorder) -> Result<(), Trouble> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        // Servers end and files go away before this process does.
        signal_hook::flag::register(signal, Arc::clone(&stop)).map_err(trouble("handle", "signals"))?;
    }
    let site = Site::make().map_err(trouble("write", "a directory of files to serve"))?;
    // A tenth of the most processes, because each of four servers has that many, and twice the room.
    let servers = (OWN.len() + plan.against.len() + plan.urls.len()) as u32;
    let most = limits::descriptors((plan.most_children / 10).max(1), servers, "idle connections", recorder);
    let servers = start(plan, most, &site, recorder)?;
    let mut session = Session { plan, servers, stop: Arc::clone(&stop), rates: [0.0; 2], busiest: 0.0 };
    match session.measure(most, recorder) {
        // The user knows.
        Err(_) if stop.load(Ordering::Relaxed) => Ok(()),
        done => done,
    }
}

/// Starts all servers, and sees that each answers.
fn start(plan: &Plan, idle: u32, site: &Site, recorder: &mut Recorder) -> Result<Vec<Server>, Trouble> {
    // What the user named first: where that fails, it should fail soon.
    let against = plan.against.iter().map(|command| Server::against(command, site));
    let urls = plan.urls.iter().map(|url| Server::at(url));
    let others: Vec<Server> = against.chain(urls).collect::<Result<_, _>>()?;
    let own = OWN.iter().map(|(name, options)| Server::own(name, options, idle + MOST + CLIENTS, site));
    let mut servers: Vec<Server> = own.collect::<Result<_, _>>()?;
    servers.extend(others);
    for at in 0..servers.len() {
        let (before, rest) = servers.split_at_mut(at);
        let [server, ..] = rest else { break };
        let same = before.iter().filter(|other| other.name.starts_with(&server.name)).count();
        if same > 0 {
            server.name += &format!(" ({})", same + 1);
        }
        let length = server.target.probe()?;
        if length != SMALL.1 {
            recorder.note(&format!(
                "unfair: {} answers with {length} bytes, ours with {}; with {{root}} in its command, --against can serve \
                 the same file",
                server.name, SMALL.1
            ));
        }
    }
    Ok(servers)
}

/// A run in the making.
struct Session<'p> {
    plan: &'p Plan,
    servers: Vec<Server>,
    stop: Arc<AtomicBool>,
    /// Requests a second in the open loop, over new connections and over kept ones.
    rates: [f64; 2],
    /// The most of a processor that the generator used in an open loop or a closed one.
    busiest: f64,
}

impl Session<'_> {
    fn measure(&mut self, most: u32, recorder: &mut Recorder) -> Result<(), Trouble> {
        let mut steps = vec![1, most / 10, most];
        steps.retain(|&step| step > 0);
        steps.dedup();
        if self.plan.quick {
            steps = vec![most];
        }
        let runs = self.servers.len() as f64 * 4.0 * f64::from(self.plan.rounds) * steps.len() as f64;
        // A run takes a third more than it measures: it warms up, starts and ends.
        let seconds = (self.plan.pick(70.0, 5.0) / runs / 1.33).clamp(0.05, 2.0);
        for kept in [false, true] {
            recorder.progress(0, steps.len() as u64 + 1, "how much the servers can do");
            self.rates[usize::from(kept)] = self.least(kept, seconds, recorder)? * SHARE;
        }
        let mut held: Vec<Vec<TcpStream>> = self.servers.iter().map(|_| Vec::new()).collect();
        for (done, &step) in steps.iter().enumerate() {
            for (server, held) in self.servers.iter().zip(&mut held) {
                recorder.progress(done as u64, steps.len() as u64 + 1, &format!("idle connections to {}", server.name));
                hold(server, held, step, &self.stop, recorder)?;
            }
            for round in 0..self.plan.rounds {
                recorder.round(round);
                for kept in [false, true] {
                    self.round(round, kept, step, step == most, seconds, recorder)?;
                    recorder.progress(done as u64, steps.len() as u64 + 1, if kept { "kept" } else { "new" });
                }
            }
        }
        drop(held);
        self.throughput(seconds, recorder)?;
        self.warn(recorder);
        Ok(())
    }

    /// The rate of the slowest server, each at its best: so a moment in which something else used the processors does not
    /// make the open loop an idle one.
    fn least(&self, kept: bool, seconds: f64, recorder: &mut Recorder) -> Result<f64, Trouble> {
        let mut least = f64::INFINITY;
        for server in &self.servers {
            let load = Load { target: &server.target, kept, pace: Pace::Closed, connections: CLIENTS, seconds };
            let mut best = 0.0;
            for _ in 0..self.plan.pick(3, 1) {
                best = f64::max(best, self.load(&load, recorder, server)?.rate);
            }
            least = least.min(best);
        }
        if least > 0.0 { Ok(least) } else { Err(Trouble::new("measure", "the servers", "one does not answer in time")) }
    }

    /// A round over all servers: how much each can do, then how long it takes for less.
    fn round(
        &mut self,
        round: u32,
        kept: bool,
        idle: u32,
        last: bool,
        seconds: f64,
        recorder: &mut Recorder,
    ) -> Result<(), Trouble> {
        let (rate_graph, time_graph) = if kept { ("rate-kept", "time-kept") } else { ("rate-new", "time-new") };
        let mut busiest = self.busiest;
        for server in self.turns(round) {
            let load = Load { target: &server.target, kept, pace: Pace::Closed, connections: CLIENTS, seconds };
            let outcome = self.load(&load, recorder, server)?;
            recorder.sample(rate_graph, &server.name, f64::from(idle), outcome.rate);
            recorder.sample("generator", &server.name, 0.0, outcome.busy * 100.0);
            busiest = busiest.max(outcome.busy);
            if last && !kept {
                add(recorder, "closed-new", &server.name, &outcome.complete);
            }
        }
        self.busiest = busiest;
        let rate = self.rates[usize::from(kept)];
        for server in self.turns(round) {
            let load = Load { target: &server.target, kept, pace: Pace::Open(rate), connections: MOST, seconds };
            let outcome = self.load(&load, recorder, server)?;
            for &(value, count) in &outcome.complete {
                recorder.samples(time_graph, &server.name, f64::from(idle), value, count);
            }
            if outcome.unanswered > 0 {
                recorder.note(&format!(
                    "{} left {} of the requests of an open loop unanswered, which are in no time: at {rate:.0} a second \
                     it could not follow",
                    server.name, outcome.unanswered
                ));
            }
            if last && kept {
                add(recorder, "complete-kept", &server.name, &outcome.complete);
            } else if last {
                add(recorder, "connect", &server.name, &outcome.connect);
                add(recorder, "first", &server.name, &outcome.first);
                add(recorder, "complete-new", &server.name, &outcome.complete);
            }
        }
        Ok(())
    }

    /// Large files over kept connections.
    fn throughput(&self, seconds: f64, recorder: &mut Recorder) -> Result<(), Trouble> {
        for round in 0..self.plan.rounds {
            recorder.round(round);
            for server in self.turns(round) {
                if !server.has_large {
                    recorder.absent("throughput", &server.name, "it does not serve our large file");
                    continue;
                }
                let target = &server.target.with_path(LARGE.0);
                // A file should come several times.
                let seconds = seconds.max(0.3);
                let load = Load { target, kept: true, pace: Pace::Closed, connections: 4, seconds };
                let outcome = self.load(&load, recorder, server)?;
                recorder.sample("throughput", &server.name, 0.0, outcome.throughput);
            }
        }
        Ok(())
    }

    /// One run, and what went wrong in it.
    fn load(&self, load: &Load<'_>, recorder: &mut Recorder, server: &Server) -> Result<Outcome, Trouble> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(Trouble::told("interrupted"));
        }
        let outcome = load::run(load)?;
        if let (0.0, Some((problem, _))) = (outcome.rate, outcome.problems.first()) {
            return Err(Trouble::new("measure", load.target.url(), problem));
        }
        for (problem, _) in &outcome.problems {
            recorder.note(&format!("{}: some requests failed, which are in no number: {problem}", server.name));
        }
        Ok(outcome)
    }

    /// The servers in the order of this round.
    fn turns(&self, round: u32) -> impl Iterator<Item = &Server> {
        let count = self.servers.len();
        (0..count).map(move |at| &self.servers[(at + round as usize) % count])
    }

    fn warn(&self, recorder: &mut Recorder) {
        for (rate, kind) in self.rates.iter().zip(["new connections", "kept connections"]) {
            recorder.note(&format!(
                "open loop over {kind}: {rate:.0} requests a second for each server, half of what the slowest one could do"
            ));
        }
        if self.busiest >= BUSY {
            recorder.note(&format!(
                "the load generator used up to {:.0} % of a processor: with a server that answers faster than it can ask, \
                 the rate is the generator's; what it used in each case is in the picture of it",
                self.busiest * 100.0
            ));
        }
    }
}

/// Brings the connections that are held idle to so many.
fn hold(
    server: &Server,
    held: &mut Vec<TcpStream>,
    count: u32,
    stop: &AtomicBool,
    recorder: &mut Recorder,
) -> Result<(), Trouble> {
    while held.len() < count as usize && !stop.load(Ordering::Relaxed) {
        match server.target.idle_connection() {
            Ok(connection) => held.push(connection),
            Err(trouble) => {
                recorder.note(&format!("{}: {trouble}; {} idle connections are held", server.name, held.len()));
                break;
            }
        }
    }
    Ok(())
}

/// Times as a distribution.
fn add(recorder: &mut Recorder, graph: &str, method: &str, times: &[(f64, u64)]) {
    for &(value, count) in times {
        recorder.samples(graph, method, 0.0, value, count);
    }
}
