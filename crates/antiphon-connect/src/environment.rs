//! The environment as a value: a snapshot that is passed to everything that depends on variables.
//!
//! No other module of the workspace reads variables of the process for configuration, so two configurations can be used in one
//! process, and a test sets variables without affecting others.

use std::collections::BTreeMap;
use std::fmt;

use antiphon_engine::near_name;
use antiphon_providers::registry;
use secrecy::SecretString;

use crate::config_file::ConfigFile;

/// An environment variable that sets an option of all providers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SettingVariable {
    /// The variable's name.
    pub name: &'static str,
    /// One line for help texts.
    pub help: &'static str,
}

/// The environment variables that set options of all providers. Variables of keys and addresses are in the registry of
/// `antiphon-providers`.
pub const VARIABLES: [SettingVariable; 4] = [
    SettingVariable {
        name: "ANTIPHON_WORKERS",
        help: "Maximum number of concurrent calls, and of concurrent files of fetch [default: auto]",
    },
    SettingVariable {
        name: "ANTIPHON_TIMEOUT",
        help: "Seconds without data after which a call times out [default: 30 for downloads, 120 for cloud models, 300 for \
               other models]",
    },
    SettingVariable { name: "ANTIPHON_RETRY_MAX", help: "Maximum retries of a failed call [default: 5]" },
    SettingVariable {
        name: "ANTIPHON_POOL_SIZE",
        help: "Size of the connection pool per server [default: 100]",
    },
];

/// A variable that looks like a setting of Antiphon and is none, so that it has no effect. `Display` writes the warning.
///
/// ```
/// use antiphon_connect::Environment;
///
/// let environment = Environment::from_iter([("ANTIPHON_WORKER", "8")]);
/// assert_eq!(
///     environment.unknown_variables(&[])[0].to_string(),
///     "the environment variable ANTIPHON_WORKER has no effect; did you mean ANTIPHON_WORKERS?"
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnknownVariable {
    /// The variable's name.
    pub name: String,
    /// The known variable with the most similar name; `None` if none is similar.
    pub near: Option<&'static str>,
}

impl fmt::Display for UnknownVariable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = || VARIABLES.map(|variable| variable.name).join(", ");
        let advice = self
            .near
            .map_or_else(|| format!("known are {}", known()), |near| format!("did you mean {near}?"));
        write!(f, "the environment variable {} has no effect; {advice}", self.name)
    }
}

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

impl Environment {
    /// Returns the variables that are not known and begin with `ANTIPHON`, or have a name that differs only in case or underscores
    /// from a known one, or from that of a key or an address of a provider. A variable that an entry of `files` names for a key
    /// is known.
    #[must_use]
    pub fn unknown_variables(&self, files: &[ConfigFile]) -> Vec<UnknownVariable> {
        let plain = |name: &str| name.to_ascii_uppercase().replace(['_', '-'], "");
        let of_providers = provider_variables();
        let is_known = |name: &str| {
            VARIABLES.iter().any(|variable| variable.name == name)
                || of_providers.contains(&name)
                || files.iter().any(|file| file.has_key_in(name))
        };
        let is_meant = |name: &str| {
            let name = plain(name);
            name.starts_with("ANTIPHON") || VARIABLES.iter().any(|variable| plain(variable.name) == name)
        };
        let of_provider = |name: &str| of_providers.iter().copied().find(|known| plain(known) == plain(name));
        let unknown = |name: &String| {
            let (provider, is_set) = (of_provider(name), |known| self.get(known).is_some());
            // A shell may have both, such as for another program.
            let near = match provider {
                Some(known) if !is_set(known) => Some(known),
                Some(_) => return None,
                None if is_meant(name) => near_variable(name),
                None => return None,
            };
            Some(UnknownVariable { name: name.clone(), near })
        };
        self.variables.keys().filter(|name| !is_known(name)).filter_map(unknown).collect()
    }
}

/// Returns the variables of the keys and the addresses of all providers in the registry.
fn provider_variables() -> Vec<&'static str> {
    let keys = registry::entries().iter().flat_map(|entry| entry.key_env.iter().map(String::as_str));
    let addresses = registry::kinds().iter().filter_map(|kind| Some(kind.base_url_env.as_ref()?.name));
    keys.chain(addresses).collect()
}

/// Returns the known variable whose name is most similar, without the common beginning, which would make all names similar.
fn near_variable(name: &str) -> Option<&'static str> {
    let plain = |name: &str| {
        name.to_ascii_uppercase().trim_start_matches("ANTIPHON").trim_start_matches('_').to_owned()
    };
    let known: Vec<String> = VARIABLES.iter().map(|variable| plain(variable.name)).collect();
    let near = near_name(&plain(name), known.iter().map(String::as_str))?;
    VARIABLES.iter().map(|variable| variable.name).find(|known| plain(known) == near)
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

#[cfg(test)]
mod tests {
    use super::Environment;
    use crate::config_file::ConfigFile;

    #[track_caller]
    fn check(name: &str, expected: Option<&str>) {
        let lab = "[providers.lab]\nkind = \"compatible\"\nkey_env = \"ANTIPHON_LAB_KEY\"\n";
        let files = [ConfigFile::parse("a.toml", lab).unwrap()];
        let environment = Environment::from_iter([(name, "planted")]);
        let warnings: Vec<String> =
            environment.unknown_variables(&files).iter().map(ToString::to_string).collect();
        match expected {
            Some(expected) => {
                assert!(warnings.len() == 1 && warnings[0].contains(expected), "{name}: {warnings:?}");
                assert!(warnings[0].contains(name) && !warnings[0].contains("planted"));
            }
            None => assert!(warnings.is_empty(), "{name}: {warnings:?}"),
        }
    }

    #[test]
    fn misspelt_variables_are_named_with_their_neighbour() {
        check("ANTIPHON_WORKER", Some("did you mean ANTIPHON_WORKERS?"));
        check("ANTIPHON_TIME_OUT", Some("did you mean ANTIPHON_TIMEOUT?"));
        check("ANTIPHON_MAX_RETRY", Some("ANTIPHON_RETRY_MAX"));
        check("antiphon_workers", Some("did you mean ANTIPHON_WORKERS?"));
        check("ANTIPHONPOOLSIZE", Some("did you mean ANTIPHON_POOL_SIZE?"));
        check("ANTIPHON_QQQ", Some("known are ANTIPHON_WORKERS, ANTIPHON_TIMEOUT"));
        check("OPENAI_APIKEY", Some("did you mean OPENAI_API_KEY?"));
        check("openai_api_key", Some("did you mean OPENAI_API_KEY?"));
        check("OPENAI_BASEURL", Some("did you mean OPENAI_BASE_URL?"));
        check("OPENAI_API_KEY", None);
        check("OPENAI_ORG", None);
        check("ANTIPHON_WORKERS", None);
        check("ANTIPHON_LAB_KEY", None);
        check("PATH", None);
    }
}
