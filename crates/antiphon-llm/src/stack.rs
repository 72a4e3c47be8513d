use std::sync::Arc;

use antiphon_resilience::{CircuitBreaker, LimiterRegistry, RetryBudget, RetryPolicy};

use crate::cached::{AnswerCache, Cached};
use crate::calls::{Calls, Hooked};
use crate::fallback::Fallback;
use crate::guarded::Guarded;
use crate::limited::Limited;
use crate::observed::Observed;
use crate::provider::Provider;
use crate::retrying::Retrying;
use crate::single_flight::SingleFlight;

/// A builder that combines the wrappers of a provider in the right order.
///
/// The order, from the outermost wrapper to the innermost, is: single flight, cache, fallback, span, retries, limits, breaker,
/// before-send hook. The reasons are:
///
/// - The breaker is inside all waits, so that a trial call is not held while it waits in a queue.
/// - The limits are inside the retries, so that each retry waits for admission again, and only one layer retries.
/// - The cache is inside the single flight, so that an answer is cached before the call ends; no second call can start in
///   between.
///
/// A fallback is a separate stack, with its own limits, breaker and retries:
///
/// ```
/// use std::time::Duration;
/// use antiphon_llm::{CallContext, CircuitBreaker, LimiterRegistry, Message, Prompt, ProviderExt, RetryPolicy, Stack};
/// # use antiphon_llm::{BlockingProvider, Completion, Error, ErrorKind};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// # let first = BlockingProvider::from_fn("down", 1, |_| Err(Error::new(ErrorKind::Unavailable, "down")));
/// # let second = BlockingProvider::from_fn("echo", 1, |prompt| Ok(Completion::new(prompt.messages[0].rendered())));
/// let limiters = LimiterRegistry::default(); // shared: limits are learned for each account and model
/// let provider = Stack::new(first)
///     .retry(RetryPolicy::never())
///     .limiters(limiters.clone())
///     .breaker(CircuitBreaker::simple(5, Duration::from_secs(60)))
///     .fallback(Stack::new(second).limiters(limiters), "small-model")
///     .single_flight()
///     .build();
/// let prompt = Prompt::new("large-model", [Message::user("Hello")]);
/// let answer = provider.complete(&prompt, &CallContext::default()).await?;
/// assert_eq!((answer.text.as_str(), answer.attempts), ("Hello", 2));
/// assert!(answer.head.other_model);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a stack does nothing before it is built"]
pub struct Stack {
    provider: Arc<dyn Provider>,
    retry: RetryPolicy,
    budget: Option<RetryBudget>,
    limiters: Option<LimiterRegistry>,
    breaker: Option<CircuitBreaker>,
    fallbacks: Vec<(Stack, String)>,
    cache: Option<Arc<dyn AnswerCache>>,
    observe_content: bool,
    single_flight: bool,
}

impl Stack {
    /// Creates a stack with a span for each call and the default [`RetryPolicy`]; all other wrappers are off.
    pub fn new(provider: impl Provider) -> Self {
        Self {
            provider: Arc::new(provider),
            retry: RetryPolicy::default(),
            budget: None,
            limiters: None,
            breaker: None,
            fallbacks: Vec::new(),
            cache: None,
            observe_content: false,
            single_flight: false,
        }
    }

    /// Sets the retry policy for failed calls. Use [`RetryPolicy::never`] to turn retries off. Default:
    /// [`RetryPolicy::default`].
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// Sets the retry budget that all calls share. Default: none.
    pub fn retry_budget(mut self, budget: RetryBudget) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Adds admission control with adaptive concurrency: calls wait so that they stay under the provider's limits; see
    /// [`Limited`]. Pass the same registry to all stacks of a process. Default: no limiters.
    pub fn limiters(mut self, limiters: LimiterRegistry) -> Self {
        self.limiters = Some(limiters);
        self
    }

    /// Adds a circuit breaker, which rejects calls while too many of them fail; see [`Guarded`]. Default: none.
    pub fn breaker(mut self, breaker: CircuitBreaker) -> Self {
        self.breaker = Some(breaker);
        self
    }

    /// Adds a fallback: a stack that is called with `model` if this provider and the earlier fallbacks cannot answer. See
    /// [`Fallback`] for the errors after which it is called.
    ///
    /// With [`build`](Self::build), the fallback is called after the retries of this provider; with [`calls`](Self::calls),
    /// which has no retries, after the first such error.
    pub fn fallback(mut self, stack: Stack, model: impl Into<String>) -> Self {
        self.fallbacks.push((stack, model.into()));
        self
    }

    /// Adds single flight: equal prompts at the same time share one call (deduplication). Answers then arrive complete, not
    /// streamed. Default: off.
    pub fn single_flight(mut self) -> Self {
        self.single_flight = true;
        self
    }

    /// Adds a cache, which returns the answers of earlier calls; see [`Cached`]. Default: none.
    pub fn cache(mut self, cache: Arc<dyn AnswerCache>) -> Self {
        self.cache = Some(cache);
        self
    }

    /// Records prompts and answers in the spans. They may contain PII, and every exporter of spans receives them. Default: only
    /// tokens and times are recorded.
    pub fn observe_content(mut self) -> Self {
        self.observe_content = true;
        self
    }

    /// Builds the provider with all its wrappers except retries, for a caller that keeps a write-ahead journal of calls and
    /// makes the retries itself.
    ///
    /// The fallbacks have no retries either. Each call of each provider runs the before-send hook
    /// ([`CallContext::before_send`](crate::CallContext::before_send)) once, waits for the limits of its own provider, and is
    /// not repeated. If the hook fails, its error is returned and no fallback is called.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicU32, Ordering};
    /// use antiphon_llm::{CallContext, LimiterRegistry, Message, Prompt, ProviderExt, Stack};
    /// # use antiphon_llm::{BlockingProvider, Completion, Error, ErrorKind};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let first = BlockingProvider::from_fn("down", 1, |_| Err(Error::new(ErrorKind::Unavailable, "down")));
    /// # let second = BlockingProvider::from_fn("echo", 1, |prompt| Ok(Completion::new(prompt.messages[0].rendered())));
    /// let limiters = LimiterRegistry::default();
    /// let second = Stack::new(second).limiters(limiters.clone());
    /// let calls = Stack::new(first).limiters(limiters).fallback(second, "small-model").calls();
    ///
    /// let intents = Arc::new(AtomicU32::new(0));
    /// let journal = intents.clone();
    /// let context = CallContext::default().before_send(move || {
    ///     journal.fetch_add(1, Ordering::Relaxed);
    ///     async { Ok(()) }
    /// });
    /// let prompt = Prompt::new("large-model", [Message::user("Hello")]);
    /// calls.provider().complete(&prompt, &context).await?;
    /// assert_eq!(intents.load(Ordering::Relaxed), 2, "one call of each provider");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn calls(self) -> Calls {
        let limiters = self.limiters.clone();
        Calls::new(self.without_retries().build(), limiters)
    }

    fn without_retries(self) -> Self {
        let fallbacks = self.fallbacks.into_iter();
        let fallbacks = fallbacks.map(|(stack, model)| (stack.without_retries(), model)).collect();
        Self { retry: RetryPolicy::never(), budget: None, fallbacks, ..self }
    }

    /// Builds the provider with all its wrappers. Use [`calls`](Self::calls) if the caller makes the retries itself.
    #[must_use]
    pub fn build(self) -> Arc<dyn Provider> {
        let mut provider: Arc<dyn Provider> = Arc::new(Hooked::new(self.provider));
        if let Some(breaker) = self.breaker {
            provider = Arc::new(Guarded::new(provider, breaker));
        }
        if let Some(limiters) = self.limiters {
            provider = Arc::new(Limited::new(provider, limiters));
        }
        let retrying = Retrying::new(provider, self.retry);
        let retrying = match self.budget {
            Some(budget) => retrying.budget(budget),
            None => retrying,
        };
        let observed = Observed::new(retrying);
        provider = Arc::new(if self.observe_content { observed.with_content() } else { observed });
        if !self.fallbacks.is_empty() {
            let first = Fallback::new(provider);
            let others = self.fallbacks.into_iter();
            let all = others.fold(first, |all, (other, model)| all.or(other.build(), model));
            provider = Arc::new(all);
        }
        if let Some(cache) = self.cache {
            provider = Arc::new(Cached::new(provider, cache));
        }
        if self.single_flight {
            provider = Arc::new(SingleFlight::new(provider));
        }
        provider
    }
}
