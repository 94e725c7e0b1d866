//! What a service manager is told (sd_notify(3)): that connections are served, that files are read anew, that another
//! process is the service now, that the end has begun; and, where it watches, that the loop still turns.
//!
//! The protocol is a datagram of lines. It is ours because the socket must be connected before a new root hides its
//! name, and kept: the crates for it open one for each message.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process;

use crate::error::Error;
use crate::sys;

/// A service manager that wants to be told.
pub struct Manager {
    socket: UnixDatagram,
    /// Half of the time after which it takes silence for a hang, in microseconds.
    beat: Option<u64>,
    next_beat: u64,
}

impl Manager {
    /// The one that NOTIFY_SOCKET names, if any; with the watchdog of WATCHDOG_USEC, if that is meant for this process.
    ///
    /// # Errors
    ///
    /// Nobody listens there: that is for a log, and no reason not to serve.
    pub fn from_environment() -> Result<Option<Manager>, Error> {
        let Some(name) = env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else { return Ok(None) };
        let failed = |error: io::Error| {
            let shown = name.to_string_lossy().into_owned();
            Error::os("tell the service manager at", shown, error).remedy("NOTIFY_SOCKET is for services of systemd")
        };
        let socket = connect(&name).map_err(failed)?;
        let number = |name: &str| env::var(name).ok()?.parse::<u64>().ok();
        let ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(process::id()));
        let beat = number("WATCHDOG_USEC").filter(|&usec| usec > 0 && ours).map(|usec| (usec / 2).max(1));
        Ok(Some(Manager { socket, beat, next_beat: 0 }))
    }

    /// Connections are served, at these places.
    pub(crate) fn ready(&self, places: &str) {
        self.tell(&format!("READY=1\nSTATUS=serving on {places}"));
    }

    /// Files are being read anew.
    pub(crate) fn reloading(&self) {
        // systemd compares it with its own clock of the same kind (sd_notify(3)).
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={}", sys::micros()));
    }

    /// That is over; how it went.
    pub(crate) fn reloaded(&self, status: &str) {
        self.tell(&format!("READY=1\nSTATUS={status}"));
    }

    /// The service is that process from now on.
    pub(crate) fn main_pid(&self, pid: i32) {
        self.tell(&format!("MAINPID={pid}\nSTATUS=process {pid} serves now"));
    }

    /// The end has begun.
    pub(crate) fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=open connections may finish");
    }

    /// When it is to hear of us, in microseconds of the monotonic clock.
    pub(crate) fn next(&self) -> Option<u64> {
        self.beat.map(|_| self.next_beat)
    }

    /// Tells that the loop turns, if it is time.
    pub(crate) fn beat(&mut self, now: u64) {
        if let Some(beat) = self.beat
            && now >= self.next_beat
        {
            self.next_beat = now + beat;
            self.tell("WATCHDOG=1");
        }
    }

    /// One message. A manager that does not listen is not worth a word: it is the one who would read it.
    fn tell(&self, message: &str) {
        let _ = self.socket.send(message.as_bytes());
    }
}

fn connect(name: &OsStr) -> io::Result<UnixDatagram> {
    let address = match name.as_bytes() {
        [b'@', hidden @ ..] => SocketAddr::from_abstract_name(hidden)?,
        [b'/', ..] => SocketAddr::from_pathname(name)?,
        _ => return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is neither a path nor @NAME")),
    };
    let socket = UnixDatagram::unbound()?;
    // Its queue may be full, and the loop waits for nobody.
    socket.set_nonblocking(true)?;
    socket.connect_addr(&address)?;
    Ok(socket)
}
