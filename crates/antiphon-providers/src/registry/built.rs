use std::sync::Arc;

use antiphon_llm::Provider;

/// A provider as its [`Kind`](super::Kind) constructed it, and the facts by which a caller chooses a model and a price.
///
/// Nothing is wrapped around the provider: retries, limits and a circuit breaker are the caller's, as
/// [`Stack`](antiphon_llm::Stack) puts them together.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Built {
    /// The provider itself.
    pub provider: Arc<dyn Provider>,
    /// The model to ask where the caller names none.
    pub default_model: Option<String>,
    /// Whether the models that it lists are those that it has at hand, so that the first may be taken.
    pub lists_what_it_has: bool,
    /// Whether it runs on this machine and hands nothing on to another: then it costs nothing.
    pub is_local: bool,
    /// Whether it has models to choose from.
    pub has_models: bool,
    /// Whether it reports its concurrency limit: how many calls it works on at a time.
    pub reports_slots: bool,
    /// The vendor's name in the table of prices; `None` where another address may be another service.
    pub price_vendor: Option<String>,
}
