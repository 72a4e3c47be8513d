//! From settings to providers, as far as this build has them.

use std::sync::Arc;

#[cfg(any(
    feature = "anthropic",
    feature = "compatible",
    feature = "gemini",
    feature = "llamacpp",
    feature = "ollama",
    feature = "openai"
))]
use antiphon_llm::Error as LlmError;
use antiphon_llm::Provider;

use super::connect::ConnectError;
use super::provider::{Kind, ProviderSettings};
use super::settings::Settings;

/// A provider by itself, and what is known of it.
#[derive(Debug)]
pub(crate) struct Built {
    pub(crate) provider: Arc<dyn Provider>,
    /// The model to ask when nobody names one.
    pub(crate) default_model: Option<String>,
    /// The model that the files name for it.
    pub(crate) own_model: Option<String>,
    /// Whether the models that it lists are those that it has at hand, so that the first may be taken.
    pub(crate) lists_what_it_has: bool,
    /// Whether it runs on this machine and hands nothing on to another: then it costs nothing.
    pub(crate) is_local: bool,
    /// Whether it has models to choose from.
    pub(crate) has_models: bool,
    /// Whether it tells how many calls it works on at once.
    pub(crate) tells_slots: bool,
    /// Under which name its prices stand; `None` where another address may be another service.
    pub(crate) price_vendor: Option<String>,
}

/// A provider where it is: llama.cpp's server has moved to another port, so that it is looked for where nobody says.
pub(crate) async fn located(settings: &Settings, named: &ProviderSettings) -> ProviderSettings {
    let mut named = named.clone();
    if named.kind == Kind::LlamaCpp && named.base_url.is_none() {
        let found = found(settings).await.into_iter().find(|found| found.kind == Kind::LlamaCpp);
        named.base_url = found.and_then(|found| found.base_url);
    }
    named
}

/// Sets what all providers with a server have.
#[cfg(any(
    feature = "anthropic",
    feature = "gemini",
    feature = "llamacpp",
    feature = "ollama",
    feature = "openai"
))]
macro_rules! configured {
    ($provider:expr, $settings:expr, $named:expr) => {{
        let mut provider = $provider.named(&$named.name).max_connections($settings.connections_to_models());
        if let Some(timeout) = $settings.timeout_of($named) {
            provider = provider.token_timeout(timeout);
        }
        provider
    }};
}

#[cfg(any(feature = "anthropic", feature = "gemini", feature = "openai"))]
macro_rules! cloud {
    ($provider:ident, $settings:expr, $named:expr) => {{
        let mut provider =
            configured!(antiphon_providers::$provider::new(key_of($named)?), $settings, $named);
        if let Some(url) = &$named.base_url {
            provider = provider.base_url(url).map_err(setting)?;
        }
        provider
    }};
}

/// The provider that settings describe.
pub(crate) fn build(settings: &Settings, named: &ProviderSettings) -> Result<Built, ConnectError> {
    named.check().map_err(ConnectError::Config)?;
    let built = match named.kind {
        Kind::OpenAi => openai(settings, named),
        Kind::Anthropic => anthropic(settings, named),
        Kind::Gemini => gemini(settings, named),
        Kind::Ollama => ollama(settings, named),
        Kind::LlamaCpp => llamacpp(settings, named),
        Kind::Compatible => compatible(settings, named),
        Kind::Offline => offline(),
    };
    built.map_err(|err| match err {
        ConnectError::Setting(message) if named.is_entered => {
            ConnectError::Config(format!("{message}; look at [providers.{}] in antiphon.toml", named.name))
        }
        err => err,
    })
}

#[cfg(any(feature = "anthropic", feature = "gemini", feature = "openai"))]
fn key_of(named: &ProviderSettings) -> Result<secrecy::SecretString, ConnectError> {
    named.key.clone().ok_or_else(|| ConnectError::MissingKey(named.key_env.clone()))
}

#[cfg(any(
    feature = "anthropic",
    feature = "compatible",
    feature = "gemini",
    feature = "llamacpp",
    feature = "ollama",
    feature = "openai"
))]
fn setting(err: LlmError) -> ConnectError {
    ConnectError::Setting(err.to_string())
}

/// A vendor's own service, at its own address or at another one.
#[cfg(any(feature = "anthropic", feature = "gemini", feature = "openai"))]
fn in_the_cloud(provider: impl Provider, named: &ProviderSettings, vendor: &str, model: &str) -> Built {
    let price_vendor = match &named.base_url {
        None => Some(vendor.to_owned()),
        Some(_) if named.name != vendor => Some(named.name.clone()),
        Some(_) => None,
    };
    Built {
        provider: Arc::new(provider),
        default_model: Some(model.to_owned()),
        own_model: named.entry.model.clone(),
        lists_what_it_has: false,
        is_local: false,
        has_models: true,
        tells_slots: false,
        price_vendor,
    }
}

/// The route that settings name, if it is one of those that there are.
#[cfg(any(feature = "llamacpp", feature = "ollama", feature = "openai"))]
fn wants(named: &ProviderSettings, other: &str) -> Result<bool, ConnectError> {
    match named.entry.route.as_deref() {
        None | Some("chat") => Ok(false),
        Some(route) if route == other => Ok(true),
        Some(route) => {
            let name = &named.name;
            let message = format!("the provider {name} has no route {route:?}: it is \"chat\" or {other:?}");
            Err(ConnectError::Setting(message))
        }
    }
}

#[cfg(feature = "openai")]
fn openai(settings: &Settings, named: &ProviderSettings) -> Result<Built, ConnectError> {
    let provider = cloud!(OpenAi, settings, named);
    let provider = if wants(named, "responses")? { provider.responses() } else { provider };
    Ok(in_the_cloud(provider, named, "openai", antiphon_providers::OpenAi::DEFAULT_MODEL))
}

#[cfg(not(feature = "openai"))]
fn openai(_: &Settings, _: &ProviderSettings) -> Result<Built, ConnectError> {
    Err(ConnectError::NotBuilt("openai"))
}

#[cfg(feature = "anthropic")]
fn anthropic(settings: &Settings, named: &ProviderSettings) -> Result<Built, ConnectError> {
    let provider = cloud!(Anthropic, settings, named);
    Ok(in_the_cloud(provider, named, "anthropic", antiphon_providers::Anthropic::DEFAULT_MODEL))
}

#[cfg(not(feature = "anthropic"))]
fn anthropic(_: &Settings, _: &ProviderSettings) -> Result<Built, ConnectError> {
    Err(ConnectError::NotBuilt("anthropic"))
}

#[cfg(feature = "gemini")]
fn gemini(settings: &Settings, named: &ProviderSettings) -> Result<Built, ConnectError> {
    let provider = cloud!(Gemini, settings, named);
    Ok(in_the_cloud(provider, named, "gemini", antiphon_providers::Gemini::DEFAULT_MODEL))
}

#[cfg(not(feature = "gemini"))]
fn gemini(_: &Settings, _: &ProviderSettings) -> Result<Built, ConnectError> {
    Err(ConnectError::NotBuilt("gemini"))
}

/// An engine of one's own, on this machine or on another.
#[cfg(any(feature = "compatible", feature = "llamacpp", feature = "ollama"))]
fn at_hand(provider: impl Provider, named: &ProviderSettings) -> Built {
    let url = provider.scope().base_url.and_then(|url| url::Url::parse(&url).ok());
    let is_local = url.is_some_and(|url| match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    });
    Built {
        provider: Arc::new(provider),
        default_model: None,
        own_model: named.entry.model.clone(),
        lists_what_it_has: true,
        is_local,
        has_models: true,
        tells_slots: named.kind == Kind::LlamaCpp,
        price_vendor: Some(named.name.clone()),
    }
}

#[cfg(feature = "ollama")]
fn ollama(settings: &Settings, named: &ProviderSettings) -> Result<Built, ConnectError> {
    use antiphon_providers::Ollama;
    let provider = match named.base_url.as_deref() {
        None => Ollama::new(Ollama::DEFAULT_URL),
        // As `OLLAMA_HOST` has it: a host, a port, or an address.
        Some(host) => Ollama::at_host(host),
    };
    let mut provider = configured!(provider.map_err(setting)?, settings, named);
    provider = if wants(named, "generate")? { provider.generate() } else { provider };
    if let Some(context) = named.entry.context {
        provider = provider.context(context);
    }
    if let Some(key) = &named.key {
        provider = provider.key(key.clone());
    }
    Ok(at_hand(provider, named))
}

#[cfg(not(feature = "ollama"))]
fn ollama(_: &Settings, _: &ProviderSettings) -> Result<Built, ConnectError> {
    Err(ConnectError::NotBuilt("ollama"))
}

#[cfg(feature = "llamacpp")]
fn llamacpp(settings: &Settings, named: &ProviderSettings) -> Result<Built, ConnectError> {
    let url = named.base_url.as_deref().unwrap_or("http://127.0.0.1:8080");
    let provider = antiphon_providers::LlamaCpp::new(url).map_err(setting)?;
    let mut provider = configured!(provider, settings, named);
    provider = if wants(named, "native")? { provider.native() } else { provider };
    if let Some(key) = &named.key {
        provider = provider.key(key.clone());
    }
    Ok(at_hand(provider, named))
}

#[cfg(not(feature = "llamacpp"))]
fn llamacpp(_: &Settings, _: &ProviderSettings) -> Result<Built, ConnectError> {
    Err(ConnectError::NotBuilt("llamacpp"))
}

#[cfg(feature = "compatible")]
fn compatible(settings: &Settings, named: &ProviderSettings) -> Result<Built, ConnectError> {
    use antiphon_providers::{Compatible, Vendor};
    let mut vendor = match (Vendor::find(&named.name), &named.base_url) {
        (Some(vendor), None) => vendor,
        (Some(vendor), Some(url)) => vendor.base_url(url).map_err(setting)?,
        (None, Some(url)) => Vendor::new(&named.name, url).map_err(setting)?,
        (None, None) => {
            let name = &named.name;
            let message =
                format!("the provider {name} needs an address: add --base-url http://localhost:8080/v1");
            return Err(ConnectError::Setting(message));
        }
    };
    if named.key.is_none() && !named.key_env.is_empty() {
        return Err(ConnectError::MissingKey(named.key_env.clone()));
    }
    let entry = &named.entry;
    vendor.auth = entry.auth.clone().or(vendor.auth);
    vendor.schema = entry.schema.clone().or(vendor.schema);
    vendor.token_limit = entry.token_limit.clone().or(vendor.token_limit);
    vendor.headers.extend(entry.headers.clone());
    let as_json =
        |(name, value): (&String, &toml::Value)| Some((name.clone(), serde_json::to_value(value).ok()?));
    vendor.extra.extend(entry.extra.iter().filter_map(as_json));
    let (is_hosted, is_free) = (vendor.key_env.is_some(), vendor.free);
    let vendor = vendor.checked().map_err(setting)?;
    let default_model = vendor.default_model.clone();
    let built = Compatible::of(&vendor, named.key.clone()).map_err(setting)?;
    let mut provider = built.max_connections(settings.connections_to_models());
    if let Some(timeout) = settings.timeout_of(named) {
        provider = provider.token_timeout(timeout);
    }
    let built = at_hand(provider, named);
    let is_local = built.is_local && is_free;
    Ok(Built { default_model, lists_what_it_has: !is_hosted, is_local, ..built })
}

#[cfg(not(feature = "compatible"))]
fn compatible(_: &Settings, _: &ProviderSettings) -> Result<Built, ConnectError> {
    Err(ConnectError::NotBuilt("compatible"))
}

#[cfg(feature = "offline")]
pub(super) fn offline() -> Result<Built, ConnectError> {
    Ok(Built {
        provider: Arc::new(antiphon_providers::Offline::new()),
        default_model: Some(antiphon_providers::Offline::MODEL.to_owned()),
        own_model: None,
        lists_what_it_has: true,
        is_local: true,
        has_models: false,
        tells_slots: false,
        price_vendor: None,
    })
}

#[cfg(not(feature = "offline"))]
pub(super) fn offline() -> Result<Built, ConnectError> {
    Err(ConnectError::NotBuilt("offline"))
}

/// The engines on this machine that answer and say who they are, each by its own format as far as this build has it.
pub(crate) async fn local(settings: &Settings) -> Result<Vec<Built>, ConnectError> {
    found(settings).await.iter().map(|named| build(settings, named)).collect()
}

#[cfg(any(feature = "compatible", feature = "llamacpp", feature = "ollama"))]
async fn found(settings: &Settings) -> Vec<ProviderSettings> {
    use antiphon_providers::local::{discover, engines};
    let place = |name: &str| settings.engines.get(name).and_then(|named| named.base_url.as_deref());
    let found = discover(engines(place)).await;
    found.iter().map(|engine| ProviderSettings::of_engine(engine, settings)).collect()
}

#[cfg(not(any(feature = "compatible", feature = "llamacpp", feature = "ollama")))]
async fn found(_: &Settings) -> Vec<ProviderSettings> {
    std::future::ready(Vec::new()).await
}
