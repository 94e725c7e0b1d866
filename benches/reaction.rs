//! `cargo bench --bench reaction -- [CLIENTS] [--rounds N]`: how soon a pool that idles has as many children as clients.
//!
//! So many clients connect at once to a pool of five idle children, ask for a small page, and keep their connections: each
//! wants a child of its own. Told are how long the last of them waited for its answer, and the one in the middle, counted
//! from the first connection, and the children before and after. A pool that accepts for itself, one that is handed its
//! connections (for that it has a limit), and Apache prefork with the same numbers take turns, each started anew; Apache,
//! which takes its time, has one round.

#[path = "common/mod.rs"]
mod common;

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::geteuid;

use common::{Result, Server, apache_head, find, free_address, mortal};

const USAGE: &str = "usage: cargo bench --bench reaction -- [CLIENTS] [--rounds N]
  CLIENTS     who connect at once (100)
  --rounds N  of each server but Apache, which has one (5)";

/// How many children wait at first, and how many may at the most.
const SPARE: [&str; 2] = ["5", "10"];

/// How long the last client may wait.
const PATIENCE: Duration = Duration::from_secs(120);

const REQUEST: &[u8] = b"GET /512.html HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// The servers: name, options of `tine serve` beside the size of the pool, none for Apache.
const SERVERS: [(&str, Option<&[&str]>); 3] =
    [("tine", Some(&[])), ("tine, handed its connections", Some(&["--per-ip", "1000000"])), ("Apache prefork", None)];

/// One round: seconds until the client in the middle and the last were served, children before and after.
struct Round {
    middle: f64,
    last: f64,
    children: [usize; 2],
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("reaction: fatal: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let (mut clients, mut rounds) = (100, 5);
    let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
    while let Some(word) = words.next() {
        let number = |word: &str| word.parse::<usize>().ok().filter(|&number| number > 0);
        match word.as_str() {
            "--help" => {
                println!("{USAGE}");
                return Ok(());
            }
            "--rounds" => {
                rounds = words.next().and_then(|word| number(&word)).ok_or("--rounds wants a number, 1 or more")?;
            }
            word => clients = number(word).ok_or_else(|| format!("{word} is not a number of clients: see --help"))?,
        }
    }
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("reaction");
    let root = directory.join("root");
    let failed = |error: std::io::Error| format!("unable to write below {}: {error}", directory.display());
    fs::create_dir_all(&root).map_err(failed)?;
    fs::write(root.join("512.html"), [b'x'; 512]).map_err(failed)?;

    let mut results: [Vec<Round>; SERVERS.len()] = Default::default();
    for round in 0..rounds {
        for ((name, options), rounds) in SERVERS.iter().zip(&mut results) {
            if options.is_none() && round > 0 {
                continue;
            }
            let Some(server) = start(*options, clients, &directory, &root)? else {
                println!("SKIPPED: {name} is not installed");
                continue;
            };
            rounds.push(rush(&server, clients).map_err(|error| format!("{name}: {error}"))?);
        }
    }
    println!(
        "| server | clients | the last is served after ms (range) | the one in the middle | children before | after |"
    );
    println!("| --- | --- | --- | --- | --- | --- |");
    for ((name, _), rounds) in SERVERS.iter().zip(&mut results) {
        rounds.sort_by(|a, b| a.last.total_cmp(&b.last));
        let (Some(first), Some(last)) = (rounds.first(), rounds.last()) else { continue };
        let median = &rounds[rounds.len() / 2];
        let [before, after] = median.children;
        println!(
            "| {name} | {clients} | {:.0} ({:.0} to {:.0}) | {:.0} | {before} | {after} |",
            1e3 * median.last,
            1e3 * first.last,
            1e3 * last.last,
            1e3 * median.middle
        );
    }
    Ok(())
}

/// Starts a server whose pool may grow to all of them; `None` when it is not installed.
fn start(options: Option<&[&str]>, clients: usize, directory: &Path, root: &Path) -> Result<Option<Server>> {
    let address = free_address()?;
    let most = (clients + 100).to_string();
    let program = if options.is_some() { Some(PathBuf::from(env!("CARGO_BIN_EXE_tine"))) } else { find("apache2") };
    let Some(program) = program else { return Ok(None) };
    let mut command = mortal(&program);
    if let Some(options) = options {
        command.args(["serve", "--quiet", "--listen", &address.to_string(), "--drain", "0"]);
        command.args(["--min-spare", SPARE[0], "--max-spare", SPARE[1], "--max-children", &most]).args(options);
        if geteuid().is_root() {
            command.args(["--user", "root"]); // it may be a directory that is root's own
        }
        command.arg(root);
    } else {
        let path = directory.join("apache.conf");
        let text = apache(address, directory, root, &most);
        fs::write(&path, text).map_err(|error| format!("unable to write {}: {error}", path.display()))?;
        command.arg("-DFOREGROUND").arg("-f").arg(path);
    }
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let child = child.map_err(|error| format!("unable to start {}: {error}", program.display()))?;
    let mut server = Server { child, address };
    server.wait_until(Duration::from_secs(10), TcpStream::connect)?;
    // The pool has its size again when whoever looked whether it is there has been forgotten.
    thread::sleep(Duration::from_secs(2));
    Ok(Some(server))
}

fn apache(address: SocketAddr, directory: &Path, root: &Path, most: &str) -> String {
    let (head, root, [min, max]) = (apache_head(address, directory), root.display(), SPARE);
    format!(
        "{head}ListenBacklog 4096
ServerLimit {most}
MaxRequestWorkers {most}
StartServers {min}
MinSpareServers {min}
MaxSpareServers {max}
KeepAlive On
KeepAliveTimeout 300
DocumentRoot {root}
<Directory {root}>
    Require all granted
</Directory>
"
    )
}

/// All connect, ask, and stay until the last has its answer.
fn rush(server: &Server, clients: usize) -> Result<Round> {
    let before = server.children().len();
    let begin = Instant::now();
    let mut waiting = Vec::with_capacity(clients);
    for number in 0..clients {
        let connected = TcpStream::connect(server.address).and_then(|mut stream| {
            stream.write_all(REQUEST)?;
            Ok(stream)
        });
        waiting.push(connected.map_err(|error| format!("client {number}: {error}"))?);
    }
    let (mut served, mut times) = (Vec::with_capacity(clients), Vec::with_capacity(clients));
    while !waiting.is_empty() {
        if begin.elapsed() > PATIENCE {
            return Err(format!("{} of {clients} clients have no answer after {PATIENCE:?}", waiting.len()));
        }
        let mut polled: Vec<PollFd<'_>> =
            waiting.iter().map(|stream| PollFd::new(stream.as_fd(), PollFlags::POLLIN)).collect();
        poll(&mut polled, PollTimeout::from(1000u16)).map_err(|error| format!("unable to poll: {error}"))?;
        let ready: Vec<bool> = polled.iter().map(|polled| polled.any().unwrap_or(false)).collect();
        let now = begin.elapsed().as_secs_f64();
        let (answered, still): (Vec<_>, Vec<_>) = waiting.drain(..).zip(ready).partition(|(_, ready)| *ready);
        for (mut stream, _) in answered {
            let mut head = [0; 12];
            stream.read_exact(&mut head).map_err(|error| format!("an answer: {error}"))?;
            if !head.starts_with(b"HTTP/1.1 200") {
                return Err(format!("an answer begins with {:?}", String::from_utf8_lossy(&head)));
            }
            times.push(now);
            served.push(stream);
        }
        waiting = still.into_iter().map(|(stream, _)| stream).collect();
    }
    let after = server.children().len();
    Ok(Round { middle: times[clients / 2], last: times[clients - 1], children: [before, after] })
}
