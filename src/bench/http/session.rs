//! A run over all servers: rounds of closed and open loops, beside more and more idle connections.

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::load::{self, Load, Outcome, Pace};
use super::server::Server;
use super::site::LARGE;
use crate::bench::plan::Plan;
use crate::bench::recorder::Recorder;
use crate::bench::trouble::Trouble;

/// Clients in a closed loop: enough to keep two processors busy.
const CLIENTS: u32 = 16;

/// The most connections at once in an open loop; further requests wait, and their time runs.
pub const MOST: u32 = 64;

/// How much of what the slowest server can do all are asked for in an open loop.
const SHARE: f64 = 0.5;

/// A generator that uses more of its processor than this may have set the pace itself.
const BUSY: f64 = 0.9;

/// Connections beside the idle ones, at the most: those of a loop, and of the one before that are being closed.
pub const BUSIEST: u32 = MOST + CLIENTS;

/// A run in the making.
pub struct Session<'p> {
    plan: &'p Plan,
    servers: Vec<Server>,
    stop: Arc<AtomicBool>,
    /// Requests a second in the open loop, over new connections and over kept ones.
    rates: [f64; 2],
    /// The most of a processor that the generator used in an open loop or a closed one.
    busiest: f64,
    /// Requests of open loops without an answer, by server.
    unanswered: BTreeMap<String, u64>,
}

impl<'p> Session<'p> {
    /// Over these servers, until `stop` is set.
    pub fn new(plan: &'p Plan, servers: Vec<Server>, stop: Arc<AtomicBool>) -> Self {
        Session { plan, servers, stop, rates: [0.0; 2], busiest: 0.0, unanswered: BTreeMap::new() }
    }

    /// Measures beside up to so many idle connections to each server.
    pub fn measure(&mut self, idle: u32, recorder: &mut Recorder) -> Result<(), Trouble> {
        let mut steps = vec![1, idle / 10, idle];
        steps.retain(|&step| step > 0);
        steps.dedup();
        if self.plan.quick {
            steps = vec![idle];
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
                hold(server, held, step, &self.stop, recorder);
            }
            for round in 0..self.plan.rounds {
                recorder.round(round);
                for kept in [false, true] {
                    self.round(round, kept, step, step == idle, seconds, recorder)?;
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
        for server in self.turns(0, kept) {
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
        for server in self.turns(round, kept) {
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
        let mut unanswered = std::mem::take(&mut self.unanswered);
        let rate = self.rates[usize::from(kept)];
        for server in self.turns(round, kept) {
            let load = Load { target: &server.target, kept, pace: Pace::Open(rate), connections: MOST, seconds };
            let outcome = self.load(&load, recorder, server)?;
            for &(value, count) in &outcome.complete {
                recorder.samples(time_graph, &server.name, f64::from(idle), value, count);
            }
            if outcome.unanswered > 0 {
                *unanswered.entry(server.name.clone()).or_default() += outcome.unanswered;
            }
            if last && kept {
                add(recorder, "complete-kept", &server.name, &outcome.complete);
            } else if last {
                add(recorder, "connect", &server.name, &outcome.connect);
                add(recorder, "first", &server.name, &outcome.first);
                add(recorder, "complete-new", &server.name, &outcome.complete);
            }
        }
        self.unanswered = unanswered;
        Ok(())
    }

    /// Large files over kept connections.
    fn throughput(&self, seconds: f64, recorder: &mut Recorder) -> Result<(), Trouble> {
        for round in 0..self.plan.rounds {
            recorder.round(round);
            for server in self.turns(round, false) {
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

    /// The servers in the order of this round; those that do not keep connections only where none are kept.
    fn turns(&self, round: u32, kept: bool) -> impl Iterator<Item = &Server> {
        let count = self.servers.len();
        let turns = (0..count).map(move |at| &self.servers[(at + round as usize) % count]);
        turns.filter(move |server| server.keeps || !kept)
    }

    fn warn(&self, recorder: &mut Recorder) {
        for (rate, kind) in self.rates.iter().zip(["new connections", "kept connections"]) {
            recorder.note(&format!(
                "open loop over {kind}: {rate:.0} requests a second for each server, half of what the slowest one could do"
            ));
        }
        for (name, count) in &self.unanswered {
            recorder.note(&format!(
                "{name} left {count} requests of the open loops unanswered, which are in no time: its tail is longer than \
                 it looks"
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
fn hold(server: &Server, held: &mut Vec<TcpStream>, count: u32, stop: &AtomicBool, recorder: &mut Recorder) {
    while server.keeps && held.len() < count as usize && !stop.load(Ordering::Relaxed) {
        match server.target.idle_connection() {
            Ok(connection) => held.push(connection),
            Err(trouble) => {
                recorder.note(&format!("{}: {trouble}; {} idle connections are held", server.name, held.len()));
                break;
            }
        }
    }
}

/// Times as a distribution.
fn add(recorder: &mut Recorder, graph: &str, method: &str, times: &[(f64, u64)]) {
    for &(value, count) in times {
        recorder.samples(graph, method, 0.0, value, count);
    }
}
