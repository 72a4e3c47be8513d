use std::sync::Arc;

use antiphon_llm::Provider;

/// A provider as its [`Kind`](super::Kind) constructed it, and the facts by which a caller chooses a model and a price.
///
/// The provider is not wrapped: the caller adds retries, limits and a circuit breaker, for instance with
/// [`Stack`](antiphon_llm::Stack).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Built {
    /// The provider itself.
    pub provider: Arc<dyn Provider>,
    /// The default model, for a caller that names none; `None`: there is no default.
    pub default_model: Option<String>,
    /// Whether the provider lists only models that it can use without a download, so that the first may be taken.
    pub lists_what_it_has: bool,
    /// Whether the provider runs on this machine and forwards nothing to another: then it costs nothing.
    pub is_local: bool,
    /// Whether the provider has models to choose from.
    pub has_models: bool,
    /// Whether the provider reports its concurrency limit.
    pub reports_slots: bool,
    /// The vendor's name in the table of prices; `None` where another address may be another service.
    pub price_vendor: Option<String>,
}
