use std::fmt;

use antiphon_llm::{CallContext, Error as LlmError, ErrorKind, Model};
use antiphon_providers::registry::{BuildError, Built};
use antiphon_resilience::RetryPolicy;

use crate::build::{build, located};
use crate::cassette::Cassette;
use crate::config_file::ConfigFile;
use crate::environment::Environment;
use crate::error::ConfigError;
use crate::provider::{ProviderSettings, known_names, named_provider};
use crate::replay::replay;
use crate::session::Session;
use crate::settings::{Origin, Settings};
use crate::target::Target;

/// The error of connecting to a provider.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// A key is missing. Contains the environment variables in which it is looked up.
    MissingKey(Vec<String>),
    /// A setting is missing or invalid.
    Setting(String),
    /// A configuration file is invalid.
    Config(String),
    /// This build has no such provider. Contains the Cargo feature that adds it.
    NotBuilt(&'static str),
    /// The server failed to list its models.
    Provider(LlmError),
    /// A folder of cassettes cannot be written or read.
    Cassette(String),
    /// A fallback is not ready.
    Fallback {
        /// The fallback as it was named: `provider/model`.
        name: String,
        /// The reason.
        cause: Box<ConnectError>,
    },
}

/// The kinds of [`ConnectError`], by what a caller can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectErrorKind {
    /// The request cannot be fulfilled: name another provider, model or folder.
    Request,
    /// A key, a file or the build is wrong: fix it.
    Configuration,
    /// The provider failed: try again, or fix the cause.
    Provider(ErrorKind),
}

impl ConnectError {
    /// Returns the kind, which says what the caller can do; for a fallback, that of its own error.
    #[must_use]
    pub fn kind(&self) -> ConnectErrorKind {
        match self {
            Self::MissingKey(_) | Self::Config(_) | Self::NotBuilt(_) => ConnectErrorKind::Configuration,
            Self::Setting(_) | Self::Cassette(_) => ConnectErrorKind::Request,
            Self::Provider(err) => ConnectErrorKind::Provider(err.kind()),
            Self::Fallback { cause, .. } => cause.kind(),
        }
    }

    /// Returns the environment variables that may have the missing key; empty if no key is missing.
    #[must_use]
    pub fn missing_key(&self) -> &[String] {
        match self {
            Self::MissingKey(variables) => variables,
            Self::Fallback { cause, .. } => cause.missing_key(),
            _ => &[],
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingKey(variables) => {
                write!(f, "the environment variable {} is not set", variables.join(" or "))
            }
            Self::Setting(message) | Self::Config(message) | Self::Cassette(message) => f.write_str(message),
            Self::Fallback { name, cause } => {
                write!(f, "the fallback {name} cannot be used: {cause}. Set it up, or leave it out")
            }
            Self::NotBuilt(feature) => BuildError::NotBuilt { feature }.fmt(f),
            Self::Provider(err) => {
                write!(f, "no model was named, and the server cannot list its models: {err}")
            }
        }
    }
}

// The source's text is part of the message already.
impl std::error::Error for ConnectError {}

/// Connects to the provider that the settings name. If they name none, connects to a local engine that answers; if none answers,
/// uses offline drafts. A cloud provider is never used unless it is named, not even as a fallback. With [`Cassette::Replay`],
/// recorded answers replace all providers.
///
/// # Errors
/// An error for a setting, key or model that is missing or invalid, of the provider or of a fallback. It is reported before any
/// model is called.
///
/// # Cancel safety
/// A dropped call changes nothing, except that a cassette that was created is kept.
pub async fn connect(settings: &Settings) -> Result<Session, ConnectError> {
    if let Some(Cassette::Replay(folder)) = &settings.cassette {
        return replay(settings, folder).await;
    }
    let Some(named) = &settings.provider else { return by_default(settings).await };
    let built = build(settings, &located(settings, &named.value).await)?;
    let model = settings.model.as_ref().map(|model| &*model.value);
    let first = Target::live(settings, &built, model).await?;
    let session = Session::of(settings, first, fallbacks(settings).await?);
    let why = if session.is_offline() {
        format!("{} (chosen by {})", session.why, named.origin)
    } else {
        session.why
    };
    Ok(Session { why, ..session })
}

/// Connects the fallbacks, each with its own key, limits and circuit breaker.
async fn fallbacks(settings: &Settings) -> Result<Vec<Target>, ConnectError> {
    let mut targets = Vec::new();
    for fallback in &settings.fallback.value {
        let target = async {
            let built = build(settings, &located(settings, &fallback.provider).await)?;
            Target::live(settings, &built, Some(&fallback.model)).await
        };
        let name = fallback.to_string();
        targets.push(target.await.map_err(|cause| ConnectError::Fallback { name, cause: Box::new(cause) })?);
    }
    Ok(targets)
}

/// Returns all providers that can be named, with their settings: the built-in ones, then those of the files.
#[must_use]
pub fn known_providers(
    env: &Environment,
    files: &[ConfigFile],
) -> Vec<(String, Result<ProviderSettings, ConfigError>)> {
    known_names(files)
        .into_iter()
        .map(|name| {
            let settings = named_provider(&name, env, files);
            (name, settings)
        })
        .collect()
}

/// Creates a client for plain HTTP with these settings, for example to fetch documents. It retries, follows at most 10 redirects,
/// and has timeouts for the first byte and between two chunks, but none for the whole response, so that a large file can be
/// fetched slowly.
#[must_use]
pub fn http_client(settings: &Settings) -> antiphon_http::Client {
    let policy = RetryPolicy::default().max_retries(settings.max_retries.value);
    let client = antiphon_http::Client::builder().retry(policy).max_redirects(10);
    let client = client.max_connections(settings.pool_size.value);
    match settings.timeout_of_all() {
        Some(timeout) => client.first_byte_timeout(timeout).idle_timeout(timeout).build(),
        None => client.build(),
    }
}

/// Returns the provider's default model, else the first listed one that answers on this machine: never one that a local engine
/// forwards to a cloud, since no one named that.
pub(crate) async fn default_model(built: &Built) -> Result<String, ConnectError> {
    if let Some(model) = &built.default_model {
        return Ok(model.clone());
    }
    if !built.lists_what_it_has {
        let message = "this provider has many models and no default: name one with --model";
        return Err(ConnectError::Setting(message.to_owned()));
    }
    let models = built.provider.models(&CallContext::default()).await.map_err(ConnectError::Provider)?;
    let first = models.into_iter().find(|model| model.answers && !model.is_remote);
    first.map(|model| model.id).ok_or_else(|| {
        ConnectError::Setting("the server lists no model: load one, or name one with --model".to_owned())
    })
}

/// Returns whether a local engine forwards a model's calls to a cloud.
pub(crate) async fn is_remote(built: &Built, model: &str) -> bool {
    if !built.is_local || !built.lists_what_it_has {
        return false;
    }
    let models = built.provider.models(&CallContext::default()).await.unwrap_or_default();
    models.iter().any(|known| known.id == model && known.is_remote) || is_handed_on(model)
}

/// Returns whether the name of a local engine's model marks it as a cloud's.
pub(crate) fn is_handed_on(model: &str) -> bool {
    model.ends_with("-cloud") || model.ends_with(":cloud")
}

async fn by_default(settings: &Settings) -> Result<Session, ConnectError> {
    let flagged = settings.model.as_ref().filter(|model| matches!(model.origin, Origin::Flag(_)));
    let fallbacks = fallbacks(settings).await?;
    let mut passed_over = Vec::new();
    // Only engines on this machine: one on another machine must be named explicitly.
    let found = crate::build::local(settings).await?.into_iter();
    for (named, built) in found.filter(|(_, built)| built.is_local) {
        let place = built.provider.scope().to_string();
        let of_file = named.entry.model.or(settings.model.as_ref().map(|model| model.value.clone()));
        let wanted = flagged.map(|model| model.value.clone()).or(of_file);
        // An engine without a model, or without the wanted one, is passed over; the next one may have it.
        if let Some(wanted) = &wanted
            && !has_at_hand(&built, wanted).await
        {
            passed_over.push(format!("{place} has no model {wanted}"));
            continue;
        }
        match Target::live(settings, &built, wanted.as_deref()).await {
            Ok(first) => {
                let session = Session::of(settings, first, fallbacks);
                let why = format!("{} (it answers on this machine)", session.why);
                return Ok(Session { why, chosen_by_default: true, ..session });
            }
            Err(err @ (ConnectError::Config(_) | ConnectError::Cassette(_))) => return Err(err),
            Err(err) => passed_over.push(format!("{place}: {err}")),
        }
    }
    let why =
        if passed_over.is_empty() { "no local engine answers".to_owned() } else { passed_over.join("; ") };
    without_engine(settings, &why).await
}

/// Falls back to offline drafts by text statistics, unless a model or a fallback was named explicitly.
async fn without_engine(settings: &Settings, why: &str) -> Result<Session, ConnectError> {
    let wanted = match (&settings.model, &settings.fallback) {
        (Some(model), _) if matches!(model.origin, Origin::Flag(_)) => {
            Some(format!("nothing here has the model {}", model.value))
        }
        (_, fallback) if matches!(fallback.origin, Origin::Flag(_)) => {
            Some("a fallback needs a provider before it".to_owned())
        }
        _ => None,
    };
    if let Some(wanted) = wanted {
        return Err(ConnectError::Setting(format!("no provider is named, and {wanted}: {why}")));
    }
    let offline = Target::live(settings, &crate::build::offline()?, None).await?;
    let session = Session::of(settings, offline, Vec::new());
    let why = format!("{} (no provider named and {why})", session.why);
    Ok(Session { why, chosen_by_default: true, ..session })
}

async fn has_at_hand(built: &Built, wanted: &str) -> bool {
    let models = built.provider.models(&CallContext::default()).await.unwrap_or_default();
    let has_it = |model: &Model| model.id == wanted || model.id == format!("{wanted}:latest");
    models.iter().any(|model| has_it(model) && !model.is_remote)
}
