//! Servers of a benchmark: found, started, and ended with it.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// What ends a run: one line for the user.
pub type Result<T> = std::result::Result<T, String>;

/// Where in $PATH, or where daemons are that a user's $PATH leaves out, this program is.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let daemons = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(daemons).map(|directory| directory.join(program)).find(|path| path.is_file())
}

/// A command that gets SIGTERM when this process dies, however it dies; without util-linux it gets none. It has a process
/// group of its own, because Apache ends by sending SIGTERM to its whole group.
pub fn mortal(program: &Path) -> Command {
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

/// An address that nobody listens on now. Somebody else could take it before the server does; then that one fails to
/// start, and says so.
pub fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    listener.and_then(|listener| listener.local_addr()).map_err(|error| format!("unable to find a free port: {error}"))
}

/// The head of a configuration for Apache with the prefork module, which refuses to be root.
pub fn apache_head(address: SocketAddr, directory: &Path) -> String {
    let directory = directory.display();
    let user = if nix::unistd::geteuid().is_root() { "User www-data\nGroup www-data" } else { "" };
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
"
    )
}

/// A running server. It ends with this value, and with this process.
pub struct Server {
    /// Its first process.
    pub child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Server {
    /// Waits until `ask` has an answer; an error when it ends, or has none in time.
    pub fn wait_until<T>(&mut self, patience: Duration, ask: impl Fn(SocketAddr) -> std::io::Result<T>) -> Result<()> {
        let deadline = Instant::now() + patience;
        while let Err(error) = ask(self.address) {
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

    /// The processes that it has made and that are still there.
    pub fn children(&self) -> Vec<u32> {
        let pid = self.child.id();
        let list = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
    }

    /// SIGTERM, which a server hands on to its workers, where SIGKILL would orphan them; how it ended, if it did in time.
    pub fn end(&mut self, patience: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + patience;
        // A child that was not waited for: the number is its own.
        kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM).ok()?;
        while Instant::now() < deadline {
            match self.child.try_wait() {
                Ok(None) => thread::sleep(Duration::from_millis(2)),
                Ok(status) => return status,
                Err(_) => return None,
            }
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
