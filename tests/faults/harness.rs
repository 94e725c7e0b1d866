//! What all scenarios have in common: a server, clients, harm for a while, and then the reckoning.

use std::{env, panic, process, thread};

use crate::{
    account,
    common::{Mode, Server, launch, wait_until},
    load::{self, Load, Random, Tally},
    rest::Rest,
};

/// Children at once.
pub const CHILDREN: u32 = 6;

/// One kind of harm.
pub struct Scenario {
    /// Options of the server beside the mode's.
    pub options: &'static [&'static str],
    /// Does the harm, while clients are at work, and mends what would not mend by itself.
    pub harm: fn(&Stage<'_>),
    /// What must be true of what the clients met, beside what the reckoning asks for.
    pub verdict: fn(&Stage<'_>, &Tally),
}

impl Default for Scenario {
    fn default() -> Self {
        Scenario { options: &[], harm: |_| {}, verdict: |_, _| {} }
    }
}

/// What a scenario acts upon.
pub struct Stage<'a> {
    pub server: &'a Server,
    pub load: &'a Load,
    pub random: &'a Random,
}

/// Runs a scenario against a server in this mode.
pub fn run(mode: Mode, scenario: &Scenario) {
    let seed = env::var("TINE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(u64::from(process::id()));
    let ended = panic::catch_unwind(panic::AssertUnwindSafe(|| stage(mode, scenario, seed)));
    if let Err(reason) = ended {
        eprintln!("---- the seed: TINE_SEED={seed}");
        panic::resume_unwind(reason);
    }
}

fn stage(mode: Mode, scenario: &Scenario, seed: u64) {
    let site = load::site();
    let mut server = launch::serve(mode, CHILDREN, scenario.options, site.path());
    let load = Load::new(server.address());
    load.visit_once();
    let before = Rest::of(&server, mode);
    let random = Random::new(seed);
    let stage = Stage { server: &server, load: &load, random: &random };
    let tally = thread::scope(|scope| {
        let clients: Vec<_> =
            (1..=load::CLIENTS).map(|n| scope.spawn(move || load_one(stage.load, seed + n))).collect();
        // Clients are sent home also when the harm fails, or they would stay for ever.
        let _over = Over(stage.load);
        // The harm is done to a server at work.
        wait_until("clients are answered", || load.answered() > 20);
        (scenario.harm)(&stage);
        // And afterwards the work goes on.
        let so_far = load.answered();
        wait_until("clients are answered after the harm", || load.answered() > so_far + 20);
        load.end();
        clients.into_iter().map(|client| client.join().expect("a client")).fold(Tally::default(), Tally::plus)
    });
    account::balances(&server, &tally);
    (scenario.verdict)(&stage, &tally);
    before.is_regained(&server, mode, &load);
    server.stop();
}

fn load_one(load: &Load, seed: u64) -> Tally {
    load.client(&Random::new(seed))
}

struct Over<'a>(&'a Load);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}
