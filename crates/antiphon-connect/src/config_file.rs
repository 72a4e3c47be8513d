//! Configuration files, parsed strictly: an unknown key is an error with its line and a similar known key.
//!
//! ```text
//! [defaults]
//! provider = "lab"
//! model = "small"
//! fallback = ["anthropic/claude-haiku-4-5"]
//! max_concurrency = 16
//! max_cost = 2.5
//!
//! [providers.lab]
//! kind = "compatible"
//! base_url = "http://lab:8080/v1"
//!
//! [retry]
//! max_retries = 7
//!
//! [output]
//! dir = "antiphon-out"
//!
//! [prices.lab.small]
//! input = 0.1
//! output = 0.4
//! ```

use std::collections::BTreeMap;
use std::path::PathBuf;

use antiphon_engine::{read_toml, without_value};
use antiphon_fs::ErrorKind;
use antiphon_llm::with_sampling_params;
use antiphon_providers::prices::Prices;
use serde::Deserialize;

use crate::entry::ProviderEntry;
use crate::environment::Environment;
use crate::error::ConfigError;
use crate::lines::Lines;
use crate::origin::Origin;
use crate::provider::similar;

/// A parsed `antiphon.toml`.
///
/// The file has default settings, entries for providers and prices. An unknown key is an error, so that a misspelt setting is not
/// ignored. Keys (secrets) belong in environment variables: an entry names the variable in `key_env`.
///
/// ```
/// use antiphon_connect::ConfigFile;
///
/// let err = ConfigFile::parse("antiphon.toml", "[defaults]\nmodle = \"small\"\n").unwrap_err();
/// assert_eq!(err.to_string(), "antiphon.toml:2: unknown key modle; did you mean model?");
/// ```
#[derive(Debug, Clone)]
pub struct ConfigFile {
    /// The path, as the origin of values in messages.
    pub(crate) path: String,
    /// The settings.
    pub(crate) content: Content,
    /// The prices, taken out of the content and checked.
    pub(crate) prices: Prices,
    /// The prices as they are written, for a listing.
    pub(crate) price_tables: toml::Table,
    /// The lines of all keys.
    lines: Lines,
}

/// The tables of a file, as they are written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Content {
    pub(crate) defaults: Defaults,
    /// The entries by the names of providers.
    pub(crate) providers: BTreeMap<String, ProviderEntry>,
    /// The prices by vendor and model; `None` after [`ConfigFile::parse`], which moves them.
    prices: Option<toml::Table>,
    pub(crate) retry: Retry,
    pub(crate) output: Output,
}

with_sampling_params! {
/// `[defaults]`: the values of runs that set none themselves.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Defaults {
    pub(crate) provider: Option<String>,
    /// The model. Not used for a provider that a flag names, unless that is `provider`.
    pub(crate) model: Option<String>,
    /// The fallbacks, each as `provider/model`.
    pub(crate) fallback: Option<Vec<String>>,
    /// Earlier name: `concurrency`.
    #[serde(alias = "concurrency")]
    pub(crate) max_concurrency: Option<usize>,
    /// The most that a run may cost. US dollars.
    pub(crate) max_cost: Option<f64>,
}
}

/// `[retry]`: the retries of failed calls.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Retry {
    /// The maximum number of retries of one call, not counting the first attempt.
    pub(crate) max_retries: Option<u32>,
}

/// `[output]`: the place of results.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Output {
    /// The folder for results; a relative one is below the working folder.
    pub(crate) dir: Option<String>,
}

impl ConfigFile {
    /// Reads `antiphon.toml` in the working folder, then the user's file; see [`places`](Self::places). A file that does not exist
    /// is skipped. The order of the list is the order of precedence in which [`resolve`](crate::resolve) expects the files.
    ///
    /// # Errors
    /// The errors of [`parse`](Self::parse); also for a file that exists and cannot be read.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn load_all(env: &Environment) -> Result<Vec<Self>, ConfigError> {
        let mut files = Vec::new();
        for place in Self::places(env) {
            if let Some(text) = place.read().await? {
                files.push(Self::parse(&place.path.display().to_string(), &text)?);
            }
        }
        Ok(files)
    }

    /// Returns the places at which files are looked for, the nearest first: `antiphon.toml` in the working folder, then
    /// `antiphon/antiphon.toml` below `$XDG_CONFIG_HOME`, or below `$HOME/.config` if that variable is not set. The user's place is
    /// missing if neither variable is set.
    #[must_use]
    pub fn places(env: &Environment) -> Vec<ConfigPlace> {
        let home = || env.get("HOME").map(|home| PathBuf::from(home).join(".config"));
        let user = env.get("XDG_CONFIG_HOME").map(PathBuf::from).or_else(home);
        let project = ConfigPlace { path: PathBuf::from("antiphon.toml"), is_users: false };
        let of_user = |folder: PathBuf| folder.join("antiphon").join("antiphon.toml");
        let user = user.map(|folder| ConfigPlace { path: of_user(folder), is_users: true });
        std::iter::once(project).chain(user).collect()
    }

    /// Parses `text`, the content of a configuration file. `path` is only used as the origin in messages; the file is not read.
    ///
    /// # Errors
    /// An error for invalid syntax, an unknown key or an invalid value, with file and line; for an unknown key with a similar
    /// known one. The message never repeats a value, since the file may contain an API key.
    pub fn parse(path: &str, text: &str) -> Result<Self, ConfigError> {
        let lines = Lines::of(text);
        if let Some((name, line)) = lines.twice("extra", "extra_body") {
            let message = format!(
                "extra is an earlier name of extra_body, and both are set for the provider {name}: write all fields below extra_body"
            );
            return Err(Origin::File { path: path.to_owned(), line }.error(message));
        }
        let mut content: Content = read_toml(path, text).map_err(|err| ConfigError::new(err.to_string()))?;
        let price_tables = content.prices.take().unwrap_or_default();
        let mut file =
            Self { path: path.to_owned(), content, prices: Prices::default(), price_tables, lines };
        if let Some((name, _)) = file.content.providers.iter().find(|(_, entry)| !entry.names_a_variable()) {
            // Without the value: it may be the key itself.
            let message = "key_env is the name of an environment variable, as in \"LAB_API_KEY\": a key does not belong here";
            return Err(file.origin(&["providers", name, "key_env"]).error(message));
        }
        if let Some((name, header)) = file
            .content
            .providers
            .iter()
            .find_map(|(name, entry)| Some((name, entry.header_without_variable()?)))
        {
            let message = format!(
                "headers_env has for {header} no name of an environment variable, as in \"LAB_TOKEN\": a secret does not belong here"
            );
            return Err(file.origin(&["providers", name, "headers_env", header]).error(message));
        }
        file.check_sampling()?;
        file.prices = file.checked_prices()?;
        Ok(file)
    }

    /// Checks the values of the sampling parameters, so that a mistake is reported with its line.
    fn check_sampling(&self) -> Result<(), ConfigError> {
        let defaults = self.content.defaults.sampling().check();
        defaults.map_err(|err| self.origin(&["defaults", err.name]).error(&err))?;
        self.content.providers.iter().try_for_each(|(name, entry)| {
            let checked = entry.sampling().check();
            checked.map_err(|err| self.origin(&["providers", name, err.name]).error(&err))
        })
    }

    /// Returns whether the file has a key.
    pub(crate) fn has(&self, key: &[&str]) -> bool {
        self.lines.has(key)
    }

    /// Returns the variables that have the keys and the secret headers of providers.
    pub(crate) fn secret_variables(&self) -> impl Iterator<Item = &str> {
        let entries = self.content.providers.values();
        entries.flat_map(|entry| entry.key_env.iter().chain(entry.headers_env.values())).map(String::as_str)
    }

    /// Returns whether an entry names a variable as that of its key.
    pub(crate) fn has_key_in(&self, variable: &str) -> bool {
        self.content.providers.values().any(|entry| entry.key_env.as_deref() == Some(variable))
    }

    /// Returns the origin of a key: its line, else that of the table around it.
    pub(crate) fn origin(&self, key: &[&str]) -> Origin {
        Origin::File { path: self.path.clone(), line: self.lines.line(key) }
    }

    /// Checks the prices, one model after the other, so that a mistake is reported with its line.
    fn checked_prices(&self) -> Result<Prices, ConfigError> {
        let mut all = Prices::default();
        for (vendor, models) in &self.price_tables {
            let one = |value: &toml::Value| toml::Table::from_iter([(vendor.clone(), value.clone())]);
            let toml::Value::Table(models) = models else {
                all = all.with(self.parsed_prices(&[vendor], &one(models))?);
                continue;
            };
            for (model, entry) in models {
                let entry = toml::Table::from_iter([(model.clone(), entry.clone())]);
                all = all.with(self.parsed_prices(&[vendor, model], &one(&toml::Value::Table(entry)))?);
            }
        }
        Ok(all)
    }

    /// Parses the prices of one model, which `key` names below `[prices]`.
    fn parsed_prices(&self, key: &[&String], table: &toml::Table) -> Result<Prices, ConfigError> {
        Prices::parse("", &table.to_string()).map_err(|err| {
            let mut key: Vec<&str> =
                std::iter::once("prices").chain(key.iter().map(|part| part.as_str())).collect();
            let message = err.to_string();
            // The line is that of the table alone.
            let message = message.trim_start_matches(|c: char| c == ':' || c == ' ' || c.is_ascii_digit());
            let Some((field, expected)) = unknown_field(message) else {
                return self.origin(&key).error(without_value(message));
            };
            // A model's name with a dot begins a nested table, so that its end is read as a key.
            let is_table = table
                .values()
                .filter_map(|models| models.as_table()?.values().next()?.get(field))
                .any(toml::Value::is_table);
            key.push(field);
            let advice = if is_table {
                "put a model's name with a dot in quotes, as in \"gpt-4.1\"".to_owned()
            } else {
                similar(field, &expected)
            };
            self.origin(&key).error(format!("unknown key {field}; {advice}"))
        })
    }
}

/// A place at which a configuration file is looked for.
///
/// ```
/// use antiphon_connect::{ConfigFile, Environment};
///
/// let places = ConfigFile::places(&Environment::from_iter([("XDG_CONFIG_HOME", "settings")]));
/// assert_eq!(places[0].path.to_str(), Some("antiphon.toml"));
/// assert!(places[1].is_users && places[1].path.starts_with("settings/antiphon"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigPlace {
    /// The path of the file.
    pub path: PathBuf,
    /// Whether the file is the user's, and not that of the working folder.
    pub is_users: bool,
}

impl ConfigPlace {
    /// Returns whether the file exists.
    ///
    /// # Errors
    /// An error with the path if that cannot be found out, such as for a lack of permission.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn exists(&self) -> Result<bool, ConfigError> {
        match antiphon_fs::metadata(&self.path).await {
            Ok(_) => Ok(true),
            Err(err) if is_missing(&err) => Ok(false),
            Err(err) => Err(ConfigError::unusable(&err)),
        }
    }

    /// Reads the file; `None` if it does not exist.
    ///
    /// # Errors
    /// An error with the path for a file that exists and cannot be read, such as for a lack of permission.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn read(&self) -> Result<Option<String>, ConfigError> {
        match antiphon_fs::read_to_string(&self.path).await {
            Ok(text) => Ok(Some(text.text.into_owned())),
            Err(err) if is_missing(&err) => Ok(None),
            Err(err) => Err(ConfigError::unusable(&err)),
        }
    }
}

/// Returns the origin of a key in the nearest file that has it.
pub(crate) fn origin_of(files: &[ConfigFile], key: &[&str]) -> Origin {
    files.iter().find(|file| file.has(key)).map_or(Origin::Default, |file| file.origin(key))
}

/// Returns whether a file does not exist. A home that is a file, such as `/dev/null` in a container, has no folder for one either.
fn is_missing(err: &antiphon_fs::Error) -> bool {
    let source = std::error::Error::source(err).and_then(|source| source.downcast_ref::<std::io::Error>());
    let is_no_folder = source.is_some_and(|source| source.kind() == std::io::ErrorKind::NotADirectory);
    err.kind() == ErrorKind::NotFound || is_no_folder
}

/// Returns the field that a message of the prices' parser rejects, and the known ones.
fn unknown_field(message: &str) -> Option<(&str, Vec<&str>)> {
    let (field, rest) = message.strip_prefix("unknown field `")?.split_once('`')?;
    Some((field, rest.split('`').skip(1).step_by(2).collect()))
}

#[cfg(test)]
mod tests {
    use super::{ConfigFile, Environment};

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(ConfigFile::parse("a.toml", text).unwrap_err().to_string(), expected);
    }

    #[test]
    fn the_earlier_name_of_the_concurrency_limit_is_understood() {
        let most = |text| ConfigFile::parse("a.toml", text).unwrap().content.defaults.max_concurrency;
        assert_eq!(
            (most("[defaults]\nmax_concurrency = 3"), most("[defaults]\nconcurrency = 3")),
            (Some(3), Some(3))
        );
        check(
            "[defaults]\nconcurrency = 3\nmax_concurrency = 4\n",
            "a.toml:1: duplicate field `max_concurrency`",
        );
    }

    #[test]
    fn a_misspelt_name_is_answered_by_the_similar_one() {
        check("[providers.x]\nkind = \"opnai\"\n", "a.toml:2: unknown kind; did you mean openai?");
        check(
            "[providers.x]\nkind = \"sk-secret\"\n",
            "a.toml:2: unknown kind; known are openai, anthropic, gemini, ollama, llamacpp, compatible, offline",
        );
        check(
            "[providers.x]\nschema = \"jsonschema\"\n",
            "a.toml:2: unknown mode in schema; did you mean json_schema?",
        );
        check("[prices.lab.m]\noutput = 1\ninptu = 1\n", "a.toml:3: unknown key inptu; did you mean input?");
        check(
            "[prices.lab.\"m.1\"]\ninput = -1\n",
            "a.toml:1: lab.m.1: a price must be a number of at least 0 and below 1,000,000",
        );
        check("[prices.lab]\nm = 3\n", "a.toml:2: wrong value: expected a table with input and output");
        check("[prices.lab.m]\ninput = \"sk-secret\"\n", "a.toml:1: wrong value: expected a number");
        check(
            "[prices]\nlab = 3\n",
            "a.toml:2: lab: not a table of models; write prices below [lab.\"MODEL\"]",
        );
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_file_that_cannot_be_read_is_named() {
        let places =
            ConfigFile::places(&Environment::from_iter([("XDG_CONFIG_HOME", env!("CARGO_MANIFEST_DIR"))]));
        let mut place = places[1].clone();
        place.path = env!("CARGO_MANIFEST_DIR").into();
        let err = place.read().await.unwrap_err().to_string();
        assert!(err.contains(env!("CARGO_MANIFEST_DIR")) && err.starts_with("cannot read "), "{err}");
        place.path.push("no-such-file.toml");
        assert_eq!(place.read().await.unwrap(), None);
        place.path = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml/antiphon.toml").into();
        assert_eq!(place.read().await.unwrap(), None, "a home that is a file has no configuration");
    }

    #[test]
    fn errors_have_their_line_and_no_value() {
        check("[defaults]\nmodle = \"x\"\n", "a.toml:2: unknown key modle; did you mean model?");
        check(
            "[providers.x]\nkind = \"openai\"\napi_key = \"sk-secret\"\n",
            "a.toml:3: unknown key api_key; known are kind, base_url, key_env, model, fallback, timeout, call_timeout, route, context, auth, key_header, headers, headers_env, query, schema, token_limit, extra, extra_body, temperature, max_tokens, seed, top_p, top_k, min_p, stop, presence_penalty, frequency_penalty, reasoning_effort, reasoning_budget, service_tier",
        );
        check(
            "[defaults]\nmax_concurrency = \"sk-secret\"\n",
            "a.toml:2: wrong value: expected a whole number",
        );
        check(
            "[providers.x]\nkind = \"openai\"\nkey_env = \"sk-secret\"\n",
            "a.toml:3: key_env is the name of an environment variable, as in \"LAB_API_KEY\": a key does not belong here",
        );
        let prices = "[defaults]\nmodel = \"m\"\n[prices.openai.gpt-4.1]\ninput = 1\n";
        let err = ConfigFile::parse("a.toml", prices).unwrap_err().to_string();
        assert!(err.contains("a.toml:3: ") && err.contains("quotes"), "{err}");
        assert!(!ConfigFile::parse("a.toml", "x = \"sk-secret").unwrap_err().to_string().contains("secret"));
    }
}
