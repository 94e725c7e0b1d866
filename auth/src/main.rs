//! `tine-auth FILE`: whether a client may, by its field `Authorization` on standard input and a file of users.
//!
//! Exit status 0: it may. 1: it may not. 100: wrong usage. 111: nobody can say, for the reason on standard error. With
//! `HOST PATH AUTHORIZATION` behind FILE it reads nothing, and is what a program `.http-auth` may execute.

use std::ffi::OsString;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

use auth::Users;

/// The longest field that is looked at.
const LONGEST: u64 = 8 << 10;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let (file, authorization) = match arguments.as_slice() {
        [file] => (file, None),
        [file, _, _] => (file, Some(Vec::new())),
        [file, _, _, authorization] => (file, Some(authorization.as_bytes().to_vec())),
        _ => return fatal("usage: tine-auth FILE [HOST PATH [AUTHORIZATION]]", 100),
    };
    let users = std::fs::read_to_string(file).map_err(|error| error.to_string());
    let users = match users.and_then(|text| Users::parse(&text).map_err(|wrong| wrong.to_string())) {
        Ok(users) => users,
        Err(reason) => return fatal(&format!("fatal: unable to read {}: {reason}", file.display()), 111),
    };
    let authorization = authorization.unwrap_or_else(|| {
        let mut read = Vec::new();
        // What cannot be read is not there.
        let _ = std::io::stdin().take(LONGEST).read_to_end(&mut read);
        read
    });
    ExitCode::from(u8::from(!users.admit(&authorization)))
}

/// One line on stderr.
fn fatal(message: &str, code: u8) -> ExitCode {
    let clean: String = message.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    eprintln!("tine-auth: {clean}");
    ExitCode::from(code)
}
