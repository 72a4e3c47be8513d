use antiphon_llm::{CallContext, Error, ErrorKind, Health, Model, Provider};
use antiphon_providers::registry::{self, Kind, Options, PullProgress};
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
    let engines = local(settings).await?.into_iter().map(|(_, built)| async move {
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

/// The kind of engine that can be asked to fetch models.
#[must_use]
pub fn puller() -> Option<&'static Kind> {
    registry::kinds().iter().copied().find(|kind| kind.pull.is_some())
}

/// Has the engine that can do so fetch a model, and reports its progress.
///
/// # Errors
/// Why it cannot be fetched, that no such engine answers, or that this build has none.
///
/// # Cancel safety
/// The engine keeps what it has, and resumes when it is asked again.
pub async fn pull(
    settings: &Settings,
    model: &str,
    on_progress: impl FnMut(PullProgress) + Send,
) -> Result<(), Error> {
    let Some(kind) = puller() else {
        return Err(Error::new(ErrorKind::Unsupported, "no engine fetches models"));
    };
    let mut options = Options::new(kind.name);
    if let Some(named) = settings.engines.get(kind.name) {
        options.base_url.clone_from(&named.base_url);
        options.key.clone_from(&named.key);
    }
    kind.pull(&options, model, on_progress).await
}
