use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::belief::GateView;
use super::gate::Gate;

/// How a [`Gate`] looks for a server's limits, and when it gives up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct GatePolicy {
    /// Calls at once to begin with, once the first answer is there. Default 20.
    pub start_concurrency: usize,
    /// The most calls at once. Default 4,096.
    pub max_concurrency: usize,
    /// A longer pause than this is not waited for: callers get [`Saturated`](crate::Saturated). Default 120 s.
    pub max_wait: Duration,
    /// When a server has only refused for so long, it counts as saturated. Default 60 s.
    pub patience: Duration,
}

impl Default for GatePolicy {
    fn default() -> Self {
        Self {
            start_concurrency: 20,
            max_concurrency: 4_096,
            max_wait: Duration::from_secs(120),
            patience: Duration::from_secs(60),
        }
    }
}

impl GatePolicy {
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
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }
}

/// The gates of a process: one for each place whose limit is one, that is each account at each address, and each model.
///
/// Share one `Gates` among all that call: two that each believe the limit to be theirs pass it together. Clones are
/// handles to the same gates.
///
/// ```
/// use antiphon_resilience::Gates;
/// let gates = Gates::default();
/// let gate = gates.gate("https://api.example.org, key 1f3a", "small-model");
/// assert_eq!(gate.view().in_flight, 0);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Gates {
    policy: GatePolicy,
    gates: Arc<Mutex<BTreeMap<(String, String), Gate>>>,
}

impl Gates {
    /// Gates that nobody has asked for yet.
    #[must_use]
    pub fn new(policy: GatePolicy) -> Self {
        Self { policy, gates: Arc::default() }
    }

    /// The gate of a scope and a model. The scope names account and address, and never the key itself.
    #[must_use]
    pub fn gate(&self, scope: &str, model: &str) -> Gate {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        gates.entry((scope.to_owned(), model.to_owned())).or_insert_with(|| Gate::new(self.policy)).clone()
    }

    /// What each gate believes, with its scope and model.
    #[must_use]
    pub fn views(&self) -> Vec<(String, String, GateView)> {
        let gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        gates.iter().map(|((scope, model), gate)| (scope.clone(), model.clone(), gate.view())).collect()
    }
}
