use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
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

/// The error of a [`BreakerRegistry`] that has a breaker of this name with another policy.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct PolicyConflict {
    /// Name of the breaker, which is its key.
    pub name: String,
    /// Policy of the breaker in the registry.
    pub existing: Box<BreakerPolicy>,
    /// Policy that was asked for.
    pub requested: Box<BreakerPolicy>,
}

impl BreakerRegistry {
    /// Creates an empty registry, which creates breakers with `policy`.
    #[must_use]
    pub fn new(policy: BreakerPolicy) -> Self {
        Self { policy, breakers: Arc::default() }
    }

    /// Returns the breaker of `key`. If it does not exist, creates it with the registry's policy and with `key` as its name.
    ///
    /// The policy of a breaker that exists is not compared: to insist on one, use [`get_with`](Self::get_with).
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

    /// Returns the breaker of `key`, for a service that needs a custom policy. If it does not exist, creates it with `policy`
    /// and with `key` as its name.
    ///
    /// ```
    /// use antiphon_resilience::{BreakerPolicy, BreakerRegistry};
    /// let breakers = BreakerRegistry::new(BreakerPolicy::default());
    /// let strict = BreakerPolicy::default().failure_rate(0.1);
    /// breakers.get_with("payments", strict)?.force_open();
    /// assert!(breakers.get_with("payments", strict)?.permit().is_err(), "the same breaker");
    /// assert!(breakers.get_with("payments", BreakerPolicy::default()).is_err(), "another policy");
    /// # Ok::<(), antiphon_resilience::PolicyConflict>(())
    /// ```
    ///
    /// # Errors
    /// [`PolicyConflict`] if the breaker exists with another policy, which it keeps.
    pub fn get_with(&self, key: &str, policy: BreakerPolicy) -> Result<CircuitBreaker, PolicyConflict> {
        self.register(CircuitBreaker::new(policy).named(key))
    }

    /// Registers a breaker with its [name](CircuitBreaker::named) as the key, and returns the breaker of the key.
    ///
    /// A breaker without a name has the empty key. If the key has a breaker with the same policy already, that one stays and is
    /// returned: use the returned handle, so that all callers share one breaker.
    ///
    /// ```
    /// use std::time::Duration;
    /// use antiphon_resilience::{BreakerPolicy, BreakerState, BreakerRegistry, CircuitBreaker};
    /// let breakers = BreakerRegistry::new(BreakerPolicy::default());
    /// breakers.register(CircuitBreaker::simple(1, Duration::from_secs(5)).named("fragile"))?;
    /// breakers.get("fragile").permit()?.failure();
    /// let (name, status) = breakers.statuses().remove(0);
    /// assert_eq!((name.as_str(), status.state), ("fragile", BreakerState::Open));
    /// breakers.reset_all();
    /// assert!(breakers.get("fragile").permit().is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`PolicyConflict`] if the key has a breaker with another policy, which it keeps.
    pub fn register(&self, breaker: CircuitBreaker) -> Result<CircuitBreaker, PolicyConflict> {
        let key = breaker.name().unwrap_or_default().to_owned();
        match self.lock().entry(key) {
            Entry::Vacant(free) => Ok(free.insert(breaker).clone()),
            Entry::Occupied(taken) => {
                let (existing, requested) = (taken.get().policy(), breaker.policy());
                if existing == requested {
                    Ok(taken.get().clone())
                } else {
                    let (existing, requested) = (Box::new(existing), Box::new(requested));
                    Err(PolicyConflict { name: taken.key().clone(), existing, requested })
                }
            }
        }
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

impl fmt::Display for PolicyConflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        write!(f, "cannot register the circuit breaker {name:?}: it exists with another policy. ")?;
        f.write_str("Use one policy for each name, or another name.")
    }
}

impl std::error::Error for PolicyConflict {}
