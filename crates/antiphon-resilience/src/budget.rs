use std::sync::{Mutex, PoisonError};

use crate::retry::Verdict;

/// What all calls to one place may spend on retries together, so that an outage is not answered with a multiple of the
/// usual calls.
///
/// A bucket of points, full at first: a retry costs 14, 5 after a [`Verdict::Throttled`] (the server said when to come
/// back), and a success pays 1 in. While a place works, retries are never refused; when it does not, the calls settle at
/// little more than one each. Keep one budget for each place, such as a host: one that is down must not starve the others.
///
/// A [`RetryPolicy`](crate::RetryPolicy) bounds the retries of one call, a budget those of all calls, and a
/// [`CircuitBreaker`](crate::CircuitBreaker) stops the calls themselves.
///
/// The idea of such a bucket is that of the AWS SDKs' standard retry mode.
///
/// ```
/// use antiphon_resilience::{RetryBudget, RetryPolicy, Verdict};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let (policy, budget) = (RetryPolicy::default().max_retries(3), RetryBudget::new(100));
/// let mut calls = 0;
/// for _ in 0..100 {
///     let down = policy.run(|_: &&str| Verdict::Retry, |_| {
///         calls += 1;
///         async { Err::<(), _>("down") }
///     });
///     down.budget(&budget).await.unwrap_err();
/// }
/// assert_eq!(calls, 107, "not 400: seven retries were in the bucket");
/// # }
/// ```
#[derive(Debug)]
pub struct RetryBudget {
    capacity: u32,
    available: Mutex<u32>,
}

const RETRY_COST: u32 = 14;
const THROTTLED_COST: u32 = 5;
const SUCCESS_PAYS: u32 = 1;

impl Default for RetryBudget {
    fn default() -> Self {
        Self::new(500)
    }
}

impl RetryBudget {
    /// A full bucket of `capacity` points.
    #[must_use]
    pub fn new(capacity: u32) -> Self {
        Self { capacity, available: Mutex::new(capacity) }
    }

    /// Points left.
    #[must_use]
    pub fn available(&self) -> u32 {
        *self.available.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn withdraw(&self, verdict: Verdict) -> bool {
        let cost = match verdict {
            Verdict::Throttled { .. } => THROTTLED_COST,
            _ => RETRY_COST,
        };
        let mut available = self.available.lock().unwrap_or_else(PoisonError::into_inner);
        let left = available.checked_sub(cost);
        *available = left.unwrap_or(*available);
        left.is_some()
    }

    pub(crate) fn deposit(&self) {
        let mut available = self.available.lock().unwrap_or_else(PoisonError::into_inner);
        *available = available.saturating_add(SUCCESS_PAYS).min(self.capacity);
    }
}
