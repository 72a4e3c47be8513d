use std::sync::Arc;

use antiphon_llm::{Calls, Price, Provider};
use antiphon_resilience::RetryPolicy;

use crate::settings::Settings;
use crate::target::{PriceOf, Target};

/// A connected provider with its middleware, and the model to call. Created by [`connect`](fn@crate::connect).
///
/// Limiters and circuit breakers are shared by all sessions of the process, so that each provider's limits are learned once
/// (adaptive concurrency), however many runs use it. The offline provider is used without middleware.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Session {
    /// The provider's name.
    pub name: String,
    /// The provider, wrapped with retries, rate limits, tracing spans and fallbacks. For direct use, such as a chat.
    pub provider: Arc<dyn Provider>,
    /// The same provider without retries, for the engine, which journals each call (write-ahead) and does its own retries.
    pub calls: Calls,
    /// The policy by which the engine retries a failed call.
    pub retry: RetryPolicy,
    /// The model to call.
    pub model: String,
    /// The fallbacks in their order, each as `provider/model`.
    pub fallbacks: Vec<String>,
    /// One line for the user: the provider, and the reason why it was chosen.
    pub why: String,
    /// Whether the provider was chosen by default, in which case a hint about other choices is useful.
    pub chosen_by_default: bool,
    /// Whether recorded answers replace the provider.
    pub is_replayed: bool,
    /// The models that may answer, with their prices.
    pub(crate) prices: Vec<(String, PriceOf)>,
}

impl Session {
    /// Creates a session. A provider without a server is used without middleware, and has no fallback.
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

    /// Returns whether answers come from text statistics, which support only a few recipes.
    #[must_use]
    pub fn is_offline(&self) -> bool {
        self.provider.scope().base_url.is_none()
    }

    /// Returns the price for a prompt of `prompt_tokens` tokens; `None` if it is not known. With fallbacks it is, for each kind
    /// of token, the highest price of all models that may answer: so a budget holds whichever of them answers, and reported costs
    /// are upper bounds. In a replay the price is zero.
    #[must_use]
    pub fn price(&self, prompt_tokens: u64) -> Option<Price> {
        let prices = self.prices.iter().map(|(model, price)| price.of(model, prompt_tokens));
        prices.reduce(|dearest, price| Some(dearest?.dearer(price?))).flatten()
    }

    /// Returns the first model whose price is not known; `None` if all prices are known.
    #[must_use]
    pub fn unpriced_model(&self) -> Option<&str> {
        let is_unknown = |(model, price): &&(String, PriceOf)| price.of(model, 0).is_none();
        self.prices.iter().find(is_unknown).map(|(model, _)| model.as_str())
    }
}
