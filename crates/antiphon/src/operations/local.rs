use antiphon_llm::{CallContext, Error, Health, Model, Provider};
use futures_util::future::join_all;

use crate::runtime::{ConnectError, Settings, local};

/// A local engine that answers.
#[derive(Debug)]
#[non_exhaustive]
pub struct LocalEngine {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub place: String,
    /// How it is.
    pub health: Result<Health, Error>,
    /// The models that it has at hand.
    pub models: Result<Vec<Model>, Error>,
}

/// The engines on this machine that answer and say who they are: where the settings say, and on their usual ports.
///
/// # Errors
/// What of the settings is wrong.
///
/// # Cancel safety
/// Nothing is changed, so nothing is lost.
pub async fn local_engines(settings: &Settings) -> Result<Vec<LocalEngine>, ConnectError> {
    let engines = local(settings).await?.into_iter().map(|built| async move {
        let scope = built.provider.scope();
        let context = CallContext::default();
        LocalEngine {
            name: scope.vendor,
            place: scope.base_url.unwrap_or_default(),
            health: built.provider.health(&context).await,
            models: built.provider.models(&context).await,
        }
    });
    Ok(join_all(engines).await)
}

/// Has Ollama fetch a model, and tells how far it is.
///
/// # Errors
/// Why it cannot be fetched, or that no Ollama answers.
///
/// # Cancel safety
/// Ollama goes on with what it has when it is asked again.
#[cfg(feature = "ollama")]
pub async fn pull(
    settings: &Settings,
    model: &str,
    tell: impl FnMut(antiphon_providers::PullProgress) + Send,
) -> Result<(), Error> {
    let named = settings.engines.get("ollama");
    let host = named.and_then(|named| named.base_url.as_deref()).unwrap_or_default();
    let mut ollama = antiphon_providers::Ollama::at_host(host)?;
    if let Some(key) = named.and_then(|named| named.key.clone()) {
        ollama = ollama.key(key);
    }
    ollama.pull(model, tell).await
}
