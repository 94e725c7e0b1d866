//! Servers: how each is configured, started and ended.
//!
//! All serve the same directory on loopback without an access log. Where a peer has a number of workers, it is the
//! number of processors that the targets were set on.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::unistd::geteuid;

use crate::common::{Result, Server, apache_head, find, free_address, mortal};
use crate::nginx;
use crate::options::Options;
use crate::place::Place;

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
        let found = if self == Peer::Tcpserver { Some(place.tcpserver.clone()) } else { find(program) };
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
        server
            .wait_until(Duration::from_secs(10), TcpStream::connect)
            .map_err(|error| format!("{program}: {error}"))?;
        Ok(Some(server))
    }
}

/// Connects so many clients who say nothing, and waits until each has its process. They stay as long as the result.
pub fn hold(server: &Server, count: usize) -> Result<Vec<TcpStream>> {
    let connect = || TcpStream::connect(server.address);
    let held: std::io::Result<Vec<TcpStream>> = (0..count).map(|_| connect()).collect();
    let held = held.map_err(|error| format!("unable to hold {count} connections to {}: {error}", server.address))?;
    let deadline = Instant::now() + Duration::from_secs(60);
    while server.children().len() < count {
        if Instant::now() > deadline {
            return Err(format!("{} has fewer than {count} children after a minute", server.address));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(held)
}

fn start_tine(words: &[&str], options: &Options, place: &Place) -> Result<Server> {
    let mut command = mortal(&place.tine);
    command.args(["serve", "--listen", "127.0.0.1:0", "--quiet"]);
    let children = options.children.to_string();
    command.args(words.iter().map(|&word| if word == "N" { children.as_str() } else { word }));
    if geteuid().is_root() {
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

fn nginx(address: SocketAddr, place: &Place) -> String {
    let (directory, root) = (place.directory.display(), place.root.display());
    let user = if geteuid().is_root() { "user root;" } else { "" };
    let temporary = nginx::temporary(&place.directory);
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
    let (head, root) = (apache_head(address, &place.directory), place.root.display());
    format!(
        "{head}StartServers 8
MaxRequestWorkers 64
MaxKeepAliveRequests 0
DocumentRoot {root}
<Directory {root}>
    Require all granted
</Directory>
"
    )
}
