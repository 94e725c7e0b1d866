//! Promise: HTTP behaves the same, and as RFC 9110 and 9112 say, by every way that a handler comes to a connection:
//! the modes of `tine serve`, `tine serve --inetd` and `tine-http` under foreign super-servers.
//!
//! Each expectation is a function over a running server; `everywhere!` makes a test of it for each launcher.

#[path = "../common/mod.rs"]
mod common;

/// Makes a module of tests for each launcher; the options, if there are any, are a function of the site.
macro_rules! everywhere {
    (options: $options:path; $($expectation:ident)*) => {
        tests_under!(prefork, Launcher::Serve(Mode::Prefork), $options, $($expectation)*);
        tests_under!(one_shot, Launcher::Serve(Mode::OneShot), $options, $($expectation)*);
        tests_under!(fork, Launcher::Serve(Mode::Fork), $options, $($expectation)*);
        tests_under!(vfork, Launcher::Serve(Mode::Vfork), $options, $($expectation)*);
        tests_under!(inetd_serve, Launcher::InetdServe, $options, $($expectation)*);
        tests_under!(tcpserver_serve, Launcher::TcpserverServe, $options, $($expectation)*);
        tests_under!(inetd_executable, Launcher::InetdExecutable, $options, $($expectation)*);
        tests_under!(tcpserver_executable, Launcher::TcpserverExecutable, $options, $($expectation)*);
        tests_under!(tcpserver_full, Launcher::TcpserverFull, $options, $($expectation)*);
    };
    ($($expectation:ident)*) => {
        everywhere!(options: crate::no_options; $($expectation)*);
    };
}

macro_rules! tests_under {
    ($module:ident, $launcher:expr, $options:path, $($expectation:ident)*) => {
        mod $module {
            #[allow(unused_imports, reason = "the foreign launchers have no mode")]
            use crate::common::{Launcher, Mode};
            #[allow(unused_imports, reason = "not each path leads to a parent")]
            use super::*;

            $(#[test]
            fn $expectation() {
                crate::run($launcher, $options, super::$expectation);
            })*
        }
    };
}

mod basics;
mod conditional;
mod connection;
mod elsewhere;
mod fields;
mod hosts;
mod malformed;
mod names;
mod negotiation;
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

fn no_options(_: &Site) -> Vec<String> {
    Vec::new()
}

fn run(launcher: Launcher, options: fn(&Site) -> Vec<String>, expectation: fn(&Wire)) {
    let site = Site::new();
    let options = options(&site);
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let Some(server) = launcher.http(&site.root(), &options) else { return };
    expectation(&Wire { server, site });
}
