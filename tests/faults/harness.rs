//! What all scenarios have in common: a server, clients, harm for a while, and then the reckoning.

use std::{
    env,
    io::PipeReader,
    panic,
    process::{self, Command},
    sync::Arc,
    thread,
};

use crate::{
    account,
    common::{Mode, Scratch, Server, launch, wait_until},
    load::{self, Load, Random, Tally},
    logs::Pump,
    rest::Rest,
};

/// Children at once.
pub const CHILDREN: u32 = 6;

/// One kind of harm.
pub struct Scenario {
    /// Whether the log is a small pipe, which [`Pump`] reads, instead of a file.
    pub log_is_pipe: bool,
    /// Options of the server beside the mode's; `SITE` stands for the directory that is served.
    pub options: &'static [&'static str],
    /// Puts into that directory what the options name.
    pub prepare: fn(&Scratch),
    /// Lines of a head that each request has.
    pub header: &'static str,
    /// Does the harm, while clients are at work, and mends what would not mend by itself.
    pub harm: fn(&Stage<'_>),
    /// What must be true of what the clients met, beside what the reckoning asks for.
    pub verdict: fn(&Stage<'_>, &Tally),
}

impl Default for Scenario {
    fn default() -> Self {
        Scenario { log_is_pipe: false, options: &[], prepare: |_| {}, header: "", harm: |_| {}, verdict: |_, _| {} }
    }
}

/// What a scenario acts upon.
pub struct Stage<'a> {
    pub mode: Mode,
    pub site: &'a Scratch,
    /// Reads the log, where that is a pipe.
    pub pump: Option<&'a Pump>,
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
    (scenario.prepare)(&site);
    let pump = Arc::new(Pump::new());
    let mut options = mode.options(CHILDREN);
    options.extend(scenario.options.iter().map(|word| word.replace("SITE", &site.path().display().to_string())));
    let command = launch::serve_command(&options, site.path());
    let (mut server, reader) = if scenario.log_is_pipe { piped(command) } else { (Server::ready(command), None) };
    if let Some(reader) = reader {
        // It ends with the server.
        let (pump, log) = (Arc::clone(&pump), server.log_path());
        thread::spawn(move || pump.run(reader, log));
    }
    let load = Load::new(server.address(), scenario.header);
    load.visit_once();
    let before = Rest::of(&server, mode);
    let random = Random::new(seed);
    let pump = scenario.log_is_pipe.then_some(&*pump);
    let stage = Stage { mode, site: &site, pump, server: &server, load: &load, random: &random };
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

/// A server whose log is a small pipe, and the pipe's other end.
fn piped(command: Command) -> (Server, Option<PipeReader>) {
    let (reader, writer) = Pump::pipe();
    let mut shell = Command::new("/bin/sh");
    // `Server` keeps a file of its own as stderr: the shell takes ours from descriptor 0.
    shell.args(["-c", "exec 2>&0 0</dev/null; exec \"$@\"", "sh"]).arg(command.get_program()).args(command.get_args());
    (Server::ready_with_input(shell, writer), Some(reader))
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
