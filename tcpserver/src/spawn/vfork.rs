//! Mode `vfork`: a program for each accepted connection, started without copying this process.

use std::ffi::{CStr, CString};
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;

use super::Nest;
use crate::admit::{self, Admitted};
use crate::environ;
use crate::listen::Listener;
use crate::resources::ResourceLimit;
use crate::signals::{self, Signals};
use crate::sys::{CStrings, Common, Launcher, Orders, Peer, Sink};

/// A program to be executed with each connection on its descriptors 0 and 1.
pub struct Program {
    path: CString,
    arguments: CStrings,
    environment: CStrings,
    ends_gently: bool,
    titled: bool,
}

impl Program {
    /// `path` is executed as it is, without a search; `arguments` begin with the program's name; `environment` is what
    /// it gets beside the variables of its connection, as `NAME=value`.
    pub fn new<A: AsRef<[u8]>, E: AsRef<[u8]>>(
        path: CString,
        arguments: impl IntoIterator<Item = A>,
        environment: impl IntoIterator<Item = E>,
    ) -> Self {
        let mut strings = CStrings::default();
        for argument in arguments {
            strings.push(&[argument.as_ref()]);
        }
        Program { path, arguments: strings, environment: environ::base(environment), ends_gently: false, titled: false }
    }

    /// Says that the program takes SIGTERM as a wish to finish what it does, as a handler in a forked child does, and
    /// that it unblocks that signal, which it finds blocked. Any other program is left alone until the time for draining
    /// is over.
    #[must_use]
    pub fn ends_gently(self) -> Self {
        Program { ends_gently: true, ..self }
    }

    /// Has the program's first argument tell whom it serves; see [`title`].
    #[must_use]
    pub(crate) fn titled(self, titled: bool) -> Self {
        Program { titled, ..self }
    }

    /// Ready to be started from a process with these signals, whose log goes to `sink`.
    pub(crate) fn prepare(self, signals: &Signals, resources: &[ResourceLimit], sink: &'static Sink) -> Starter {
        let base = self.environment.len();
        let mask = signals.program_mask(self.ends_gently);
        let actions: &[_] = if self.ends_gently { &signals::FOR_GENTLE_PROGRAMS } else { &signals::FOR_PROGRAMS };
        // For the life of the process: children read it while they start.
        let paths = Box::leak(Box::new([self.path]));
        let limits = Vec::leak(resources.iter().map(ResourceLimit::raw).collect());
        let common = Common { paths, actions, mask, sink, banner: b"", limits, without_ip_options: false };
        Starter {
            titled: self.titled.then(|| self.arguments.clone()),
            launcher: Launcher::new(common, self.arguments, &self.environment),
            base,
            ends_gently: self.ends_gently,
        }
    }
}

/// Has the program's first argument tell whom it serves: `NAME: CLIENT`, as titles of processes commonly do.
pub(crate) fn title(orders: &mut Orders, arguments: &CStrings, client: Peer) {
    let titled = orders.arguments.get_or_insert_with(|| arguments.clone());
    titled.truncate(arguments.len());
    let client =
        client.map_or_else(|| "unix".into(), |peer| SocketAddr::new(peer.ip().to_canonical(), peer.port()).to_string());
    titled.put_first(&[arguments.first(), b": ", client.as_bytes()]);
}

/// A program that is being supervised.
pub(crate) struct Starter {
    launcher: Launcher,
    /// How many variables of the environment are the same for all connections.
    base: usize,
    /// The arguments, where the first is to show the client.
    titled: Option<CStrings>,
    pub(crate) ends_gently: bool,
}

impl Starter {
    /// Starts the program for `admitted`.
    pub(crate) fn spawn(&mut self, nest: &Nest<'_>, from: &Listener, admitted: &Admitted) -> io::Result<i32> {
        let (peer, local) = admit::endpoints(from, admitted);
        let (base, titled) = (self.base, &self.titled);
        let complete = |orders: &mut Orders| {
            environ::complete(&mut orders.environment, base, &local, &peer);
            if let Some(arguments) = titled {
                title(orders, arguments, admitted.peer);
            }
        };
        self.launcher.start(&nest.one_thread, admitted.socket.as_raw_fd(), complete)
    }

    /// The executable, and why a child could not become it: once for each that could not.
    pub(crate) fn failure(&mut self) -> Option<(&'static CStr, io::Error)> {
        let (_, error) = self.launcher.failure()?;
        self.launcher.paths().first().map(|path| (path.as_c_str(), error))
    }
}
