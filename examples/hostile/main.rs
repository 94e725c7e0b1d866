//! A child that was taken over: it makes whatever system calls its client names, as code of somebody else's would.
//!
//! `tests/escapes` starts it as `hostile MODE ROOT USER`, with MODE `pool`, `handed`, `one-shot` or `fork`, and behind it,
//! if wanted, `-strict`, `-programs` or `-open` (no sandbox). The client sends lines:
//!
//! | line | answer |
//! | --- | --- |
//! | `where` | the address of memory that is the client's, and the number of the connection |
//! | `poke OFFSET HEX` | an empty line; these bytes are there |
//! | `peek OFFSET LEN` | what is there |
//! | `call NUMBER ARGUMENT...` | its result, or errno as a negative number |
//! | `i386 NUMBER ARGUMENT...` | the same by the door of 32-bit programs |

mod raw;

use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Write as _};
use std::rc::Rc;

use connection::{Connection, Fd, Outcome};
use tcpserver::confine::{Confinement, Identity, confine};
use tcpserver::log::Verbosity;
use tcpserver::sandbox::{Plan, Sandbox};
use tcpserver::{Error, Limits, Log, Mode, PoolSize, Server, Stream, Tuning};

fn main() -> Result<(), Error> {
    let mut words = std::env::args().skip(1);
    let [mode, root, user] = std::array::from_fn(|_| words.next().unwrap_or_default());
    let (mode, variant) = mode.split_once('-').filter(|_| !mode.ends_with("-shot")).unwrap_or((&mode, ""));
    let (mode, variant) = match variant.strip_prefix("shot-") {
        Some(variant) => ("one-shot", variant),
        None => (mode, variant),
    };
    let log = Log::new("hostile", Fd(2), Verbosity::Errors);
    // Who blocks its signals is not waited for.
    let limits = Limits { drain: 1, ..Limits::default() };
    let mut server = Server::bind(&["127.0.0.1:0".parse().unwrap()], Tuning::default(), limits, log)?;
    let identity = (!user.is_empty()).then(|| Identity::find(&user, None)).transpose()?;
    confine(&Confinement { identity, chroot: None })?;
    let http = handlers::PROTOCOLS.iter().find(|protocol| protocol.has_root).expect("a protocol with files");
    let plan = Plan {
        root: Some(root.into()),
        calls: handlers::calls(http),
        programs: variant == "programs",
        strict: variant == "strict",
        reused: mode == "pool" || mode == "handed",
        // A TCP socket hands on its timeouts.
        listeners: Vec::new(),
    };
    if variant != "open" {
        let (sandbox, _) = Sandbox::new(plan)?;
        server = server.confined(Some(Rc::new(sandbox)));
    }
    if mode == "handed" {
        let lifetime = Some(tcpserver::lifetime::Lifetime { allowed: 3600, grace: 1 });
        server = server.with(tcpserver::porter::Policy { lifetime, ..Default::default() });
    }
    let mut memory = vec![0; 64 << 10];
    // Under a filter the heap does not grow.
    drop(vec![1u8; 100 << 10]);
    let mut handler = |connection: &Connection<'_>| match serve(connection, &mut memory) {
        Ok(()) => Outcome::Served,
        Err(_) => Outcome::Fault,
    };
    let mode = match mode {
        "pool" | "handed" => Mode::Prefork { handler: &mut handler, size: PoolSize::fixed(3), reuse: 0 },
        "one-shot" => Mode::Prefork { handler: &mut handler, size: PoolSize::fixed(3), reuse: 1 },
        _ => Mode::Fork(&mut handler),
    };
    server.run(mode, None, |listeners| println!("hostile: serving calls on tcp://{} (here)", listeners[0].address()))
}

/// Does what the lines say until there are no more.
fn serve(connection: &Connection<'_>, memory: &mut [u8]) -> io::Result<()> {
    let mut lines = BufReader::with_capacity(8 << 10, Stream::new(connection));
    let (mut line, mut answer) = (String::with_capacity(20 << 10), String::with_capacity(20 << 10));
    while lines.read_line(&mut line)? > 0 {
        let (verb, rest) = line.trim_end().split_once(' ').unwrap_or((line.trim_end(), ""));
        let mut words = rest.split(' ');
        let mut number = || words.next().and_then(|word| word.parse::<i64>().ok()).unwrap_or(0);
        let _ = match verb {
            "where" => write!(answer, "{} {}", memory.as_ptr() as usize, connection.input.0),
            "poke" => {
                let at = number() as usize;
                let digits = words.next().unwrap_or_default().as_bytes().chunks(2);
                for (place, digits) in memory[at..].iter_mut().zip(digits) {
                    *place = std::str::from_utf8(digits).ok().and_then(|d| u8::from_str_radix(d, 16).ok()).unwrap_or(0);
                }
                Ok(())
            }
            "peek" => {
                let (at, len) = (number() as usize, number() as usize);
                memory[at..at + len].iter().try_for_each(|byte| write!(answer, "{byte:02x}"))
            }
            "call" => write!(answer, "{}", raw::call(number(), std::array::from_fn(|_| number()), memory)),
            "i386" => write!(answer, "{}", raw::call_as_i386(number(), std::array::from_fn(|_| number()), memory)),
            _ => return Err(io::ErrorKind::InvalidInput.into()),
        };
        answer.push('\n');
        Stream::new(connection).write_all(answer.as_bytes())?;
        line.clear();
        answer.clear();
    }
    Ok(())
}
