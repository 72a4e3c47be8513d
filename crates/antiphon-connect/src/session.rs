//! The session: a connected provider with its middleware, the last step from configuration to calls.
//!
//! Each session builds its own stack of middleware, while the state in it (limiters, circuit breakers) belongs to the process. The
//! stack is built twice, with and without retries, because only one owner may retry: the engine, which journals each attempt, or
//! the stack, where no engine is used.

use std::sync::Arc;

use antiphon_llm::{Calls, InvalidParam, Price, Provider, SamplingParams, Stack};
use antiphon_providers::registry::Built;
use antiphon_resilience::RetryPolicy;

use crate::settings::Settings;
use crate::target::{PriceOf, ServerLoad, Target};

/// A connected provider with its middleware, and the model to call. Created by [`connect`](fn@crate::connect).
///
/// Limiters and circuit breakers are shared by all sessions of the process, so that each provider's limits are learned once
/// (adaptive concurrency), however many runs use it. The offline provider is used without middleware.
///
/// Use `provider` for single calls, such as those of a chat, and `calls` with the engine: both reach the same server under the
/// same limits, but only the first retries. Clones share the connections.
///
/// ```
/// use antiphon_connect::{Environment, Flags, connect, resolve};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let flags = Flags::default().provider("compatible").model("tiny").base_url("http://127.0.0.1:8080/v1");
/// let session = connect(&resolve(&flags, &Environment::default(), &[])?).await?;
/// assert_eq!((session.name.as_str(), session.model.as_str()), ("compatible", "tiny"));
/// assert!(session.fallbacks.is_empty() && !session.chosen_by_default);
/// # Ok(())
/// # }
/// ```
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
    /// Configured by `ANTIPHON_RETRY_MAX`, or by `max_retries` in `[retry]` of a file.
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
    /// The slots of an engine that reports them: the calls that it processes at a time. More concurrent calls only wait for one.
    pub slots: Option<u32>,
    /// The load of a server without slots, such as vLLM.
    pub(crate) load: ServerLoad,
    /// The models that may answer, with their prices.
    pub(crate) prices: Vec<(String, PriceOf)>,
    /// The addresses of those whose price is not known.
    pub(crate) unpriced_urls: Vec<String>,
    /// The providers that may answer, with their names, for the check of sampling parameters.
    pub(crate) built: Vec<(String, Built)>,
    /// The reason why the cost of calls is not known although the prices are.
    pub(crate) cost_unknown: Option<String>,
}

impl Session {
    /// Creates a session. A provider without a server is used without middleware, and has no fallback.
    /// A fallback that is the same provider, address, account and model as the first target is left out, since it would fail as
    /// the first one did.
    pub(crate) fn of(settings: &Settings, first: Target, mut fallbacks: Vec<Target>) -> Self {
        let has_server = first.scope.base_url.is_some();
        fallbacks.retain(|other| has_server && (&other.scope, &other.model) != (&first.scope, &first.model));
        let stack = || stack_of(settings, &first, &fallbacks);
        let names: Vec<String> = fallbacks.iter().map(Target::name).collect();
        Self {
            name: first.scope.vendor.clone(),
            provider: if has_server { stack().build() } else { first.provider.clone() },
            calls: stack().calls(),
            retry: RetryPolicy::default().max_retries(settings.max_retries.value),
            model: first.model.clone(),
            why: description(&first, &names),
            fallbacks: names,
            chosen_by_default: false,
            is_replayed: false,
            slots: first.slots,
            load: first.load,
            prices: std::iter::once(&first).chain(&fallbacks).map(Target::priced_model).collect(),
            built: std::iter::once(&first)
                .chain(&fallbacks)
                .filter_map(|target| Some((target.name(), target.built.clone()?)))
                .collect(),
            unpriced_urls: std::iter::once(&first)
                .chain(&fallbacks)
                .filter_map(Target::unpriced_url)
                .collect(),
            cost_unknown: std::iter::once(&first).chain(&fallbacks).find_map(Target::unpriced_reason),
        }
    }

    /// Returns the session for calls with these parameters: with a service tier that may be dearer than the model's usual price, the
    /// cost is unknown, unless a price was set in the configuration.
    #[must_use]
    pub fn priced_for(mut self, parameters: &SamplingParams) -> Self {
        const NOT_DEARER: [&str; 8] =
            ["auto", "default", "standard", "standard_only", "flex", "on_demand", "batch", "low"];
        let tier = parameters.service_tier.as_deref().filter(|tier| !NOT_DEARER.contains(tier));
        let is_shipped = self.prices.iter().any(|(model, price)| price.is_shipped(model));
        if let Some(tier) = tier.filter(|_| is_shipped) {
            self.cost_unknown.get_or_insert_with(|| {
                format!("the table of prices has none for service_tier {tier}, which may cost more: set it in [prices]")
            });
        }
        self
    }

    /// Returns the reason why the cost of calls is not known although the prices of their models may be: an additional field or a
    /// service tier with which a call may cost more. `None` where the prices decide.
    #[must_use]
    pub fn cost_unknown(&self) -> Option<&str> {
        self.cost_unknown.as_deref()
    }

    /// Returns whether answers come from text statistics, which support only a few recipes.
    /// Such a session has no model, so a chat or a map run fails with it; persona and content runs do not.
    #[must_use]
    pub fn is_offline(&self) -> bool {
        self.provider.scope().base_url.is_none()
    }

    /// Checks sampling parameters before a run: that the provider has them, and each fallback as well, which receives the same
    /// prompts.
    ///
    /// # Errors
    /// The first parameter that cannot be sent. The message names the provider, the parameter, and what to do.
    pub fn check_parameters(&self, parameters: &SamplingParams) -> Result<(), InvalidParam> {
        self.built.iter().enumerate().try_for_each(|(index, (name, built))| match built.check(parameters) {
            Err(err) if index > 0 => Err(InvalidParam::new(err.name, format!("the fallback {name}: {err}"))),
            checked => checked,
        })
    }

    /// Returns the price for a prompt of `prompt_tokens` tokens; `None` if it is not known, or if the cost is not: see
    /// [`cost_unknown`](Self::cost_unknown). With fallbacks it is, for each kind
    /// of token, the highest price of all models that may answer: so a budget holds whichever of them answers, and reported costs
    /// are upper bounds. In a replay the price is zero.
    #[must_use]
    pub fn price(&self, prompt_tokens: u64) -> Option<Price> {
        if self.cost_unknown.is_some() {
            return None;
        }
        let prices = self.prices.iter().map(|(model, price)| price.of(model, prompt_tokens));
        prices.reduce(|dearest, price| Some(dearest?.dearer(price?))).flatten()
    }

    /// Returns a warning if a concurrency limit is beyond the slots of the engine: further calls only wait there. `None` if it is
    /// not, or if the slots are not known.
    ///
    /// vLLM has none, and batches as many calls as their lengths allow. Of it, the limit is compared with the calls that ran while
    /// others waited, or else with the calls of the full context for which its cache has room.
    #[must_use]
    pub fn beyond_slots(&self, max_concurrency: usize) -> Option<String> {
        let is_beyond = |calls: &u32| usize::try_from(*calls).is_ok_and(|calls| calls < max_concurrency);
        let Some(slots) = self.slots.filter(is_beyond) else {
            return self.beyond_load(max_concurrency, is_beyond);
        };
        let plural = if slots == 1 { "" } else { "s" };
        Some(format!(
            "{} has {slots} slot{plural}: of {max_concurrency} concurrent calls the others only wait for one. Start it with more \
             slots, or lower the limit",
            self.name
        ))
    }

    /// Returns the warning of a server without slots.
    fn beyond_load(&self, max_concurrency: usize, is_beyond: impl Fn(&u32) -> bool) -> Option<String> {
        let (name, ServerLoad { running, full_length_calls }) = (&self.name, self.load);
        let of = |calls: u32| if calls == 1 { "1 call".to_owned() } else { format!("{calls} calls") };
        if let Some(running) = running.filter(&is_beyond) {
            return Some(format!(
                "{name} runs {} at the moment, and others wait: of {max_concurrency} concurrent calls, those that it has no room for \
                 only wait in its queue. Lower the limit, or start it with a higher --max-num-seqs, or with more memory for its cache",
                of(running)
            ));
        }
        let full = full_length_calls.filter(is_beyond)?;
        Some(format!(
            "the cache of {name} has room for {} of the full context at once: of {max_concurrency} concurrent calls, long ones only \
             wait in its queue. Lower the limit, or start it with a smaller --max-model-len, or with more memory for its cache",
            of(full)
        ))
    }

    /// Returns the addresses of the models that may answer and whose price is not known.
    #[must_use]
    pub fn unpriced_urls(&self) -> &[String] {
        &self.unpriced_urls
    }

    /// Returns the first model whose price is not known; `None` if all prices are known.
    /// A budget cannot be kept with such a model, so a run with `max_cost` should be refused.
    #[must_use]
    pub fn unpriced_model(&self) -> Option<&str> {
        let is_unknown = |(model, price): &&(String, PriceOf)| price.of(model, 0).is_none();
        self.prices.iter().find(is_unknown).map(|(model, _)| model.as_str())
    }
}

/// Creates the middleware of the first target, whose fallbacks are called in order; each target has its own limits and breaker.
fn stack_of(settings: &Settings, first: &Target, fallbacks: &[Target]) -> Stack {
    let others = fallbacks.iter().map(|other| (other.stack(settings), &other.model));
    others.fold(first.stack(settings), |stack, (other, model)| stack.fallback(other, model))
}

/// Describes the targets in one line for the user: address, model and fallbacks.
fn description(first: &Target, fallbacks: &[String]) -> String {
    let mut why = match &first.scope.base_url {
        Some(place) => format!("{} at {place}, model {}", first.scope.vendor, first.model),
        None => "offline: drafts by text statistics, no language model".to_owned(),
    };
    if !fallbacks.is_empty() {
        why.push_str(&format!(", then {}", fallbacks.join(", ")));
    }
    why
}
