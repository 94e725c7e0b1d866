//! What a service has from files, and how SIGHUP reads it anew.

use std::cell::{Cell, RefCell};

use connection::{Connection, Handler, Outcome};
use handlers::Service;
use handlers::http::Cache;
use tcpserver::{Error, Log};

use crate::serve;
use crate::settings::Serve;

/// The files behind a service: its root, its table of types.
pub struct Site<'a> {
    settings: &'a Serve,
    /// Who we are.
    user: &'a str,
    /// This program, beside which others lie.
    executable: &'a [u8],
    types: Cell<&'a [u8]>,
    /// `None` where another program serves.
    service: Option<RefCell<Service<'a>>>,
}

impl<'a> Site<'a> {
    /// Opens what `settings` name, as the user that we are now. `links_in` says that connections are served by this
    /// program.
    pub fn open(
        settings: &'a Serve,
        user: &'a str,
        executable: &'a [u8],
        types: &'a [u8],
        links_in: bool,
    ) -> Result<Site<'a>, Error> {
        let site = Site { settings, user, executable, types: Cell::new(types), service: None };
        site.check()?;
        let service = links_in.then(|| site.new_service(types)).transpose()?;
        Ok(Site { service: service.map(RefCell::new), ..site })
    }

    /// With a cache for the children of a pool.
    #[must_use]
    pub fn with_cache(self, cache: &'a mut Cache) -> Self {
        let service = self.service.map(|service| RefCell::new(service.into_inner().with_cache(cache)));
        Site { service, ..self }
    }

    /// Reads everything anew: all of it, or nothing is changed. A log that cannot be opened is gone on with.
    pub fn renew(&self, log: &mut Log) -> Result<(), Error> {
        self.check()?;
        let types = self.read_types()?;
        if let Some(service) = &self.service {
            let mut new = self.new_service(types)?;
            let mut service = service.borrow_mut();
            if let Some(cache) = service.take_cache() {
                new = new.with_cache(cache);
            }
            *service = new;
        }
        self.types.set(types);
        if let Err(error) = self.reopen_log() {
            log.warning(format_args!("{error}: the log stays where it is"));
        }
        Ok(())
    }

    /// Whether the root and the file of users can be served from. Programs read both for themselves, each time.
    fn check(&self) -> Result<(), Error> {
        serve::check_root(self.settings, self.user)?;
        serve::check_users(&self.handler_settings(&[]).made)?;
        self.settings.limits.check_rules()
    }

    fn handler_settings<'t>(&self, types: &'t [u8]) -> handlers::Settings<'t>
    where
        'a: 't,
    {
        let mut settings = handlers::Settings { types, ..self.settings.handler_settings() };
        settings.made.executable = self.executable;
        settings
    }

    fn new_service(&self, types: &'a [u8]) -> Result<Service<'a>, Error> {
        serve::open_service(self.settings, &self.handler_settings(types))
    }

    /// The table as the file has it now. One that changed stays for good, because services of both are there for a
    /// moment: some kilobytes, as often as somebody edits it.
    fn read_types(&self) -> Result<&'a [u8], Error> {
        if self.settings.chroot.is_some() {
            return Ok(self.types.get());
        }
        let types = serve::types(self.settings)?;
        Ok(if types == self.types.get() { self.types.get() } else { types.leak() })
    }

    /// Lines of this process and of the children to come go to what has the log's name now.
    fn reopen_log(&self) -> Result<(), Error> {
        let Some(path) = &self.settings.log else { return Ok(()) };
        if self.settings.chroot.is_some() {
            let hidden = Error::new("open the log", path.display().to_string(), "--chroot hides it");
            return Err(hidden.remedy("have it copied and cut, which needs no signal"));
        }
        let remedy = "the user that serves must be able to write it, or to make it";
        let file = serve::open_log(path).map_err(|error| error.remedy(remedy))?;
        serve::redirect_stderr(Some(file))
    }
}

impl Handler for &Site<'_> {
    fn serve(&mut self, connection: &Connection<'_>) -> Outcome {
        match &self.service {
            Some(service) => service.borrow_mut().serve(connection),
            None => Outcome::Fault,
        }
    }
}
