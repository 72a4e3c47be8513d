//! The error of an invalid configuration, which is found before anything is connected.

use std::fmt;

use crate::origin::Origin;

/// The error of an invalid configuration, with a message for the user.
///
/// The message names the place (a file with its line, a variable or a flag) and the fix. It never contains a key.
///
/// ```
/// use antiphon_connect::{Environment, Flags, resolve};
///
/// let err = resolve(&Flags::default().provider("opanai"), &Environment::default(), &[]).unwrap_err();
/// assert!(err.is_of_flags());
/// assert_eq!(err.to_string(), "unknown provider opanai; did you mean openai?");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    message: String,
    /// Whether the user can fix it on the command line, so that a front end reports wrong usage (exit code 2).
    is_of_flags: bool,
    /// Whether the message begins with the place of the mistake.
    has_place: bool,
}

impl ConfigError {
    /// Creates an error that is fixed in a file or a variable.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_of_flags: false, has_place: false }
    }

    /// Creates the error of a configuration file that cannot be read or written; the message has its path and the system's
    /// reason.
    pub(crate) fn unusable(err: &antiphon_fs::Error) -> Self {
        let reason = std::error::Error::source(err).map(|reason| format!(": {reason}")).unwrap_or_default();
        Self::new(format!("{err}{reason}"))
    }

    /// Marks the error as one that is fixed by another flag.
    pub(crate) fn of_flags(self) -> Self {
        Self { is_of_flags: true, ..self }
    }

    /// Puts the place of the mistake before the message, unless the message begins with one already. A mistake in a flag is one
    /// of flags.
    pub(crate) fn at(self, place: &Origin) -> Self {
        if self.has_place {
            return self;
        }
        let is_of_flags = self.is_of_flags || matches!(place, Origin::Flag(_));
        Self { message: format!("{place}: {}", self.message), is_of_flags, has_place: true }
    }

    /// Returns whether the error is in a flag, and not in a file or a variable.
    #[must_use]
    pub fn is_of_flags(&self) -> bool {
        self.is_of_flags
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ConfigError {}
