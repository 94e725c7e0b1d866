//! Promise: HTTP behaves the same, and as RFC 9110 and 9112 say, by every way that a handler comes to a connection:
//! the modes of `tine serve`, `tine serve --inetd` and `tine-http` under foreign super-servers.
//!
//! Each expectation is a function over a running server; `everywhere!` makes a test of it for each launcher.

#[path = "../common/mod.rs"]
mod common;

/// Makes a module of tests for each launcher.
macro_rules! everywhere {
    ($($expectation:ident)*) => {
        tests_under!(prefork, Launcher::Serve(Mode::Prefork), $($expectation)*);
        tests_under!(one_shot, Launcher::Serve(Mode::OneShot), $($expectation)*);
        tests_under!(fork, Launcher::Serve(Mode::Fork), $($expectation)*);
        tests_under!(vfork, Launcher::Serve(Mode::Vfork), $($expectation)*);
        tests_under!(inetd_serve, Launcher::InetdServe, $($expectation)*);
        tests_under!(tcpserver_serve, Launcher::TcpserverServe, $($expectation)*);
        tests_under!(inetd_executable, Launcher::InetdExecutable, $($expectation)*);
        tests_under!(tcpserver_executable, Launcher::TcpserverExecutable, $($expectation)*);
    };
}

macro_rules! tests_under {
    ($module:ident, $launcher:expr, $($expectation:ident)*) => {
        mod $module {
            #[allow(unused_imports, reason = "the foreign launchers have no mode")]
            use crate::common::{Launcher, Mode};

            $(#[test]
            fn $expectation() {
                crate::run($launcher, super::$expectation);
            })*
        }
    };
}

mod basics;
mod conditional;
mod connection;
mod malformed;
mod nginx;
mod paths;
mod range;
mod site;

use common::{Client, Launcher, Server, client::Response};
use site::Site;

/// A server and the site that it serves.
struct Wire {
    server: Server,
    site: Site,
}

impl Wire {
    #[track_caller]
    fn connect(&self) -> Client {
        self.server.connect()
    }

    /// One GET on a connection of its own.
    #[track_caller]
    fn get(&self, path: &str) -> Response {
        self.connect().get(path)
    }
}

fn run(launcher: Launcher, expectation: fn(&Wire)) {
    let site = Site::new();
    let Some(server) = launcher.http(&site.root(), &[]) else { return };
    expectation(&Wire { server, site });
}
