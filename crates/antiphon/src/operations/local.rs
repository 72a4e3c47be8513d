use antiphon_llm::{CallContext, Error, Health, Model, Provider};
use futures_util::future::join_all;

use crate::runtime::{Settings, local};

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

/// The engines on this machine that answer on their usual ports and say who they are.
///
/// # Cancel safety
/// Nothing is changed, so nothing is lost.
pub async fn local_engines(settings: &Settings) -> Vec<LocalEngine> {
    let engines = local(settings).await.into_iter().map(|built| async move {
        let scope = built.provider.scope();
        let context = CallContext::default();
        LocalEngine {
            name: scope.vendor,
            place: scope.base_url.unwrap_or_default(),
            health: built.provider.health(&context).await,
            models: built.provider.models(&context).await,
        }
    });
    join_all(engines).await
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
    antiphon_providers::Ollama::at_host(settings.ollama_host.as_deref().unwrap_or_default())?
        .pull(model, tell)
        .await
}
