//! Programs that others wrote. A missing one is told aloud and its test skipped, or failed where all must be there.

use std::{
    env,
    path::{Path, PathBuf},
};

/// The program, or `None` with a visible word. With `TINE_PEERS=required` a missing one fails the test.
#[track_caller]
pub fn peer(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    // Debian keeps servers in sbin, which is not in the path of a user.
    let places = env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    let found = places.map(|place| place.join(name)).find(|program| Path::is_file(program));
    if found.is_none() {
        assert!(!required(), "{name} is not installed, and TINE_PEERS=required asks for it");
        let test = std::thread::current().name().unwrap_or("a test").to_string();
        super::say(&format!("SKIPPED {test}: {name} is not installed (see .ci/run for the packages)"));
    }
    found
}

/// Whether what is missing fails a test that needs it.
pub fn required() -> bool {
    env::var_os("TINE_PEERS").is_some_and(|v| v == "required")
}
