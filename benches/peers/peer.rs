//! Servers: how each is configured, started and ended.
//!
//! All serve the same directory on loopback without an access log. Where a peer has a number of workers, it is the
//! number of processors that the targets were set on.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Result;
use crate::options::Options;
use crate::place::{self, Place};

const WORKERS: u32 = 2;

/// Who serves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Peer {
    /// `tine serve` with these options; `N` stands for the number of children.
    Tine(&'static [&'static str]),
    /// nginx.
    Nginx,
    /// lighttpd.
    Lighttpd,
    /// Apache with the prefork module.
    Apache,
    /// ucspi-tcp's tcpserver in front of `tine-http`.
    UcspiTcp,
    /// Ours in front of the same.
    Tcpserver,
}

impl Peer {
    /// Its name in the table.
    pub fn name(self) -> String {
        match self {
            Peer::Tine(options) => format!("tine {}", options.join(" ")),
            Peer::Nginx => "nginx".to_owned(),
            Peer::Lighttpd => "lighttpd".to_owned(),
            Peer::Apache => "Apache prefork".to_owned(),
            Peer::UcspiTcp => "ucspi-tcp's tcpserver tine-http".to_owned(),
            Peer::Tcpserver => "our tcpserver tine-http".to_owned(),
        }
    }

    /// Starts it; `None`, after saying so, when it is not installed.
    pub fn start(self, options: &Options, place: &Place) -> Result<Option<Server>> {
        let program = match self {
            Peer::Tine(words) => return start_tine(words, options, place).map(Some),
            Peer::Nginx => "nginx",
            Peer::Lighttpd => "lighttpd",
            Peer::Apache => "apache2",
            Peer::UcspiTcp | Peer::Tcpserver => "tcpserver",
        };
        let found = if self == Peer::Tcpserver { Some(place.tcpserver.clone()) } else { place::find(program) };
        let Some(path) = found else {
            println!("SKIPPED: {program} is not installed");
            return Ok(None);
        };
        let address = free_address()?;
        let mut command = mortal(&path);
        match self {
            Peer::UcspiTcp | Peer::Tcpserver => {
                // Room for those that are held, whom a program must not send away meanwhile.
                command.args(["-RHl0", "-c", "5000", "-b", "1000", "127.0.0.1", &address.port().to_string()]);
                command.arg(&place.tine_http).args(["--quiet", "--header-timeout", "3600"]).arg(&place.root);
            }
            Peer::Lighttpd => {
                command.arg("-D").arg("-f").arg(place.write("lighttpd.conf", &lighttpd(address, place))?);
            }
            Peer::Apache => {
                command.arg("-DFOREGROUND").arg("-f").arg(place.write("apache.conf", &apache(address, place))?);
            }
            _ => {
                command.arg("-c").arg(place.write("nginx.conf", &nginx(address, place))?);
            }
        }
        let log = place.directory.join(format!("{}.log", self.name().replace(' ', "-")));
        let log = fs::File::create(&log).map_err(|error| format!("unable to write {}: {error}", log.display()))?;
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        let child = child.map_err(|error| format!("unable to start {program}: {error}"))?;
        let mut server = Server { child, address };
        server.wait_until_ready(program)?;
        Ok(Some(server))
    }
}

/// A running server. It ends with this value, and with this process.
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Server {
    fn wait_until_ready(&mut self, program: &str) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(5);
        while TcpStream::connect(self.address).is_err() {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!(
                    "{program} ended at once: {status}; see its log below {}",
                    env!("CARGO_TARGET_TMPDIR")
                ));
            }
            if Instant::now() > deadline {
                return Err(format!("{program} does not listen on {}", self.address));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Server {
    /// Connects so many clients who say nothing, and waits until each has its process. They stay as long as this value.
    pub fn hold(&self, count: usize) -> Result<Vec<TcpStream>> {
        let connect = || TcpStream::connect(self.address);
        let held: std::io::Result<Vec<TcpStream>> = (0..count).map(|_| connect()).collect();
        let held = held.map_err(|error| format!("unable to hold {count} connections to {}: {error}", self.address))?;
        let children = format!("/proc/{0}/task/{0}/children", self.child.id());
        let deadline = Instant::now() + Duration::from_secs(60);
        while fs::read_to_string(&children).map_or(0, |list| list.split_whitespace().count()) < count {
            if Instant::now() > deadline {
                return Err(format!("{} has fewer than {count} children after a minute", self.address));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(held)
    }
}

impl Drop for Server {
    /// SIGTERM, which a server hands on to its workers, where the standard library's SIGKILL would orphan them.
    fn drop(&mut self) {
        let asked = Command::new("kill").arg(self.child.id().to_string()).status();
        let deadline = Instant::now() + Duration::from_secs(5);
        while asked.is_ok() && Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command that gets SIGTERM when this process dies, however it dies; without util-linux it gets none. It has a process
/// group of its own, because Apache ends by sending SIGTERM to its whole group.
fn mortal(program: &Path) -> Command {
    let mut command = match place::find("setpriv") {
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

fn start_tine(words: &[&str], options: &Options, place: &Place) -> Result<Server> {
    let mut command = mortal(&place.tine);
    command.args(["serve", "--listen", "127.0.0.1:0", "--quiet"]);
    let children = options.children.to_string();
    command.args(words.iter().map(|&word| if word == "N" { children.as_str() } else { word }));
    if is_root() {
        command.args(["--user", "root"]); // as the peers, all of which may read a target directory that is root's own
    }
    let child = command.arg(&place.root).stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut child = child.map_err(|error| format!("unable to start tine: {error}"))?;
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        let _ = BufReader::new(stdout).read_line(&mut line);
    }
    let address = line.split_once("http://").and_then(|(_, rest)| rest.split_once('/')?.0.parse().ok());
    let mut server = Server { child, address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)) };
    server.address = address.ok_or(format!("tine did not say where it listens: {line:?}"))?;
    Ok(server)
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}

/// An address that nobody listens on now. Somebody else could take it before the server does; then that one fails to
/// start, and says so.
fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    listener.and_then(|listener| listener.local_addr()).map_err(|error| format!("unable to find a free port: {error}"))
}

fn nginx(address: SocketAddr, place: &Place) -> String {
    let (directory, root) = (place.directory.display(), place.root.display());
    let user = if is_root() { "user root;" } else { "" };
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("    {name}_temp_path {directory}/nginx-{name};\n"))
        .concat();
    format!(
        "daemon off; {user}
worker_processes {WORKERS};
pid {directory}/nginx.pid;
error_log stderr;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000000;
    types {{ text/html html; }}
{temporary}    server {{ listen {address}; root {root}; }}
}}
"
    )
}

fn lighttpd(address: SocketAddr, place: &Place) -> String {
    format!(
        "server.bind = \"{}\"
server.port = {}
server.document-root = \"{}\"
server.max-worker = {WORKERS}
server.max-keep-alive-requests = 1000000000
server.upload-dirs = ( \"{}\" )
mimetype.assign = ( \".html\" => \"text/html\" )
",
        address.ip(),
        address.port(),
        place.root.display(),
        place.directory.display(),
    )
}

fn apache(address: SocketAddr, place: &Place) -> String {
    let (directory, root) = (place.directory.display(), place.root.display());
    // It refuses to be root.
    let user = if is_root() { "User www-data\nGroup www-data" } else { "" };
    format!(
        "ServerRoot {directory}
ServerName localhost
DefaultRuntimeDir {directory}
PidFile {directory}/apache.pid
ErrorLog {directory}/apache-error.log
Listen {address}
{user}
LoadModule mpm_prefork_module /usr/lib/apache2/modules/mod_mpm_prefork.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule mime_module /usr/lib/apache2/modules/mod_mime.so
TypesConfig /dev/null
AddType text/html .html
StartServers 8
MaxRequestWorkers 64
MaxKeepAliveRequests 0
DocumentRoot {root}
<Directory {root}>
    Require all granted
</Directory>
"
    )
}
