use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use antiphon_engine::near_name;
use secrecy::SecretString;
use serde::Deserialize;

use super::config_file::ConfigFile;
use super::environment::Environment;
use super::settings::{ConfigError, Flags, Origin, Sourced, in_files};

/// A provider, and what is needed to reach it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ProviderSettings {
    /// The name it goes by.
    pub name: String,
    /// What it speaks.
    pub kind: Kind,
    /// Where it is; `None`: where its kind usually is.
    pub base_url: Option<String>,
    /// The variables that its key is looked for in, in this order; none: it needs no key.
    pub key_env: Vec<String>,
    /// Its key.
    pub key: Option<SecretString>,
    /// Whether somebody set it up: a key, an address, or an entry in a file.
    pub is_configured: bool,
    /// Whether the files have an entry for it.
    pub(crate) is_entered: bool,
    /// What else the configuration says of it.
    pub(super) entry: ProviderEntry,
}

/// The kinds of providers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Kind {
    /// OpenAI.
    OpenAi,
    /// Anthropic.
    Anthropic,
    /// Google's Gemini.
    Gemini,
    /// Ollama.
    Ollama,
    /// llama.cpp's server.
    LlamaCpp,
    /// Any server that speaks OpenAI's chat completions.
    Compatible,
    /// No model and no network.
    Offline,
}

/// The names of the built-in providers; those of vendors that speak OpenAI's format are beside them.
pub const KINDS: [(&str, Kind); 7] = [
    ("openai", Kind::OpenAi),
    ("anthropic", Kind::Anthropic),
    ("gemini", Kind::Gemini),
    ("ollama", Kind::Ollama),
    ("llamacpp", Kind::LlamaCpp),
    ("compatible", Kind::Compatible),
    ("offline", Kind::Offline),
];

/// `[providers.NAME]` of a configuration file.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProviderEntry {
    pub(super) kind: Option<Kind>,
    pub(super) base_url: Option<String>,
    pub(super) key_env: Option<String>,
    /// The model to ask when no flag names one.
    pub(super) model: Option<String>,
    /// Seconds.
    pub(super) timeout: Option<f64>,
    /// The route to ask by where a kind has several: `chat` or `responses`, `chat` or `generate`, `chat` or `native`.
    pub(super) route: Option<String>,
    /// The tokens that prompt and answer may have together, where the server takes that from its callers.
    pub(super) context: Option<u64>,
    /// How the key is sent, of the kind `compatible`.
    pub(super) auth: Option<String>,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    pub(super) schema: Option<String>,
    pub(super) token_limit: Option<String>,
    #[serde(default)]
    pub(super) extra: BTreeMap<String, toml::Value>,
}

#[cfg(any(feature = "compatible", feature = "llamacpp", feature = "ollama"))]
impl ProviderSettings {
    /// An engine that was found.
    pub(super) fn of_engine(
        engine: &antiphon_providers::local::Engine,
        settings: &super::settings::Settings,
    ) -> Self {
        let kind = match engine.name {
            "ollama" if cfg!(feature = "ollama") => Kind::Ollama,
            "llamacpp" if cfg!(feature = "llamacpp") => Kind::LlamaCpp,
            _ => Kind::Compatible,
        };
        let base_url = match kind {
            Kind::Ollama => engine.root.clone(),
            _ => engine.base_url(),
        };
        // What is said of an engine elsewhere, a key say, is not for whoever answers here.
        let is_here = |known: &&Self| {
            known.kind == Kind::Ollama
                || known.base_url.as_deref().is_none_or(|url| root_of(url) == engine.root)
        };
        match settings.engines.get(engine.name).filter(is_here) {
            Some(known) => Self { base_url: Some(base_url), kind, ..known.clone() },
            None => Self {
                name: engine.name.to_owned(),
                kind,
                base_url: Some(base_url),
                key_env: Vec::new(),
                key: None,
                is_configured: false,
                is_entered: false,
                entry: ProviderEntry::default(),
            },
        }
    }
}

/// An engine's address without the path of its OpenAI-compatible interface.
#[cfg(any(feature = "compatible", feature = "llamacpp", feature = "ollama"))]
pub(super) fn root_of(base_url: &str) -> &str {
    base_url.trim_end_matches('/').trim_end_matches("/v1")
}

impl fmt::Debug for ProviderEntry {
    /// Without its headers and extra fields: somebody may have put a key there.
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
    /// Whether its `key_env`, if it has one, can be a variable's name. A key has other letters than a name has.
    pub(super) fn names_a_variable(&self) -> bool {
        let is_of_names = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
        self.key_env.as_ref().is_none_or(|name| !name.is_empty() && name.bytes().all(is_of_names))
    }

    /// This entry, and what it leaves open as another one says.
    fn over(self, below: &Self) -> Self {
        let (mut headers, mut extra) = (below.headers.clone(), below.extra.clone());
        headers.extend(self.headers);
        extra.extend(self.extra);
        Self {
            kind: self.kind.or(below.kind),
            base_url: self.base_url.or(below.base_url.clone()),
            key_env: self.key_env.or(below.key_env.clone()),
            model: self.model.or(below.model.clone()),
            timeout: self.timeout.or(below.timeout),
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

impl ProviderSettings {
    /// Refuses what this kind of provider does not heed: a setting without effect would be a lie.
    pub(super) fn check(&self) -> Result<(), String> {
        let ProviderEntry { route, context, auth, headers, schema, token_limit, extra, .. } = &self.entry;
        let is_compatible = self.kind == Kind::Compatible;
        let has_routes = matches!(self.kind, Kind::OpenAi | Kind::Ollama | Kind::LlamaCpp);
        let set = [
            ("route", route.is_some() && !has_routes),
            ("context", context.is_some() && self.kind != Kind::Ollama),
            ("auth", auth.is_some() && !is_compatible),
            ("headers", !headers.is_empty() && !is_compatible),
            ("schema", schema.is_some() && !is_compatible),
            ("token_limit", token_limit.is_some() && !is_compatible),
            ("extra", !extra.is_empty() && !is_compatible),
        ];
        match set.iter().find(|(_, is_idle)| *is_idle) {
            Some((key, _)) => {
                Err(format!("the provider {} is of the kind {} and has no {key}", self.name, self.kind))
            }
            None => Ok(()),
        }
    }
}

impl Kind {
    /// The variables that its key is looked for in.
    fn key_env(self) -> &'static [&'static str] {
        match self {
            Self::OpenAi => &["OPENAI_API_KEY"],
            Self::Anthropic => &["ANTHROPIC_API_KEY"],
            Self::Gemini => &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
            Self::Ollama | Self::LlamaCpp | Self::Compatible | Self::Offline => &[],
        }
    }

    /// The variable for its address.
    fn base_url_env(self) -> Option<&'static str> {
        match self {
            Self::OpenAi => Some("OPENAI_BASE_URL"),
            Self::Ollama => Some("OLLAMA_HOST"),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        KINDS.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The variable for the key of a vendor that is known by name; `None` for a name that is not.
#[cfg(feature = "compatible")]
fn vendor_key(name: &str) -> Option<Option<String>> {
    antiphon_providers::Vendor::find(name).map(|vendor| vendor.key_env)
}

#[cfg(not(feature = "compatible"))]
fn vendor_key(_: &str) -> Option<Option<String>> {
    None
}

#[cfg(feature = "compatible")]
fn vendors() -> Vec<String> {
    antiphon_providers::Vendor::shipped().into_iter().map(|vendor| vendor.name).collect()
}

#[cfg(not(feature = "compatible"))]
fn vendors() -> Vec<String> {
    Vec::new()
}

/// The provider that holds, if one is named.
pub(super) fn provider(
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

/// All providers that are known by a name: the built-in ones, the vendors', and those of files.
pub(super) fn known_names(files: &[ConfigFile]) -> Vec<String> {
    let built_in = KINDS.iter().map(|(name, _)| (*name).to_owned());
    let of_files = files.iter().flat_map(|file| file.content.providers.keys().cloned());
    let mut names: Vec<String> = Vec::new();
    for name in built_in.chain(vendors()).chain(of_files) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// What all files together say of a provider, the nearer ones over the others.
pub(super) fn entry_of(name: &str, files: &[ConfigFile]) -> Option<ProviderEntry> {
    let entries = files.iter().filter_map(|file| file.content.providers.get(name)).cloned();
    entries.reduce(|nearer, below| nearer.over(&below))
}

/// What environment and files say of a provider.
pub(super) fn named_provider(
    name: &str,
    env: &Environment,
    files: &[ConfigFile],
) -> Result<ProviderSettings, ConfigError> {
    let entry = entry_of(name, files);
    let vendor_key = vendor_key(name);
    let built_in = KINDS.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind);
    let built_in = built_in.or(vendor_key.is_some().then_some(Kind::Compatible));
    let told = entry.as_ref().and_then(|entry| entry.kind);
    let Some(kind) = told.or(built_in) else {
        let known = known_names(files);
        let near = near_name(name, known.iter().map(String::as_str));
        let advice =
            near.map_or(format!("known are {}", known.join(", ")), |near| format!("did you mean {near}?"));
        return Err(match entry {
            Some(_) => ConfigError::new(format!("the provider {name} needs a kind in antiphon.toml")),
            None => ConfigError::new(format!("unknown provider {name}; {advice}")),
        });
    };
    if told.zip(built_in).is_some_and(|(told, built_in)| told != built_in) {
        let message = format!(
            "the name {name} is taken: a provider of another kind needs another name in antiphon.toml"
        );
        return Err(ConfigError::new(message));
    }
    if let Some(seconds) = entry.as_ref().and_then(|entry| entry.timeout)
        && !(seconds > 0.0 && Duration::try_from_secs_f64(seconds).is_ok())
    {
        let message = format!(
            "a time-out of {seconds} s (the provider {name} in antiphon.toml) cannot be: it must be positive"
        );
        return Err(ConfigError::new(message));
    }
    let is_entered = entry.is_some();
    let entry = entry.unwrap_or_default();
    let key_env = match entry.key_env.clone().or(vendor_key.flatten()) {
        Some(variable) => vec![variable],
        None => kind.key_env().iter().map(|&variable| variable.to_owned()).collect(),
    };
    let of_env = kind.base_url_env().filter(|_| name == kind.name()).and_then(|variable| env.get(variable));
    let key = key_env.iter().find_map(|variable| env.secret(variable));
    Ok(ProviderSettings {
        name: name.to_owned(),
        kind,
        // How long to wait, say, tells nothing of whether it is there.
        is_configured: entry.kind.is_some() || entry.base_url.is_some() || of_env.is_some() || key.is_some(),
        is_entered,
        base_url: of_env.map(str::to_owned).or(entry.base_url.clone()),
        key,
        key_env,
        entry,
    })
}
