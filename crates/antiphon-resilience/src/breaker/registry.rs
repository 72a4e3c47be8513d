use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::circuit::CircuitBreaker;
use super::machine::BreakerStatus;
use super::policy::BreakerPolicy;

/// A registry of circuit breakers, one for each key, such as a host.
///
/// A breaker is created when its key is first used, and is never removed: use keys from a bounded set, or memory grows. Clones
/// are handles to the same registry. For a single service, a [`CircuitBreaker`] is enough.
///
/// ```
/// use antiphon_resilience::{BreakerPolicy, BreakerRegistry};
/// let breakers = BreakerRegistry::new(BreakerPolicy::default());
/// breakers.get("api.example.org").force_open();
/// assert!(breakers.get("api.example.org").permit().is_err());
/// assert!(breakers.get("www.example.org").permit().is_ok());
/// ```
#[derive(Debug, Clone)]
pub struct BreakerRegistry {
    policy: BreakerPolicy,
    breakers: Arc<Mutex<BTreeMap<String, CircuitBreaker>>>,
}

impl BreakerRegistry {
    /// Creates an empty registry, which creates breakers with `policy`.
    #[must_use]
    pub fn new(policy: BreakerPolicy) -> Self {
        Self { policy, breakers: Arc::default() }
    }

    /// Returns the breaker of `key`. If it does not exist, creates it with the registry's policy and with `key` as its name.
    #[must_use]
    pub fn get(&self, key: &str) -> CircuitBreaker {
        let mut breakers = self.lock();
        if let Some(breaker) = breakers.get(key) {
            return breaker.clone();
        }
        let breaker = CircuitBreaker::new(self.policy).named(key);
        breakers.insert(key.to_owned(), breaker.clone());
        breaker
    }

    /// Registers a breaker with its [name](CircuitBreaker::named) as the key: for a service that needs a custom policy.
    ///
    /// Replaces the breaker that the key had before; handles to that one remain usable, but are no longer part of the registry.
    /// A breaker without a name has the empty key.
    ///
    /// ```
    /// use std::time::Duration;
    /// use antiphon_resilience::{BreakerPolicy, BreakerState, BreakerRegistry, CircuitBreaker};
    /// let breakers = BreakerRegistry::new(BreakerPolicy::default());
    /// breakers.register(CircuitBreaker::simple(1, Duration::from_secs(5)).named("fragile"));
    /// breakers.get("fragile").permit()?.failure();
    /// let (name, status) = breakers.statuses().remove(0);
    /// assert_eq!((name.as_str(), status.state), ("fragile", BreakerState::Open));
    /// breakers.reset_all();
    /// assert!(breakers.get("fragile").permit().is_ok());
    /// # Ok::<(), antiphon_resilience::CircuitOpen>(())
    /// ```
    pub fn register(&self, breaker: CircuitBreaker) {
        self.lock().insert(breaker.name().unwrap_or_default().to_owned(), breaker);
    }

    /// Returns the status of each breaker with its key, sorted by key.
    #[must_use]
    pub fn statuses(&self) -> Vec<(String, BreakerStatus)> {
        self.lock().iter().map(|(key, breaker)| (key.clone(), breaker.status())).collect()
    }

    /// [Resets](CircuitBreaker::reset) every breaker.
    pub fn reset_all(&self) {
        self.lock().values().for_each(CircuitBreaker::reset);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, CircuitBreaker>> {
        self.breakers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
