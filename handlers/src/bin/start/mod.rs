//! The start of a freestanding executable: from the kernel's `_start` to a protocol's `serve`, without libc.
//!
//! Exec is most of what a connection costs under a super-server, so little happens here: no relocation, no allocator, no
//! thread-local storage, and eight system calls before the first byte is read.

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
compile_error!(
    "the freestanding executables have start-up code for x86_64 Linux alone: `cargo build -p tine -p tcpserver` builds \
     everything else, and `tine serve --inetd` does their work"
);

mod arguments;
mod brief;
mod keep;
mod kernel;
mod mem;

use core::ffi::CStr;
use core::mem::ManuallyDrop;

use connection::{Alarm, Connection, Endpoint, Fd, Host, Lost, Outcome, Pressure, Reader};
use handlers::{Open, Settings};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use arguments::{Arguments, Words};

/// The largest table that is read; Debian's /etc/mime.types is a quarter of it.
const LARGEST_FILE: usize = 256 << 10;

/// Defines `_start` for one protocol.
macro_rules! executable {
    ($protocol:ty) => {
        fn main(stack: start::Stack) -> ! {
            start::run::<$protocol>(stack)
        }
    };
}
pub(crate) use executable;
pub(crate) use kernel::Stack;

/// The whole life of the process.
pub(crate) fn run<P: Open<'static>>(stack: Stack) -> ! {
    let mut settings = Settings::default();
    let words = Words::new(stack.arguments());
    let quiet = if P::IS_WHOLE {
        match arguments::read(P::PROTOCOL, words, &mut settings) {
            Ok(Arguments { quiet }) => quiet,
            Err(status) => kernel::exit(status),
        }
    } else {
        match brief::read(words, &mut settings) {
            Some(Arguments { quiet }) => quiet,
            None => kernel::exit(brief::leave_to_full(P::PROTOCOL.name, &stack)),
        }
    };
    settings.made.executable = stack.executable().map_or(b"", CStr::to_bytes);
    let pressure = Pressure::new();
    #[allow(unsafe_code, reason = "a promise about this very frame")]
    // SAFETY: this function does not return, so its frame is there until the process ends.
    unsafe {
        kernel::drain_on_sigterm(&pressure);
    }
    kernel::default_signals();
    settings.poll = !time_out(&settings);
    from_environment(&stack, &mut settings);
    if !settings.mime_types.is_empty() {
        settings.types = match load(settings.mime_types) {
            Ok(types) => types,
            Err(error) => cannot_open::<P>(&stack, settings.mime_types, error.raw_os_error()),
        };
    }
    // The kernel closes what is open when the process ends; to do so ourselves would be one call more.
    let mut protocol = match P::open(&settings) {
        Ok(protocol) => ManuallyDrop::new(protocol),
        Err(error) => cannot_open::<P>(&stack, error.path, error.errno),
    };
    let told = endpoint(&stack, b"REMOTEIP=", b"REMOTEPORT=");
    // inetd, which tells us nothing, hands the connection out as descriptor 2 too: a log line would go to the client.
    let log = if quiet || (told.is_none() && kernel::same_socket(2, 0)) { None } else { Some(Fd(2)) };
    let alarm = Alarm::new(kernel::alarm, kernel::now);
    let lost = Lost::new();
    let reader = Reader::new(&lost, variable(&stack, b"TINE_LOG=") == Some(b"file"));
    let connection = Connection {
        input: Fd(0),
        output: Fd(1),
        peer: peer(told, log.is_some() || P::RUNS_PROGRAMS),
        local: local(endpoint(&stack, b"LOCALIP=", b"LOCALPORT="), &settings),
        log,
        host: &Host {
            now: kernel::now,
            alarm: &alarm,
            pressure: &pressure,
            demand: None,
            programs: P::RUNS_PROGRAMS.then_some(keep::PROGRAMS),
            progress: None,
            title: None,
            reader: &reader,
        },
    };
    kernel::exit(protocol.serve(&connection).status())
}

/// The end of a program that cannot begin.
#[cold]
fn cannot_open<P: Open<'static>>(stack: &Stack, path: &[u8], errno: i32) -> ! {
    kernel::exit(if P::IS_WHOLE {
        arguments::unable(P::PROTOCOL, "unable to open ", path, errno)
    } else {
        // It will see the same, and has the words for it.
        brief::leave_to_full(P::PROTOCOL.name, stack)
    })
}

/// Makes the descriptors time out by themselves, as those are that `tine` accepts. False when they are no sockets.
fn time_out(settings: &Settings<'_>) -> bool {
    let receive = settings.idle_timeout.min(settings.header_timeout);
    // Not every socket is TCP, and one that is works without this too.
    let timed = kernel::timeout(0, kernel::SO_RCVTIMEO, receive)
        && kernel::timeout(1, kernel::SO_SNDTIMEO, settings.write_timeout);
    if timed {
        kernel::no_delay(1);
    }
    timed
}

/// The client, as a UCSPI super-server tells it. inetd does not; then the kernel is asked, if a log line or
/// a script needs it.
fn peer(told: Option<Endpoint>, wanted: bool) -> Endpoint {
    match told {
        Some(peer) => peer,
        None if wanted => kernel::address(kernel::GETPEERNAME, 0),
        None => Endpoint::UNKNOWN,
    }
}

/// Our end, likewise; virtual hosts need its port, and scripts are told it.
fn local(told: Option<Endpoint>, settings: &Settings<'_>) -> Endpoint {
    match told {
        Some(local) => local,
        None if settings.vhosts || settings.made.cgi => kernel::address(kernel::GETSOCKNAME, 0),
        None => Endpoint::UNKNOWN,
    }
}

/// What fnord takes from the environment, where the command line does not say it.
#[inline(never)]
fn from_environment(stack: &Stack, settings: &mut Settings<'static>) {
    if settings.redirect_host.is_empty() {
        settings.redirect_host = variable(stack, b"REDIRECT_HOST=").unwrap_or_default();
    }
    if settings.redirect_uri.is_empty() {
        settings.redirect_uri = variable(stack, b"REDIRECT_URI=").unwrap_or_default();
    }
}

/// Reads a file into memory of its own.
#[cold]
#[inline(never)]
fn load(path: &[u8]) -> Result<&'static [u8], Errno> {
    let file = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let memory = kernel::memory(LARGEST_FILE);
    let mut len = 0;
    loop {
        let room = memory.get_mut(len..).filter(|room| !room.is_empty()).ok_or(Errno::FBIG)?;
        match rustix::io::read(&file, room) {
            Ok(0) => return Ok(memory.get(..len).unwrap_or_default()),
            Ok(more) => len += more,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// An end of the connection, by the variables of that protocol whose name is in `PROTO`: `TCPREMOTEIP`, or `SSLREMOTEIP`
/// where a super-server has TLS in front.
#[inline(never)]
fn endpoint(stack: &Stack, ip: &[u8], port: &[u8]) -> Option<Endpoint> {
    let protocol = variable(stack, b"PROTO=").unwrap_or(b"TCP");
    let told = |name| Words::new(stack.environment()).find_map(|word| word.strip_prefix(protocol)?.strip_prefix(name));
    let ip = told(ip)?;
    let digits = told(port).unwrap_or_default();
    let number = digits.iter().fold(0u16, |number, digit| {
        number.saturating_mul(10).saturating_add(u16::from(digit.wrapping_sub(b'0').min(9)))
    });
    Some(Endpoint::from_text(ip, number))
}

#[inline(never)]
fn variable(stack: &Stack, name: &[u8]) -> Option<&'static [u8]> {
    Words::new(stack.environment()).find_map(|word| word.strip_prefix(name))
}

/// A panic is a bug. It ends the process, which is one connection; there is no room to format what it says.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    kernel::write(2, b"tine: fatal: internal error\n");
    kernel::exit(Outcome::Fault.status())
}
