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
    pub(crate) provider: Arc<dyn Provider>,
    pub(crate) scope: Scope,
    pub(crate) model: String,
    pub(crate) price: PriceOf,
    pub(crate) limiters: Option<LimiterRegistry>,
    pub(crate) breaker: Option<CircuitBreaker>,
}

/// The prices of a provider's models.
#[derive(Debug, Clone)]
pub(crate) enum PriceOf {
    /// The provider runs on the user's own machine.
    Nothing,
    /// The answers were paid for when they were recorded.
    Prepaid,
    /// The table has prices of this vendor.
    Table(Arc<Prices>, String),
    /// No price is known.
    Unknown,
}

impl PriceOf {
    /// Returns the price of a model for a prompt of `prompt_tokens` tokens; `None` if it is not known.
    pub(crate) fn of(&self, model: &str, prompt_tokens: u64) -> Option<Price> {
        match self {
            Self::Nothing => Some(Price::FREE),
            Self::Prepaid => Some(Price::PREPAID),
            Self::Table(prices, vendor) => prices.price(vendor, model, prompt_tokens),
            Self::Unknown => None,
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

/// The limiters of engines that report their number of slots: more concurrent calls would only queue there, while their
/// timeouts run.
static LIMITERS_OF_SLOTS: LazyLock<Mutex<HashMap<(String, u32), LimiterRegistry>>> =
    LazyLock::new(Mutex::default);

fn limiters_of(scope: &Scope, slots: Option<u32>) -> LimiterRegistry {
    let Some(slots) = slots else { return LIMITERS.clone() };
    let mut known = LIMITERS_OF_SLOTS.lock().unwrap_or_else(PoisonError::into_inner);
    let new = || LimiterRegistry::new(AdaptivePolicy::default().max_concurrency(slots as usize));
    known.entry((scope.to_string(), slots)).or_insert_with(new).clone()
}

impl Target {
    /// Connects a live provider for `model`, or for its default one; its answers are recorded if the settings say so.
    pub(crate) async fn live(
        settings: &Settings,
        built: &Built,
        model: Option<&str>,
    ) -> Result<Self, ConnectError> {
        let (model, is_remote) = match model {
            // The offline provider has no models.
            Some(model) if built.has_models => (model.to_owned(), is_remote(built, model).await),
            _ => (default_model(built).await?, false),
        };
        let scope = built.provider.scope();
        let price = match (&built.price_vendor, built.is_local && !is_remote) {
            (_, true) => PriceOf::Nothing,
            (Some(vendor), _) => PriceOf::Table(Arc::new(settings.prices.clone()), vendor.clone()),
            (None, _) => PriceOf::Unknown,
        };
        let slots = if built.reports_slots {
            built.provider.capabilities(&model, &CallContext::default()).await.parallel
        } else {
            None
        };
        let account = scope.key_digest.as_deref().unwrap_or_default();
        let has_server = scope.base_url.is_some();
        Ok(Self {
            limiters: has_server.then(|| limiters_of(&scope, slots)),
            breaker: has_server.then(|| BREAKERS.get(&format!("{scope} {account} {model}"))),
            provider: match &settings.cassette {
                Some(Cassette::Record(folder)) => recorded(built.provider.clone(), folder).await?,
                _ => built.provider.clone(),
            },
            scope,
            model,
            price,
        })
    }

    /// Returns the provider with its retries, limits and spans, to be built or used as a fallback.
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

/// Wraps a provider so that each answer is recorded: inside the retries, so that the cassette has the provider's own answers.
async fn recorded(provider: Arc<dyn Provider>, folder: &Path) -> Result<Arc<dyn Provider>, ConnectError> {
    let recorded = Recorded::in_dir(provider, folder);
    match recorded.prepare().await {
        Ok(()) => Ok(Arc::new(recorded)),
        Err(err) => Err(ConnectError::Cassette(format!("{err}. Name another folder with --record"))),
    }
}
