//! tcprulescheck(1): see `tcpserver::rules`.

use std::process::ExitCode;

fn main() -> ExitCode {
    tcpserver::rules::tcprulescheck(std::env::args_os().skip(1))
}
