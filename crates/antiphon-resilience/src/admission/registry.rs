use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::limiter::AdaptiveLimiter;
use super::state::LimiterSnapshot;

/// The policy of an [`AdaptiveLimiter`]: its concurrency, and when a server counts as saturated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct AdaptivePolicy {
    /// Concurrency limit after the initial probe, which ends with the first answer or after 500 ms. Default 20.
    pub start_concurrency: usize,
    /// Maximum concurrency. Default 4,096.
    pub max_concurrency: usize,
    /// Longest pause that is waited for; with a longer one, callers get [`Saturated`](crate::Saturated). Default 120 s.
    pub max_wait: Duration,
    /// Time for which a server may refuse all calls before it counts as saturated. Default 60 s.
    pub saturated_after: Duration,
}

impl Default for AdaptivePolicy {
    fn default() -> Self {
        Self {
            start_concurrency: 20,
            max_concurrency: 4_096,
            max_wait: Duration::from_secs(120),
            saturated_after: Duration::from_secs(60),
        }
    }
}

impl AdaptivePolicy {
    /// Sets the concurrency limit at the start.
    #[must_use]
    pub fn start_concurrency(mut self, calls: usize) -> Self {
        self.start_concurrency = calls;
        self
    }

    /// Sets the maximum concurrency.
    #[must_use]
    pub fn max_concurrency(mut self, calls: usize) -> Self {
        self.max_concurrency = calls;
        self
    }

    /// Sets the longest pause that is waited for.
    #[must_use]
    pub fn max_wait(mut self, wait: Duration) -> Self {
        self.max_wait = wait;
        self
    }

    /// Sets how long a server may refuse all calls before it counts as saturated.
    #[must_use]
    pub fn saturated_after(mut self, saturated_after: Duration) -> Self {
        self.saturated_after = saturated_after;
        self
    }
}

/// The adaptive limiters of a process: one for each scope, which is an account at an address, and each model.
///
/// Share one `LimiterRegistry` among all callers: two registries would each use the whole limit and exceed it together. For
/// several processes, see [`AdaptiveLimiter::share`]. Clones are handles to the same limiters.
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
    /// Creates an empty registry, whose limiters have `policy`.
    #[must_use]
    pub fn new(policy: AdaptivePolicy) -> Self {
        Self { policy, limiters: Arc::default() }
    }

    /// Returns the limiter of a scope and a model, and creates it if it does not exist.
    ///
    /// The scope names the account and the address; it must not contain the API key itself.
    #[must_use]
    pub fn limiter(&self, scope: &str, model: &str) -> AdaptiveLimiter {
        let mut limiters = self.limiters.lock().unwrap_or_else(PoisonError::into_inner);
        limiters
            .entry((scope.to_owned(), model.to_owned()))
            .or_insert_with(|| AdaptiveLimiter::new(self.policy))
            .clone()
    }

    /// Returns a snapshot of each limiter, with its scope and model.
    #[must_use]
    pub fn snapshots(&self) -> Vec<(String, String, LimiterSnapshot)> {
        let limiters = self.limiters.lock().unwrap_or_else(PoisonError::into_inner);
        limiters
            .iter()
            .map(|((scope, model), limiter)| (scope.clone(), model.clone(), limiter.snapshot()))
            .collect()
    }
}
