use std::fmt;

use antiphon_llm::{CallContext, Error as LlmError, ErrorKind, Model};
use antiphon_providers::registry::{BuildError, Built};
use antiphon_resilience::RetryPolicy;

use crate::build::{build, located};
use crate::cassette::Cassette;
use crate::config_file::ConfigFile;
use crate::environment::Environment;
use crate::provider::{ProviderSettings, known_names, named_provider};
use crate::replay::replay;
use crate::session::Session;
use crate::settings::{ConfigError, Origin, Settings};
use crate::target::Target;

/// Why no provider is ready.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// A key is missing: the variables it is looked for in.
    MissingKey(Vec<String>),
    /// A setting is missing or wrong.
    Setting(String),
    /// The files say something that does not hold.
    Config(String),
    /// This build has no such provider: its feature.
    NotBuilt(&'static str),
    /// The server was asked for its models, and that failed.
    Provider(LlmError),
    /// A folder of cassettes cannot be written, or read.
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
    /// What was asked for cannot be: another provider, model or folder has to be named.
    Request,
    /// A key, a file or the build has to be put right.
    Configuration,
    /// The provider has to be asked again, or put right.
    Provider(ErrorKind),
}

impl ConnectError {
    /// Returns what the caller can do; of a fallback's, what its own error says.
    #[must_use]
    pub fn kind(&self) -> ConnectErrorKind {
        match self {
            Self::MissingKey(_) | Self::Config(_) | Self::NotBuilt(_) => ConnectErrorKind::Configuration,
            Self::Setting(_) | Self::Cassette(_) => ConnectErrorKind::Request,
            Self::Provider(err) => ConnectErrorKind::Provider(err.kind()),
            Self::Fallback { cause, .. } => cause.kind(),
        }
    }

    /// Returns the variables that the missing key is looked for in; none where no key is missing.
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
                write!(f, "no model was named, and the server's list cannot be had: {err}")
            }
        }
    }
}

// What lies behind it is a part of the message already.
impl std::error::Error for ConnectError {}

/// Makes the provider that the settings name; without one a local engine that answers, else offline. Never a cloud
/// that was not named, also not as a fallback. Recorded answers take the place of all of them where the settings say so.
///
/// # Errors
/// What is missing or wrong, also of a fallback: it is reported before anything is asked.
///
/// # Cancel safety
/// Nothing is changed, so nothing is lost; a cassette that is begun stays.
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

/// The fallbacks, each with a key, limits and a breaker of its own.
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

/// All providers that have a name here and could be asked: the built-in ones, and those of the files.
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

/// A client for plain HTTP under the settings: it retries, follows redirects, and keeps to the time-out for the first byte
/// and between two pieces, so that a large file may take as long as it comes.
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

/// The provider's own choice, or the first model that it lists and that answers here: not one that a local engine hands on
/// to a cloud, which nobody named.
pub(crate) async fn default_model(built: &Built) -> Result<String, ConnectError> {
    if let Some(model) = &built.default_model {
        return Ok(model.clone());
    }
    if !built.lists_what_it_has {
        let message = "this provider has many models and no usual one: name one with --model";
        return Err(ConnectError::Setting(message.to_owned()));
    }
    let models = built.provider.models(&CallContext::default()).await.map_err(ConnectError::Provider)?;
    let first = models.into_iter().find(|model| model.answers && !model.is_remote);
    first.map(|model| model.id).ok_or_else(|| {
        ConnectError::Setting("the server lists no model: load one, or name one with --model".to_owned())
    })
}

/// Whether a local engine only hands a model on to a cloud.
pub(crate) async fn is_remote(built: &Built, model: &str) -> bool {
    if !built.is_local || !built.lists_what_it_has {
        return false;
    }
    let models = built.provider.models(&CallContext::default()).await.unwrap_or_default();
    models.iter().any(|known| known.id == model && known.is_remote) || is_handed_on(model)
}

/// Whether the name of a local engine's model says that it is a cloud's.
pub(crate) fn is_handed_on(model: &str) -> bool {
    model.ends_with("-cloud") || model.ends_with(":cloud")
}

async fn by_default(settings: &Settings) -> Result<Session, ConnectError> {
    let flagged = settings.model.as_ref().filter(|model| matches!(model.origin, Origin::Flag(_)));
    let fallbacks = fallbacks(settings).await?;
    let mut passed_over = Vec::new();
    // Only what runs here: an engine on another machine is named by somebody who means it.
    let found = crate::build::local(settings).await?.into_iter();
    for (named, built) in found.filter(|(_, built)| built.is_local) {
        let place = built.provider.scope().to_string();
        let of_file = named.entry.model.or(settings.model.as_ref().map(|model| model.value.clone()));
        let wanted = flagged.map(|model| model.value.clone()).or(of_file);
        // An engine without a model, or without the one that is wanted, cannot serve; the next one may.
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

/// Statistics, unless a model was asked for: then they would be no answer.
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
