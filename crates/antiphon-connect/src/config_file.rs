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

use antiphon_engine::read_toml;
use antiphon_fs::ErrorKind;
use antiphon_providers::prices::Prices;
use serde::Deserialize;

use crate::environment::Environment;
use crate::error::ConfigError;
use crate::provider::ProviderEntry;

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
    /// Reads `antiphon.toml` in the working folder, then the user's file `antiphon/antiphon.toml` below `$XDG_CONFIG_HOME`, or
    /// below `$HOME/.config` if that variable is not set. A file that does not exist is skipped.
    /// The order of the list is the order of precedence in which [`resolve`](crate::resolve) expects the files.
    ///
    /// # Errors
    /// The errors of [`parse`](Self::parse); also for a file that exists and cannot be read.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn load_all(env: &Environment) -> Result<Vec<Self>, ConfigError> {
        let home = || env.get("HOME").map(|home| PathBuf::from(home).join(".config"));
        let user = env.get("XDG_CONFIG_HOME").map(PathBuf::from).or_else(home);
        let user = user.map(|folder| folder.join("antiphon").join("antiphon.toml"));
        let mut files = Vec::new();
        for path in std::iter::once(PathBuf::from("antiphon.toml")).chain(user) {
            let name = path.display().to_string();
            match antiphon_fs::read(&path).await {
                Ok(bytes) => files.push(Self::parse(&name, &String::from_utf8_lossy(&bytes))?),
                Err(err) if err.kind() == ErrorKind::NotFound => {}
                Err(err) => return Err(ConfigError::new(err.to_string())),
            }
        }
        Ok(files)
    }

    /// Parses `text`, the content of a configuration file. `path` is only used as the origin in messages; the file is not read.
    ///
    /// # Errors
    /// An error for invalid syntax, an unknown key or an invalid value, with file and line; for an unknown key with a similar
    /// known one. The message never repeats a value, since the file may contain an API key.
    pub fn parse(path: &str, text: &str) -> Result<Self, ConfigError> {
        let mut content: Content = read_toml(path, text).map_err(|err| ConfigError::new(err.to_string()))?;
        if let Some((name, _)) = content.providers.iter().find(|(_, entry)| !entry.names_a_variable()) {
            // Without the value: it may be the key itself.
            let line = line_of(text, &["key_env"], name);
            let message = "key_env is the name of an environment variable, as in \"LAB_API_KEY\": a key does not belong here";
            return Err(ConfigError::new(format!("{path}:{line}: {message}")));
        }
        let prices = content.prices.take().map(|table| table.to_string()).unwrap_or_default();
        let prices = Prices::parse(&format!("{path}: [prices]"), &prices).map_err(|err| {
            // The same mistake, by its line in the file.
            let by_line = Prices::parse(path, &only_prices(text)).err().unwrap_or(err);
            ConfigError::new(by_line.to_string())
        })?;
        Ok(Self { path: path.to_owned(), content, prices })
    }
}

/// Returns the line of a provider's entry that has one of `keys`, else the line of its header.
fn line_of(text: &str, keys: &[&str], name: &str) -> usize {
    let header = |line: &str| line.trim_start().starts_with(&format!("[providers.{name}"));
    let begin = text.lines().position(header).unwrap_or(0);
    let is_meant = |line: &&str| keys.iter().any(|key| line.trim_start().starts_with(key));
    let lines: Vec<&str> = text.lines().skip(begin).collect();
    begin + 1 + lines.iter().position(is_meant).unwrap_or(0)
}

/// Returns the `[prices]` sections alone, with each line at its own number.
fn only_prices(text: &str) -> String {
    let mut is_inside = false;
    let mut kept = String::new();
    for line in text.lines() {
        let header = line.trim_start().strip_prefix('[');
        if let Some(header) = header {
            is_inside = header.starts_with("prices");
        }
        match header.and_then(|header| header.strip_prefix("prices.")) {
            Some(header) => kept.extend(["[", header]),
            None if is_inside && header.is_none() => kept.push_str(line),
            None => {}
        }
        kept.push('\n');
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::ConfigFile;

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
    fn errors_have_their_line_and_no_value() {
        check("[defaults]\nmodle = \"x\"\n", "a.toml:2: unknown key modle; did you mean model?");
        check(
            "[providers.x]\nkind = \"openai\"\napi_key = \"sk-secret\"\n",
            "a.toml:3: unknown key api_key; known are kind, base_url, key_env, model, fallback, timeout, call_timeout, route, context, auth, headers, schema, token_limit, extra",
        );
        check(
            "[defaults]\nmax_concurrency = \"sk-secret\"\n",
            "a.toml:2: wrong value: expected a whole number",
        );
        check(
            "[providers.x]\nkind = \"opnai\"\n",
            "a.toml:2: wrong value: expected one of `openai`, `anthropic`, `gemini`, `ollama`, `llamacpp`, `compatible`, `offline`",
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
