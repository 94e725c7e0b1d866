//! `tine serve`: from settings to a running service, each step with its failure.

use std::ffi::{CString, OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io;
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use connection::{Connection, Endpoint, Fd, Handler, Lost, Reader};
use handlers::Service;
use handlers::http::Cache;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat2};
use nix::unistd::{AccessFlags, access};
use tcpserver::confine::{Confinement, Identity, confine, is_root};
use tcpserver::log::Verbosity;
use tcpserver::notify::Manager;
use tcpserver::{
    Address, Error, Limits, Listener, Log, Mode, Program, Restart, Server, Tuning, alarm_clock, child_host, upgrade,
};

use crate::settings::{ModeName, Serve};
use crate::site::Site;
use crate::sockets::{Sockets, is_same_socket};
use crate::{pool, print, sandbox, watching};

/// Log lines of handlers go to descriptor 2, whether it is the original one or a file.
const STDERR: Fd = Fd(2);

/// The cache of a pool's children, each child's its own. A static, so that it is zero pages of the executable, which cost
/// nothing until a child fills them; on the heap it would be copied there.
static CACHE: Mutex<Cache> = Mutex::new(Cache::new());

/// Does what `tine serve` was asked to.
pub fn run(settings: &Serve) -> Result<ExitCode, Error> {
    let sockets = Sockets::take(settings)?;
    // Both are looked for before a new root hides them.
    let types = types(settings)?;
    let own_path = std::env::current_exe();
    let program = upgradable(settings);
    let confinement = if sockets.are_handed() && !is_root() {
        // The process before us has given up what is to be given up.
        Confinement::default()
    } else {
        Confinement { identity: identity(settings)?, chroot: settings.chroot.clone() }
    };
    let user = confinement.identity.as_ref().map_or("this user", |identity| &identity.name);
    if settings.check {
        // Inside a new root there may be another directory of that name.
        if settings.chroot.is_none() {
            check_root(settings, user)?;
            let own_path = own_path.map_err(|error| Error::os("find", "this program", error))?;
            let made = handlers::http::Made {
                executable: own_path.as_os_str().as_bytes(),
                ..settings.handler_settings().made
            };
            check_users(&made)?;
            settings.limits.check_rules()?;
        }
        print(&settings.describe());
        if settings.chroot.is_none() {
            // As the user who would serve: root is kept from less.
            confine(&confinement)?;
            settings.limits.check_resources()?;
            print(&sandbox::describe(settings)?);
        }
        return Ok(ExitCode::SUCCESS);
    }
    // Who follows another process has its log already, and may not be able to open it.
    let log_file = match settings.log.as_deref().map(open_log).transpose() {
        Err(error) if sockets.are_handed() => {
            log(settings).warning(format_args!("{error}: the log stays where it is"));
            None
        }
        opened => opened?,
    };
    if settings.inetd {
        return serve_inherited(settings, &types, &confinement, log_file);
    }
    let (tuning, limits, mut predecessor, mut window) = (tuning(settings), limits(settings), None, None);
    let mut server = match sockets {
        Sockets::Own => Server::bind(&settings.listen, tuning, limits, log(settings))?,
        Sockets::Lent(sockets) => Server::adopt(sockets, true, tuning, limits, log(settings))?,
        Sockets::Handed(handover) => {
            predecessor = Some(handover.predecessor);
            window = handover.window;
            Server::adopt(handover.sockets, handover.lent, tuning, limits, log(settings))?
        }
    };
    server =
        server.with(settings.limits.policy(settings.protocol.refusal())).limiting(settings.limits.resources.clone());
    if settings.watching.titles {
        server = server.titled("tine")?;
    }
    tell_shortage(settings, &confinement, server.log());
    let manager = Manager::from_environment().unwrap_or_else(|error| {
        server.log().warning(format_args!("{error}"));
        None
    });
    server = match settings.watching.window(window) {
        Ok(window) => {
            if let Some(window) = &window {
                server.log().note(format_args!("metrics on {}", watching::url(window.listener().address())));
            }
            server.shown_at(window)
        }
        Err(error) => {
            server.abandon();
            return Err(error);
        }
    };
    let executable = own_path.as_ref().map_or(&b"tine"[..], |path| path.as_os_str().as_bytes());
    let executes = settings.mode == ModeName::Vfork && !settings.single;
    let mut cache = CACHE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut program_file = None;
    let prepared = (|| {
        confine(&confinement)?;
        settings.limits.check_resources()?;
        let site = Site::open(settings, user, executable, &types, !executes)?;
        if executes {
            program_file = Some(self::program(settings, &own_path)?);
        }
        redirect_stderr(log_file)?;
        Ok(site)
    })();
    let mut site = match prepared {
        Ok(site) => site,
        Err(error) => {
            server.abandon();
            return Err(error);
        }
    };
    tell_identity(settings, &confinement, server.log());
    let sandbox = match sandbox::prepare(settings, &mut server) {
        Ok(sandbox) => sandbox,
        Err(error) => {
            server.abandon();
            return Err(error);
        }
    };
    let server = server.confined(sandbox.clone());
    // A process that serves one connection would fill a cache for nobody.
    if settings.mode == ModeName::Prefork && settings.reuse != 1 && !settings.single {
        site = site.with_cache(&mut cache);
    }
    let site = &site;
    let mut handler = site;
    let access_log = (!settings.quiet).then_some(STDERR);
    let ready = |listeners: &[Listener]| print(&readiness(settings, listeners));
    if settings.single {
        let outcome = server.run_single(&mut handler, access_log, ready)?;
        return Ok(ExitCode::from(outcome as u8));
    }
    let mode = match (settings.mode, program_file) {
        (ModeName::Prefork, _) => Mode::Prefork { handler: &mut handler, size: settings.pool, reuse: settings.reuse },
        (_, Some(program)) => Mode::Vfork(program),
        (_, None) => Mode::Fork(&mut handler),
    };
    let restart = Restart {
        reload: Some(Box::new(|log| match &sandbox {
            Some(sandbox) => sandbox.renew(|| site.renew(log)),
            None => site.renew(log),
        })),
        program: Some(program),
        predecessor,
        manager,
        idle: settings.exit_idle,
    };
    server.run_restartable(mode, access_log, ready, restart)?;
    Ok(ExitCode::SUCCESS)
}

/// What SIGUSR2 starts, or why it cannot.
fn upgradable(settings: &Serve) -> Result<upgrade::Program, Error> {
    let failed = |reason: &str, remedy: &str| Error::new("start", "the program anew", reason).remedy(remedy);
    if settings.chroot.is_some() {
        return Err(failed("--chroot hides it", "stop this one and start another"));
    }
    if settings.inetd_wait {
        return Err(failed("inetd starts it", "stop this one: the next client has inetd start another"));
    }
    if std::process::id() == 1 {
        return Err(failed("process 1 must stay", "replace the container, or start tine below an init"));
    }
    upgrade::Program::own()
}

/// Whom to become. Never root by accident: started by root and not told whom to become, it is nobody.
fn identity(settings: &Serve) -> Result<Option<Identity>, Error> {
    let default = is_root().then_some("nobody");
    match settings.user.as_deref().or(default) {
        Some(user) => Identity::find(user, settings.group.as_deref()).map(Some),
        None if settings.group.is_some() => {
            Err(Error::new("set", "the group", "only root can").remedy("leave --group out, or start as root"))
        }
        None => Ok(None),
    }
}

/// Says on the first line what a user would not expect.
fn tell_identity(settings: &Serve, confinement: &Confinement, log: &mut Log) {
    match &confinement.identity {
        Some(identity) if identity.uid.is_root() => {
            log.warning(format_args!("running as root: whoever breaks a child owns the machine"));
        }
        Some(identity) if settings.user.is_none() => {
            log.note(format_args!("started by root: now user {} (--user chooses another)", identity.name));
        }
        _ => {}
    }
}

/// Says what keeps the machine from holding as many children as the options allow.
fn tell_shortage(settings: &Serve, confinement: &Confinement, log: &mut Log) {
    let most = if settings.mode == ModeName::Prefork { settings.pool.max_children } else { settings.max_connections };
    let as_root = confinement.identity.as_ref().map_or_else(is_root, |identity| identity.uid.is_root());
    if let (false, Some(shortage)) = (settings.single, tcpserver::room::shortage(most.into(), as_root)) {
        log.warning(format_args!("{shortage}"));
    }
}

/// Log lines, ours and the handlers', go to descriptor 2: from here on that is the file. Failures before this one are
/// still told to whoever started us.
pub fn redirect_stderr(log_file: Option<File>) -> Result<(), Error> {
    let Some(file) = log_file else { return Ok(()) };
    nix::unistd::dup2_stderr(file).map_err(|error| Error::os("redirect", "stderr", error))
}

/// Whether the user that we are now can read what is to be served.
pub fn check_root(settings: &Serve, user: &str) -> Result<(), Error> {
    if !settings.protocol.has_root {
        return Ok(());
    }
    let failed = |error: nix::errno::Errno| {
        let failure = Error::os("serve", settings.root.display().to_string(), error);
        match error {
            nix::errno::Errno::EACCES => {
                failure.remedy(format!("{user} cannot read it: choose another with --user, or open it to all"))
            }
            nix::errno::Errno::ENOTDIR => failure.remedy("name the directory that holds the files"),
            _ => failure.remedy("name an existing directory"),
        }
    };
    // A path with a slash behind it must be a directory.
    let mut directory = settings.root.clone();
    directory.push("/");
    access(Path::new(&directory), AccessFlags::R_OK | AccessFlags::X_OK).map_err(failed)?;
    // What lies beneath is opened by openat2 alone, which a filter of somebody else may forbid.
    let how = OpenHow::new().flags(OFlag::O_PATH | OFlag::O_CLOEXEC).resolve(ResolveFlag::RESOLVE_NO_MAGICLINKS);
    match openat2(AT_FDCWD, Path::new(&directory), how) {
        Err(error @ (nix::errno::Errno::ENOSYS | nix::errno::Errno::EPERM)) => {
            let remedy = "it takes openat2(2), which Linux has since 5.6 and RestrictSUIDSGID= and DynamicUser= of \
                          systemd forbid: leave them out";
            Err(Error::os("serve", settings.root.display().to_string(), error).remedy(remedy))
        }
        _ => Ok(()),
    }
}

/// Whether the file of users can be read, by the user that we are now, and means something; and whether the program is
/// there that will look passwords up in it.
pub fn check_users(made: &handlers::http::Made<'_>) -> Result<(), Error> {
    if made.auth.is_empty() {
        return Ok(());
    }
    let path = Path::new(OsStr::from_bytes(made.auth));
    let shown = || path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| Error::os("read", shown(), error))?;
    auth::Users::parse(&text).map_err(|wrong| Error::new("use", shown(), wrong))?;
    let program = Path::new(OsStr::from_bytes(made.executable)).with_file_name("tine-auth");
    access(&program, AccessFlags::X_OK).map_err(|error| {
        let remedy = "it belongs beside tine: cargo build --workspace makes it, and the user that serves must reach it";
        Error::os("execute", program.display().to_string(), error).remedy(remedy)
    })
}

/// The table of types that `--mime-types` names, or an empty one.
pub fn types(settings: &Serve) -> Result<Vec<u8>, Error> {
    let path = settings.handler_settings().mime_types;
    if path.is_empty() {
        return Ok(Vec::new());
    }
    let path = Path::new(OsStr::from_bytes(path));
    std::fs::read(path).map_err(|error| Error::os("read", path.display().to_string(), error))
}

pub fn open_log(path: &Path) -> Result<File, Error> {
    // Readable by the group, as logs are; O_APPEND, because many processes write to it.
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o640);
    options.open(path).map_err(|error| Error::os("open the log", path.display().to_string(), error))
}

pub fn open_service<'a>(settings: &Serve, handler_settings: &handlers::Settings<'a>) -> Result<Service<'a>, Error> {
    Service::new(settings.protocol, handler_settings).map_err(|error| {
        let path = OsStr::from_bytes(error.path).display().to_string();
        Error::os("open", path, io::Error::from_raw_os_error(error.errno))
    })
}

fn tuning(settings: &Serve) -> Tuning {
    let handler = settings.handler_settings();
    // Silence is looked at this often; what it means is the handler's business.
    let tick = handler.idle_timeout.min(handler.header_timeout);
    // An executed handler sets these for itself, for it may be started by anybody.
    let linked_in = settings.mode != ModeName::Vfork || settings.single;
    Tuning {
        backlog: settings.backlog,
        receive_timeout: linked_in.then_some(tick),
        send_timeout: linked_in.then_some(handler.write_timeout),
        defer_accept: settings.protocol.client_speaks_first.then_some(tick),
        no_delay: true,
    }
}

fn limits(settings: &Serve) -> Limits {
    let memory_floor = settings.limits.memory_floor;
    Limits { connections: settings.max_connections as usize, drain: settings.drain, memory_floor }
}

fn log(settings: &Serve) -> Log {
    Log::new("tine", STDERR, if settings.verbose { Verbosity::Status } else { Verbosity::Errors })
}

/// The line that says that connections are served, and where.
fn readiness(settings: &Serve, listeners: &[Listener]) -> String {
    let what =
        if settings.protocol.has_root { settings.root.display().to_string() } else { settings.protocol.name.into() };
    let urls: Vec<String> = listeners
        .iter()
        .map(|listener| match listener.address() {
            Address::Tcp(address) if settings.protocol.name == "http" => format!("http://{address}/"),
            Address::Tcp(address) => format!("tcp://{address}"),
            address @ Address::Unix(_) => address.to_string(),
        })
        .collect();
    let children = match (settings.mode, settings.single) {
        (_, true) => "one connection".into(),
        (ModeName::Prefork, _) => format!("prefork, {}", pool::in_words(&settings.pool)),
        (mode, _) => format!("{}, up to {} children", mode.as_str(), settings.max_connections),
    };
    format!("tine: serving {what} on {} ({children})\n", urls.join(" "))
}

/// The handler's executable, which lies beside this one.
fn program(settings: &Serve, own_path: &io::Result<PathBuf>) -> Result<Program, Error> {
    let is_made = settings.handler_settings().made.is_wanted();
    let extent = if is_made { handlers::FULL } else { "" };
    let name = format!("tine-{}{extent}", settings.protocol.name);
    let path = own_path.as_ref().map_err(|error| Error::new("find", "this program", error))?.with_file_name(&name);
    access(&path, AccessFlags::X_OK).map_err(|error| {
        let remedy = match settings.chroot {
            Some(_) => "with --chroot it must lie at the same path inside",
            None => "it belongs beside tine: cargo build --workspace makes it, and the user that serves must reach it",
        };
        Error::os("execute", path.display().to_string(), error).remedy(remedy)
    })?;
    let path = CString::new(path.into_os_string().as_bytes()).map_err(|error| Error::new("execute", &name, error))?;
    let mut arguments = vec![name.into_bytes()];
    // What says how something is made would have the plain one leave all to the full one.
    let says_how = |option: &str| matches!(option, "cgi-timeout" | "auth-realm");
    for (option, value) in settings.handler.iter().filter(|(option, _)| is_made || !says_how(option)) {
        // Only a flag's value is empty, and a flag takes none.
        let equals: &[u8] = if value.is_empty() { b"" } else { b"=" };
        arguments.push([b"--", option.as_bytes(), equals, value].concat());
    }
    if settings.quiet {
        arguments.push(b"--quiet".to_vec());
    }
    if settings.protocol.has_root {
        arguments.extend([b"--".to_vec(), settings.root.as_bytes().to_vec()]);
    }
    // Nothing of our own environment is a handler's business. That the log never waits for a reader saves it a call.
    let is_file = settings.log.as_deref().map_or_else(|| tcpserver::log::is_file(STDERR), Path::is_file);
    Ok(Program::new(path, arguments, is_file.then_some("TINE_LOG=file")).ends_gently())
}

/// `--inetd`: the connection is there already.
fn serve_inherited(
    settings: &Serve,
    types: &[u8],
    confinement: &Confinement,
    log_file: Option<File>,
) -> Result<ExitCode, Error> {
    confine(confinement)?;
    check_root(settings, confinement.identity.as_ref().map_or("this user", |identity| &identity.name))?;
    let own_path = std::env::current_exe();
    let mut handler_settings = handlers::Settings { types, ..settings.handler_settings() };
    handler_settings.made.executable = own_path.as_ref().map_or(&b"tine"[..], |path| path.as_os_str().as_bytes());
    check_users(&handler_settings.made)?;
    let (peer, local) = inherited_endpoints(&mut handler_settings);
    let mut service = open_service(settings, &handler_settings)?;
    redirect_stderr(log_file)?;
    if !stderr_is_the_connection() {
        tell_identity(settings, confinement, &mut log(settings));
    }
    let alarm = alarm_clock(true);
    tcpserver::signals::default_alarm().map_err(|error| Error::os("handle", "SIGALRM", error))?;
    let lost = Lost::new();
    let reader = Reader::new(&lost, false);
    let host = child_host(&alarm, &reader);
    let access_log = (!settings.quiet && !stderr_is_the_connection()).then_some(STDERR);
    let connection = Connection { input: Fd(0), output: Fd(1), peer, local, log: access_log, host: &host };
    Ok(ExitCode::from(service.serve(&connection) as u8))
}

/// Whether descriptor 2 is the connection too, as it is under inetd: a log line there would go to the client.
fn stderr_is_the_connection() -> bool {
    is_same_socket(io::stdin().as_fd(), io::stderr().as_fd())
}

/// Who is at both ends: what a UCSPI server says, else what the socket does. A pipe has no ends, and no timeouts.
fn inherited_endpoints(settings: &mut handlers::Settings<'_>) -> (Endpoint, Endpoint) {
    let socket = io::stdin().as_fd().try_clone_to_owned().map(TcpStream::from);
    let timeouts = |socket: &TcpStream| {
        let seconds = |seconds: u32| Some(Duration::from_secs(seconds.into()));
        socket.set_read_timeout(seconds(settings.idle_timeout.min(settings.header_timeout)))?;
        socket.set_write_timeout(seconds(settings.write_timeout))?;
        // A Unix socket has no such option, and no need of it.
        let _ = socket.set_nodelay(true);
        io::Result::Ok(())
    };
    settings.poll = !socket.as_ref().is_ok_and(|socket| timeouts(socket).is_ok());
    let address = |found: Option<io::Result<std::net::SocketAddr>>| {
        found.and_then(Result::ok).map_or(Endpoint::UNKNOWN, Endpoint::from)
    };
    let told = |ip: &str, port: &str| {
        let ip: OsString = std::env::var_os(ip)?;
        let port = std::env::var(port).ok().and_then(|port| port.parse().ok()).unwrap_or(0);
        Some(Endpoint::from_text(ip.as_bytes(), port))
    };
    let socket = socket.as_ref().ok();
    (
        told("TCPREMOTEIP", "TCPREMOTEPORT").unwrap_or_else(|| address(socket.map(TcpStream::peer_addr))),
        told("TCPLOCALIP", "TCPLOCALPORT").unwrap_or_else(|| address(socket.map(TcpStream::local_addr))),
    )
}
