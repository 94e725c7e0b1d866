//! What becomes of an accepted connection: its client is admitted or turned away, and a child says so and executes the
//! program.

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;

use connection::Outcome;

use super::lookup::{Found, Lookup};
use super::options::{Settings, Wanted};
use super::view::{Known, View};
use crate::admit::{self, Admitted};
use crate::environ;
use crate::inherit;
use crate::listen::Listener;
use crate::log::{Verbosity, shorten};
use crate::porter::Porter;
use crate::resources::ResourceLimit;
use crate::rules::reason::reason;
use crate::rules::{Client, Decision, RuleFile};
use crate::signals::Signals;
use crate::spawn::Nest;
use crate::spawn::vfork::title;
use crate::sys::{self, CStrings, Common, Forked, Launcher, Orders, Peer, Sink, Step};

/// How ucspi-tcp says that a client is not served although nobody turned it away.
const DROP: &str = "dropping connection, ";

/// What tcpserver was told to do with connections.
pub struct Service(Settings);

impl Service {
    pub(super) fn new(settings: Settings) -> Self {
        Service(settings)
    }

    /// Ready to serve from a process with these signals, whose lines go to `sink`.
    pub(crate) fn prepare(self, signals: &Signals, sink: &'static Sink) -> Door {
        let Service(settings) = self;
        let lookup = Lookup::new(&settings);
        let mut arguments = CStrings::default();
        settings.program.iter().for_each(|argument| arguments.push(&[argument.as_bytes()]));
        let mut variables = Vec::new();
        for (name, value) in std::env::vars_os() {
            if settings.more.takes_from_manager() && inherit::VARIABLES.iter().any(|&theirs| name == theirs) {
                continue;
            }
            variables.push([name.as_bytes(), b"=", value.as_bytes()].concat());
        }
        let environment = environ::base(variables);
        let program = settings.program.into_iter().next().unwrap_or_default();
        let common = Common {
            // For the life of the process: children read it while they start.
            paths: Vec::leak(candidates(&program, std::env::var_os("PATH").as_deref())),
            actions: signals.ucspi_actions(),
            mask: signals.ucspi_mask(),
            sink,
            banner: Vec::leak(settings.banner),
            limits: Vec::leak(settings.more.limits.iter().map(ResourceLimit::raw).collect()),
            without_ip_options: !settings.keep_ip_options,
        };
        Door {
            base: environment.len(),
            titled: settings.more.titles.then(|| arguments.clone()),
            launcher: Launcher::new(common, arguments, &environment),
            environment,
            program,
            sink,
            lookup,
            judge: Judge {
                rules: settings.rules.map(|path| RuleFile::new(path, settings.rules_may_be_missing)),
                keep_mapped: settings.wanted == Wanted::V6,
                verbosity: settings.verbosity,
            },
            local_name: settings.local_name,
        }
    }
}

/// Where a program may be: as pathexec of ucspi-tcp looks for it.
fn candidates(program: &OsStr, path: Option<&OsStr>) -> Vec<CString> {
    let string = |bytes: Vec<u8>| CString::new(bytes).ok();
    let program = program.as_bytes();
    if program.contains(&b'/') {
        return string(program.to_vec()).into_iter().collect();
    }
    let path = path.unwrap_or(OsStr::new("/bin:/usr/bin")).as_bytes();
    let place = |directory: &[u8]| [if directory.is_empty() { b"." } else { directory }, b"/", program].concat();
    path.split(|&byte| byte == b':').map(place).filter_map(string).collect()
}

/// Where connections become programs.
pub(crate) struct Door {
    launcher: Launcher,
    /// How many variables of the environment are the same for all connections.
    base: usize,
    environment: CStrings,
    /// The arguments, where the first is to show the client.
    titled: Option<CStrings>,
    program: OsString,
    sink: &'static Sink,
    /// Names to be asked for, if there are any.
    lookup: Option<Lookup>,
    judge: Judge,
    local_name: Option<Vec<u8>>,
}

impl Door {
    /// Makes a child for `admitted`.
    pub(crate) fn spawn(
        &mut self,
        nest: &Nest<'_>,
        listeners: &[Listener],
        porter: &Porter,
        from: &Listener,
        admitted: &Admitted,
    ) -> io::Result<i32> {
        let (local, remote) = (admit::local(from, admitted), admitted.peer);
        let socket = admitted.socket.as_raw_fd();
        if let Some(lookup) = self.lookup {
            return match sys::fork(&nest.one_thread)? {
                Forked::Parent(pid) => Ok(pid),
                Forked::Child => self.look_up(nest, (listeners, porter), lookup, (local, remote), socket),
            };
        }
        let (base, judge, titled) = (self.base, &mut self.judge, &self.titled);
        let known = Known { local_name: self.local_name.as_deref(), ..Known::default() };
        self.launcher.start(&nest.one_thread, socket, |orders| {
            let view = judge.view(local, remote);
            judge.greet(orders, &view);
            orders.environment.truncate(base);
            if let Some(arguments) = titled {
                title(orders, arguments, remote);
            }
            judge.decide(orders, &view, remote, &known);
        })
    }

    /// Why a child could not become the program, once for each: as ucspi-tcp says it.
    pub(crate) fn failure(&mut self) -> Option<String> {
        let (step, error) = self.launcher.failure()?;
        Some(self.describe(step, &error))
    }

    fn describe(&self, step: Step, error: &io::Error) -> String {
        let verb = match step {
            Step::Greet => "print banner".into(),
            Step::SetUp => "set up descriptors".into(),
            Step::Limit => "set resource limits".into(),
            Step::Execute => format!("run {}", self.program.display()),
        };
        format!("{DROP}unable to {verb}: {}", reason(error))
    }

    // ---- In a forked child: it looks names up, decides and becomes the program, without a word of the supervisor. The
    // process that it is a copy of has one thread, so it may allocate. ----

    fn look_up(
        &mut self,
        nest: &Nest<'_>,
        (listeners, porter): (&[Listener], &Porter),
        lookup: Lookup,
        (local, remote): (Peer, Peer),
        socket: i32,
    ) -> ! {
        // A child that waits for names must not keep the port from the next supervisor.
        listeners.iter().for_each(|listener| sys::close(listener.as_fd_number()));
        // Nor a connection of somebody else from ending.
        porter.descriptors().for_each(sys::close);
        let mut orders = Orders::default();
        if let Some(arguments) = &self.titled {
            title(&mut orders, arguments, remote);
        }
        let view = self.judge.view(local, remote);
        self.judge.greet(&mut orders, &view);
        let result = nest
            .signals
            .enter_lookup()
            .map_err(|error| (Step::SetUp, error as i32))
            .and_then(|()| self.launcher.greet(socket, &orders.hello));
        let (step, errno) = match result {
            Err(failed) => failed,
            Ok(()) => {
                let Found { local_name, remote_name, info } = lookup.ask(local, remote);
                let known = Known {
                    local_name: local_name.as_deref().or(self.local_name.as_deref()),
                    remote_name: remote_name.as_deref(),
                    info: info.as_deref(),
                };
                orders.environment = std::mem::take(&mut self.environment);
                self.judge.decide(&mut orders, &view, remote, &known);
                self.launcher.enter(socket, orders)
            }
        };
        if self.judge.verbosity > Verbosity::Silent {
            let why = self.describe(step, &io::Error::from_raw_os_error(errno));
            self.sink.write(&[warning(&why).as_bytes()]);
        }
        sys::exit(Outcome::Fault.status())
    }
}

/// A line that a child writes.
fn warning(why: &str) -> String {
    let mut line = format!("tcpserver: warning: {why}\n");
    shorten(&mut line, 0);
    line
}

/// Who says what becomes of a client.
struct Judge {
    rules: Option<RuleFile>,
    keep_mapped: bool,
    verbosity: Verbosity,
}

impl Judge {
    fn view(&self, local: Peer, remote: Peer) -> View {
        View::new(local, remote, self.keep_mapped)
    }

    /// The first of the child's orders.
    fn greet(&self, orders: &mut Orders, view: &View) {
        orders.hello.clear();
        if self.verbosity == Verbosity::Status {
            view.hello(&mut orders.hello);
        }
    }

    /// All others: the verdict, and the environment of whoever is admitted.
    fn decide(&mut self, orders: &mut Orders, view: &View, remote: Peer, known: &Known<'_>) {
        orders.verdict.clear();
        orders.refused = None;
        let decision = match (&mut self.rules, remote) {
            (Some(rules), Some(remote)) => {
                rules.decide(&Client { ip: remote.ip(), host: known.remote_name, info: known.info })
            }
            _ => Ok(Decision { allow: true, environment: Vec::new(), key: None }),
        };
        match decision {
            Ok(Decision { allow, environment, .. }) => {
                if self.verbosity == Verbosity::Status {
                    view.verdict(&mut orders.verdict, allow, known);
                }
                if allow {
                    view.complete(&mut orders.environment, known, &environment);
                } else {
                    orders.refused = Some(Outcome::Refused as u8);
                }
            }
            // Nobody is admitted by rules that cannot be read.
            Err(error) => {
                if self.verbosity > Verbosity::Silent {
                    let why = format!("{DROP}{}", error.plain());
                    orders.verdict.before.extend(warning(&why).bytes());
                }
                orders.refused = Some(Outcome::Fault as u8);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_looked_for_as_pathexec_does() {
        let places = |program: &str, path: Option<&str>| {
            let found = candidates(OsStr::new(program), path.map(OsStr::new));
            found.into_iter().map(|place| place.into_string().expect("text")).collect::<Vec<_>>()
        };
        assert_eq!(places("cat", None), ["/bin/cat", "/usr/bin/cat"]);
        assert_eq!(places("cat", Some(":/a::b/")), ["./cat", "/a/cat", "./cat", "b//cat"]);
        assert_eq!(places("cat", Some("")), ["./cat"]);
        assert_eq!(places("./cat", Some("/a")), ["./cat"]);
    }
}
