//! A target of calls: one provider and one model, with everything that calls to it share.
//!
//! Limiters and circuit breakers live as long as the process and are shared by all sessions: a rate limit is learned once, and an
//! outage that one run finds spares the others its timeouts. The key of each registry is as fine as the limit that it models:
//!
//! | state | shared by |
//! |---|---|
//! | adaptive limiters | all calls of the process, within the keys of the registry |
//! | adaptive limiters of an engine | calls to one address with the same number of slots |
//! | circuit breaker | calls of one account to one model at one address |

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use antiphon_llm::{
    CallContext, CircuitBreaker, LimiterRegistry, Price, Provider, Recorded, RetryBudget, Scope, Stack,
};
use antiphon_providers::prices::Prices;
use antiphon_providers::registry::Built;
use antiphon_resilience::{AdaptivePolicy, BreakerPolicy, BreakerRegistry, BreakerWindow, RetryPolicy};

use crate::cassette::Cassette;
use crate::connect::{ConnectError, default_model, is_remote};
use crate::settings::Settings;

/// A provider and a model, with the state that their calls share: adaptive limiters, circuit breaker, price.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// The provider without middleware, but with its recorder if answers are recorded.
    pub(crate) provider: Arc<dyn Provider>,
    /// The vendor, address and account of the calls, by which limiters and breakers are shared.
    pub(crate) scope: Scope,
    /// The model to call.
    pub(crate) model: String,
    /// The provider as it was constructed, which knows its sampling parameters; `None` for a cassette.
    pub(crate) built: Option<Built>,
    /// The price of the model.
    pub(crate) price: PriceOf,
    /// The adaptive limiters; `None` for a provider without a server.
    pub(crate) limiters: Option<LimiterRegistry>,
    /// The circuit breaker; `None` for a provider without a server, and for a cassette.
    pub(crate) breaker: Option<CircuitBreaker>,
    /// The slots of an engine that reports them: the calls that it processes at a time.
    pub(crate) slots: Option<u32>,
    /// The load of a server that batches as many calls as their lengths allow.
    pub(crate) load: ServerLoad,
}

/// The load of a server whose slots vary with the lengths of its calls, when the target was connected.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ServerLoad {
    /// The calls that it processed while others waited in its queue; `None` if none waited.
    pub(crate) running: Option<u32>,
    /// The calls with a full context for which it has memory.
    pub(crate) full_length_calls: Option<u32>,
}

/// The prices of a provider's models.
#[derive(Debug, Clone)]
pub(crate) enum PriceOf {
    /// Nothing is sent anywhere.
    Nothing,
    /// The answers were paid for when they were recorded.
    Prepaid,
    /// The price by the table, for a live provider; the flag is whether a local engine forwards the calls to a cloud.
    Live(Arc<Prices>, Box<Built>, bool),
}

impl PriceOf {
    /// Returns the prices of a live provider. A price that was configured always counts. Without one, a model on this machine is
    /// free, unless the engine forwards it to a cloud.
    pub(crate) fn live(settings: &Settings, built: &Built, is_remote: bool) -> Self {
        Self::Live(Arc::new(settings.prices.clone()), Box::new(built.clone()), is_remote)
    }

    /// Returns whether the price of a model is that of the shipped table.
    pub(crate) fn is_shipped(&self, model: &str) -> bool {
        match self {
            Self::Nothing | Self::Prepaid => false,
            Self::Live(prices, built, is_remote) => {
                let is_set = built.price_names.iter().any(|name| prices.set_price(name, model, 0).is_some());
                let price = built.price(prices, model, *is_remote, 0);
                !is_set && price.is_some_and(|price| price != Price::FREE)
            }
        }
    }

    /// Returns the price of a model for a prompt of `prompt_tokens` tokens; `None` if it is not known.
    pub(crate) fn of(&self, model: &str, prompt_tokens: u64) -> Option<Price> {
        match self {
            Self::Nothing => Some(Price::FREE),
            Self::Prepaid => Some(Price::PREPAID),
            Self::Live(prices, built, is_remote) => built.price(prices, model, *is_remote, prompt_tokens),
        }
    }
}

/// The adaptive limiters of all providers of this process, shared by all runs, so that each limit is learned once.
static LIMITERS: LazyLock<LimiterRegistry> = LazyLock::new(LimiterRegistry::default);
/// The circuit breakers of this process, by address, account and model.
static BREAKERS: LazyLock<BreakerRegistry> = LazyLock::new(|| {
    // Of many concurrent calls a fifth may fail by chance without an outage, so the window is large; and a trial may take as
    // long as the slowest engine takes to its first token.
    let policy = BreakerPolicy::default().window(BreakerWindow::Count(100)).min_calls(20);
    // In an outage nearly all calls fail: a provider that answers half of them is still worth calling.
    let policy = policy.failure_rate(0.8);
    // A short outage costs little more than its length, and a long one is probed less and less often.
    let policy = policy.open_for(Duration::from_millis(500), Duration::from_secs(300));
    // One success of several trials closes the breaker. If a share of all calls fails, several successes in a row are rare,
    // and one trial at a time would double the open time again and again.
    let policy = policy.trials(1).spare_trials(7);
    BreakerRegistry::new(policy.max_half_open(Duration::from_secs(300)))
});

/// The limiters of engines, by their number of slots, 0 if they do not report it: more concurrent calls would only queue there,
/// while their timeouts run.
static LIMITERS_OF_SLOTS: LazyLock<Mutex<HashMap<(String, u32), LimiterRegistry>>> =
    LazyLock::new(Mutex::default);

/// Returns the circuit breaker of a model at an address: each account has its own, since one may be blocked and the others not.
fn breaker_of(scope: &Scope, model: &str) -> CircuitBreaker {
    let account = scope.key_digest.as_deref().unwrap_or_default();
    BREAKERS.get(&format!("{scope} {account} {model}"))
}

/// The concurrency with which the search for the slots of an engine begins that does not report them. The limit grows as long as
/// more calls are answered in the same time; most engines have one to four slots.
const FEW_CALLS: usize = 2;

/// Returns the adaptive limiters for an address: those of the process, or for an engine its own. The limit of an engine that
/// reports its slots is their number; a different number, as after a restart of the engine, has new limiters. Of another engine,
/// such as Ollama, the slots are found by probing.
fn limiters_of(scope: &Scope, slots: Option<u32>, is_engine: bool) -> LimiterRegistry {
    let policy = match slots {
        Some(slots) => {
            AdaptivePolicy::default().max_concurrency(usize::try_from(slots).unwrap_or(usize::MAX))
        }
        None if is_engine => AdaptivePolicy::default().start_concurrency(FEW_CALLS).without_slow_start(),
        None => return LIMITERS.clone(),
    };
    let mut known = LIMITERS_OF_SLOTS.lock().unwrap_or_else(PoisonError::into_inner);
    let new = || LimiterRegistry::new(policy);
    known.entry((scope.to_string(), slots.unwrap_or(0))).or_insert_with(new).clone()
}

impl Target {
    /// Connects a live provider for `model`, or for its default one; its answers are recorded if the settings say so.
    /// Asks the server for its models or its slots where the answer matters, but calls no model.
    ///
    /// # Errors
    /// The errors of choosing a default model, and a folder of cassettes that cannot be written.
    pub(crate) async fn live(
        settings: &Settings,
        built: &Built,
        model: Option<&str>,
    ) -> Result<Self, ConnectError> {
        let (model, is_remote) = chosen_model(built, model).await?;
        let scope = built.provider.scope();
        let reported = reported_slots(built, &model).await;
        // An engine whose calls wait at the moment is approached with few, whatever its limit is later.
        let begins_with_few = built.is_engine || (built.slots_vary && reported.running.is_some());
        let slots = reported.running.filter(|_| !built.slots_vary);
        let has_server = scope.base_url.is_some();
        Ok(Self {
            built: Some(built.clone()),
            price: PriceOf::live(settings, built, is_remote),
            limiters: has_server.then(|| limiters_of(&scope, slots, begins_with_few)),
            slots,
            load: if built.slots_vary { reported } else { ServerLoad::default() },
            breaker: has_server.then(|| breaker_of(&scope, &model)),
            provider: as_recorded(settings, built).await?,
            scope,
            model,
        })
    }

    /// Returns the target as people name it: `provider/model`.
    pub(crate) fn name(&self) -> String {
        format!("{}/{}", self.scope.vendor, self.model)
    }

    /// Returns the model with its price.
    pub(crate) fn priced_model(&self) -> (String, PriceOf) {
        (self.model.clone(), self.price.clone())
    }

    /// Returns the address, if the price of the model is not known.
    pub(crate) fn unpriced_url(&self) -> Option<String> {
        self.scope.base_url.clone().filter(|_| self.price.of(&self.model, 0).is_none())
    }

    /// Returns the reason why the cost of calls is not known, whatever the price is; `None` where calls cost nothing.
    pub(crate) fn unpriced_reason(&self) -> Option<String> {
        let field = self.built.as_ref()?.unpriced_field.as_ref()?;
        let is_free = self.price.of(&self.model, 0) == Some(Price::FREE);
        (!is_free).then(|| {
            format!(
                "{field} in extra_body of {} may change the model or the price of a call",
                self.scope.vendor
            )
        })
    }

    /// Returns the provider with its retries, limits and spans, to be built or used as a fallback.
    ///
    /// The caller decides by `build` or `calls` of the stack whether the retries are used: the engine has its own. The retry
    /// budget keeps retries from adding much load to a server that fails. Spans have prompts and answers only if the settings
    /// say so.
    pub(crate) fn stack(&self, settings: &Settings) -> Stack {
        let retry = RetryPolicy::default().max_retries(settings.max_retries.value);
        let stack = Stack::new(self.provider.clone()).retry(retry).retry_budget(RetryBudget::default());
        let stack = match &self.limiters {
            Some(limiters) => stack.limiters(limiters.clone()),
            None => stack,
        };
        let stack = match &self.breaker {
            Some(breaker) => stack.breaker(breaker.clone()),
            None => stack,
        };
        if settings.capture_content { stack.observe_content() } else { stack }
    }
}

/// Returns the named model or the default one, and whether a local engine forwards its calls to a cloud.
async fn chosen_model(built: &Built, named: Option<&str>) -> Result<(String, bool), ConnectError> {
    match named {
        // The offline provider has no models.
        Some(model) if built.has_models => Ok((model.to_owned(), is_remote(built, model).await)),
        _ => Ok((default_model(built).await?, false)),
    }
}

/// Returns the calls that a server processes in parallel, as far as it reports them.
async fn reported_slots(built: &Built, model: &str) -> ServerLoad {
    if !built.reports_slots {
        return ServerLoad::default();
    }
    let known = built.provider.capabilities(model, &CallContext::default()).await;
    ServerLoad { running: known.parallel, full_length_calls: known.full_length_calls }
}

/// Returns the live provider, which records its answers if the settings have a cassette to record.
async fn as_recorded(settings: &Settings, built: &Built) -> Result<Arc<dyn Provider>, ConnectError> {
    match &settings.cassette {
        Some(Cassette::Record(folder)) => recorded(built.provider.clone(), folder).await,
        _ => Ok(built.provider.clone()),
    }
}

/// Wraps a provider so that each answer is recorded: inside the retries, so that the cassette has the provider's own answers.
async fn recorded(provider: Arc<dyn Provider>, folder: &Path) -> Result<Arc<dyn Provider>, ConnectError> {
    let recorded = Recorded::in_dir(provider, folder);
    match recorded.prepare().await {
        Ok(()) => Ok(Arc::new(recorded)),
        Err(err) => Err(ConnectError::Cassette(format!("{err}. Name another folder with --record"))),
    }
}
