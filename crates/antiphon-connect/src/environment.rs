//! The environment as a value: a snapshot that is passed to everything that depends on variables.
//!
//! No other module of the workspace reads variables of the process for configuration, so two configurations can be used in one
//! process, and a test sets variables without affecting others.

use std::collections::BTreeMap;
use std::fmt;

use secrecy::SecretString;

/// A snapshot of the environment variables, read once. Its `Debug` output shows names only, never values.
///
/// Tests and servers create one from pairs of names and values instead, so that a configuration does not depend on the process.
///
/// ```
/// use antiphon_connect::Environment;
///
/// let environment: Environment = [("OPENAI_API_KEY", " sk-1 "), ("ANTIPHON_TIMEOUT", "")].into_iter().collect();
/// assert_eq!(environment.get("OPENAI_API_KEY"), Some("sk-1"));
/// assert_eq!(environment.get("ANTIPHON_TIMEOUT"), None, "an empty variable counts as not set");
/// assert!(!format!("{environment:?}").contains("sk-1"));
/// ```
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
}

impl Environment {
    /// Reads the variables of this process; those that are not valid Unicode are left out.
    #[must_use]
    pub fn read() -> Self {
        let unicode = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self { variables: std::env::vars_os().filter_map(unicode).collect() }
    }

    /// Returns a variable's value without surrounding white space; `None` if it is not set or empty.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    /// Returns a variable's value as a secret; `None` if it is not set or empty.
    #[must_use]
    pub fn secret(&self, name: &str) -> Option<SecretString> {
        self.get(name).map(SecretString::from)
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(variables: I) -> Self {
        Self { variables: variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect() }
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}
