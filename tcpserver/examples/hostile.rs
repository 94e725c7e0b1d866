//! A handler that was taken over: on each connection it tries whatever its client names, and says what came of it.
//!
//! `tests/sandbox.rs` starts it as `hostile MODE ROOT`, with MODE `pool`, `fork`, `strict` or `open`. A line
//! `ACT ARGUMENT` comes from the client, and `done` or the name of an error goes back.

use std::fs::{self, File, Permissions};
use std::io::{self, BufRead, BufReader, Read};
use std::net::{TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::rc::Rc;

use connection::{Connection, Fd, Outcome};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{MsgFlags, Shutdown, recv, shutdown};
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::sys::{ptrace, resource};
use nix::unistd::Pid;
use tcpserver::log::Verbosity;
use tcpserver::sandbox::{Plan, Sandbox};
use tcpserver::{Error, Limits, Log, Mode, PoolSize, Server, Tuning};

fn main() -> Result<(), Error> {
    let mut words = std::env::args().skip(1);
    let (mode, root) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let log = Log::new("hostile", Fd(2), Verbosity::Errors);
    let mut server = Server::bind(&["127.0.0.1:0".parse().unwrap()], Tuning::default(), Limits::default(), log)?;
    let plan = Plan {
        root: Some(root.into()),
        calls: &["recvfrom", "write", "openat2", "fstat", "shutdown"],
        programs: false,
        strict: mode == "strict",
        reused: mode == "pool",
    };
    if mode != "open" {
        let (sandbox, _) = Sandbox::new(plan)?;
        server = server.confined(Some(Rc::new(sandbox)));
    }
    // Under a filter the heap does not grow.
    drop(vec![1u8; 100 << 10]);
    let mut handler = |connection: &Connection<'_>| serve(connection).map_or(Outcome::Fault, |()| Outcome::Served);
    let mode = match &*mode {
        "pool" | "open" => Mode::Prefork { handler: &mut handler, size: PoolSize::fixed(2), reuse: 0 },
        _ => Mode::Fork(&mut handler),
    };
    server.run(mode, None, |listeners| println!("hostile: serving acts on tcp://{} (here)", listeners[0].address()))
}

/// Reads acts until the client has no more.
fn serve(connection: &Connection<'_>) -> io::Result<()> {
    let mut lines = BufReader::with_capacity(512, Input(connection.input.0));
    let mut line = String::new();
    while lines.read_line(&mut line)? > 0 {
        let (act, argument) = line.trim_end().split_once(' ').unwrap_or((line.trim_end(), ""));
        let answer = match attempt(act, argument, connection.input.0) {
            Ok(()) => "done\n".into(),
            Err(error) => format!("{:?}\n", Errno::from_raw(error.raw_os_error().unwrap_or(0))),
        };
        tcpserver::write_all(connection.output, answer.as_bytes())?;
        line.clear();
    }
    Ok(())
}

/// What the client sends.
struct Input(i32);

impl Read for Input {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        Ok(recv(self.0, room, MsgFlags::empty())?)
    }
}

fn attempt(act: &str, argument: &str, own: i32) -> io::Result<()> {
    let pid = || Pid::from_raw(argument.parse().unwrap_or(i32::MAX));
    let others = || (3..32).filter(|&number| number != own);
    match act {
        "read" => File::open(argument).map(drop),
        "write" => File::create(argument).map(drop),
        "remove" => fs::remove_file(argument),
        "mode" => fs::set_permissions(argument, Permissions::from_mode(0o777)),
        "connect" => TcpStream::connect(argument).map(drop),
        "unix" => UnixStream::connect(argument).map(drop),
        "datagram" => UdpSocket::bind("127.0.0.1:0").map(drop),
        "execute" => Command::new(argument).status().map(drop),
        "kill" => Ok(kill(pid(), Signal::SIGKILL)?),
        "trace" => Ok(ptrace::attach(pid())?),
        "look" => {
            let place = RemoteIoVec { base: std::ptr::from_ref(&MARK) as usize, len: 1 };
            Ok(process_vm_readv(pid(), &mut [io::IoSliceMut::new(&mut [0])], &[place]).map(drop)?)
        }
        "limit" => Ok(resource::setrlimit(resource::Resource::RLIMIT_NPROC, 100, 100)?),
        // What is shared with everybody: the listening socket among it.
        "shut" => others()
            .map(|number| shutdown(number, Shutdown::Both))
            .find(Result::is_ok)
            .unwrap_or(Err(Errno::EPERM))
            .map_err(Into::into),
        "scribble" => {
            for number in others().chain([0, 1, 2]) {
                let _ = tcpserver::write_all(Fd(number), &[0xff; 4096]);
            }
            Ok(())
        }
        _ => Err(io::ErrorKind::InvalidInput.into()),
    }
}

/// Lies at the same address in every process that was forked from one.
static MARK: u8 = 7;
