//! Questions to providers that make no model call: checkups, lists of models, and pulling of models.
//!
//! Servers are asked concurrently, so that one that does not answer delays a survey by its own timeout only.

use antiphon_engine::near_name;
use antiphon_llm::{CallContext, Error as LlmError, ErrorKind, Model, Provider};
use antiphon_providers::checkup::{Checkup, LocalEngine, ProviderModels, Subject};
use antiphon_providers::registry::{Options, PullProgress, puller};
use futures_util::future::join_all;

use crate::build::{build, local, located, options};
use crate::connect::ConnectError;
use crate::error::ConfigError;
use crate::provider::ProviderSettings;
use crate::session::Session;
use crate::settings::Settings;

/// Checks all providers concurrently: keys, addresses, models and slots (the calls that a local server processes in parallel).
/// Each provider has 5 seconds to answer. No model is called.
///
/// `providers` are usually those of [`known_providers`](crate::known_providers). The results are in the same order, one for each;
/// a provider whose settings are invalid is reported as misconfigured. The provider of `settings` is marked as the chosen one.
///
/// # Cancel safety
/// A dropped call changes nothing.
pub async fn doctor(
    settings: &Settings,
    providers: &[(String, Result<ProviderSettings, ConfigError>)],
) -> Vec<Checkup> {
    let chosen = settings.provider.as_ref().map(|chosen| &chosen.value.name);
    let checkups = providers.iter().map(|(name, named)| async move {
        let named = match named {
            Ok(named) => located(settings, named).await,
            Err(err) => {
                return Checkup::misconfigured(name, err.to_string()).advice("correct it in antiphon.toml");
            }
        };
        // A rejected key is that of the variable from which it was read.
        let variables = named.key_variable.clone().map_or(named.key_env.clone(), |variable| vec![variable]);
        let subject = Subject::new(name, named.kind).key_env(&variables).configured(named.is_configured);
        subject.chosen(chosen == Some(name)).examine(build(settings, &named).map_err(Into::into)).await
    });
    join_all(checkups).await
}

/// Lists the models of the provider that the settings name; if they name none, those of each local engine that answers.
/// A server that fails to list its models is an entry with the error, and does not hide the others.
///
/// # Errors
/// An error for a setting that is missing or invalid.
///
/// # Cancel safety
/// A dropped call changes nothing.
pub async fn models(settings: &Settings) -> Result<Vec<ProviderModels>, ConnectError> {
    let built = match &settings.provider {
        Some(named) => vec![build(settings, &located(settings, &named.value).await)?],
        None => local(settings).await?.into_iter().map(|(_, built)| built).collect(),
    };
    Ok(join_all(built.iter().map(|built| ProviderModels::list(built, &settings.prices))).await)
}

/// Returns at most three models of the session's provider with names similar to the session's model, the most similar first.
/// Empty if no name is similar (Jaro-Winkler similarity of at least 0.7), or if the server cannot list its models.
///
/// # Cancel safety
/// A dropped call changes nothing.
pub async fn near_models(session: &Session) -> Vec<String> {
    let listed = session.provider.models(&CallContext::default()).await.unwrap_or_default();
    similar_models(&session.model, &listed)
}

/// Returns at most three of the listed models that write text and have a similar name, the most similar first.
pub(crate) fn similar_models(model: &str, listed: &[Model]) -> Vec<String> {
    let mut names: Vec<String> =
        listed.iter().filter(|model| model.answers).map(|model| model.id.clone()).collect();
    let mut near = Vec::new();
    while near.len() < 3
        && let Some(name) = near_name(model, names.iter().map(String::as_str)).map(str::to_owned)
    {
        names.retain(|other| *other != name);
        near.push(name);
    }
    near
}

/// Finds the engines on this machine that answer and identify themselves: at the configured addresses and the usual ports.
/// A server of another kind at such a port is left out, since it does not identify itself as the engine.
///
/// # Errors
/// An error for a setting that is invalid.
///
/// # Cancel safety
/// A dropped call changes nothing.
pub async fn local_engines(settings: &Settings) -> Result<Vec<LocalEngine>, ConnectError> {
    let engines = local(settings).await?;
    Ok(join_all(engines.iter().map(|(_, built)| LocalEngine::ask(built))).await)
}

/// Pulls a model into the local engine that supports it, and reports progress.
///
/// # Errors
/// The reason why the model cannot be fetched: no such engine answers, or this build has none.
///
/// # Cancel safety
/// The engine keeps what it has downloaded, and resumes at the next call.
pub async fn pull(
    settings: &Settings,
    model: &str,
    on_progress: impl FnMut(PullProgress) + Send,
) -> Result<(), LlmError> {
    let Some(kind) = puller() else {
        return Err(LlmError::new(ErrorKind::Unsupported, "no engine fetches models"));
    };
    let configured = settings.engines.get(kind.name).map(|named| options(settings, named));
    let options = configured.unwrap_or_else(|| Options::new(kind.name));
    kind.pull(&options, model, on_progress).await
}
