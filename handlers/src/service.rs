//! Any of the protocols, behind one type.

use connection::{Connection, Handler, Outcome};
use rustix::io::Errno;

use crate::chargen::Chargen;
use crate::daytime::Daytime;
use crate::discard::Discard;
use crate::echo::Echo;
use crate::http::{Cache, Http, Kept};
use crate::time::Time;
use crate::{Protocol, Settings};

/// A protocol's own type: an executable that names it holds that protocol's code and no other.
pub trait Open<'a>: Handler + Sized {
    /// What the command line needs to know of it.
    const PROTOCOL: &'static Protocol;

    /// It may want programs to be run ([`connection::Host::programs`]).
    const RUNS_PROGRAMS: bool = false;

    /// It does all of its protocol. One that does not leaves what is not plain ([`Settings::set_plain`]) to the executable of
    /// the same name with [`FULL`] behind it, help and complaints included.
    const IS_WHOLE: bool = true;

    /// Makes it ready, before there is a connection.
    ///
    /// # Errors
    /// Something that the settings name cannot be opened.
    fn open(settings: &Settings<'a>) -> Result<Self, OpenError<'a>>;
}

/// What stands behind the name of an executable that does all that its protocol can.
pub const FULL: &str = "-full";

/// What could not be opened, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenError<'a> {
    /// The path as it was given.
    pub path: &'a [u8],
    /// The error number (errno(3)).
    pub errno: i32,
}

impl<'a> OpenError<'a> {
    pub(crate) fn new(path: &'a [u8], errno: Errno) -> Self {
        OpenError { path, errno: errno.raw_os_error() }
    }
}

/// Any one of [`crate::PROTOCOLS`], ready to serve.
pub struct Service<'a>(Any<'a>);

#[allow(clippy::large_enum_variant, reason = "there is one for each process, and nothing to box it in")]
enum Any<'a> {
    Http(Http<'a, Kept<'a>>),
    Echo(Echo<'a>),
    Discard(Discard<'a>),
    Daytime(Daytime<'a>),
    Time(Time<'a>),
    Chargen(Chargen<'a>),
}

impl<'a> Service<'a> {
    /// Makes a protocol ready, before there is a connection; what it opens (the root) is inherited by children.
    ///
    /// # Errors
    /// Something that the settings name cannot be opened.
    pub fn new(protocol: &'static Protocol, settings: &Settings<'a>) -> Result<Service<'a>, OpenError<'a>> {
        // By name: each of the table's records has its arm, which a test holds to be so.
        Ok(Service(match protocol.name {
            "echo" => Any::Echo(Echo::open(settings)?),
            "discard" => Any::Discard(Discard::open(settings)?),
            "daytime" => Any::Daytime(Daytime::open(settings)?),
            "time" => Any::Time(Time::open(settings)?),
            "chargen" => Any::Chargen(Chargen::open(settings)?),
            _ => Any::Http(<Http<'a> as Open<'a>>::open(settings)?.with_cache(None)),
        }))
    }

    /// With a cache of small files, for a child that serves many connections. Protocols without files ignore it.
    #[must_use]
    pub fn with_cache(self, cache: &'a mut Cache) -> Self {
        Service(match self.0 {
            Any::Http(http) => Any::Http(http.with_cache(Some(cache))),
            other => other,
        })
    }

    /// Takes the cache back, for another service.
    pub fn take_cache(&mut self) -> Option<&'a mut Cache> {
        if let Any::Http(http) = &mut self.0 { http.take_cache() } else { None }
    }

    fn protocol(&self) -> &'static Protocol {
        match self.0 {
            Any::Http(_) => &crate::http::PROTOCOL,
            Any::Echo(_) => Echo::PROTOCOL,
            Any::Discard(_) => Discard::PROTOCOL,
            Any::Daytime(_) => Daytime::PROTOCOL,
            Any::Time(_) => Time::PROTOCOL,
            Any::Chargen(_) => Chargen::PROTOCOL,
        }
    }
}

impl core::fmt::Debug for Service<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Service").field(&self.protocol().name).finish()
    }
}

impl Handler for Service<'_> {
    fn serve(&mut self, connection: &Connection<'_>) -> Outcome {
        match &mut self.0 {
            Any::Http(http) => apart(http, connection),
            Any::Echo(echo) => apart(echo, connection),
            Any::Discard(discard) => apart(discard, connection),
            Any::Daytime(daytime) => apart(daytime, connection),
            Any::Time(time) => apart(time, connection),
            Any::Chargen(chargen) => apart(chargen, connection),
        }
    }
}

/// A frame for each protocol: in one for all of them a child would touch the pages of every protocol's buffers.
#[inline(never)]
fn apart<H: Handler>(handler: &mut H, connection: &Connection<'_>) -> Outcome {
    handler.serve(connection)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    #[test]
    fn each_record_of_the_table_opens_its_own_protocol() {
        for protocol in crate::PROTOCOLS {
            let service = Service::new(protocol, &Settings::default()).unwrap();
            assert_eq!(service.protocol(), protocol);
        }
    }

    #[test]
    fn a_root_that_cannot_be_opened_is_named() {
        for (root, errno) in [(&b"/nonexistent"[..], Errno::NOENT), (b"/dev/null", Errno::NOTDIR)] {
            let settings = Settings { root, ..Settings::default() };
            let error = Service::new(&crate::http::PROTOCOL, &settings).unwrap_err();
            assert_eq!(error, OpenError::new(root, errno));
        }
    }
}
