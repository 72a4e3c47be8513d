use std::sync::Arc;

use antiphon_resilience::{CircuitBreaker, Gates, RetryBudget, RetryPolicy};

use crate::announced::{Announced, Calls};
use crate::cached::{AnswerCache, Cached};
use crate::fallback::Fallback;
use crate::guarded::Guarded;
use crate::limited::Limited;
use crate::observed::Observed;
use crate::provider::Provider;
use crate::retrying::Retrying;
use crate::single_flight::SingleFlight;

/// Puts the wrappers of a provider into the one order in which they work together.
///
/// From without to within: single flight, cache, fallback, span, retries, limits, breaker, announcement. The breaker is within all waits, so that
/// no trial is held while a call waits for its turn; a call waits anew before each retry; only one layer retries; and a
/// call that others share has landed when its answer is in the cache, so that nobody pays for it between the two.
///
/// ```
/// use antiphon_llm::{Completion, BlockingProvider, CallContext, Error, Message, Prompt, ProviderExt, Scope, Stack, SyncProvider};
/// # #[derive(Debug)]
/// # struct Echo;
/// # impl SyncProvider for Echo {
/// #     fn scope(&self) -> Scope { Scope::new("echo", None) }
/// #     fn complete(&self, prompt: &Prompt) -> Result<Completion, Error> { Ok(Completion::new(prompt.messages[0].rendered())) }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// # let provider = BlockingProvider::new(Echo, 1);
/// let provider = Stack::new(provider).single_flight().build();
/// let answer = provider.complete(&Prompt::new("m", [Message::user("Hello")]), &CallContext::default()).await?;
/// assert_eq!((answer.text.as_str(), answer.attempts), ("Hello", 1));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a stack does nothing before it is built"]
pub struct Stack {
    provider: Arc<dyn Provider>,
    retry: RetryPolicy,
    budget: Option<RetryBudget>,
    gates: Option<Gates>,
    breaker: Option<CircuitBreaker>,
    fallbacks: Vec<(Arc<dyn Provider>, String)>,
    cache: Option<Arc<dyn AnswerCache>>,
    content: bool,
    single_flight: bool,
}

impl Stack {
    /// A provider with a span for each call and the usual retries.
    pub fn new(provider: impl Provider) -> Self {
        Self {
            provider: Arc::new(provider),
            retry: RetryPolicy::default(),
            budget: None,
            gates: None,
            breaker: None,
            fallbacks: Vec::new(),
            cache: None,
            content: false,
            single_flight: false,
        }
    }

    /// Sets how failed calls are made again.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// Sets what all calls may spend on retries together.
    pub fn retry_budget(mut self, budget: RetryBudget) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Keeps under the provider's limits; give all stacks of a process the same gates.
    pub fn gates(mut self, gates: Gates) -> Self {
        self.gates = Some(gates);
        self
    }

    /// Makes no calls while too many of them fail.
    pub fn breaker(mut self, breaker: CircuitBreaker) -> Self {
        self.breaker = Some(breaker);
        self
    }

    /// Adds who is asked where this provider cannot answer, and for which model; best a stack of its own.
    pub fn fallback(mut self, provider: Arc<dyn Provider>, model: impl Into<String>) -> Self {
        self.fallbacks.push((provider, model.into()));
        self
    }

    /// Makes one call for equal prompts that are asked at the same time. Answers then come whole and not word by word.
    pub fn single_flight(mut self) -> Self {
        self.single_flight = true;
        self
    }

    /// Gives answers again that were given before.
    pub fn cache(mut self, cache: Arc<dyn AnswerCache>) -> Self {
        self.cache = Some(cache);
        self
    }

    /// Puts prompts and answers into spans.
    pub fn observe_content(mut self) -> Self {
        self.content = true;
        self
    }

    /// The provider with everything around it but retries, for whoever journals each call and owns its retries.
    #[must_use]
    pub fn calls(self) -> Calls {
        let gates = self.gates.clone();
        Calls::new(self.retry(RetryPolicy::never()).build(), gates)
    }

    /// The provider with everything around it.
    #[must_use]
    pub fn build(self) -> Arc<dyn Provider> {
        let mut provider: Arc<dyn Provider> = Arc::new(Announced::new(self.provider));
        if let Some(breaker) = self.breaker {
            provider = Arc::new(Guarded::new(provider, breaker));
        }
        if let Some(gates) = self.gates {
            provider = Arc::new(Limited::new(provider, gates));
        }
        let retrying = Retrying::new(provider, self.retry);
        let retrying = match self.budget {
            Some(budget) => retrying.budget(budget),
            None => retrying,
        };
        let observed = Observed::new(retrying);
        provider = Arc::new(if self.content { observed.with_content() } else { observed });
        if !self.fallbacks.is_empty() {
            let first = Fallback::new(provider);
            let all = self.fallbacks.into_iter().fold(first, |all, (other, model)| all.or(other, model));
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
