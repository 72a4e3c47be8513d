use std::fmt;

/// The error of an invalid configuration, in words for the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    message: String,
    is_of_flags: bool,
}

impl ConfigError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_of_flags: false }
    }

    pub(crate) fn of_flags(self) -> Self {
        Self { is_of_flags: true, ..self }
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
