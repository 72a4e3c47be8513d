//! The connection to the provider that the settings name, and the choice of one if they name none.
//!
//! The choice is careful with data: without a name, only engines on this machine are used, and offline drafts after them. A server
//! on another machine or in a cloud receives prompts only if a flag or a file names it.

use std::fmt;

use antiphon_llm::{CallContext, Error as LlmError, ErrorKind, Model};
use antiphon_providers::registry::{BuildError, Built};
use antiphon_resilience::RetryPolicy;

use crate::build::{build, located};
use crate::cassette::Cassette;
use crate::config_file::ConfigFile;
use crate::environment::Environment;
use crate::error::ConfigError;
use crate::origin::Origin;
use crate::provider::{ProviderSettings, known_names, named_provider};
use crate::replay::replay;
use crate::session::Session;
use crate::settings::Settings;
use crate::target::Target;

/// The error of connecting to a provider.
///
/// No model has been called when this error is returned, so nothing was paid for. [`kind`](Self::kind) says what the caller can
/// do; the message contains the cause, so the error has no `source`.
///
/// ```
/// use antiphon_connect::{ConnectErrorKind, Environment, Flags, connect, resolve};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let settings = resolve(&Flags::default().provider("openai"), &Environment::default(), &[])?;
/// let err = connect(&settings).await.err().ok_or("connected without a key")?;
/// assert_eq!((err.kind(), err.missing_key().len()), (ConnectErrorKind::Configuration, 1));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// A key is missing. Contains the environment variables in which it is looked up, the preferred one first.
    MissingKey(Vec<String>),
    /// A setting is missing or invalid, such as a model that no engine here has. Contains the message.
    Setting(String),
    /// A configuration file is invalid: its entry for the provider has a wrong or an unused option. Contains the message.
    Config(String),
    /// This build has no such provider. Contains the Cargo feature that adds it.
    NotBuilt(&'static str),
    /// The server failed to list its models, which is necessary only if no model was named and the provider has no default.
    Provider(LlmError),
    /// A folder of cassettes cannot be written or read, or has no answer of the provider. Contains the message.
    Cassette(String),
    /// A fallback is not ready. All fallbacks are connected before the first call, so that a run does not fail when it needs one.
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
/// | settings name | session |
/// |---|---|
/// | a provider | that provider; an error if its key is missing or no model can be chosen |
/// | no provider | the first engine on this machine that answers and has the model, else offline drafts |
/// | no provider, but a flag names a model or a fallback | such an engine, else an error |
/// | a cassette to replay | the recorded answers, without a network |
///
/// Connecting may ask a server for its models and its slots. It calls no model, and costs nothing.
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
///
/// A provider whose entry is invalid is an error in the list, and does not hide the others.
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
///
/// The connection pool has `pool_size` connections to one host, and the retries are those of `max_retries`. Of the timeouts only
/// `ANTIPHON_TIMEOUT` applies, since one in a file belongs to a provider. The client is not limited to public addresses: set a
/// network policy for addresses that come from users.
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
///
/// # Errors
/// `Setting` if the provider has many models, such as a cloud, or lists none that can be used; `Provider` if the list fails.
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
/// The list of models or the name says so.
pub(crate) async fn is_remote(built: &Built, model: &str) -> bool {
    if !built.is_local || !built.lists_what_it_has {
        return false;
    }
    let models = built.provider.models(&CallContext::default()).await.unwrap_or_default();
    models.iter().any(|known| known.id == model && known.is_remote) || is_handed_on(model)
}

/// Returns whether the name of a local engine's model marks it as a cloud's.
/// Ollama names its cloud models so, as in `gpt-oss:120b-cloud`.
pub(crate) fn is_handed_on(model: &str) -> bool {
    model.ends_with("-cloud") || model.ends_with(":cloud")
}

/// Connects to the first engine on this machine that answers and has the wanted model; if none has, uses offline drafts.
async fn by_default(settings: &Settings) -> Result<Session, ConnectError> {
    let fallbacks = fallbacks(settings).await?;
    let mut passed_over = Vec::new();
    // Only engines on this machine: one on another machine must be named explicitly.
    let found = crate::build::local(settings).await?.into_iter();
    for (named, built) in found.filter(|(_, built)| built.is_local) {
        match try_engine(settings, &named, &built).await? {
            Engine::Usable(first) => {
                let session = Session::of(settings, *first, fallbacks);
                return Ok(chosen_by_default(session, "it answers on this machine"));
            }
            Engine::PassedOver(reason) => passed_over.push(reason),
        }
    }
    let why =
        if passed_over.is_empty() { "no local engine answers".to_owned() } else { passed_over.join("; ") };
    without_engine(settings, &why).await
}

/// An engine on this machine that answers.
enum Engine {
    /// A connected target.
    Usable(Box<Target>),
    /// The reason why the engine cannot be used; the next one may be usable.
    PassedOver(String),
}

/// Connects an engine on this machine.
///
/// # Errors
/// `Config` or `Cassette`: a wrong configuration, or a folder for recordings that cannot be used, which no other engine would
/// change.
async fn try_engine(
    settings: &Settings,
    named: &ProviderSettings,
    built: &Built,
) -> Result<Engine, ConnectError> {
    let place = built.provider.scope();
    let wanted = wanted_model(settings, named);
    if let Some(wanted) = wanted
        && !has_at_hand(built, wanted).await
    {
        return Ok(Engine::PassedOver(format!("{place} has no model {wanted}")));
    }
    match Target::live(settings, built, wanted).await {
        Ok(target) => Ok(Engine::Usable(Box::new(target))),
        Err(err @ (ConnectError::Config(_) | ConnectError::Cassette(_))) => Err(err),
        Err(err) => Ok(Engine::PassedOver(format!("{place}: {err}"))),
    }
}

/// Returns the model to ask a discovered engine for: the flag's, else that of the engine's entry, else the default of a file.
fn wanted_model<'a>(settings: &'a Settings, named: &'a ProviderSettings) -> Option<&'a str> {
    let of_settings = settings.model.as_ref();
    let flagged = of_settings.filter(|model| matches!(model.origin, Origin::Flag(_)));
    let of_entry = named.entry.model.as_ref().or(of_settings.map(|model| &model.value));
    flagged.map(|model| &model.value).or(of_entry).map(String::as_str)
}

/// Marks a session as chosen by default, for the given reason.
fn chosen_by_default(session: Session, reason: &str) -> Session {
    let why = format!("{} ({reason})", session.why);
    Session { why, chosen_by_default: true, ..session }
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
    Ok(chosen_by_default(session, &format!("no provider named and {why}")))
}

/// Returns whether a server has a model on its own machine. A name without a tag means the tag `latest`, as in Ollama. A server
/// that cannot list its models counts as having none.
async fn has_at_hand(built: &Built, wanted: &str) -> bool {
    let models = built.provider.models(&CallContext::default()).await.unwrap_or_default();
    let has_it = |model: &Model| model.id == wanted || model.id == format!("{wanted}:latest");
    models.iter().any(|model| has_it(model) && !model.is_remote)
}
