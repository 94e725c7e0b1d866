//! The servers: how each is configured, started and ended.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::{Result, hold};

/// A server to be held to the others.
pub struct Subject {
    /// Its name, on the command line and in the table.
    pub name: &'static str,
    /// What is known about its processes.
    pub kind: Kind,
    /// What a connection may take, in KiB: a process, its share of the kernel, two sockets.
    pub each: f64,
    /// `N` stands for the number of connections, and some more.
    command: &'static [&'static str],
}

/// Whose process serves a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One that was made for it.
    Own,
    /// One of a pool.
    Pool,
    /// One that serves many.
    Shared,
}

/// All of them, in the order of the table.
pub const ALL: [Subject; 6] = [
    Subject {
        name: "fork",
        each: 125.0,
        kind: Kind::Own,
        command: &["tine", "--mode", "fork", "--max-connections", "N"],
    },
    Subject {
        name: "vfork",
        each: 92.0,
        kind: Kind::Own,
        command: &["tine", "--mode", "vfork", "--max-connections", "N"],
    },
    Subject {
        name: "prefork",
        each: 165.0,
        kind: Kind::Pool,
        command: &["tine", "--mode", "prefork", "--children", "N"],
    },
    Subject { name: "reference", each: 85.0, kind: Kind::Own, command: &["reference"] },
    Subject { name: "apache", each: 380.0, kind: Kind::Pool, command: &["apache2"] },
    Subject { name: "nginx", each: 14.0, kind: Kind::Shared, command: &["nginx"] },
];

/// What can be named on the command line.
pub fn names() -> Vec<&'static str> {
    ALL.iter().map(|subject| subject.name).collect()
}

/// Beyond the connections that are held: new clients find room.
const MORE: u64 = 256;

/// Where everything lies.
pub struct Place {
    /// Scratch space beneath cargo's target directory.
    pub directory: PathBuf,
    root: PathBuf,
    tine: PathBuf,
    /// The C program, if it could be built.
    reference: Option<PathBuf>,
}

impl Place {
    /// Builds what cargo has not built for this benchmark, and writes the files.
    pub fn prepare() -> Result<Place> {
        let tine = PathBuf::from(env!("CARGO_BIN_EXE_tine"));
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--release", "--quiet", "--package", "handlers", "--bin", "tine-http"]);
        succeed(build.current_dir(env!("CARGO_MANIFEST_DIR")))?;
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("scale");
        let root = directory.join("root");
        let failed = |error| format!("unable to write below {}: {error}", directory.display());
        fs::create_dir_all(&root).map_err(failed)?;
        fs::write(root.join("512.html"), [b'x'; 512]).map_err(failed)?;
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/scale/reference.c");
        let compiler = ["musl-gcc", "gcc"].iter().find_map(|name| find(name));
        let reference = compiler.map(|compiler| {
            let program = directory.join("reference");
            let mut build = Command::new(compiler);
            build.args(["-O2", "-static", "-o"]).arg(&program).arg(source);
            succeed(&mut build).map(|()| program)
        });
        Ok(Place { directory, root, tine, reference: reference.transpose()? })
    }
}

fn succeed(command: &mut Command) -> Result<()> {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{command:?}: {status}")),
        Err(error) => Err(format!("unable to run {command:?}: {error}")),
    }
}

/// Where in $PATH, or where daemons are that a user's $PATH leaves out, this program is.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    places.map(|directory| directory.join(program)).find(|path| path.is_file())
}

/// A running server. It ends with this value, and with this process.
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Subject {
    /// Starts it, for `count` connections; `None` when it is not installed.
    pub fn start(&self, count: u64, place: &Place) -> Result<Option<Server>> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
        let address = port.map_err(|error| format!("unable to find a free port: {error}"))?;
        let (directory, root, room) = (&place.directory, &place.root, count + MORE);
        let write = |name: &str, text: String| {
            let path = directory.join(name);
            fs::write(&path, text)
                .map_err(|error| format!("unable to write {}: {error}", path.display()))
                .map(|()| path)
        };
        let program = match self.command[0] {
            "tine" => Some(place.tine.clone()),
            "reference" => place.reference.clone(),
            other => find(other),
        };
        let Some(program) = program else { return Ok(None) };
        let mut command = mortal(&program);
        match self.command[0] {
            "tine" => {
                command.args(["serve", "--quiet", "--listen", &address.to_string(), "--user", "root"]);
                command.args(["--idle-timeout", "3600", "--header-timeout", "3600", "--drain", "5"]);
                let room = room.to_string();
                command.args(self.command[1..].iter().map(|&word| if word == "N" { room.as_str() } else { word }));
                command.arg(root);
            }
            "reference" => {
                command.arg(address.port().to_string());
            }
            "apache2" => {
                command
                    .arg("-DFOREGROUND")
                    .arg("-f")
                    .arg(write("apache.conf", apache(address, directory, root, room))?);
            }
            _ => {
                command.arg("-c").arg(write("nginx.conf", nginx(address, directory, root, room))?);
            }
        }
        let log = directory.join(format!("{}.log", self.name));
        let log = fs::File::create(&log).map_err(|error| format!("unable to write {}: {error}", log.display()))?;
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn();
        let mut child = child.map_err(|error| format!("unable to start {}: {error}", program.display()))?;
        if let ("tine", Some(stdout)) = (self.command[0], child.stdout.take()) {
            // It says so when it serves, which takes a large pool its time.
            let _ = BufReader::new(stdout).read_line(&mut String::new());
        }
        let mut server = Server { child, address };
        server.wait_until_ready()?;
        Ok(Some(server))
    }
}

impl Server {
    fn wait_until_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(10);
        while let Err(error) = hold::visit(self.address) {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("it ended at once: {status}; see its log below {}", env!("CARGO_TARGET_TMPDIR")));
            }
            if Instant::now() > deadline {
                return Err(format!("it does not answer on {}: {error}", self.address));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// How many processes it has made that are still there, and how many of them are zombies.
    pub fn processes(&self, zombies: bool) -> (u64, u64) {
        let pid = self.child.id();
        let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        let is_zombie = |pid: &&str| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.rsplit_once(") ").is_some_and(|(_, fields)| fields.starts_with('Z'))
        };
        let dead = if zombies { list.split_whitespace().filter(is_zombie).count() } else { 0 };
        (list.split_whitespace().count() as u64, dead as u64)
    }

    /// Has it end; how many seconds that took, or `None` if it did not within a minute.
    pub fn stop(mut self) -> Option<f64> {
        self.end(Duration::from_secs(60))
    }

    fn end(&mut self, patience: Duration) -> Option<f64> {
        let begin = Instant::now();
        kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM).ok()?;
        while begin.elapsed() < patience {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return Some(begin.elapsed().as_secs_f64());
            }
            thread::sleep(Duration::from_millis(2));
        }
        None
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) && self.end(Duration::from_secs(30)).is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// A command that gets SIGTERM when this process dies, however it dies; without util-linux it gets none. It has a process
/// group of its own, because Apache ends by sending SIGTERM to its whole group.
fn mortal(program: &Path) -> Command {
    let mut command = match find("setpriv") {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", "TERM", "--"]).arg(program);
            command
        }
        None => Command::new(program),
    };
    command.process_group(0);
    command
}

fn nginx(address: SocketAddr, directory: &Path, root: &Path, room: u64) -> String {
    let (directory, root, descriptors) = (directory.display(), root.display(), room + 1000);
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("    {name}_temp_path {directory}/nginx-{name};\n"))
        .concat();
    format!(
        "daemon off; user root;
worker_processes 2;
worker_rlimit_nofile {descriptors};
pid {directory}/nginx.pid;
error_log stderr;
events {{ worker_connections {room}; }}
http {{
    access_log off;
    sendfile on;
    keepalive_timeout 3600; client_header_timeout 3600; keepalive_requests 1000000000;
    types {{ text/html html; }}
{temporary}    server {{ listen {address} backlog=4096; root {root}; }}
}}
"
    )
}

fn apache(address: SocketAddr, directory: &Path, root: &Path, room: u64) -> String {
    // Its own bound is 200,000. It makes at most 32 children a second, beyond those that it starts with.
    let (directory, root, room) = (directory.display(), root.display(), room.min(200_000));
    format!(
        "ServerRoot {directory}
ServerName localhost
DefaultRuntimeDir {directory}
PidFile {directory}/apache.pid
ErrorLog {directory}/apache-error.log
Listen {address}
ListenBacklog 4096
User www-data
Group www-data
LoadModule mpm_prefork_module /usr/lib/apache2/modules/mod_mpm_prefork.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule mime_module /usr/lib/apache2/modules/mod_mime.so
TypesConfig /dev/null
AddType text/html .html
ServerLimit {room}
MaxRequestWorkers {room}
StartServers 256
MinSpareServers 256
MaxSpareServers 1024
Timeout 3600
KeepAlive On
KeepAliveTimeout 3600
MaxKeepAliveRequests 0
DocumentRoot {root}
<Directory {root}>
    Require all granted
</Directory>
"
    )
}
