//! `config show`: the effective settings and the providers that are configured, on stdout.
//!
//! The settings are resolved as for any other command, from environment, files and defaults; with `--origin` each line
//! ends with the source of its value. Keys are never printed, and an address with a user name or a password is hidden.
//! Nothing is sent and no model is called.
//!
//! Exit codes: 0, or 3 if a setting is wrong. A provider with a wrong configuration is a line of the list, no error,
//! since the other providers can be used.

use super::cli::{ConfigArgs, ConfigCommand};
use super::error::{CommandError, OK};
use super::front::Front;
use super::output;
use crate::runtime::{ConfigError, Flags, Origin, ProviderSettings, Settings, Sourced, known_providers};

/// Prints the settings that a command without flags would use.
pub(super) async fn run(args: &ConfigArgs) -> Result<u8, CommandError> {
    let ConfigCommand::Show { origin } = &args.command;
    let Front { settings, environment, files } = Front::new(&Flags::default()).await?;
    let providers = known_providers(&environment, &files);
    output::result(&(shown(&settings, *origin) + &of_providers(&providers)))?;
    Ok(OK)
}

/// Formats the configured providers, and those whose configuration is wrong; of keys, only whether they exist.
fn of_providers(providers: &[(String, Result<ProviderSettings, ConfigError>)]) -> String {
    let line = |(name, named): &(String, Result<ProviderSettings, ConfigError>)| match named {
        Ok(named) if !named.is_entered && !named.is_configured => None,
        Ok(named) => Some(format!("  {name:<12} {}\n", described(named))),
        Err(err) => Some(format!("  {name:<12} {err}\n")),
    };
    let lines: String = providers.iter().filter_map(line).collect();
    if lines.is_empty() { lines } else { format!("providers\n{lines}") }
}

/// Formats a provider: its kind, its address without secrets, and whether it has the key that it needs.
fn described(named: &ProviderSettings) -> String {
    let place = |url: &str| {
        output::address(url).map_or(" at a hidden address".to_owned(), |place| format!(" at {place}"))
    };
    let place = named.base_url.as_deref().map(place).unwrap_or_default();
    let key = match (&named.key, &named.key_env[..]) {
        (Some(_), _) => ", has a key".to_owned(),
        (None, []) => String::new(),
        (None, variables) => format!(", no key in {}", variables.join(" or ")),
    };
    format!("{}{place}{key}", named.kind)
}

/// Formats the settings, one a line: the name, the value or what applies without one, and on request the origin.
fn shown(settings: &Settings, with_origin: bool) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: Option<(String, &Origin)>, otherwise: &str| {
        text.push_str(&format_line(name, value, otherwise, with_origin));
    };
    let provider = of(settings.provider.as_ref(), |provider| provider.name.clone());
    line("provider", provider, "a local engine, else offline");
    line("model", of(settings.model.as_ref(), String::clone), "the provider's default");
    line("fallback", fallbacks(settings), "none");
    line("max_concurrency", of(settings.max_concurrency.as_ref(), ToString::to_string), "auto");
    line("max_cost", of(settings.max_cost.as_ref(), dollars), "no limit");
    line("max_retries", of(Some(&settings.max_retries), ToString::to_string), "");
    line("pool_size", of(Some(&settings.pool_size), ToString::to_string), "");
    let timeout = of(settings.token_timeout.as_ref(), |timeout| format!("{} s", timeout.as_secs_f64()));
    line("timeout", timeout, "the provider's default");
    line("out", of(Some(&settings.out), |out| out.display().to_string()), "");
    text
}

/// Formats one setting; `otherwise` says what applies to a setting without a value.
fn format_line(name: &str, value: Option<(String, &Origin)>, otherwise: &str, with_origin: bool) -> String {
    let (value, origin) = value.unwrap_or_else(|| (otherwise.to_owned(), &Origin::Default));
    if with_origin { format!("{name:<15} {value:<32} {origin}\n") } else { format!("{name:<15} {value}\n") }
}

/// Returns the fallback models, in the order in which they are tried; `None` if there are none.
fn fallbacks(settings: &Settings) -> Option<(String, &Origin)> {
    let fallback = Some(&settings.fallback).filter(|fallback| !fallback.value.is_empty());
    of(fallback, |all| all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
}

/// Formats a budget in millionths of a US dollar, to the cent.
fn dollars(micros: &u64) -> String {
    format!("${:.2}", *micros as f64 / 1e6)
}

/// Returns the text of a value, with its origin.
fn of<T>(sourced: Option<&Sourced<T>>, text: impl Fn(&T) -> String) -> Option<(String, &Origin)> {
    sourced.map(|sourced| (text(&sourced.value), &sourced.origin))
}
