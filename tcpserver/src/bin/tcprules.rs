//! tcprules(1): see `tcpserver::rules`.

use std::process::ExitCode;

fn main() -> ExitCode {
    tcpserver::rules::tcprules(std::env::args_os().skip(1))
}
