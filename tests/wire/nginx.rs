//! nginx, as the reference on which expectations are proved.

use std::{path::Path, process::Command};

use crate::common::{Scratch, Server, launch::free_port, peer};

/// Serves the directory, with files of its own in the other; `None` when nginx is not installed.
#[track_caller]
pub fn start(root: &Path) -> Option<(Server, Scratch)> {
    let nginx = peer("nginx")?;
    let (scratch, port) = (Scratch::new(), free_port());
    let place = scratch.path().display().to_string();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|name| format!("    {name}_temp_path {place}/{name};\n"))
        .collect();
    let root = root.display();
    let configuration = format!(
        "daemon off;\nmaster_process off;\nerror_log stderr;\npid {place}/pid;\nevents {{}}\nhttp {{\n    access_log off;\n\
         {temporary}    server {{\n        listen 127.0.0.1:{port};\n        root {root};\n    }}\n}}\n"
    );
    let mut command = Command::new(nginx);
    command.arg("-c").arg(scratch.file("nginx.conf", configuration)).args(["-e", "stderr"]);
    Some((Server::listening(command, port), scratch))
}
