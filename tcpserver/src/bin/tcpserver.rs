//! tcpserver(1): see `tcpserver::ucspi`.

use std::process::ExitCode;

fn main() -> ExitCode {
    tcpserver::ucspi::tcpserver(std::env::args_os())
}
