//! The servers: how each is configured, started and ended.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::common::{Result, Server, apache_head, find, free_address, mortal};
use crate::hold;
use crate::limits::{MARGIN, descriptors};
use crate::nginx;

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
        each: 108.0,
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
        each: 142.0,
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

impl Subject {
    /// Starts it, for `count` connections; `None` when it is not installed.
    pub fn start(&self, count: u64, place: &Place) -> Result<Option<Server>> {
        let address = free_address()?;
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
                command.arg("-c").arg(write("nginx.conf", nginx(address, directory, root, room)?)?);
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
        server.wait_until(Duration::from_secs(10), hold::visit)?;
        Ok(Some(server))
    }
}

fn nginx(address: SocketAddr, directory: &Path, root: &Path, room: u64) -> Result<String> {
    // Two workers, or as many as may open so many descriptors, though not all have equal parts.
    let most = descriptors()?;
    let workers = if room + MARGIN <= most { 2 } else { (2 * room).div_ceil(most) };
    let (own, temporary) = (most.min(room + MARGIN), nginx::temporary(directory));
    let (directory, root) = (directory.display(), root.display());
    Ok(format!(
        "daemon off; user root;
worker_processes {workers};
worker_rlimit_nofile {own};
pid {directory}/nginx.pid;
error_log stderr;
events {{ worker_connections {connections}; accept_mutex on; accept_mutex_delay 5ms; }}
http {{
    access_log off;
    sendfile on;
    keepalive_timeout 3600; client_header_timeout 3600; keepalive_requests 1000000000;
    types {{ text/html html; }}
{temporary}    server {{ listen {address} backlog=4096; root {root}; }}
}}
",
        connections = own - 100
    ))
}

fn apache(address: SocketAddr, directory: &Path, root: &Path, room: u64) -> String {
    // Its own bound is 200,000. It makes at most 32 children a second, beyond those that it starts with.
    let (head, root, room) = (apache_head(address, directory), root.display(), room.min(200_000));
    format!(
        "{head}ListenBacklog 4096
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
