use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use antiphon_engine::near_name;
use antiphon_providers::local::EngineAddress;
use antiphon_providers::registry::{self, Kind, Options};
use secrecy::SecretString;
use serde::Deserialize;

use crate::config_file::ConfigFile;
use crate::environment::Environment;
use crate::error::ConfigError;
use crate::flags::Flags;
use crate::settings::{Origin, Settings, Sourced, in_files};

/// The settings of one provider: its address, its key and its options.
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
    pub key_env: Vec<String>,
    /// The key; `None` if it is not set.
    pub key: Option<SecretString>,
    /// Whether a key, an address or a kind is configured.
    pub is_configured: bool,
    /// Whether a configuration file has an entry for the provider.
    pub is_entered: bool,
    /// The other options of the configuration.
    pub(crate) entry: ProviderEntry,
}

/// `[providers.NAME]` of a configuration file.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProviderEntry {
    pub(crate) kind: Option<&'static Kind>,
    pub(crate) base_url: Option<String>,
    pub(crate) key_env: Option<String>,
    /// The model to ask when no flag names one.
    pub(crate) model: Option<String>,
    /// The fallbacks, each as `provider/model`.
    pub(crate) fallback: Option<Vec<String>>,
    /// The timeout for the first token, and between two tokens. Seconds.
    pub(crate) timeout: Option<f64>,
    /// The timeout for a whole call. Seconds.
    pub(crate) call_timeout: Option<f64>,
    /// The route of a kind that has several: `chat` or `responses`, `chat` or `generate`, `chat` or `native`.
    pub(crate) route: Option<String>,
    /// The context size, prompt and answer together, for a server that takes it from its callers. Tokens.
    pub(crate) context: Option<u64>,
    /// The scheme in which the key is sent, for the kind `compatible`.
    pub(crate) auth: Option<String>,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) schema: Option<String>,
    pub(crate) token_limit: Option<String>,
    #[serde(default)]
    pub(crate) extra: BTreeMap<String, toml::Value>,
}

impl ProviderSettings {
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
                is_configured: false,
                is_entered: false,
                entry: ProviderEntry::default(),
            },
        })
    }
}

impl fmt::Debug for ProviderEntry {
    /// Formats the entry without its headers and extra fields, which may contain a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, base_url, key_env, model, route, .. } = self;
        f.debug_struct("ProviderEntry")
            .field("kind", kind)
            .field("base_url", base_url)
            .field("key_env", key_env)
            .field("model", model)
            .field("route", route)
            .finish_non_exhaustive()
    }
}

impl ProviderEntry {
    /// Sets the timeout of a whole call, and the options that only some kinds take.
    pub(crate) fn set(&self, options: &mut Options) {
        let as_json =
            |(name, value): (&String, &toml::Value)| Some((name.clone(), serde_json::to_value(value).ok()?));
        options.call_timeout = self.call_timeout.and_then(|time| Duration::try_from_secs_f64(time).ok());
        options.route.clone_from(&self.route);
        options.context = self.context;
        options.auth.clone_from(&self.auth);
        options.headers.clone_from(&self.headers);
        options.schema.clone_from(&self.schema);
        options.token_limit.clone_from(&self.token_limit);
        options.extra = self.extra.iter().filter_map(as_json).collect();
    }

    /// Returns whether `key_env`, if it is set, can be a variable's name: upper-case letters, digits and `_`, unlike a key.
    pub(crate) fn names_a_variable(&self) -> bool {
        let is_of_names = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
        self.key_env.as_ref().is_none_or(|name| !name.is_empty() && name.bytes().all(is_of_names))
    }

    /// Returns this entry, with the options that it leaves open from another one.
    fn over(self, below: &Self) -> Self {
        let (mut headers, mut extra) = (below.headers.clone(), below.extra.clone());
        headers.extend(self.headers);
        extra.extend(self.extra);
        Self {
            kind: self.kind.or(below.kind),
            base_url: self.base_url.or(below.base_url.clone()),
            key_env: self.key_env.or(below.key_env.clone()),
            model: self.model.or(below.model.clone()),
            fallback: self.fallback.or(below.fallback.clone()),
            timeout: self.timeout.or(below.timeout),
            call_timeout: self.call_timeout.or(below.call_timeout),
            route: self.route.or(below.route.clone()),
            context: self.context.or(below.context),
            auth: self.auth.or(below.auth.clone()),
            schema: self.schema.or(below.schema.clone()),
            token_limit: self.token_limit.or(below.token_limit.clone()),
            headers,
            extra,
        }
    }
}

/// Returns the settings of the named provider, if one is named.
pub(crate) fn provider(
    flags: &Flags,
    env: &Environment,
    files: &[ConfigFile],
) -> Result<Option<Sourced<ProviderSettings>>, ConfigError> {
    let named = match (&flags.provider, flags.offline) {
        (_, true) => Some(Sourced::new("offline".to_owned(), Origin::Flag("--offline"))),
        (Some(name), _) => Some(Sourced::new(name.clone(), Origin::Flag("--provider"))),
        (None, _) => in_files(files, |file| file.content.defaults.provider.clone()),
    };
    let Some(Sourced { value: name, origin }) = named else {
        return match &flags.base_url {
            Some(_) => {
                Err(ConfigError::new("--base-url needs a provider: add --provider compatible").of_flags())
            }
            None => Ok(None),
        };
    };
    let mut settings = named_provider(&name, env, files).map_err(|err| match origin {
        Origin::Flag(_) if entry_of(&name, files).is_none() => err.of_flags(),
        _ => err,
    })?;
    settings.base_url = flags.base_url.clone().or(settings.base_url);
    Ok(Some(Sourced::new(settings, origin)))
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

/// Returns the settings of a provider from environment and files.
pub(crate) fn named_provider(
    name: &str,
    env: &Environment,
    files: &[ConfigFile],
) -> Result<ProviderSettings, ConfigError> {
    let entry = entry_of(name, files);
    let registered = registry::entry(name);
    let entered_kind = entry.as_ref().and_then(|entry| entry.kind);
    let Some(kind) = entered_kind.or(registered.map(|registered| registered.kind)) else {
        let known = known_names(files);
        let near = near_name(name, known.iter().map(String::as_str));
        let advice =
            near.map_or(format!("known are {}", known.join(", ")), |near| format!("did you mean {near}?"));
        return Err(match entry {
            Some(_) => ConfigError::new(format!("the provider {name} needs a kind in antiphon.toml")),
            None => ConfigError::new(format!("unknown provider {name}; {advice}")),
        });
    };
    if registered.is_some_and(|registered| registered.kind != kind) {
        let message = format!(
            "the name {name} is taken: a provider of another kind needs another name in antiphon.toml"
        );
        return Err(ConfigError::new(message));
    }
    let is_positive = |seconds: &f64| *seconds > 0.0 && Duration::try_from_secs_f64(*seconds).is_ok();
    let time_outs = entry.iter().flat_map(|entry| [entry.timeout, entry.call_timeout]).flatten();
    if let Some(seconds) = time_outs.into_iter().find(|seconds| !is_positive(seconds)) {
        let message = format!(
            "invalid timeout of {seconds} s (the provider {name} in antiphon.toml): it must be positive"
        );
        return Err(ConfigError::new(message));
    }
    let is_entered = entry.is_some();
    let entry = entry.unwrap_or_default();
    let key_env = match (&entry.key_env, registered) {
        (Some(variable), _) => vec![variable.clone()],
        (None, Some(registered)) => registered.key_env.clone(),
        (None, None) => kind.key_env.iter().map(|&variable| variable.to_owned()).collect(),
    };
    let of_env = kind.base_url_env.filter(|_| name == kind.name).and_then(|variable| env.get(variable.name));
    let key = key_env.iter().find_map(|variable| env.secret(variable));
    Ok(ProviderSettings {
        name: name.to_owned(),
        kind,
        // Other options, such as a timeout, do not mean that the provider is set up.
        is_configured: entry.kind.is_some() || entry.base_url.is_some() || of_env.is_some() || key.is_some(),
        is_entered,
        base_url: of_env.map(str::to_owned).or(entry.base_url.clone()),
        key,
        key_env,
        entry,
    })
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
        assert_eq!(err, "invalid timeout of 0 s (the provider ollama in antiphon.toml): it must be positive");
    }
}
