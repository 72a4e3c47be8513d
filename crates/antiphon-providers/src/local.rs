//! Discovery of local engines that answer on their default ports.
//!
//! [`engines`] names loopback addresses, and those that the user configured. A probe is one request that the
//! engine answers in its own way, since another program may listen on the port; nothing is sent that has a key.

#[cfg(feature = "_http")]
mod probe;

use crate::compatible;
use crate::registry::{Kind, LocalServer, kinds, servers};

/// An engine that may be running on this machine, and its address.
///
/// The address is a guess until [`discover`] has probed it: another program may listen on the port.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EngineAddress {
    /// The engine's short name, as in the registry.
    pub name: &'static str,
    /// The engine's address without a path.
    pub root: String,
}

/// Returns the engines that [`discover`] should probe, of those that this build supports. `address` returns the configured
/// address for an engine's name, if any; the default ports are added. Engines that a user starts on purpose come before those
/// that usually run in the background.
///
/// ```
/// use antiphon_providers::local;
///
/// # async fn example() {
/// let found = local::discover(local::engines(|_| None)).await;
/// for engine in found {
///     println!("{} at {}", engine.name, engine.root);
/// }
/// # }
/// ```
pub fn engines<'p>(address: impl Fn(&str) -> Option<&'p str>) -> Vec<EngineAddress> {
    let wanted = || servers().filter(|server| server.is_discoverable());
    let mut engines: Vec<EngineAddress> =
        wanted().flat_map(|server| default_addresses(server, address(server.name))).collect();
    for server in wanted().filter(|server| server.host_form.is_none()) {
        // The address that the user chose comes before the default ones.
        engines.splice(0..0, address(server.name).map(|url| EngineAddress::new(server.name, root_of(url))));
    }
    engines.retain(|engine| engine.kind().is_some());
    engines
}

/// Returns a server's default addresses; where its environment variable names one address, only that.
fn default_addresses(server: &'static LocalServer, address: Option<&str>) -> Vec<EngineAddress> {
    let at = |root| EngineAddress::new(server.name, root);
    match server.host_form {
        Some(url_of_host) => vec![at(url_of_host(address.unwrap_or_default()))],
        None => server.ports.iter().map(|port| at(format!("http://127.0.0.1:{port}"))).collect(),
    }
}

/// Returns those `engines` that answer and identify themselves, in the same order. All are probed concurrently, with a time-out
/// of 500 ms each.
///
/// # Cancel safety
/// A dropped call changes nothing.
pub async fn discover(engines: Vec<EngineAddress>) -> Vec<EngineAddress> {
    #[cfg(feature = "_http")]
    {
        probe::responding(engines).await
    }
    // Without an HTTP client no engine can be probed.
    #[cfg(not(feature = "_http"))]
    {
        drop(engines);
        std::future::ready(Vec::new()).await
    }
}

impl EngineAddress {
    /// Creates the address of an engine that has one of the known names.
    #[must_use]
    pub fn new(name: &'static str, root: impl Into<String>) -> Self {
        Self { name, root: root.into() }
    }

    /// Returns the base URL of its OpenAI-compatible interface.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("{}/v1", self.root)
    }

    /// Returns the kind by which this build speaks to the engine: the engine's own kind, or that of compatible servers; `None` if
    /// neither is compiled in.
    #[must_use]
    pub fn kind(&self) -> Option<&'static Kind> {
        let is_its_own = |kind: &&Kind| kind.servers.iter().any(|server| server.name == self.name);
        let own = kinds().iter().copied().find(is_its_own);
        own.into_iter().chain([&compatible::KIND]).find(|kind| kind.is_built())
    }

    /// Returns whether a configured address, if any, is that of this engine. Otherwise settings for the configured server, such
    /// as its key, must not be sent to the program that answers here.
    #[must_use]
    pub fn is_at(&self, base_url: Option<&str>) -> bool {
        let host_form = self.server().and_then(|server| server.host_form);
        match (host_form, base_url) {
            (Some(url_of_host), url) => url_of_host(url.unwrap_or_default()) == self.root,
            (None, Some(url)) => root_of(url) == self.root,
            (None, None) => true,
        }
    }

    fn server(&self) -> Option<&'static LocalServer> {
        servers().find(|server| server.name == self.name)
    }
}

/// Returns an engine's address without the path of its OpenAI-compatible interface.
fn root_of(base_url: &str) -> &str {
    base_url.trim_end_matches('/').trim_end_matches("/v1")
}

#[cfg(test)]
mod tests {
    use super::{EngineAddress, engines};

    #[track_caller]
    fn check(engine: EngineAddress, base_url: Option<&str>, expected: bool) {
        assert_eq!(engine.is_at(base_url), expected, "{engine:?} {base_url:?}");
    }

    #[test]
    #[cfg(all(feature = "compatible", feature = "llamacpp", feature = "ollama"))]
    fn chosen_addresses_precede_default_ones_and_a_host_replaces_them() {
        let found = |address: fn(&str) -> Option<&'static str>| -> Vec<String> {
            engines(address).into_iter().map(|engine| format!("{} {}", engine.name, engine.root)).collect()
        };
        let usual = [
            "llamacpp http://127.0.0.1:8080",
            "llamacpp http://127.0.0.1:9931",
            "lmstudio http://127.0.0.1:1234",
        ];
        assert_eq!(found(|_| None), [&usual[..], &["ollama http://127.0.0.1:11434"]].concat());
        let chosen = found(|name| match name {
            "llamacpp" => Some("http://box:1/v1/"),
            "ollama" => Some("box"),
            _ => None,
        });
        assert_eq!(chosen, [&["llamacpp http://box:1"], &usual[..], &["ollama http://box:11434"]].concat());
    }

    #[test]
    fn settings_for_another_address_do_not_apply_to_this_one() {
        let lmstudio = || EngineAddress::new("lmstudio", "http://127.0.0.1:1234");
        check(lmstudio(), None, true);
        check(lmstudio(), Some("http://127.0.0.1:1234/v1"), true);
        check(lmstudio(), Some("https://elsewhere/v1"), false);
        check(EngineAddress::new("ollama", "http://box:11434"), Some("box"), true);
        check(EngineAddress::new("ollama", "http://box:11434"), None, false);
    }

    #[test]
    fn only_engines_that_this_build_speaks_to_are_looked_for() {
        assert!(engines(|_| None).iter().all(|engine| engine.kind().is_some_and(|kind| kind.is_built())));
    }
}
