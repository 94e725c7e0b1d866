//! ucspi-tcp(1) and the programs that it is: see `tcpserver::tools`.

use std::process::ExitCode;

fn main() -> ExitCode {
    tcpserver::tools::run(std::env::args_os())
}
