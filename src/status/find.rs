//! Finding scoreboards.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;

use tcpserver::scoreboard::{NAME, View};

/// A service that runs.
pub struct Service {
    /// Its supervisor's process number here, which is another one in a container.
    pub pid: u32,
    /// Its scoreboard, and which file that is.
    pub view: View,
    id: (u64, u64),
}

/// The services that may be looked at, or the one with this process. The error is a message of one line.
/// `before` are those that were found the last time: a scoreboard is mapped once, and for good.
pub fn services(only: Option<u32>, mut before: Vec<Service>) -> Result<Vec<Service>, String> {
    let list = |error: io::Error| format!("unable to list /proc: {error}: it must be mounted");
    let mut pids: Vec<u32> = match only {
        Some(pid) => vec![pid],
        None => {
            let entries = fs::read_dir("/proc").map_err(list)?.filter_map(Result::ok);
            entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
        }
    };
    pids.sort_unstable();
    let (mut services, mut known, mut trouble) = (Vec::<Service>::new(), Vec::new(), None);
    for pid in pids {
        match look(pid, &mut known, &mut before) {
            Ok(found) => services.extend(found),
            // Somebody else's process is not ours to look at; if it is one of ours by name, that is told.
            Err(error) if only.is_some() || is_tine(pid) => trouble = Some((pid, error)),
            Err(_) => {}
        }
    }
    if !services.is_empty() {
        return Ok(services);
    }
    Err(match (trouble, only) {
        (Some((pid, error)), _) => match error.kind() {
            io::ErrorKind::PermissionDenied => {
                format!("unable to look at process {pid}: {error}: root may, or the user who started it")
            }
            io::ErrorKind::NotFound => format!("unable to look at process {pid}: there is none"),
            io::ErrorKind::Unsupported => {
                format!(
                    "unable to read the scoreboard of process {pid}: another version of tine runs there, use its status"
                )
            }
            _ => format!("unable to read the scoreboard of process {pid}: {error}"),
        },
        (None, Some(pid)) => format!("unable to find a scoreboard in process {pid}: it is no `tine serve`"),
        (None, None) => "unable to find a service: no `tine serve` runs here".into(),
    })
}

fn is_tine(pid: u32) -> bool {
    fs::read(format!("/proc/{pid}/comm")).is_ok_and(|name| name == b"tine\n")
}

/// The scoreboard of a process, if it has one that is not known yet: a child has its parent's for an instant.
fn look(pid: u32, known: &mut Vec<(u64, u64)>, before: &mut Vec<Service>) -> io::Result<Option<Service>> {
    let name = format!("/memfd:{NAME} (deleted)");
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))?.filter_map(Result::ok) {
        if fs::read_link(entry.path()).is_ok_and(|target| target.as_os_str() == name.as_str()) {
            let file = File::open(entry.path())?;
            let meta = file.metadata()?;
            let id = (meta.dev(), meta.ino());
            if known.contains(&id) {
                continue;
            }
            known.push(id);
            if let Some(at) = before.iter().position(|service| (service.pid, service.id) == (pid, id)) {
                return Ok(Some(before.swap_remove(at)));
            }
            return View::open(file.into()).map(|view| Some(Service { pid, view, id }));
        }
    }
    Ok(None)
}
