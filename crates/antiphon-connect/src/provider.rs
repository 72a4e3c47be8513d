//! The settings of one provider: the entries of files, merged by name and completed by the environment.
//!
//! A provider is named by a flag or a file, and its entry `[providers.NAME]` need not exist: the registry of
//! `antiphon-providers` has the vendors that are built in. In the order of precedence:
//!
//! | setting | sources |
//! |---|---|
//! | kind | entry, registry |
//! | address | `--base-url`, environment, entry, the kind's usual one |
//! | key | the variables of the entry, else of the registry, else of the kind |

use std::collections::BTreeMap;
use std::time::Duration;

use antiphon_engine::near_name;
use antiphon_providers::local::EngineAddress;
use antiphon_providers::registry::{self, Kind};
use secrecy::SecretString;

use crate::config_file::{ConfigFile, origin_of};
use crate::entry::ProviderEntry;
use crate::environment::Environment;
use crate::error::ConfigError;
use crate::flags::Flags;
use crate::origin::{Origin, Sourced, in_entries, in_files};
use crate::settings::Settings;

/// The settings of one provider: its address, its key and its options.
///
/// Part of [`Settings`](crate::Settings), and listed for all providers by [`known_providers`](crate::known_providers). The key is
/// a secret: `Debug` output hides it, and the names of variables in `key_env` are all that messages show.
///
/// ```
/// use antiphon_connect::{Environment, known_providers};
///
/// let environment = Environment::from_iter([("OPENAI_API_KEY", "secret")]);
/// let providers = known_providers(&environment, &[]);
/// let (_, openai) = providers.into_iter().find(|(name, _)| name == "openai").ok_or("no such provider")?;
/// let openai = openai?;
/// assert!(openai.is_configured && openai.key.is_some() && openai.base_url.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ProviderSettings {
    /// The provider's name, as in `--provider` and `[providers.NAME]`.
    pub name: String,
    /// The kind in the registry.
    pub kind: &'static Kind,
    /// The server's address; `None` for the kind's usual one.
    pub base_url: Option<String>,
    /// The environment variables in which the key is looked up, in this order; empty if the provider needs no key.
    /// The first that is set is used; one that is empty counts as not set.
    pub key_env: Vec<String>,
    /// The key; `None` if it is not set.
    pub key: Option<SecretString>,
    /// The environment variable from which the key was read; `None` if no variable has one.
    pub key_variable: Option<String>,
    /// Whether a key, an address or a kind is configured.
    /// Other options, such as a timeout, do not count. The doctor reports a provider that is not configured as such, not as broken.
    pub is_configured: bool,
    /// Whether a configuration file has an entry for the provider.
    /// If so, an error about the provider refers the user to that entry.
    pub is_entered: bool,
    /// The values of the headers in `headers_env`; `None` for one whose variable is not set.
    pub(crate) secret_headers: BTreeMap<String, Option<SecretString>>,
    /// The other options of the configuration.
    pub(crate) entry: ProviderEntry,
}

impl ProviderSettings {
    /// Completes an entry by the environment: the address and the key of the variables. An address in the environment overrides
    /// the entry's, but only for the provider that has the kind's own name, since the variable means that vendor.
    fn of_entry(name: &str, kind: &'static Kind, entry: Option<ProviderEntry>, env: &Environment) -> Self {
        let is_entered = entry.is_some();
        let entry = entry.unwrap_or_default();
        let key_env = key_variables(name, kind, &entry);
        let variable = kind.base_url_env.filter(|_| name == kind.name);
        let of_env = variable.and_then(|variable| env.get(variable.name));
        let base_url = of_env.map(str::to_owned).or(entry.base_url.clone());
        let key_variable = key_env.iter().find(|variable| env.get(variable).is_some()).cloned();
        let key = key_variable.as_ref().and_then(|variable| env.secret(variable));
        let secret_headers = entry.headers_env.iter();
        let secret_headers =
            secret_headers.map(|(name, variable)| (name.clone(), env.secret(variable))).collect();
        Self {
            name: name.to_owned(),
            kind,
            // Other options, such as a timeout, do not mean that the provider is set up.
            is_configured: entry.kind.is_some() || base_url.is_some() || key.is_some(),
            is_entered,
            base_url,
            key,
            key_variable,
            key_env,
            secret_headers,
            entry,
        }
    }

    /// Returns a warning for each header whose environment variable is not set.
    pub(crate) fn missing_headers(&self) -> Vec<String> {
        let unset = self.secret_headers.iter().filter(|(_, value)| value.is_none());
        let warning = |(header, _): (&String, &Option<SecretString>)| {
            let variable = self.entry.headers_env.get(header)?;
            let place = format!("headers_env in [providers.{}]", self.name);
            Some(format!("{variable} is not set, which {place} names for {header}: a run needs it"))
        };
        unset.filter_map(warning).collect()
    }

    /// Returns the settings of an engine that was discovered; `None` if this build has no kind for it.
    pub(crate) fn of_engine(engine: &EngineAddress, settings: &Settings) -> Option<Self> {
        let (kind, base_url) = (engine.kind()?, Some(engine.base_url()));
        // Options that are configured for another address, such as a key, are not for the server that answers here.
        let configured = settings.engines.get(engine.name);
        Some(match configured.filter(|named| engine.is_at(named.base_url.as_deref())) {
            Some(named) => Self { base_url, kind, ..named.clone() },
            None => Self {
                name: engine.name.to_owned(),
                kind,
                base_url,
                key_env: Vec::new(),
                key: None,
                key_variable: None,
                is_configured: false,
                is_entered: false,
                secret_headers: BTreeMap::new(),
                entry: ProviderEntry::default(),
            },
        })
    }
}

/// Formats the advice for an unknown name: the known one that is similar, else all of them.
pub(crate) fn similar(name: &str, known: &[&str]) -> String {
    let near = near_name(name, known.iter().copied());
    near.map_or_else(|| format!("known are {}", known.join(", ")), |near| format!("did you mean {near}?"))
}

/// Returns the settings of the named provider, if one is named. The address of `--base-url` overrides that of environment and
/// files.
///
/// # Errors
/// The errors of [`named_provider`], marked as the flag's if a flag names the provider and no file has an entry for it; also
/// `--base-url` without a provider.
pub(crate) fn provider(
    flags: &Flags,
    env: &Environment,
    files: &[ConfigFile],
) -> Result<Option<Sourced<ProviderSettings>>, ConfigError> {
    let Some(Sourced { value: name, origin }) = chosen_name(flags, files) else {
        let message = "--base-url needs a provider: add --provider compatible";
        return if flags.base_url.is_some() { Err(ConfigError::new(message).of_flags()) } else { Ok(None) };
    };
    let mut settings = named_provider(&name, env, files).map_err(|err| match origin {
        // The flag is not named: the message is about its value.
        Origin::Flag(_) if entry_of(&name, files).is_none() => err.of_flags(),
        Origin::Flag(_) => err,
        _ => err.at(&origin),
    })?;
    settings.base_url = flags.base_url.clone().or(settings.base_url);
    Ok(Some(Sourced::new(settings, origin)))
}

/// Returns the name of the provider to use, with its origin: `--offline`, then `--provider`, then the nearest file with a
/// default.
fn chosen_name(flags: &Flags, files: &[ConfigFile]) -> Option<Sourced<String>> {
    match (&flags.provider, flags.offline) {
        (_, true) => Some(Sourced::new("offline".to_owned(), Origin::Flag("--offline"))),
        (Some(name), _) => Some(Sourced::new(name.clone(), Origin::Flag("--provider"))),
        (None, _) => {
            in_files(files, &["defaults", "provider"], |file| file.content.defaults.provider.clone())
        }
    }
}

/// Returns all names by which providers can be chosen: those of the registry, then those of files.
pub(crate) fn known_names(files: &[ConfigFile]) -> Vec<String> {
    let registered = registry::entries().iter().map(|entry| entry.name.clone());
    let of_files = files.iter().flat_map(|file| file.content.providers.keys().cloned());
    let mut names: Vec<String> = Vec::new();
    for name in registered.chain(of_files) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Merges the entries of a provider in all files; nearer files override the others.
pub(crate) fn entry_of(name: &str, files: &[ConfigFile]) -> Option<ProviderEntry> {
    let entries = files.iter().filter_map(|file| file.content.providers.get(name)).cloned();
    entries.reduce(|nearer, below| nearer.over(&below))
}

/// Returns the settings of a provider from environment and files. A missing key is not an error here, since a listing or an
/// estimate needs none; building the provider reports it.
///
/// # Errors
/// An unknown name, with a similar one if there is one; an entry that has no kind, or another kind than the registry has for the
/// name; a timeout that is not positive.
pub(crate) fn named_provider(
    name: &str,
    env: &Environment,
    files: &[ConfigFile],
) -> Result<ProviderSettings, ConfigError> {
    let entry = entry_of(name, files);
    let kind = kind_of(name, entry.as_ref(), files)?;
    check_timeouts(name, files)?;
    Ok(ProviderSettings::of_entry(name, kind, entry, env))
}

/// Returns the kind of a provider: the entry's, which must agree with the registry's if the registry has the name, else the
/// registry's.
fn kind_of(
    name: &str,
    entry: Option<&ProviderEntry>,
    files: &[ConfigFile],
) -> Result<&'static Kind, ConfigError> {
    let registered = registry::entry(name).map(|registered| registered.kind);
    let Some(kind) = entry.and_then(|entry| entry.kind).or(registered) else {
        return Err(without_kind(name, entry.is_some(), files));
    };
    if registered.is_some_and(|registered| registered != kind) {
        let message = format!("the name {name} is taken: a provider of another kind needs another name");
        return Err(place_of(name, "kind", files).error(message));
    }
    Ok(kind)
}

/// Creates the error of a name without a kind: an entry that lacks it, or a name that is in no file and not in the registry.
fn without_kind(name: &str, is_entered: bool, files: &[ConfigFile]) -> ConfigError {
    let names = known_names(files);
    let known = || names.iter().map(String::as_str).filter(|known| *known != name);
    if is_entered {
        let near = near_name(name, known());
        let or = near.map(|near| format!(", or did you mean {near}?")).unwrap_or_default();
        let message = format!("the provider {name} needs a kind, such as kind = \"compatible\"{or}");
        return place_of(name, "kind", files).error(message);
    }
    ConfigError::new(format!("unknown provider {name}; {}", similar(name, &known().collect::<Vec<_>>())))
}

/// Returns the place of an option in the nearest file that has it, else that of the provider's entry.
pub(crate) fn place_of(name: &str, option: &str, files: &[ConfigFile]) -> Origin {
    place_in(name, option, None, files)
}

/// Returns the place of a key in a table of an entry, else that of the table, else that of the entry.
pub(crate) fn place_in(name: &str, option: &str, key: Option<&str>, files: &[ConfigFile]) -> Origin {
    // The earlier name of the option.
    let names = if option == "extra_body" { vec![option, "extra"] } else { vec![option] };
    let in_table =
        key.into_iter().flat_map(|key| names.iter().map(move |option| vec!["providers", name, *option, key]));
    let exact = in_table.chain(names.iter().map(|option| vec!["providers", name, *option]));
    let places = exact.chain([vec!["providers", name]]).map(|key| origin_of(files, &key));
    places.into_iter().find(|place| *place != Origin::Default).unwrap_or(Origin::Default)
}

/// Checks both timeouts of an entry: a number of seconds above 0 that a [`Duration`] can hold, so neither infinite nor NaN.
fn check_timeouts(name: &str, files: &[ConfigFile]) -> Result<(), ConfigError> {
    let is_positive = |seconds: &f64| *seconds > 0.0 && Duration::try_from_secs_f64(*seconds).is_ok();
    let timeouts = [
        in_entries(files, name, "timeout", |entry| entry.timeout),
        in_entries(files, name, "call_timeout", |entry| entry.call_timeout),
    ];
    match timeouts.into_iter().flatten().find(|timeout| !is_positive(&timeout.value)) {
        Some(Sourced { value, origin }) => {
            Err(origin.error(format!("invalid timeout of {value} s: it must be positive")))
        }
        None => Ok(()),
    }
}

/// Returns the variables in which the key is looked up: the entry's, else those of the vendor in the registry, else the kind's.
fn key_variables(name: &str, kind: &Kind, entry: &ProviderEntry) -> Vec<String> {
    match (&entry.key_env, registry::entry(name)) {
        (Some(variable), _) => vec![variable.clone()],
        (None, Some(registered)) => registered.key_env.clone(),
        (None, None) => kind.key_env.iter().map(|&variable| variable.to_owned()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use antiphon_providers::registry::Options;

    use super::{ConfigFile, Environment, Flags};
    use crate::settings::resolve;

    #[test]
    fn the_call_timeout_is_per_provider_and_positive() {
        let options = |text: &str| {
            let file = |path, text| ConfigFile::parse(path, text).unwrap();
            let files =
                [file("a.toml", text), file("user.toml", "[providers.ollama]\ncall_timeout = 7200\n")];
            resolve(&Flags::default().provider("ollama"), &Environment::default(), &files)
        };
        let settings = options("[providers.ollama]\ntimeout = 30\n").unwrap();
        let mut set = Options::new("ollama");
        settings.provider.unwrap().value.entry.set(&mut set);
        assert_eq!(set.call_timeout.map(|time| time.as_secs()), Some(7_200));
        let err = options("[providers.ollama]\ncall_timeout = 0\n").unwrap_err().to_string();
        assert_eq!(err, "a.toml:2: invalid timeout of 0 s: it must be positive");
    }

    #[test]
    fn the_key_names_the_variable_that_it_was_read_from() {
        let env = Environment::from_iter([("GEMINI_API_KEY", " "), ("GOOGLE_API_KEY", "k")]);
        let settings = resolve(&Flags::default().provider("gemini"), &env, &[]).unwrap();
        let gemini = settings.provider.unwrap().value;
        assert_eq!((gemini.key_variable.as_deref(), gemini.key_env.len()), (Some("GOOGLE_API_KEY"), 2));
    }

    #[test]
    fn the_default_provider_of_a_file_is_checked_at_its_line() {
        let file = ConfigFile::parse("a.toml", "[defaults]\nprovider = \"opanai\"\n").unwrap();
        let err = resolve(&Flags::default(), &Environment::default(), &[file]).unwrap_err();
        assert!(!err.is_of_flags());
        assert_eq!(err.to_string(), "a.toml:2: unknown provider opanai; did you mean openai?");
    }
}
