//! The fallbacks of a provider: which ones a run may call, resolved from flags and files.
//!
//! Fallbacks send the data of a run to further providers, so no fallback is ever chosen by default. The sources, each of which
//! replaces those below it, even if its list is empty:
//!
//! | source | used for |
//! |---|---|
//! | `--fallback-model` | any provider |
//! | `fallback` in `[providers.NAME]` | that provider |
//! | `fallback` in `[defaults]` | any provider, but not one that a flag names if the file has another `provider` |

use std::fmt;

use crate::config_file::ConfigFile;
use crate::environment::Environment;
use crate::error::ConfigError;
use crate::flags::Flags;
use crate::origin::{Origin, Sourced, in_entries, in_files};
use crate::provider::{ProviderSettings, named_provider};

/// A fallback: a provider and its model, called if the providers before it cannot answer.
///
/// A fallback has its own key, rate limits, circuit breaker and prices. It receives the same prompts as the provider before it,
/// so only name providers that may see the data.
///
/// `Display` writes the form in which a fallback is named, `provider/model`:
///
/// ```
/// use antiphon_connect::{Environment, Flags, resolve};
///
/// let flags = Flags::default().provider("openai").fallback(vec!["ollama/library/some-model".to_owned()]);
/// let settings = resolve(&flags, &Environment::default(), &[])?;
/// assert_eq!(settings.fallback.value[0].to_string(), "ollama/library/some-model");
/// assert_eq!(settings.fallback.value[0].provider.name, "ollama");
/// # Ok::<(), antiphon_connect::ConfigError>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FallbackSettings {
    /// The provider, with its own address and key. A missing key is an error when the run connects, not when it is first needed.
    pub provider: ProviderSettings,
    /// The model, by its name at this provider; it replaces the model of the prompt.
    pub model: String,
}

impl fmt::Display for FallbackSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.provider.name, self.model)
    }
}

/// Resolves the fallbacks: those of flags override those of the provider's own entry, which override the defaults. An empty list
/// turns off the fallbacks that it overrides. The offline provider has none.
pub(crate) fn fallbacks(
    flags: &Flags,
    env: &Environment,
    files: &[ConfigFile],
    provider: Option<&Sourced<ProviderSettings>>,
) -> Result<Sourced<Vec<FallbackSettings>>, ConfigError> {
    let none = Sourced::new(Vec::new(), Origin::Default);
    if provider.is_some_and(|named| named.value.kind.is_offline) {
        return Ok(none);
    }
    let Some(Sourced { value: names, origin }) = named(flags, files, provider) else { return Ok(none) };
    let found: Result<Vec<_>, _> = names.iter().map(|name| fallback(name, &origin, env, files)).collect();
    Ok(Sourced::new(found?, origin))
}

/// Returns the names of the fallbacks, each as `provider/model`, from the place that takes precedence; `None` if no place has
/// any.
fn named(
    flags: &Flags,
    files: &[ConfigFile],
    provider: Option<&Sourced<ProviderSettings>>,
) -> Option<Sourced<Vec<String>>> {
    if let Some(named) = &flags.fallback {
        return Some(Sourced::new(named.clone(), Origin::Flag("--fallback-model")));
    }
    let of_entry = || in_entries(files, &provider?.value.name, "fallback", |entry| entry.fallback.clone());
    let default = |file: &ConfigFile| default_fallbacks(file, provider);
    of_entry().or_else(|| in_files(files, &["defaults", "fallback"], default))
}

/// Returns the default fallbacks of a file. Those of its default provider are not used for another one that a flag names: it may
/// be named because the others must not receive the data.
fn default_fallbacks(file: &ConfigFile, provider: Option<&Sourced<ProviderSettings>>) -> Option<Vec<String>> {
    let defaults = &file.content.defaults;
    let flagged = provider.filter(|named| matches!(named.origin, Origin::Flag(_)));
    let is_for_it = match (flagged, &defaults.provider) {
        (Some(flagged), Some(default)) => flagged.value.name == *default,
        _ => true,
    };
    defaults.fallback.clone().filter(|_| is_for_it)
}

/// Splits a name such as `openrouter/meta/some-model` into provider and model: the provider's name ends at the first slash, since
/// models have slashes and providers have none.
fn parts<'a>(name: &'a str, origin: &Origin) -> Result<(&'a str, &'a str), ConfigError> {
    let parts = name.split_once('/').map(|(provider, model)| (provider.trim(), model.trim()));
    let whole = parts.filter(|(provider, model)| !provider.is_empty() && !model.is_empty());
    let message = "a fallback has no provider or no model: name both, as in anthropic/claude-haiku-4-5";
    whole.ok_or_else(|| origin.error(message))
}

/// Resolves one fallback with the settings of its provider.
///
/// # Errors
/// A name without a provider or a model, the errors of [`named_provider`], and the offline provider, which has no model. The
/// message begins with the origin.
pub(crate) fn fallback(
    name: &str,
    origin: &Origin,
    env: &Environment,
    files: &[ConfigFile],
) -> Result<FallbackSettings, ConfigError> {
    let (provider, model) = parts(name, origin)?;
    let provider = named_provider(provider, env, files).map_err(|err| err.at(origin))?;
    if provider.kind.is_offline {
        let message =
            format!("{} has no model and cannot be a fallback: name another provider", provider.name);
        return Err(origin.error(message));
    }
    Ok(FallbackSettings { provider, model: model.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::{ConfigError, ConfigFile, Environment, Flags};
    use crate::resolve;

    const LAB: &str = "[providers.lab]\nkind = \"compatible\"\nbase_url = \"http://lab/v1\"\n";

    /// Resolves the fallbacks with two files, the first of which is nearer.
    fn found(flags: &Flags, files: [&str; 2]) -> Result<Vec<String>, ConfigError> {
        let [near, far] = files;
        let files = [
            ConfigFile::parse("near.toml", &format!("{near}{LAB}")).unwrap(),
            ConfigFile::parse("far.toml", far).unwrap(),
        ];
        let settings = resolve(flags, &Environment::default(), &files)?;
        Ok(settings.fallback.value.iter().map(ToString::to_string).collect())
    }

    #[track_caller]
    fn check(flags: Flags, files: [&str; 2], expected: &[&str]) {
        assert_eq!(found(&flags, files).unwrap(), expected, "{files:?}");
    }

    #[test]
    fn the_nearer_place_names_the_fallbacks() {
        let far = "[defaults]\nfallback = [\"gemini/g\"]\n";
        let near = "[defaults]\nfallback = [\"openai/a\", \"lab/b/c\"]\n";
        check(Flags::default(), ["", far], &["gemini/g"]);
        check(Flags::default(), [near, far], &["openai/a", "lab/b/c"]);
        check(Flags::default(), ["[defaults]\nfallback = []\n", far], &[]);
        let of_lab = "[providers.lab]\nfallback = [\"ollama/o\"]\n";
        check(Flags::default().provider("lab"), ["", &format!("{far}{of_lab}")], &["ollama/o"]);
        check(Flags::default().provider("openai"), ["", &format!("{far}{of_lab}")], &["gemini/g"]);
        let flags = || Flags { fallback: Some(vec!["lab/mine".to_owned()]), ..Flags::default() };
        check(flags(), [near, far], &["lab/mine"]);
        check(flags().offline(), [near, far], &[]);
    }

    #[test]
    fn fallbacks_of_a_default_provider_are_not_used_for_another_one_that_a_flag_names() {
        let file = "[defaults]\nprovider = \"openai\"\nfallback = [\"gemini/g\"]\n";
        check(Flags::default(), [file, ""], &["gemini/g"]);
        check(Flags::default().provider("openai"), [file, ""], &["gemini/g"]);
        check(Flags::default().provider("ollama"), [file, ""], &[]);
    }

    #[test]
    fn errors_about_fallbacks_name_their_origin() {
        let error = |name: &str| {
            let near = format!("[defaults]\nfallback = [\"{name}\"]\n");
            found(&Flags::default(), [&near, ""]).unwrap_err().to_string()
        };
        assert!(error("openai").starts_with("near.toml:2: a fallback has no provider or no model"));
        assert!(error("openai/").contains("no model"));
        assert_eq!(error("opanai/m"), "near.toml:2: unknown provider opanai; did you mean openai?");
        assert!(error("offline/m").contains("cannot be a fallback"));
        let flags = Flags::default().provider("openai").fallback(vec!["opanai/m".to_owned()]);
        let err = found(&flags, ["", ""]).unwrap_err();
        assert!(err.is_of_flags());
        assert_eq!(err.to_string(), "--fallback-model: unknown provider opanai; did you mean openai?");
    }

    #[test]
    fn fallbacks_are_checked_even_where_they_are_not_used() {
        let files = ["[providers.openai]\nfallback = [\"opanai/m\"]\n", ""];
        let err = found(&Flags::default().offline(), files).unwrap_err().to_string();
        assert_eq!(err, "near.toml:2: unknown provider opanai; did you mean openai?");
    }
}
