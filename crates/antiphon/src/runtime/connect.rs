use std::fmt;
use std::sync::Arc;

#[cfg(any(feature = "openai", feature = "compatible"))]
use antiphon_llm::Retrying;
use antiphon_llm::{Error as LlmError, Price, Provider};
#[cfg(feature = "offline")]
use antiphon_providers::Offline;
#[cfg(feature = "openai")]
use antiphon_providers::OpenAi;
#[cfg(feature = "compatible")]
use antiphon_providers::{Compatible, local};
use antiphon_resilience::RetryPolicy;

use super::settings::{Kind, ProviderSettings, Settings};

/// A provider that is ready to be asked, with its retries, and a model.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Session {
    /// The provider.
    pub provider: Arc<dyn Provider>,
    /// The model to ask.
    pub model: String,
    /// Which provider it is and why, in a line for the user.
    pub why: String,
    /// Whether nobody chose it, so that other choices are worth a hint.
    pub chosen_by_default: bool,
    price: PriceOf,
}

/// What a model costs for a prompt of so many tokens.
type PriceOf = fn(model: &str, prompt_tokens: u64) -> Option<Price>;

/// Why no provider is ready.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// A key is missing: the variable it is looked for in.
    MissingKey(String),
    /// A setting is missing or wrong.
    Setting(String),
    /// This build has no such provider: its feature.
    NotBuilt(&'static str),
    /// The server was asked for its models, and that failed.
    Provider(LlmError),
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingKey(variable) => write!(f, "the environment variable {variable} is not set"),
            Self::Setting(message) => f.write_str(message),
            Self::NotBuilt(feature) => write!(f, "this build has no provider {feature}: its feature is off"),
            Self::Provider(err) => {
                write!(f, "no model was named, and the server's list cannot be had: {err}")
            }
        }
    }
}

impl std::error::Error for ConnectError {}

impl Session {
    /// What the model costs for a prompt of so many tokens; `None` if that is not known.
    #[must_use]
    pub fn price(&self, prompt_tokens: u64) -> Option<Price> {
        (self.price)(&self.model, prompt_tokens)
    }
}

/// Makes the provider that the settings name; without one a local engine that answers, else offline. Never a cloud
/// that nobody named.
///
/// # Errors
/// What is missing or wrong.
///
/// # Cancel safety
/// Nothing is changed, so nothing is lost.
pub async fn connect(settings: &Settings) -> Result<Session, ConnectError> {
    match &settings.provider {
        Some(named) => {
            let provider = &named.value;
            match provider.kind {
                Kind::OpenAi => openai(settings, provider),
                Kind::Compatible => compatible(settings, provider).await,
                Kind::Offline => offline(format!("chosen by {}", named.origin)),
            }
        }
        None => by_default(settings).await,
    }
}

/// A client for plain HTTP under the settings: it retries, follows redirects, and keeps to the time-out for the first byte
/// and between two pieces, so that a large file may take as long as it comes.
#[must_use]
pub fn http_client(settings: &Settings) -> antiphon_http::Client {
    let policy = RetryPolicy::default().max_retries(settings.max_retries.value);
    let client = antiphon_http::Client::builder().retry(policy).max_redirects(10);
    let client = client.max_connections(settings.pool_size.value);
    match &settings.token_timeout {
        Some(timeout) => client.first_byte_timeout(timeout.value).idle_timeout(timeout.value).build(),
        None => client.build(),
    }
}

#[cfg(feature = "openai")]
const OPENAI: &str = "https://api.openai.com/v1";

#[cfg(any(feature = "openai", feature = "compatible"))]
fn retrying<P: Provider>(settings: &Settings, provider: P) -> Arc<dyn Provider> {
    Arc::new(Retrying::new(provider, RetryPolicy::default().max_retries(settings.max_retries.value)))
}

#[cfg(feature = "openai")]
fn openai(settings: &Settings, named: &ProviderSettings) -> Result<Session, ConnectError> {
    let variable = named.key_env.clone().unwrap_or_default();
    let key = named.key.clone().ok_or(ConnectError::MissingKey(variable))?;
    let mut provider = OpenAi::new(key).max_connections(settings.pool_size.value);
    if let Some(url) = &named.base_url {
        provider = provider.base_url(url).map_err(setting)?;
    }
    if let Some(timeout) = &settings.token_timeout {
        provider = provider.token_timeout(timeout.value);
    }
    let model = settings.model.as_ref().map_or(OpenAi::DEFAULT_MODEL.to_owned(), |model| model.value.clone());
    let place = provider.scope().base_url.unwrap_or_default();
    Ok(Session {
        why: format!("{} at {place}, model {model}", named.name),
        provider: retrying(settings, provider),
        model,
        chosen_by_default: false,
        // Another address may be another service with prices of its own.
        price: match place.as_str() {
            OPENAI => |model, tokens| antiphon_providers::prices::price("openai", model, tokens),
            _ => |_, _| None,
        },
    })
}

#[cfg(not(feature = "openai"))]
fn openai(_: &Settings, _: &ProviderSettings) -> Result<Session, ConnectError> {
    Err(ConnectError::NotBuilt("openai"))
}

#[cfg(feature = "compatible")]
async fn compatible(settings: &Settings, named: &ProviderSettings) -> Result<Session, ConnectError> {
    let Some(url) = &named.base_url else {
        let message =
            format!("the provider {} needs an address: add --base-url http://localhost:8080/v1", named.name);
        return Err(ConnectError::Setting(message));
    };
    let mut provider = Compatible::new(url).map_err(setting)?.named(&named.name);
    match (&named.key, &named.key_env) {
        (Some(key), _) => provider = provider.key(key.clone()),
        (None, Some(variable)) => return Err(ConnectError::MissingKey(variable.clone())),
        (None, None) => {}
    }
    reached(settings, provider, |_, _| None).await
}

/// A server, with the first model it lists if nobody named one.
#[cfg(feature = "compatible")]
async fn reached(settings: &Settings, provider: Compatible, price: PriceOf) -> Result<Session, ConnectError> {
    let provider = provider.max_connections(settings.pool_size.value);
    let provider = match &settings.token_timeout {
        Some(timeout) => provider.token_timeout(timeout.value),
        None => provider,
    };
    let model = match &settings.model {
        Some(model) => model.value.clone(),
        None => {
            let models = provider
                .models(&antiphon_llm::CallContext::default())
                .await
                .map_err(ConnectError::Provider)?;
            models.into_iter().map(|model| model.id).find(|id| answers_here(id)).ok_or_else(|| {
                ConnectError::Setting(
                    "the server lists no model: load one, or name one with --model".to_owned(),
                )
            })?
        }
    };
    let scope = provider.scope();
    let place = scope.base_url.unwrap_or_default();
    Ok(Session {
        why: format!("{} at {place}, model {model}", scope.vendor),
        provider: retrying(settings, provider),
        model,
        chosen_by_default: false,
        price,
    })
}

/// Not a model that only embeds, and not one that a local engine hands on to a cloud: nobody named that one.
#[cfg(feature = "compatible")]
fn answers_here(id: &str) -> bool {
    let id = id.to_lowercase();
    !id.contains("embed") && !id.ends_with("-cloud") && !id.ends_with(":cloud")
}

#[cfg(not(feature = "compatible"))]
async fn compatible(_: &Settings, _: &ProviderSettings) -> Result<Session, ConnectError> {
    std::future::ready(Err(ConnectError::NotBuilt("compatible"))).await
}

#[cfg(feature = "compatible")]
async fn by_default(settings: &Settings) -> Result<Session, ConnectError> {
    for engine in local::discover(local::engines()).await {
        let provider = Compatible::new(&engine.base_url()).map_err(setting)?.named(engine.name);
        // An engine without a model cannot serve; the next one may.
        if let Ok(session) = reached(settings, provider, |_, _| Some(Price::FREE)).await {
            let why = format!("{} (it answers on its default port)", session.why);
            return Ok(Session { why, chosen_by_default: true, ..session });
        }
    }
    let session = offline("no provider named and no local engine answers on its default port".to_owned())?;
    Ok(Session { chosen_by_default: true, ..session })
}

#[cfg(not(feature = "compatible"))]
async fn by_default(_: &Settings) -> Result<Session, ConnectError> {
    let session = offline("no provider named".to_owned())?;
    std::future::ready(Ok(Session { chosen_by_default: true, ..session })).await
}

#[cfg(feature = "offline")]
fn offline(why: String) -> Result<Session, ConnectError> {
    Ok(Session {
        provider: Arc::new(Offline::new()),
        model: Offline::MODEL.to_owned(),
        why: format!("offline: drafts by text statistics, no language model ({why})"),
        chosen_by_default: false,
        price: |_, _| Some(Price::FREE),
    })
}

#[cfg(not(feature = "offline"))]
fn offline(_: String) -> Result<Session, ConnectError> {
    Err(ConnectError::NotBuilt("offline"))
}

#[cfg(any(feature = "openai", feature = "compatible"))]
fn setting(err: LlmError) -> ConnectError {
    ConnectError::Setting(err.to_string())
}
