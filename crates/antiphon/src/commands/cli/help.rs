//! Help texts that list the registry: providers, their keys and their addresses.
//!
//! The registry is the only list of vendors, so that a new one is in all help texts by its registration. The texts are
//! built when they are printed or when the parser is built.

use std::fmt;

use antiphon_providers::registry::{self, RegistryEntry};
use clap::builder::StyledStr;

use crate::runtime::VARIABLES;

/// A long help text that lists entries of the registry.
#[derive(Debug, Clone, Copy)]
pub(super) enum LongHelp {
    /// The environment variables that a run observes.
    Environment,
    /// The environment variables that a download observes.
    Network,
    /// The providers, and the variables for their keys and addresses.
    Providers,
}

/// The variables of proxies, which requests to other machines observe.
const PROXIES: &str = "  HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY";

impl fmt::Display for LongHelp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment => write_environment(f),
            Self::Network => {
                write_settings(f)?;
                f.write_str(PROXIES)
            }
            Self::Providers => write_providers(f),
        }
    }
}

/// Writes a line for each variable that sets an option of all providers.
fn write_settings(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let width = VARIABLES.iter().map(|variable| variable.name.len()).max().unwrap_or(0);
    writeln!(f, "Environment:")?;
    for variable in &VARIABLES {
        let name = variable.name;
        match variable.help.split_once(" [") {
            // A long one would be wrapped below the names.
            Some((help, default)) if variable.help.len() > 70 => {
                writeln!(f, "  {name:<width$}  {help}\n  {:<width$}  [{default}", "")?;
            }
            _ => writeln!(f, "  {name:<width$}  {}", variable.help)?,
        }
    }
    Ok(())
}

/// Writes the variables of settings, keys, addresses and proxies, without an explanation of each key.
fn write_environment(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let keys: Vec<String> = registry::entries().iter().filter_map(keys_of).collect();
    let addresses: Vec<&str> = addresses().map(|variable| variable.name).collect();
    write_settings(f)?;
    writeln!(f, "  {}\n  {}", keys.join(", "), addresses.join(", "))?;
    write!(f, "{PROXIES}")
}

/// Writes a line for each provider, with the variables for its key, then a line for each variable of an address.
fn write_providers(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(f, "Providers:")?;
    let width = registry::entries().iter().map(|entry| entry.name.len()).max().unwrap_or(0);
    for entry in registry::entries() {
        let keys = keys_of(entry).map_or(String::new(), |keys| format!(" [{keys}]"));
        writeln!(f, "  {:<width$}  {}{keys}", entry.name, entry.help)?;
    }
    write!(f, "\nEnvironment:")?;
    let width = addresses().map(|variable| variable.name.len()).max().unwrap_or(0);
    addresses().try_for_each(|address| write!(f, "\n  {:<width$}  {}", address.name, address.help))
}

impl From<LongHelp> for StyledStr {
    fn from(help: LongHelp) -> Self {
        help.to_string().into()
    }
}

/// Returns the variables for the key of a provider, such as `A (or B)`; `None` if it needs no key.
fn keys_of(entry: &RegistryEntry) -> Option<String> {
    let (first, others) = entry.key_env.split_first()?;
    Some(match others {
        [] => first.clone(),
        others => format!("{first} (or {})", others.join(", ")),
    })
}

/// Returns the variables for the addresses of providers, one for each kind that has one.
fn addresses() -> impl Iterator<Item = registry::Variable> {
    registry::kinds().iter().filter_map(|kind| kind.base_url_env)
}

/// Returns `lead` and the names of all providers for which `is_listed` holds.
fn names(lead: &str, is_listed: impl Fn(&RegistryEntry) -> bool) -> String {
    let listed = registry::entries().iter().filter(|entry| is_listed(entry));
    let names: Vec<&str> = listed.map(|entry| &*entry.name).collect();
    format!("{lead}: {}, or a name from antiphon.toml", names.join(", "))
}

/// Returns the help text of `--provider`.
pub(super) fn provider() -> String {
    names("Provider to call", |_| true)
}

/// Returns the help text of `--provider` of the command that lists models.
pub(super) fn provider_of_models() -> String {
    names("Provider whose models are listed", |entry| !entry.kind.is_offline)
}

/// Returns the help text of `--base-url`.
pub(super) fn base_url() -> String {
    let of_kind = |kind: &&registry::Kind| Some(format!("{} for {kind}", kind.base_url_env?.name));
    let variables: Vec<String> = registry::kinds().iter().filter_map(of_kind).collect();
    let variables = variables.join(", ");
    format!("Base URL of the server, such as http://localhost:8080/v1 [env: {variables}]")
}

/// Returns the help text of the command that fetches models.
pub(super) fn pull() -> String {
    let example = crate::operations::puller().and_then(|kind| Some((kind.server(kind.name)?, kind.pull?)));
    match example {
        Some((server, pull)) => format!("Fetch a model with {}, such as {}", server.title, pull.example),
        None => "Fetch a model with a local engine".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use antiphon_providers::registry;

    use super::LongHelp;

    #[test]
    fn every_provider_and_every_variable_is_in_the_help_texts() {
        let (environment, providers) = (LongHelp::Environment.to_string(), LongHelp::Providers.to_string());
        assert!(environment.lines().skip(1).all(|line| line.starts_with("  ")), "{environment}");
        let network = LongHelp::Network.to_string();
        for variable in super::VARIABLES {
            assert!(environment.contains(variable.name) && network.contains(variable.name));
        }
        for entry in registry::entries() {
            assert!(super::provider().contains(&entry.name), "{}", entry.name);
            assert!(providers.contains(&format!("  {}  ", entry.name)) || providers.contains(&entry.help));
            for key in &entry.key_env {
                assert!(environment.contains(key.as_str()) && providers.contains(key.as_str()), "{key}");
            }
        }
        for variable in super::addresses() {
            assert!(environment.contains(variable.name) && super::base_url().contains(variable.name));
            assert!(providers.contains(variable.help), "{}", variable.name);
        }
    }
}
