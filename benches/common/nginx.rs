//! What the configurations of nginx have in common.

use std::path::Path;

/// nginx's directories of its own, which would else be the system's.
pub fn temporary(directory: &Path) -> String {
    let directory = directory.display();
    ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("    {name}_temp_path {directory}/nginx-{name};\n"))
        .concat()
}
