use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::limiter::AdaptiveLimiter;
use super::state::LimiterSnapshot;

/// The policy of an [`AdaptiveLimiter`]: bounds of its concurrency limit, and how long callers wait for a saturated server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct AdaptivePolicy {
    /// Concurrency limit with which the search begins; 0 counts as 1. Default 20.
    ///
    /// At first only an initial probe of at most 8 calls is admitted, since its answers may report a limit. The probe ends with
    /// the first result or after 500 ms.
    pub start_concurrency: usize,
    /// Maximum of the concurrency limit; 0 counts as 1. Default 4,096.
    pub max_concurrency: usize,
    /// Whether the limit grows with each answer until the first refusal, as in the slow start of TCP; otherwise it grows by one per
    /// round of answers from the beginning. Without it, an inference engine with few slots is not flooded while the search goes
    /// beyond them. Default: yes.
    pub slow_start: bool,
    /// Longest wait for a pause or a rate limit to end; if it is longer, callers get [`Saturated`](crate::Saturated) at once.
    /// Default 120 s.
    pub max_wait: Duration,
    /// Time for which a server may refuse all calls, at least three in a row, before it counts as saturated: callers then get
    /// [`Saturated`](crate::Saturated) instead of waiting. Default 60 s.
    pub saturated_after: Duration,
}

impl Default for AdaptivePolicy {
    fn default() -> Self {
        Self {
            start_concurrency: 20,
            max_concurrency: 4_096,
            slow_start: true,
            max_wait: Duration::from_secs(120),
            saturated_after: Duration::from_secs(60),
        }
    }
}

impl AdaptivePolicy {
    /// Sets the concurrency limit with which the search begins; 0 counts as 1. Default 20.
    #[must_use]
    pub fn start_concurrency(mut self, calls: usize) -> Self {
        self.start_concurrency = calls;
        self
    }

    /// Sets the maximum of the concurrency limit; 0 counts as 1. Default 4,096.
    #[must_use]
    pub fn max_concurrency(mut self, calls: usize) -> Self {
        self.max_concurrency = calls;
        self
    }

    /// Lets the limit grow by one per round of answers from the beginning.
    #[must_use]
    pub fn without_slow_start(mut self) -> Self {
        self.slow_start = false;
        self
    }

    /// Sets the longest wait for a pause or a rate limit to end. Default 120 s.
    #[must_use]
    pub fn max_wait(mut self, wait: Duration) -> Self {
        self.max_wait = wait;
        self
    }

    /// Sets the time for which a server may refuse all calls before it counts as saturated. Default 60 s.
    #[must_use]
    pub fn saturated_after(mut self, saturated_after: Duration) -> Self {
        self.saturated_after = saturated_after;
        self
    }
}

/// A registry of adaptive limiters, one for each scope and model. The scope is an account at an address.
///
/// Use one registry in a process: the limiters of two registries do not know of each other, and together they exceed the limit.
/// To share a limit among processes, see [`AdaptiveLimiter::share`]. Limiters are created on first use and never removed. Clones
/// are handles to the same registry.
///
/// ```
/// use antiphon_resilience::LimiterRegistry;
/// let limiters = LimiterRegistry::default();
/// let limiter = limiters.limiter("https://api.example.org, key 1f3a", "small-model");
/// assert_eq!(limiter.snapshot().in_flight, 0);
/// ```
#[derive(Debug, Clone, Default)]
pub struct LimiterRegistry {
    policy: AdaptivePolicy,
    limiters: Arc<Mutex<BTreeMap<(String, String), AdaptiveLimiter>>>,
}

impl LimiterRegistry {
    /// Creates an empty registry, which creates limiters with `policy`.
    #[must_use]
    pub fn new(policy: AdaptivePolicy) -> Self {
        Self { policy, limiters: Arc::default() }
    }

    /// Returns the limiter of a scope and a model. If it does not exist, creates it with the registry's policy.
    ///
    /// `scope` identifies the address and the account, since limits apply to an account. It is shown in
    /// [`snapshots`](Self::snapshots), so it must not contain the API key; a part of the key's hash is enough.
    #[must_use]
    pub fn limiter(&self, scope: &str, model: &str) -> AdaptiveLimiter {
        let mut limiters = self.limiters.lock().unwrap_or_else(PoisonError::into_inner);
        limiters
            .entry((scope.to_owned(), model.to_owned()))
            .or_insert_with(|| AdaptiveLimiter::new(self.policy))
            .clone()
    }

    /// Returns the scope, the model and a snapshot of each limiter, sorted by scope and model.
    #[must_use]
    pub fn snapshots(&self) -> Vec<(String, String, LimiterSnapshot)> {
        let limiters = self.limiters.lock().unwrap_or_else(PoisonError::into_inner);
        limiters
            .iter()
            .map(|((scope, model), limiter)| (scope.clone(), model.clone(), limiter.snapshot()))
            .collect()
    }
}
