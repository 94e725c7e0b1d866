//! `cargo bench --bench laboratory`: the load generator of `tine bench http` held to `wrk` and `ab`.
//!
//! All three ask one and the same server for one and the same file over as many connections, in turns (A B C A B C), and
//! their rates should agree within 15 %: a laboratory whose own generator is slow measures that. The server has one
//! processor and the generators have another, so that what one of them costs is not taken from the server; that none of
//! them used all of its processor stands beside.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Instant;

use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{Signal, kill};
use nix::sys::time::TimeValLike;
use nix::unistd::Pid;

/// How far the median of the ratios may be from 1.
const AGREEMENT: f64 = 0.15;

/// Connections at once, as in `tine bench http`.
const CONNECTIONS: &str = "16";

/// A turn of a generator, in seconds.
const SECONDS: f64 = 2.0;

/// What ends a run: one line for the user.
type Result<T> = std::result::Result<T, String>;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("laboratory: fatal: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<bool> {
    let rounds = match std::env::args().skip(1).filter(|word| word != "--bench").collect::<Vec<_>>().as_slice() {
        [] => 7,
        [word, number] if word == "--rounds" => number.parse().map_err(|_| format!("{number} is not a number"))?,
        _ => return Err("usage: cargo bench --bench laboratory -- [--rounds N]".to_owned()),
    };
    // Children begin on the processor that this process is on when it starts them. With one there is no choice.
    let choice = std::thread::available_parallelism().is_ok_and(|there| there.get() > 1);
    let stay_on = |cpu| if choice { stay_on(cpu) } else { Ok(()) };
    stay_on(1)?;
    let server = Server::start()?;
    stay_on(0)?;
    println!("| connections | tine | beside | ratio, median | range | within {:.0} % |", AGREEMENT * 100.0);
    println!("| --- | --- | --- | --- | --- | --- |");
    let mut agree = true;
    for kept in [false, true] {
        let mut rates: [Vec<Turn>; 3] = Default::default();
        let mut rate = 1000.0;
        for round in 0..=rounds {
            let turns = [ours(&server.url, kept)?, wrk(&server.url, kept)?, ab(&server.url, kept, rate)?];
            rate = turns[0].rate;
            if round > 0 {
                // The first one warms up, and tells how many requests ab needs for its time.
                rates.iter_mut().zip(turns).for_each(|(all, turn)| all.push(turn));
            }
        }
        let [ours, others @ ..] = &rates;
        for (name, theirs) in ["wrk", "ab"].into_iter().zip(others) {
            agree &= row(if kept { "kept" } else { "new" }, ours, name, theirs);
        }
    }
    Ok(agree)
}

/// Keeps this process and what it starts on one processor.
fn stay_on(cpu: usize) -> Result<()> {
    let failed = |error: nix::errno::Errno| format!("unable to stay on processor {cpu}: {error}");
    let mut set = CpuSet::new();
    set.set(cpu).and_then(|()| sched_setaffinity(Pid::from_raw(0), &set)).map_err(failed)
}

/// A line of the table, and whether the two agree.
fn row(kind: &str, ours: &[Turn], name: &str, theirs: &[Turn]) -> bool {
    let ratios = sorted(ours.iter().zip(theirs).map(|(ours, theirs)| ours.rate / theirs.rate));
    let middle = |turns: &[Turn], of: fn(&Turn) -> f64| median(&sorted(turns.iter().map(of)));
    let told = |turns: &[Turn]| {
        format!(
            "{:.0}/s, {:.0} % of a processor",
            middle(turns, |turn| turn.rate),
            middle(turns, |turn| turn.busy) * 100.0
        )
    };
    let ratio = median(&ratios);
    let agree = (ratio - 1.0).abs() <= AGREEMENT;
    println!(
        "| {kind} | {} | {name} {} | {ratio:.2} | {:.2} to {:.2} | {} |",
        told(ours),
        told(theirs),
        ratios[0],
        ratios[ratios.len() - 1],
        if agree { "yes" } else { "NO" }
    );
    agree
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

fn median(sorted: &[f64]) -> f64 {
    sorted[sorted.len() / 2]
}

/// What a generator reached in one turn.
struct Turn {
    /// Answers a second.
    rate: f64,
    /// What it used of a processor, 0 to 1, starting and ending included.
    busy: f64,
}

fn ours(url: &str, kept: bool) -> Result<Turn> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tine"));
    command.args(["bench-role", "load", url, if kept { "kept" } else { "new" }, CONNECTIONS, &SECONDS.to_string()]);
    turn(&mut command, |line| line.strip_prefix("S\tload\trate\t0\t0\t")?.split('\t').next()?.parse().ok())
}

fn wrk(url: &str, kept: bool) -> Result<Turn> {
    let mut command = Command::new("wrk");
    command.args(["-t", "1", "-c", CONNECTIONS, "-d", &format!("{SECONDS}s")]);
    if !kept {
        command.args(["-H", "Connection: close"]);
    }
    turn(command.arg(url), |line| line.strip_prefix("Requests/sec:")?.trim().parse().ok())
}

fn ab(url: &str, kept: bool, rate: f64) -> Result<Turn> {
    let requests = (rate * SECONDS).ceil().to_string();
    let mut command = Command::new("ab");
    command.args(["-q", "-c", CONNECTIONS, "-n", &requests]);
    if kept {
        command.arg("-k");
    }
    turn(command.arg(url), |line| line.strip_prefix("Requests per second:")?.split_whitespace().next()?.parse().ok())
}

/// Runs a generator, and finds the rate in what it prints. Failed requests make it a failure, not a number.
fn turn(command: &mut Command, rate: fn(&str) -> Option<f64>) -> Result<Turn> {
    let used = || -> Result<i64> {
        let usage = getrusage(UsageWho::RUSAGE_CHILDREN).map_err(|error| format!("unable to read usage: {error}"))?;
        Ok((usage.user_time() + usage.system_time()).num_nanoseconds())
    };
    let (start, before) = (Instant::now(), used()?);
    let output = command.output().map_err(|error| format!("unable to run {:?}: {error}", command.get_program()))?;
    let busy = (used()? - before) as f64 / start.elapsed().as_nanos() as f64;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let failed = |line: &&str| {
        line.contains("Socket errors")
            || line.contains("Non-2xx")
            || line.starts_with("N\t")
            || line.strip_prefix("Failed requests:").is_some_and(|count| count.trim() != "0")
    };
    if let Some(line) = text.lines().find(failed).filter(|_| output.status.success()) {
        return Err(format!("{command:?} reports: {line}"));
    }
    let found = text.lines().find_map(rate).filter(|&rate| rate > 0.0 && output.status.success());
    let said = || format!("{text}{}", String::from_utf8_lossy(&output.stderr));
    found.map(|rate| Turn { rate, busy }).ok_or_else(|| format!("{command:?} counted nothing: {}", said()))
}

/// Our own prefork server with a small file. It ends with this value.
struct Server {
    child: Child,
    root: PathBuf,
    url: String,
}

impl Server {
    fn start() -> Result<Server> {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("laboratory");
        let failed = |error: std::io::Error| format!("unable to write below {}: {error}", root.display());
        fs::create_dir_all(&root).map_err(failed)?;
        fs::write(root.join("small.html"), [b'x'; 512]).map_err(failed)?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_tine"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--quiet", "--children", "32", "--drain", "0"]);
        if nix::unistd::geteuid().is_root() {
            command.args(["--user", "root"]); // it may be a directory that is root's own
        }
        let child = command.arg(&root).stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut server = Server {
            child: child.map_err(|error| format!("unable to start tine: {error}"))?,
            root,
            url: String::new(),
        };
        let mut line = String::new();
        if let Some(stdout) = server.child.stdout.take() {
            let _ = BufReader::new(stdout).read_line(&mut line);
        }
        let at = line.split_whitespace().find(|word| word.starts_with("http://"));
        server.url = format!("{}small.html", at.ok_or("tine did not say where it listens")?);
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A child that was not waited for: the number is its own.
        let _ = kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM);
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.root);
    }
}
