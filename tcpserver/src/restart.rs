//! What a service can do beside serving: read its files anew, be replaced by a new program, tell a service manager, and
//! leave when nobody comes. By default, nothing.

use crate::error::Error;
use crate::log::Log;
use crate::notify::Manager;
use crate::upgrade::{Predecessor, Program};

/// Reads the service's files anew; or it fails, and has changed nothing. What it can do without goes to the log.
pub type Reload<'a> = dyn FnMut(&mut Log) -> Result<(), Error> + 'a;

/// What is asked for.
#[derive(Default)]
pub struct Restart<'a> {
    /// What SIGHUP does before children are made anew.
    pub reload: Option<Box<Reload<'a>>>,
    /// What SIGUSR2 starts, or why it cannot.
    pub program: Option<Result<Program, Error>>,
    /// Who made room for us, and is to hear that we serve.
    pub predecessor: Option<Predecessor>,
    /// Who is told how it goes.
    pub manager: Option<Manager>,
    /// After so many seconds without a connection the service ends.
    pub idle: Option<u32>,
}

impl Restart<'_> {
    /// Whether SIGHUP and SIGUSR2 mean anything.
    pub(crate) fn wants_signals(&self) -> bool {
        self.reload.is_some() || self.program.is_some()
    }
}
