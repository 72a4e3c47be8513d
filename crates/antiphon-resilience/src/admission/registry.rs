use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::limiter::AdaptiveLimiter;
use super::state::LimiterSnapshot;

/// How a [`AdaptiveLimiter`] looks for a server's limits, and when it gives up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct AdaptivePolicy {
    /// Calls at once to begin with, once the first answer is there. Default 20.
    pub start_concurrency: usize,
    /// The most calls at once. Default 4,096.
    pub max_concurrency: usize,
    /// A longer pause than this is not waited for: callers get [`Saturated`](crate::Saturated). Default 120 s.
    pub max_wait: Duration,
    /// When a server has only refused for so long, it counts as saturated. Default 60 s.
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
    /// Sets the calls at once to begin with.
    #[must_use]
    pub fn start_concurrency(mut self, calls: usize) -> Self {
        self.start_concurrency = calls;
        self
    }

    /// Sets the most calls at once.
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

    /// Sets how long a server may refuse everything.
    #[must_use]
    pub fn saturated_after(mut self, saturated_after: Duration) -> Self {
        self.saturated_after = saturated_after;
        self
    }
}

/// The gates of a process: one for each place whose limit is one, that is each account at each address, and each model.
///
/// Share one `LimiterRegistry` among all that call: two that each believe the limit to be theirs pass it together. Clones are
/// handles to the same gates.
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
    /// Gates that nobody has asked for yet.
    #[must_use]
    pub fn new(policy: AdaptivePolicy) -> Self {
        Self { policy, limiters: Arc::default() }
    }

    /// The gate of a scope and a model. The scope names account and address, and never the key itself.
    #[must_use]
    pub fn limiter(&self, scope: &str, model: &str) -> AdaptiveLimiter {
        let mut limiters = self.limiters.lock().unwrap_or_else(PoisonError::into_inner);
        limiters
            .entry((scope.to_owned(), model.to_owned()))
            .or_insert_with(|| AdaptiveLimiter::new(self.policy))
            .clone()
    }

    /// What each gate believes, with its scope and model.
    #[must_use]
    pub fn snapshots(&self) -> Vec<(String, String, LimiterSnapshot)> {
        let limiters = self.limiters.lock().unwrap_or_else(PoisonError::into_inner);
        limiters
            .iter()
            .map(|((scope, model), limiter)| (scope.clone(), model.clone(), limiter.snapshot()))
            .collect()
    }
}
