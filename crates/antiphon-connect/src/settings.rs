//! The resolution of settings: one value for each setting, from flags, environment, files and defaults.
//!
//! All of it is a pure function of its inputs, so that tests and servers resolve settings without a process environment. Values
//! keep their origin: messages name the place to change, and some rules depend on it. A model or a fallback in the defaults of a
//! file, for example, is meant for the provider of that file and not for one that a flag names.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use antiphon_engine::{MAX_RETRIES, usd_micros};
use antiphon_llm::{Redactor, SamplingParams};
use antiphon_providers::prices::Prices;
use antiphon_providers::{SecretString, registry};

use crate::cassette::Cassette;
use crate::check::{check, check_sampling};
use crate::config_file::{ConfigFile, origin_of};
use crate::environment::Environment;
use crate::error::ConfigError;
use crate::fallback::{FallbackSettings, fallbacks};
use crate::flags::Flags;
use crate::origin::{Origin, Sourced, in_entries, in_files};
use crate::provider::{ProviderSettings, known_names, named_provider, provider};
use crate::secrets::secrets_in;
use crate::setting_key::SettingKey;

/// The resolved configuration: flags over environment over files over defaults, each value with its origin.
///
/// Created by [`resolve`], and passed to [`connect`](fn@crate::connect). `Debug` output shows no key.
///
/// | setting | flag | environment | file | default |
/// |---|---|---|---|---|
/// | `provider` | `--provider`, `--offline` | | `[defaults] provider` | a local engine, else offline drafts |
/// | `model` | `--model` | | `[providers.NAME]`, `[defaults]` | the provider's |
/// | `fallback` | `--fallback-model` | | `[providers.NAME]`, `[defaults]` | none |
/// | `max_concurrency` | `--max-concurrency` | `ANTIPHON_WORKERS` | `[defaults] max_concurrency` | adaptive |
/// | `max_cost` | `--max-cost` | | `[defaults] max_cost` | no limit |
/// | `max_retries` | | `ANTIPHON_RETRY_MAX` | `[retry] max_retries` | [`MAX_RETRIES`] |
/// | `pool_size` | | `ANTIPHON_POOL_SIZE` | | 100 |
/// | `out` | `--out` | | `[output] dir` | `antiphon-out` |
/// | `parameters` | `--temperature` and others, by the request | | `[providers.NAME]`, `[defaults]` | the provider's |
/// | `token_timeout` | | `ANTIPHON_TIMEOUT` | `[providers.NAME] timeout` | each provider's |
/// | `prices` | | | `[prices]` | the shipped table |
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Settings {
    /// The provider; `None` to use a local engine if one answers, and offline drafts otherwise.
    pub provider: Option<Sourced<ProviderSettings>>,
    /// The model; `None` for the provider's default.
    pub model: Option<Sourced<String>>,
    /// The fallbacks in the order in which they are tried. Default: none.
    pub fallback: Sourced<Vec<FallbackSettings>>,
    /// Whether answers are recorded or replayed; `None` for neither.
    pub cassette: Option<Cassette>,
    /// The concurrency limit: the maximum number of concurrent calls of each run, and of concurrent runs, at least 1. `None` for
    /// adaptive concurrency; see [`concurrent_runs`](Self::concurrent_runs) and [`workers`](Self::workers) for the defaults.
    pub max_concurrency: Option<Sourced<usize>>,
    /// The most that a run may cost, in millionths of a US dollar; `None` for no limit.
    pub max_cost: Option<Sourced<u64>>,
    /// The maximum number of retries of a call, not counting the first attempt. Default: [`MAX_RETRIES`].
    pub max_retries: Sourced<u32>,
    /// The maximum number of connections in use to one host, at least 1 (connection pool). Default: 100; to providers 512, or the
    /// requested concurrency if that is more, as far as the limit of open files allows.
    pub pool_size: Sourced<usize>,
    /// The folder for results. Default `antiphon-out`.
    pub out: Sourced<PathBuf>,
    /// The timeout for the first token and between two tokens, for all providers; `None` for each provider's default.
    pub token_timeout: Option<Sourced<Duration>>,
    /// The sampling parameters of the files, for those that a recipe leaves open: each that of the provider's entry, else that of
    /// the defaults. Default: the provider's.
    pub parameters: SamplingParams,
    /// The prices of models: the shipped table, overridden by those of the files.
    pub prices: Prices,
    /// The settings of the engines that are discovered on this machine, from environment and files.
    pub(crate) engines: BTreeMap<&'static str, ProviderSettings>,
    /// Whether spans contain prompts and answers: if `OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT` is `true`.
    pub capture_content: bool,
    /// Whether `OPENAI_API_KEY` is set, for a hint.
    pub has_openai_key: bool,
    /// The configured address of OpenAI; `None` for the vendor's own.
    pub openai_url: Option<String>,
    /// The secrets of the environment, which are removed from the texts of every server.
    pub(crate) secrets: Vec<SecretString>,
}

impl Settings {
    /// Returns the maximum number of concurrent runs of one command: 4, unless a concurrency limit is set.
    /// Runs of one provider share its adaptive limiter, so more of them do not send more calls than it allows.
    #[must_use]
    pub fn concurrent_runs(&self) -> usize {
        self.max_concurrency.as_ref().map_or(4, |most| most.value)
    }

    /// Returns the maximum number of concurrent tasks other than model calls, such as downloads: 10, unless a concurrency limit
    /// is set.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.max_concurrency.as_ref().map_or(10, |most| most.value)
    }

    /// Returns the timeout for the first token of one provider, and between two tokens: the environment's, else the one in
    /// this provider's entry.
    pub(crate) fn timeout_of(&self, named: &ProviderSettings) -> Option<Duration> {
        let of_all = self.timeout_of_all();
        of_all.or_else(|| Duration::try_from_secs_f64(named.entry.timeout?).ok())
    }

    /// Returns the timeout that holds for all providers.
    /// A timeout of a provider's entry is not one, although [`token_timeout`](Self::token_timeout) shows it for that provider.
    pub(crate) fn timeout_of_all(&self) -> Option<Duration> {
        let of_all = |timeout: &&Sourced<Duration>| matches!(timeout.origin, Origin::Environment(_));
        self.token_timeout.as_ref().filter(of_all).map(|timeout| timeout.value)
    }
}

/// Resolves the settings: a flag overrides the environment, which overrides files, which override the defaults. Of two files, the
/// earlier one in the list overrides the later one. Reads nothing from the system.
///
/// Each setting is resolved on its own, and entries of one provider in several files are merged field by field. The provider is
/// not contacted, and whether it has the model or a key is found by [`connect`](fn@crate::connect).
///
/// # Errors
/// An unknown provider, a number that is malformed or out of range, or an address without a provider; also any mistake in a file,
/// even in the entry of a provider that these settings do not use: an option that its kind does not have, a wrong route, or prices
/// of an unknown provider. The message begins with file and line, and names a similar name that is known.
pub fn resolve(flags: &Flags, env: &Environment, files: &[ConfigFile]) -> Result<Settings, ConfigError> {
    check(files)?;
    let max_cost = max_cost(flags, files)?;
    let max_retries = max_retries(env, files)?;
    let pool_size = pool_size(env)?;
    let seconds: Option<Sourced<f64>> = number(env, "ANTIPHON_TIMEOUT")?;
    let provider = provider(flags, env, files)?;
    let named = provider
        .as_ref()
        .and_then(|named| in_entries(files, &named.value.name, "timeout", |entry| entry.timeout));
    let token_timeout = seconds.or(named).map(duration).transpose()?;
    let parameters = parameters(provider.as_ref().map(|named| &named.value), files)?;
    Ok(Settings {
        parameters,
        model: model(flags, files, provider.as_ref()),
        fallback: fallbacks(flags, env, files, provider.as_ref())?,
        cassette: flags.cassette.clone(),
        max_concurrency: max_concurrency(flags, env, files)?,
        max_cost,
        max_retries,
        pool_size,
        out: out(flags, files),
        token_timeout,
        engines: engines(env, files)?,
        capture_content: env.get("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT") == Some("true"),
        has_openai_key: env.get("OPENAI_API_KEY").is_some(),
        openai_url: named_provider("openai", env, files)?.base_url,
        prices: prices(files)?,
        secrets: secrets_in(env, files),
        provider,
    })
}

/// Returns the maximum number of retries: that of the environment, else of the nearest file, else the default.
fn max_retries(env: &Environment, files: &[ConfigFile]) -> Result<Sourced<u32>, ConfigError> {
    let named = number(env, "ANTIPHON_RETRY_MAX")?;
    let named =
        named.or_else(|| in_files(files, &["retry", "max_retries"], |file| file.content.retry.max_retries));
    Ok(named.unwrap_or(Sourced::new(MAX_RETRIES, Origin::Default)))
}

/// Returns the size of the connection pool to one host. Files do not set it: the right size depends on the machine.
fn pool_size(env: &Environment) -> Result<Sourced<usize>, ConfigError> {
    let size = number(env, "ANTIPHON_POOL_SIZE")?.unwrap_or(Sourced::new(100, Origin::Default));
    if size.value == 0 {
        return Err(ConfigError::new("invalid ANTIPHON_POOL_SIZE \"0\": it must be a whole number from 1"));
    }
    Ok(size)
}

/// Returns the model: the flag's, else that of the provider's own entry, else the default of a file. A file's default model
/// belongs to its default provider, not to another one that a flag names.
fn model(
    flags: &Flags,
    files: &[ConfigFile],
    provider: Option<&Sourced<ProviderSettings>>,
) -> Option<Sourced<String>> {
    let flag = flags.model.clone().map(|value| Sourced::new(value, Origin::Flag("--model")));
    let flagged = provider.filter(|named| matches!(named.origin, Origin::Flag(_)));
    let is_for_it = |file: &ConfigFile| {
        flagged.is_none_or(|named| file.content.defaults.provider.as_ref() == Some(&named.value.name))
    };
    let of_entry = || in_entries(files, &provider?.value.name, "model", |entry| entry.model.clone());
    let default = |file: &ConfigFile| file.content.defaults.model.clone().filter(|_| is_for_it(file));
    flag.or_else(of_entry).or_else(|| in_files(files, &["defaults", "model"], default))
}

/// Returns the sampling parameters: those of the provider's own entry, else those of the nearest file with defaults.
///
/// # Errors
/// A parameter that the provider does not have, with file and line.
fn parameters(
    provider: Option<&ProviderSettings>,
    files: &[ConfigFile],
) -> Result<SamplingParams, ConfigError> {
    let defaults = files.iter().map(|file| file.content.defaults.sampling());
    let defaults = defaults.reduce(SamplingParams::or).unwrap_or_default();
    let Some(named) = provider else { return Ok(defaults) };
    let parameters = named.entry.sampling().or(defaults);
    check_sampling(named, &parameters, files)?;
    Ok(parameters)
}

/// Returns the folder for results: the flag's, else that of the nearest file, else the default.
fn out(flags: &Flags, files: &[ConfigFile]) -> Sourced<PathBuf> {
    let flag = flags.out.clone().map(|value| Sourced::new(value, Origin::Flag("--out")));
    flag.or_else(|| {
        in_files(files, &["output", "dir"], |file| file.content.output.dir.clone().map(PathBuf::from))
    })
    .unwrap_or_else(|| Sourced::new(PathBuf::from("antiphon-out"), Origin::Default))
}

/// Returns the settings of the discoverable engines, from environment and files.
fn engines(
    env: &Environment,
    files: &[ConfigFile],
) -> Result<BTreeMap<&'static str, ProviderSettings>, ConfigError> {
    let known = known_names(files);
    let names = registry::servers().filter(|server| server.is_discoverable()).map(|server| server.name);
    let named = names.filter(|name| known.iter().any(|known| known == name));
    named.map(|name| Ok((name, named_provider(name, env, files)?))).collect()
}

/// Returns the shipped prices, overridden by those of the files.
fn prices(files: &[ConfigFile]) -> Result<Prices, ConfigError> {
    let prices = files.iter().rev().fold(Prices::shipped(), |prices, file| prices.with(file.prices.clone()));
    let Some((vendor, model)) = prices.half_priced() else { return Ok(prices) };
    let key = ["prices", vendor, model];
    let message = format!("{} needs both input and output", SettingKey::of(&key));
    Err(origin_of(files, &key).error(message))
}

/// Returns the concurrency limit; `None` for adaptive concurrency.
fn max_concurrency(
    flags: &Flags,
    env: &Environment,
    files: &[ConfigFile],
) -> Result<Option<Sourced<usize>>, ConfigError> {
    let flag = flags.max_concurrency.map(|value| Sourced::new(value, Origin::Flag("--max-concurrency")));
    let named = match flag {
        None => number(env, "ANTIPHON_WORKERS")?,
        flag => flag,
    };
    let most = named.or_else(|| {
        in_files(files, &["defaults", "max_concurrency"], |file| file.content.defaults.max_concurrency)
    });
    if let Some(none) = most.as_ref().filter(|most| most.value == 0) {
        let message =
            format!("invalid max_concurrency 0 ({}): it must be a whole number from 1", none.origin);
        return Err(ConfigError::new(message));
    }
    Ok(most)
}

/// Returns the budget in millionths of a US dollar.
fn max_cost(flags: &Flags, files: &[ConfigFile]) -> Result<Option<Sourced<u64>>, ConfigError> {
    let flag = flags.max_cost.map(|value| Sourced::new(value, Origin::Flag("--max-cost")));
    let dollars =
        flag.or_else(|| in_files(files, &["defaults", "max_cost"], |file| file.content.defaults.max_cost));
    let Some(Sourced { value, origin }) = dollars else { return Ok(None) };
    if !(0.0..1e9).contains(&value) {
        return Err(ConfigError::new(format!(
            "invalid max_cost {value} ({origin}): it must be a number of US dollars from 0"
        )));
    }
    Ok(Some(Sourced::new(usd_micros(value), origin)))
}

/// A type of number that a variable may have.
trait Number: std::str::FromStr {
    /// The valid values, for a message.
    const EXPECTED: &'static str;
}

impl Number for usize {
    const EXPECTED: &'static str = "a whole number from 1";
}

impl Number for u32 {
    const EXPECTED: &'static str = "a whole number from 0 to 4294967295";
}

impl Number for f64 {
    const EXPECTED: &'static str = "a number of seconds";
}

/// Parses a variable as a number; `None` if it is not set or empty.
///
/// # Errors
/// A text that is not such a number, with the valid values.
fn number<T: Number>(env: &Environment, name: &'static str) -> Result<Option<Sourced<T>>, ConfigError> {
    let Some(text) = env.get(name) else { return Ok(None) };
    // A longer text is no misspelt number, and may be a key.
    let shown =
        if text.chars().count() < Redactor::MIN_SECRET { format!(" {text:?}") } else { String::new() };
    let value = text
        .parse()
        .map_err(|_| ConfigError::new(format!("invalid {name}{shown}: it must be {}", T::EXPECTED)))?;
    Ok(Some(Sourced::new(value, Origin::of_variable(name))))
}

/// Converts seconds, of which fractions are allowed, to a duration.
///
/// # Errors
/// A number that is zero, negative, not finite or too large for a [`Duration`], with its origin.
fn duration(seconds: Sourced<f64>) -> Result<Sourced<Duration>, ConfigError> {
    let value = Duration::try_from_secs_f64(seconds.value).ok().filter(|value| !value.is_zero());
    let value = value.ok_or_else(|| {
        ConfigError::new(format!(
            "invalid timeout of {} s ({}): it must be positive",
            seconds.value, seconds.origin
        ))
    })?;
    Ok(Sourced::new(value, seconds.origin))
}

impl Settings {
    /// Returns these settings with a placeholder for each missing key: for an estimate, which makes no call.
    /// Never use them for a run: the vendor would reject every call with an error of the key.
    #[must_use]
    pub fn without_missing_keys(mut self) -> Self {
        let named = self.provider.iter_mut().map(|provider| &mut provider.value);
        let fallbacks = self.fallback.value.iter_mut().map(|fallback| &mut fallback.provider);
        for provider in named.chain(fallbacks).filter(|provider| !provider.key_env.is_empty()) {
            provider.key.get_or_insert_with(|| SecretString::from("no-key"));
        }
        let named = self.provider.iter_mut().map(|provider| &mut provider.value);
        let fallbacks = self.fallback.value.iter_mut().map(|fallback| &mut fallback.provider);
        for value in named.chain(fallbacks).flat_map(|provider| provider.secret_headers.values_mut()) {
            value.get_or_insert_with(|| SecretString::from("no-key"));
        }
        self
    }

    /// Returns a warning for each header of the provider and its fallbacks whose environment variable is not set: an estimate needs
    /// none of them, and a run fails without.
    #[must_use]
    pub fn missing_headers(&self) -> Vec<String> {
        let named = self.provider.iter().map(|provider| &provider.value);
        let fallbacks = self.fallback.value.iter().map(|fallback| &fallback.provider);
        named.chain(fallbacks).flat_map(ProviderSettings::missing_headers).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{ConfigFile, Environment, Flags, Origin, resolve};

    fn file(path: &str, text: &str) -> ConfigFile {
        ConfigFile::parse(path, text).unwrap()
    }

    #[test]
    fn flags_override_environment_then_files_then_defaults() {
        let files = [
            file("./antiphon.toml", "[defaults]\nmodel = \"near\"\n[retry]\nmax_retries = 7\n"),
            file("user.toml", "[defaults]\nmodel = \"far\"\nmax_concurrency = 2\n"),
        ];
        let env = Environment::from_iter([("ANTIPHON_WORKERS", "9"), ("ANTIPHON_TIMEOUT", "1.5")]);
        let settings = resolve(&Flags::default(), &env, &files).unwrap();
        let model = settings.model.unwrap();
        assert_eq!(
            (model.value.as_str(), model.origin),
            ("near", Origin::File { path: "./antiphon.toml".to_owned(), line: 2 })
        );
        let most = settings.max_concurrency.unwrap();
        assert_eq!((most.value, most.origin), (9, Origin::of_variable("ANTIPHON_WORKERS")));
        assert_eq!(
            (settings.max_retries.value, settings.max_retries.origin.to_string()),
            (7, "./antiphon.toml:4".to_owned())
        );
        assert_eq!(settings.out.origin, Origin::Default);
        assert_eq!(settings.token_timeout.unwrap().value.as_millis(), 1500);
        // The default model of one provider is not that of another.
        let other = resolve(&Flags::default().provider("anthropic"), &env, &files).unwrap();
        assert!(other.model.is_none());
        let flags = Flags { max_concurrency: Some(1), ..Flags::default().model("mine") };
        let settings = resolve(&flags, &env, &files).unwrap();
        assert_eq!((settings.concurrent_runs(), settings.model.unwrap().value.as_str()), (1, "mine"));
    }

    #[test]
    fn providers_are_built_in_or_from_files() {
        let files = [file(
            "a.toml",
            "[providers.lab]\nkind = \"compatible\"\nbase_url = \"http://lab/v1\"\nkey_env = \"LAB_KEY\"\ntimeout = 9\n",
        )];
        let env = Environment::from_iter([("LAB_KEY", "secret"), ("OPENAI_BASE_URL", "http://proxy/v1")]);
        let settings = resolve(&Flags::default().provider("lab"), &env, &files).unwrap();
        let lab = settings.provider.unwrap().value;
        assert_eq!(
            (lab.kind.name, lab.base_url.as_deref(), lab.key.is_some()),
            ("compatible", Some("http://lab/v1"), true)
        );
        assert_eq!(settings.token_timeout.unwrap().value.as_secs(), 9);
        let openai =
            resolve(&Flags::default().provider("openai"), &env, &[]).unwrap().provider.unwrap().value;
        assert_eq!((openai.base_url.as_deref(), openai.key.is_some()), (Some("http://proxy/v1"), false));
    }

    #[test]
    fn entries_of_files_are_merged_and_unused_options_rejected() {
        let files = [
            file("./antiphon.toml", "[providers.openai]\nmodel = \"gpt-6-luna\"\n"),
            file(
                "user.toml",
                "[providers.openai]\nbase_url = \"https://proxy/v1\"\nkey_env = \"CORP_KEY\"\n",
            ),
        ];
        let env = Environment::from_iter([("CORP_KEY", "k")]);
        let settings = resolve(&Flags::default().provider("openai"), &env, &files).unwrap();
        let openai = settings.provider.unwrap().value;
        assert_eq!((openai.base_url.as_deref(), openai.key.is_some()), (Some("https://proxy/v1"), true));
        assert_eq!(settings.model.unwrap().value, "gpt-6-luna");
        let idle = [file("a.toml", "[providers.openai]\nauth = \"sk-not-to-be-shown\"\n")];
        let err = resolve(&Flags::default().provider("openai"), &env, &idle).unwrap_err().to_string();
        assert_eq!(err, "a.toml:2: the provider openai is of the kind openai and has no auth");
        assert!(!format!("{idle:?}").contains("not-to-be-shown"));
    }

    #[test]
    fn error_messages_name_the_value_and_the_fix() {
        let check = |flags: Flags, env: &[(&str, &str)], expected: &str| {
            let env = env.iter().copied().collect();
            assert_eq!(resolve(&flags, &env, &[]).unwrap_err().to_string(), expected);
        };
        check(Flags::default().provider("opanai"), &[], "unknown provider opanai; did you mean openai?");
        check(
            Flags::default().base_url("http://h"),
            &[],
            "--base-url needs a provider: add --provider compatible",
        );
        check(
            Flags::default(),
            &[("ANTIPHON_WORKERS", "many")],
            "invalid ANTIPHON_WORKERS \"many\": it must be a whole number from 1",
        );
        check(
            Flags::default(),
            &[("ANTIPHON_RETRY_MAX", "-1")],
            "invalid ANTIPHON_RETRY_MAX \"-1\": it must be a whole number from 0 to 4294967295",
        );
        check(
            Flags::default(),
            &[("ANTIPHON_POOL_SIZE", "0")],
            "invalid ANTIPHON_POOL_SIZE \"0\": it must be a whole number from 1",
        );
        check(
            Flags::default(),
            &[("ANTIPHON_TIMEOUT", "-1")],
            "invalid timeout of -1 s (environment variable ANTIPHON_TIMEOUT): it must be positive",
        );
    }

    #[test]
    fn debug_output_has_no_secret() {
        let env = Environment::from_iter([("OPENAI_API_KEY", "topsecret")]);
        let settings = resolve(&Flags::default().provider("openai"), &env, &[]).unwrap();
        assert!(!format!("{env:?} {settings:?}").contains("topsecret"));
    }
}
