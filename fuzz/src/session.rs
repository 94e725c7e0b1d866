//! One connection, with both of its ends in this thread: whenever the handler asks what time it is, which it does before
//! it waits, the other end says its next piece and reads what there is. So nothing depends on the clock of the machine.

#![allow(dead_code, reason = "part of several targets, and each uses a part of it")]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use connection::{
    Alarm, Clock, Connection, Endpoint, Fd, Handler, Host, Lost, Outcome, Pressure, Programs, Reader, Script, Started,
    Time,
};
use handlers::http::{Cache, Http};
use handlers::{Open, Service, Settings};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::{SigSet, Signal};

/// What the wall clock says.
pub const NOW: i64 = 1_800_000_000;

/// How a connection is made and spoken to.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// What the client says, in the pieces in which it comes.
    pub pieces: Vec<Vec<u8>>,
    /// The answer goes to a file, as to a pipe, rather than to the socket.
    pub to_file: bool,
    /// The descriptors have no timeouts of their own; needed for more than one piece.
    pub poll: bool,
    /// The process is wanted back.
    pub draining: bool,
    /// With a cache of small files.
    pub cache: bool,
    /// The handler of `tine-http`, which makes nothing.
    pub lean: bool,
    /// What each script says, in pieces.
    pub says: Vec<Vec<u8>>,
    /// How it ends.
    pub status: i32,
    /// It reads what it is given.
    pub reads: bool,
}

/// What came of it.
#[derive(Debug)]
pub struct Told {
    /// What the client received.
    pub answer: Vec<u8>,
    /// The log.
    pub log: Vec<u8>,
    /// How it ended.
    pub outcome: Outcome,
    /// How many programs were started.
    pub started: usize,
    /// What scripts read.
    pub read: Vec<u8>,
    /// The last environment of a script.
    pub environment: Vec<u8>,
}

/// A script that runs in here.
struct Running {
    input: Option<File>,
    output: Option<File>,
    says: VecDeque<Vec<u8>>,
    /// Their other end is the lifeline.
    life: Option<UnixStream>,
    lifeline: UnixStream,
}

#[derive(Default)]
struct State {
    ticks: u64,
    client: Option<UnixStream>,
    pieces: VecDeque<Vec<u8>>,
    finished: bool,
    taken: Vec<u8>,
    running: Option<Running>,
    plan: Plan,
    started: usize,
    read: Vec<u8>,
    environment: Vec<u8>,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
    static CACHE: RefCell<Box<Cache>> = RefCell::new(Box::new(Cache::new()));
}

/// Serves the plan's connection.
pub fn serve(settings: &Settings<'_>, plan: &Plan) -> Told {
    // As the handler's own start-up has it: who writes to nobody is told by an error.
    SigSet::from(Signal::SIGPIPE).thread_block().expect("block a signal");
    let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
    let (answer, mut log) = (memory(), memory());
    let settings = Settings { poll: plan.poll, ..*settings };
    // A client that takes nothing: it cannot be, but a fuzzer that waits finds nothing.
    theirs.set_write_timeout(Some(Duration::from_secs(2))).expect("a timeout");
    let mut state = State { plan: plan.clone(), pieces: plan.pieces.clone().into(), ..State::default() };
    if !plan.poll {
        for piece in state.pieces.drain(..) {
            (&ours).write_all(&piece).expect("say it all");
        }
    }
    ours.set_nonblocking(true).expect("non-blocking");
    state.client = Some(ours);
    STATE.set(state);

    let (alarm, pressure) = (Alarm::new(|_| (), now), Pressure::new());
    if plan.draining {
        pressure.drain();
    }
    let (lost, programs) = (Lost::new(), Some(Programs { start, end }));
    let connection = Connection {
        input: Fd(theirs.as_raw_fd()),
        output: Fd(if plan.to_file { answer.as_raw_fd() } else { theirs.as_raw_fd() }),
        peer: Endpoint::from_text(b"192.0.2.1", 4242),
        local: Endpoint::from_text(b"192.0.2.2", 80),
        log: Some(Fd(log.as_raw_fd())),
        host: &Host {
            now,
            alarm: &alarm,
            pressure: &pressure,
            demand: None,
            programs,
            progress: None,
            title: None,
            reader: &Reader::new(&lost, false),
        },
    };
    let outcome = if plan.lean {
        <Http<'_> as Open<'_>>::open(&settings).expect("the root").serve(&connection)
    } else {
        let service = Service::new(&handlers::http::PROTOCOL, &settings).expect("the root");
        if plan.cache {
            CACHE.with_borrow_mut(|cache| service.with_cache(cache).serve(&connection))
        } else {
            { service }.serve(&connection)
        }
    };
    drop(theirs);
    let mut state = STATE.take();
    assert!(state.running.is_none(), "a program was started and not ended");
    state.drain();
    let answer = if plan.to_file { all(answer) } else { state.taken };
    log.rewind().expect("rewind");
    Told { answer, log: all(log), outcome, started: state.started, read: state.read, environment: state.environment }
}

fn memory() -> File {
    File::from(memfd_create(c"fuzz", MFdFlags::MFD_CLOEXEC).expect("a file in memory"))
}

fn all(mut file: File) -> Vec<u8> {
    let mut bytes = Vec::new();
    file.rewind().expect("rewind");
    file.read_to_end(&mut bytes).expect("read it back");
    bytes
}

/// The clocks; and the other ends' turn.
fn now(clock: Clock) -> Time {
    STATE.with_borrow_mut(|state| {
        if clock == Clock::Wall {
            return Time { seconds: NOW, nanoseconds: 0 };
        }
        state.ticks += 1;
        state.say();
        state.drain();
        if let Some(running) = &mut state.running {
            running.turn(state.plan.reads, &mut state.read);
        }
        Time { seconds: 1000 + (state.ticks / 200) as i64, nanoseconds: (state.ticks % 200) as u32 * 5_000_000 }
    })
}

impl State {
    fn say(&mut self) {
        let Some(mut client) = self.client.as_ref() else { return };
        if let Some(piece) = self.pieces.front_mut() {
            if let Ok(len) = client.write(piece) {
                piece.drain(..len);
            }
            if piece.is_empty() {
                self.pieces.pop_front();
            }
        } else if !self.finished {
            self.finished = true;
            let _ = client.shutdown(std::net::Shutdown::Write);
        }
    }

    fn drain(&mut self) {
        let Some(mut client) = self.client.as_ref() else { return };
        let _ = client.read_to_end(&mut self.taken);
    }
}

impl Running {
    fn turn(&mut self, reads: bool, read: &mut Vec<u8>) {
        if let (true, Some(input)) = (reads, &mut self.input) {
            let _ = input.read_to_end(read);
        }
        match self.says.pop_front() {
            Some(piece) => {
                if let Some(Err(_)) = self.output.as_mut().map(|output| output.write_all(&piece)) {
                    self.says.clear();
                }
            }
            None => (self.output, self.input, self.life) = (None, None, None),
        }
    }
}

/// Opens a descriptor of the handler's anew.
fn reopen(fd: Fd, options: &mut OpenOptions) -> Option<File> {
    options.custom_flags(nix::libc::O_NONBLOCK).open(format!("/proc/self/fd/{}", fd.0)).ok()
}

fn start(script: &Script<'_>) -> Result<Started, i32> {
    let (life, lifeline) = UnixStream::pair().expect("a pair of sockets");
    let number = lifeline.as_raw_fd();
    let is_script = script.path.to_bytes().ends_with(b".cgi");
    STATE.with_borrow_mut(|state| {
        assert!(state.running.is_none(), "two programs at once");
        assert!(
            script.environment.ends_with(&[0]) && script.environment.iter().all(|&byte| byte != b'\n' && byte != b'\r')
        );
        // Names that are variables, each once; and none that a library takes for a proxy.
        let names = script.environment.split(|&byte| byte == 0).filter_map(|pair| pair.split(|&b| b == b'=').next());
        let mut names: Vec<&[u8]> = names.filter(|name| !name.is_empty()).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "a variable twice");
        let is_plain = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_';
        assert!(names.iter().all(|name| name.iter().all(is_plain) && *name != b"HTTP_PROXY"));
        state.started += 1;
        state.environment = script.environment.to_vec();
        state.running = Some(Running {
            input: reopen(script.input, OpenOptions::new().read(true)),
            output: if is_script { reopen(script.output, OpenOptions::new().write(true)) } else { None },
            says: if is_script { state.plan.says.clone().into() } else { VecDeque::new() },
            life: is_script.then_some(life),
            lifeline,
        });
    });
    Ok(Started { lifeline: Fd(number), keeper: 1 })
}

fn end(started: Started) -> i32 {
    STATE.with_borrow_mut(|state| {
        let running = state.running.take().expect("it was started");
        assert_eq!(running.lifeline.as_raw_fd(), started.lifeline.0);
        state.plan.status
    })
}
