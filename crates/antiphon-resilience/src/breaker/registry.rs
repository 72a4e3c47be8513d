use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::circuit::CircuitBreaker;
use super::machine::BreakerStatus;
use super::policy::BreakerPolicy;

/// A registry with one breaker for each key, such as a host; a breaker is created on its first use.
///
/// Breakers are never removed: use keys from a bounded set. Clones are handles to the same registry.
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
    /// Creates an empty registry, whose breakers have `policy`.
    #[must_use]
    pub fn new(policy: BreakerPolicy) -> Self {
        Self { policy, breakers: Arc::default() }
    }

    /// Returns the breaker of `key`, and creates it if it does not exist. The key is also its name.
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

    /// Registers a breaker with a custom policy under its name, and replaces an earlier one; a breaker without a name is
    /// registered under the empty key.
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

    /// Returns every key with its breaker's status, in the order of the keys.
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
