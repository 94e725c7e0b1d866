//! What the options mean: checked values, and one place for what contradicts what.

use std::ffi::{OsStr, OsString};
use std::fmt::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::str::FromStr;

use clap::ArgMatches;
use handlers::Protocol;
use tcpserver::resources::ResourceLimit;
use tcpserver::{Address, PoolSize, inherit};

use crate::cli::is_given;
use crate::limits::{self, Limits};
use crate::pool;
use crate::sandbox;
use crate::sockets::are_lent;
use crate::watching::Watching;

/// Seconds without a connection after which inetd has its socket back, unless told otherwise.
const EXIT_IDLE: u32 = 60;

/// How children are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModeName {
    /// Forked ahead.
    Prefork,
    /// Forked for each connection.
    Fork,
    /// Executed for each connection.
    Vfork,
}

impl FromStr for ModeName {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        [ModeName::Prefork, ModeName::Fork, ModeName::Vfork]
            .into_iter()
            .find(|mode| mode.as_str() == name)
            .ok_or_else(|| "there is no such mode".into())
    }
}

impl ModeName {
    /// As on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            ModeName::Prefork => "prefork",
            ModeName::Fork => "fork",
            ModeName::Vfork => "vfork",
        }
    }
}

/// `tine serve`, with its values checked.
#[derive(Debug)]
pub struct Serve {
    pub root: OsString,
    pub listen: Vec<Address>,
    pub backlog: i32,
    pub inetd: bool,
    pub inetd_wait: bool,
    /// Seconds without a connection, after which the service ends.
    pub exit_idle: Option<u32>,
    pub mode: ModeName,
    pub pool: PoolSize,
    pub reuse: u32,
    pub max_connections: u32,
    pub limits: Limits,
    pub watching: Watching,
    pub drain: u32,
    pub protocol: &'static Protocol,
    /// The handler's own options: name and value.
    pub handler: Vec<(&'static str, Vec<u8>)>,
    pub user: Option<String>,
    pub group: Option<String>,
    pub chroot: Option<PathBuf>,
    pub sandbox: sandbox::Wanted,
    /// `None` is stderr.
    pub log: Option<PathBuf>,
    pub quiet: bool,
    pub verbose: bool,
    pub single: bool,
    pub check: bool,
}

impl Serve {
    /// Checks what was typed. The error is a message of one line.
    pub fn from_matches(matches: &ArgMatches) -> Result<Self, String> {
        let text = |name: &str| matches.get_one::<String>(name).cloned();
        let path = |name: &str| matches.get_one::<OsString>(name).map(PathBuf::from);
        let number = |name: &str, default: u32| matches.get_one::<u32>(name).copied().unwrap_or(default);
        let protocol = text("handler").and_then(|name| handlers::protocol(&name)).ok_or("there is no such handler")?;
        let settings = Serve {
            root: matches.get_one::<OsString>("root").cloned().unwrap_or_else(|| ".".into()),
            listen: matches.get_many("listen").unwrap_or_default().cloned().collect(),
            backlog: matches.get_one("backlog").copied().unwrap_or(4096),
            inetd: matches.get_flag("inetd"),
            inetd_wait: matches.get_flag("inetd-wait"),
            exit_idle: matches
                .get_one("exit-idle")
                .copied()
                .or_else(|| matches.get_flag("inetd-wait").then_some(EXIT_IDLE)),
            mode: matches.get_one("mode").copied().unwrap_or(ModeName::Prefork),
            pool: pool::size(matches)?,
            reuse: number("reuse", 0),
            max_connections: number("max-connections", 1000),
            limits: Limits::from_matches(matches)?,
            watching: Watching::from_matches(matches),
            drain: number("drain", 30),
            protocol,
            handler: handler_options(matches, protocol)?,
            user: text("user"),
            group: text("group"),
            chroot: path("chroot"),
            sandbox: matches.get_one("sandbox").copied().unwrap_or(sandbox::Wanted::On),
            log: path("log").filter(|path| path != OsStr::new("stderr")),
            quiet: matches.get_flag("quiet"),
            verbose: matches.get_flag("verbose"),
            single: matches.get_flag("single"),
            check: matches.get_flag("check"),
        };
        settings
            .contradiction(|name| is_given(matches, name), limits::given(matches).or(Watching::given(matches)))
            .map_or(Ok(settings), Err)
    }

    /// What cannot be meant together.
    fn contradiction(&self, given: impl Fn(&str) -> bool, limit: Option<&str>) -> Option<String> {
        let mode = self.mode.as_str();
        let pool = self.mode == ModeName::Prefork;
        let of_pools = || pool::NAMES.into_iter().chain(["reuse"]);
        if let Some(name) = of_pools().find(|name| !pool && given(name)) {
            return Some(format!("--{name} goes with --mode prefork; in mode {mode} use --max-connections"));
        }
        if pool && given("max-connections") {
            return Some(
                "in mode prefork as many connections are served as there are children: use --max-children or --children"
                    .into(),
            );
        }
        if let Some(name) = limit.filter(|_| self.inetd || self.single) {
            let which = if self.inetd { "--inetd" } else { "--single" };
            return Some(format!("{which} serves one connection: --{name} has no meaning with it"));
        }
        if pool && self.reuse != 1 && self.limits.resources.iter().any(ResourceLimit::counts_work) {
            let why = "--limit cpu counts what a child did for all its clients, and ends it amid the last";
            return Some(format!("{why}: use it with --reuse 1, or in the modes fork and vfork"));
        }
        if self.inetd {
            let names = ["listen", "backlog", "mode", "max-connections", "drain", "single", "inetd-wait", "exit-idle"];
            if let Some(name) = names.into_iter().chain(of_pools()).find(|name| given(name)) {
                return Some(format!("--inetd serves the connection it is given: --{name} has no meaning with it"));
            }
        }
        if self.inetd_wait && (given("listen") || given("backlog") || self.single) {
            return Some(
                "--inetd-wait serves at the socket it is given: leave --listen, --backlog and --single out".into(),
            );
        }
        if inherit::manager_hands_over() && (given("listen") || given("backlog") || self.inetd || self.inetd_wait) {
            let found = "sockets from a service manager are there (LISTEN_FDS)";
            return Some(format!("{found}: leave --listen, --backlog, --inetd and --inetd-wait out"));
        }
        if given("exit-idle") && (self.single || !(self.inetd_wait || are_lent())) {
            let found = "--exit-idle is for a socket that somebody else keeps";
            return Some(format!("{found}: with --inetd-wait, or from a service manager (LISTEN_FDS)"));
        }
        if let Some(name) = of_pools().chain(["mode"]).find(|name| self.single && given(name)) {
            return Some(format!("--single makes no children: --{name} has no meaning with it"));
        }
        if let Some(wrong) = sandbox::contradiction(self).filter(|_| given("sandbox")) {
            return Some(wrong);
        }
        if !self.protocol.has_root && given("root") {
            return Some(format!("handler {} serves no files: leave ROOT out", self.protocol.name));
        }
        None
    }

    /// The handler's settings, but for what they take from files ([`Serve::types`]).
    pub fn handler_settings(&self) -> handlers::Settings<'_> {
        let mut settings = handlers::Settings { root: self.root.as_bytes(), ..handlers::Settings::default() };
        for (name, value) in &self.handler {
            // Checked when it was parsed.
            let _ = settings.set(name, value);
        }
        settings
    }

    /// The effective settings, a line each, under the names of the options.
    pub fn describe(&self) -> String {
        let mut lines = String::new();
        let mut line = |name: &str, value: &dyn std::fmt::Display| {
            // Writing to a String cannot fail.
            let _ = writeln!(lines, "{name}: {value}");
        };
        let or = |value: &Option<String>, default: &str| value.clone().unwrap_or_else(|| default.into());
        if self.protocol.has_root {
            line("root", &self.root.display());
        }
        if self.inetd {
            line("inetd", &true);
        } else {
            if self.inetd_wait {
                line("inetd-wait", &true);
            } else {
                self.listen.iter().for_each(|address| line("listen", address));
                line("backlog", &self.backlog);
            }
            if let Some(seconds) = &self.exit_idle {
                line("exit-idle", seconds);
            }
            line("mode", &self.mode.as_str());
            match self.mode {
                ModeName::Prefork => {
                    pool::describe(&self.pool, |name, value| line(name, &value));
                    line("reuse", &self.reuse);
                }
                ModeName::Fork | ModeName::Vfork => line("max-connections", &self.max_connections),
            }
            line("drain", &self.drain);
            self.limits.describe(&mut line);
            self.watching.describe(&mut line);
        }
        line("handler", &self.protocol.name);
        for (name, value) in &self.handler {
            let value = String::from_utf8_lossy(value);
            line(name, if value.is_empty() { &true as &dyn std::fmt::Display } else { &value });
        }
        let whoever = if tcpserver::confine::is_root() { "nobody" } else { "unchanged" };
        line("user", &or(&self.user, whoever));
        line("group", &or(&self.group, "the user's"));
        if let Some(directory) = &self.chroot {
            line("chroot", &directory.display());
        }
        if sandbox::contradiction(self).is_none() {
            line("sandbox", &self.sandbox);
        }
        line("log", &self.log.as_ref().map_or("stderr".into(), |path| path.to_string_lossy()));
        line("quiet", &self.quiet);
        line("verbose", &self.verbose);
        lines
    }
}

/// The options that the handler has, and a complaint about those that it has not. A flag's value is empty.
fn handler_options(matches: &ArgMatches, protocol: &'static Protocol) -> Result<Vec<(&'static str, Vec<u8>)>, String> {
    for opt in handlers::PROTOCOLS.iter().flat_map(|other| other.options) {
        if is_given(matches, opt.name()) && !protocol.options.iter().any(|own| own.name() == opt.name()) {
            return Err(format!("handler {} has no option --{}", protocol.name, opt.name()));
        }
    }
    let mut options = Vec::new();
    for opt in protocol.options {
        if opt.is_flag() {
            options.extend(matches.get_flag(opt.name()).then(|| (opt.name(), Vec::new())));
        } else {
            let values = matches.get_many::<OsString>(opt.name()).unwrap_or_default();
            options.extend(values.map(|value| (opt.name(), value.clone().into_vec())));
        }
    }
    // What fnord takes from its environment.
    for (name, variable) in [("redirect-host", "REDIRECT_HOST"), ("redirect-uri", "REDIRECT_URI")] {
        let unset = !options.iter().any(|(other, _)| *other == name);
        let known = protocol.options.iter().any(|opt| opt.name() == name);
        options.extend(std::env::var_os(variable).filter(|_| unset && known).map(|value| (name, value.into_vec())));
    }
    let mut checked = handlers::Settings::default();
    for (name, value) in &options {
        let shown = String::from_utf8_lossy(value);
        let set = checked.set(name, value);
        set.map_err(|invalid| format!("--{name} {shown}: {invalid} (tine serve --help tells all)"))?;
    }
    Ok(options)
}
