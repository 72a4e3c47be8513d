use std::fmt;
use std::sync::Arc;

use antiphon_llm::{InvalidParam, Price, Provider, SamplingParams};

use crate::prices::Prices;

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
    /// Whether that limit is the one of the moment, as of an engine that batches as many calls as their lengths allow.
    pub slots_vary: bool,
    /// Whether the provider is an engine whose calls beyond its slots wait in a queue of its own, so that many of them at once are
    /// of no use.
    pub is_engine: bool,
    /// The names below which a user's table may have prices of the provider, whatever its address: that of its entry, then that of
    /// its kind. Set by [`Kind::build`](super::Kind::build).
    pub price_names: Vec<String>,
    /// The vendor's name in the table of prices; `None` if the address is not the vendor's, where another service may have other
    /// prices.
    pub price_vendor: Option<String>,
    /// The path of a field in the options' additional fields with which a call may cost more than the price of its model, such as
    /// OpenRouter's `models` or `plugins`: the cost of calls is unknown then. Set by [`Kind::build`](super::Kind::build).
    pub unpriced_field: Option<String>,
    /// The provider once more, for the check of sampling parameters.
    pub(crate) checked: Arc<dyn CheckParams>,
}

/// A provider whose settings can be checked against sampling parameters before a run.
pub(crate) trait CheckParams: fmt::Debug + Send + Sync {
    /// Checks the parameters, and that the additions of the options override nothing of a request with them.
    ///
    /// # Errors
    /// The first parameter, or `extra_body`, that cannot be sent.
    fn check_params(&self, parameters: &SamplingParams) -> Result<(), InvalidParam>;
}

impl Built {
    /// Checks sampling parameters before a run: that the provider has them, and that the additional fields of its options do not
    /// override them. A call checks the same, but when other calls may have been paid for.
    ///
    /// # Errors
    /// The first parameter that cannot be sent. The message names the provider, the parameter, and what to do.
    pub fn check(&self, parameters: &SamplingParams) -> Result<(), InvalidParam> {
        self.checked.check_params(parameters)
    }
}

impl Built {
    /// Returns the price of a model for a prompt of about `prompt_tokens` tokens; `None` if it is not known. `is_remote` is whether
    /// a local engine forwards the model's calls to a cloud.
    ///
    /// | price | applies |
    /// |---|---|
    /// | one that was set over the shipped table, under the name of the entry or of its kind | always |
    /// | none | to an engine on this machine |
    /// | one of the shipped table | to the vendor's own address |
    #[must_use]
    pub fn price(&self, prices: &Prices, model: &str, is_remote: bool, prompt_tokens: u64) -> Option<Price> {
        let set = |name: &String| prices.set_price(name, model, prompt_tokens);
        match self.price_names.iter().find_map(set) {
            None if self.is_local && !is_remote => Some(Price::FREE),
            None => prices.price(self.price_vendor.as_deref()?, model, prompt_tokens),
            set => set,
        }
    }
}
