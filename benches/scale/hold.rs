//! The clients: processes that hold connections until they are told to hang up.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use nix::libc::linger;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, setsockopt, socket, sockopt};
use std::os::fd::{AsFd, AsRawFd};

use crate::common::Result;

/// The first word of the command line of such a process.
pub const ROLE: &str = "hold";

/// Processes that share the work: each within what a process may usually open.
pub const HOLDERS: u64 = 16;

/// Connections from one address: fewer than there are ports in the usual range.
const FROM_ONE: u64 = 20_000;

/// One in so many stays in the middle of a request.
const SLOW: u64 = 10;

/// How often such a client sends a byte.
const TRICKLE: Duration = Duration::from_secs(20);

/// How long a connection may take until it is held.
const PATIENCE: Duration = Duration::from_secs(30);

/// A whole request on a connection that is kept, and one that never ends.
const REQUEST: &[u8] = b"GET /512.html HTTP/1.1\r\nHost: localhost\r\n\r\n";
const SLOW_REQUEST: &[u8] = b"GET /512.html HTTP/1.1\r\nHost: localhost\r\nX-Slow: ";

/// Clients at work. They hang up when this value goes.
pub struct Holders {
    processes: Vec<Child>,
    held: Arc<Vec<AtomicU64>>,
}

impl Holders {
    /// Starts them, to hold `count` connections within so many seconds.
    pub fn start(address: SocketAddr, count: u64, seconds: u64) -> Result<Holders> {
        let program = std::env::current_exe().map_err(|error| format!("unable to find this program: {error}"))?;
        let mut holders =
            Holders { processes: Vec::new(), held: Arc::new((0..HOLDERS).map(|_| AtomicU64::new(0)).collect()) };
        for number in 0..HOLDERS {
            let share = count / HOLDERS + u64::from(number < count % HOLDERS);
            let mut command = Command::new(&program);
            command.args([ROLE, &address.to_string(), &share.to_string(), &number.to_string(), &seconds.to_string()]);
            let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
            let mut child = child.map_err(|error| format!("unable to start a client: {error}"))?;
            if let Some(stdout) = child.stdout.take() {
                let held = Arc::clone(&holders.held);
                thread::spawn(move || {
                    for line in BufReader::new(stdout).lines().map_while(std::result::Result::ok) {
                        held[number as usize].store(line.parse().unwrap_or(0), Relaxed);
                    }
                });
            }
            holders.processes.push(child);
        }
        Ok(holders)
    }

    /// How many connections are held now.
    pub fn held(&self) -> u64 {
        self.held.iter().map(|held| held.load(Relaxed)).sum()
    }

    /// All hang up.
    pub fn hang_up(mut self) {
        self.let_go();
    }

    fn let_go(&mut self) {
        // The end of their input tells them.
        self.processes.iter_mut().for_each(|process| drop(process.stdin.take()));
        for mut process in self.processes.drain(..) {
            let _ = process.wait();
        }
    }
}

impl Drop for Holders {
    fn drop(&mut self) {
        self.let_go();
    }
}

/// Is such a process.
pub fn run(words: &[String]) -> Result<()> {
    let [address, count, number, seconds] = words else { return Err("a client wants four words".into()) };
    let parse = |word: &String| word.parse::<u64>().map_err(|_| format!("{word} is not a number"));
    let address: SocketAddrV4 = address.parse().map_err(|_| format!("{address} is not an address"))?;
    let (count, number) = (parse(count)?, parse(number)?);
    let deadline = Instant::now() + Duration::from_secs(parse(seconds)?);
    let mut held = Vec::with_capacity(count as usize);
    let mut slow = Vec::new();
    let mut told = 0;
    for at in 0..count {
        let made = begin(address, number, at).and_then(|mut stream| {
            let is_slow = at % SLOW == SLOW - 1;
            stream.write_all(if is_slow { SLOW_REQUEST } else { REQUEST })?;
            if !is_slow {
                read_answer(&mut stream)?;
            }
            Ok((stream, is_slow))
        });
        match made {
            Ok((stream, true)) => slow.push(stream),
            Ok((stream, false)) => held.push(stream),
            Err(error) => {
                eprintln!("scale: warning: client {number}: connection {at}: {error}");
                break;
            }
        }
        if at + 1 == count || told + 50 <= at {
            told = at;
            println!("{}", at + 1);
        }
        // The server of the run is gone, or the run.
        if Instant::now() > deadline || has_input_ended(Duration::ZERO) {
            break;
        }
    }
    println!("{}", held.len() + slow.len());
    while !has_input_ended(TRICKLE) {
        for stream in &mut slow {
            let _ = stream.write_all(b"x");
        }
    }
    for stream in held.iter().chain(&slow) {
        // Without the minute that the kernel remembers an orderly end for: there are many runs to come.
        let _ = setsockopt(stream, sockopt::Linger, &linger { l_onoff: 1, l_linger: 0 });
    }
    Ok(())
}

/// Whether whoever started this process is done with it, or gone. Waits so long for it.
fn has_input_ended(time: Duration) -> bool {
    let stdin = std::io::stdin();
    let mut polled = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
    matches!(poll(&mut polled, PollTimeout::try_from(time).unwrap_or(PollTimeout::MAX)), Ok(1))
}

/// A connection from an address of our own: 127.(1 + number of the process).(20,000s).1.
fn begin(to: SocketAddrV4, number: u64, at: u64) -> std::io::Result<TcpStream> {
    let from = Ipv4Addr::new(127, number as u8 + 1, (at / FROM_ONE) as u8, 1);
    let client = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    // The port is chosen when the other end is known, so that it may be taken once for each.
    setsockopt(&client, sockopt::IpBindAddressNoPort, &true)?;
    bind(client.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(from, 0)))?;
    connect(client.as_raw_fd(), &SockaddrIn::from(to))?;
    let stream = TcpStream::from(client);
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Reads the head and the 512 bytes behind it.
fn read_answer(stream: &mut TcpStream) -> std::io::Result<()> {
    let (mut answer, mut length) = ([0; 4096], 0);
    loop {
        match stream.read(&mut answer[length..])? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            n => length += n,
        }
        let end = answer[..length].windows(4).position(|four| four == b"\r\n\r\n");
        if end.is_some_and(|end| length >= end + 4 + 512) {
            return if answer.starts_with(b"HTTP/1.1 200 ") {
                Ok(())
            } else {
                Err(std::io::ErrorKind::InvalidData.into())
            };
        }
    }
}

/// How long a new client waits for a small page, connecting included, in seconds.
pub fn visit(address: SocketAddr) -> std::io::Result<f64> {
    let begin = Instant::now();
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /512.html HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    read_answer(&mut stream)?;
    let took = begin.elapsed().as_secs_f64();
    // Until the server closes: then it is the server that remembers the end.
    let _ = stream.read(&mut [0]);
    Ok(took)
}
