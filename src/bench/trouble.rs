//! What ends an experiment.

use std::fmt;

/// A failure in words: `unable to VERB OBJECT: reason`, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble(String);

impl Trouble {
    /// A step that failed.
    pub fn new(verb: &str, object: impl fmt::Display, reason: impl fmt::Display) -> Self {
        Trouble(format!("unable to {verb} {object}: {reason}"))
    }

    /// A line that says it all.
    pub fn told(line: &str) -> Self {
        Trouble(line.to_owned())
    }

    /// Adds the next step for the user.
    #[must_use]
    pub fn remedy(self, remedy: impl fmt::Display) -> Self {
        Trouble(format!("{} ({remedy})", self.0))
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// For `map_err`: `.map_err(trouble("open", path))`.
pub fn trouble<E: fmt::Display>(verb: &str, object: impl fmt::Display) -> impl FnOnce(E) -> Trouble {
    move |reason| Trouble::new(verb, object, reason)
}
