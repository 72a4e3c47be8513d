use std::sync::Arc;

use antiphon_llm::Provider;

/// A provider that a [`Kind`](super::Kind) constructed, with the facts by which a caller chooses a model and a price.
///
/// The provider has no middleware: the caller adds retries, rate limits and a circuit breaker, for example with
/// [`Stack`](antiphon_llm::Stack).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Built {
    /// The provider itself.
    pub provider: Arc<dyn Provider>,
    /// The default model, for a caller that names none; `None` if there is no default.
    pub default_model: Option<String>,
    /// Whether the provider lists only models that are usable without a download. If so, the first of the list can be the
    /// default.
    pub lists_what_it_has: bool,
    /// Whether the provider runs on this machine and forwards no call to another one, so that calls cost nothing.
    pub is_local: bool,
    /// Whether the provider has models to choose from.
    pub has_models: bool,
    /// Whether the provider reports its concurrency limit.
    pub reports_slots: bool,
    /// The vendor's name in the table of prices; `None` if the address is not the vendor's, where another service may have other
    /// prices.
    pub price_vendor: Option<String>,
}
