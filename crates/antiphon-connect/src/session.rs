use std::sync::Arc;

use antiphon_llm::{Calls, Price, Provider};
use antiphon_resilience::RetryPolicy;

use crate::settings::Settings;
use crate::target::{PriceOf, Target};

/// A provider that is ready to be asked, with everything around it, and a model.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Session {
    /// The provider's name.
    pub name: String,
    /// The provider, with its retries, limits, spans and fallbacks.
    pub provider: Arc<dyn Provider>,
    /// The same without retries, for the engine, which journals each call and owns its retries.
    pub calls: Calls,
    /// The policy by which the engine makes a failed call again.
    pub retry: RetryPolicy,
    /// The model to ask.
    pub model: String,
    /// The fallbacks in their order, each as `provider/model`.
    pub fallbacks: Vec<String>,
    /// Which provider it is and why, in a line for the user.
    pub why: String,
    /// Whether it was chosen by default, so that other choices are worth a hint.
    pub chosen_by_default: bool,
    /// Whether recorded answers take the place of the provider.
    pub is_replayed: bool,
    /// The models that may answer, with their prices.
    pub(crate) prices: Vec<(String, PriceOf)>,
}

impl Session {
    /// Puts a session together. A provider without a server is asked as it is, and has no fallback.
    pub(crate) fn of(settings: &Settings, first: Target, mut fallbacks: Vec<Target>) -> Self {
        let has_server = first.scope.base_url.is_some();
        fallbacks.retain(|other| has_server && (&other.scope, &other.model) != (&first.scope, &first.model));
        let stack = || {
            let others = fallbacks.iter().map(|other| (other.stack(settings), &other.model));
            others.fold(first.stack(settings), |stack, (other, model)| stack.fallback(other, model))
        };
        let name_of = |target: &Target| format!("{}/{}", target.scope.vendor, target.model);
        let names: Vec<String> = fallbacks.iter().map(name_of).collect();
        let mut why = match &first.scope.base_url {
            Some(place) => format!("{} at {place}, model {}", first.scope.vendor, first.model),
            None => "offline: drafts by text statistics, no language model".to_owned(),
        };
        if !names.is_empty() {
            why.push_str(&format!(", then {}", names.join(", ")));
        }
        Self {
            name: first.scope.vendor.clone(),
            provider: if has_server { stack().build() } else { first.provider.clone() },
            calls: stack().calls(),
            retry: RetryPolicy::default().max_retries(settings.max_retries.value),
            model: first.model.clone(),
            fallbacks: names,
            why,
            chosen_by_default: false,
            is_replayed: false,
            prices: std::iter::once(&first)
                .chain(&fallbacks)
                .map(|target| (target.model.clone(), target.price.clone()))
                .collect(),
        }
    }

    /// Whether answers would come from plain statistics, which know a few recipes and no others.
    #[must_use]
    pub fn is_offline(&self) -> bool {
        self.provider.scope().base_url.is_none()
    }

    /// Returns the price for a prompt of so many tokens; `None` if it is not known. With fallbacks it is the dearest price
    /// of all models that may answer, for each kind of token: a budget then holds whichever does, and costs are reported as
    /// the most that they may be. Of a replayed run it is nothing.
    #[must_use]
    pub fn price(&self, prompt_tokens: u64) -> Option<Price> {
        let prices = self.prices.iter().map(|(model, price)| price.of(model, prompt_tokens));
        prices.reduce(|dearest, price| Some(dearest?.dearer(price?))).flatten()
    }

    /// Returns the first model whose price is not known.
    #[must_use]
    pub fn unpriced_model(&self) -> Option<&str> {
        let is_unknown = |(model, price): &&(String, PriceOf)| price.of(model, 0).is_none();
        self.prices.iter().find(is_unknown).map(|(model, _)| model.as_str())
    }
}
