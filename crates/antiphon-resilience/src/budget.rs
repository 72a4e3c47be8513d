use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::retry::Verdict;

/// A retry budget: a limit on the retries of all calls to one server together, so that an outage does not multiply the load.
///
/// The budget is a bucket of points that is full at first. A retry costs 14 points, or 5 after a [`Verdict::Throttled`]; a
/// call that succeeds adds 1. While the server works, the budget does not limit retries in practice. During an outage the
/// bucket runs empty, and then nearly every call makes a single attempt. Use one budget per server, so that an outage of one
/// does not stop the retries to the others. Clones are handles to the same budget, for clients and tasks that share it.
///
/// A [`RetryPolicy`](crate::RetryPolicy) limits the retries of one call, a budget limits the retries of all calls, and a
/// [`CircuitBreaker`](crate::CircuitBreaker) rejects the calls themselves.
///
/// The rule is that of the standard retry mode of the AWS SDKs. Default: a capacity of 500 points.
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
///
/// A loop of the caller asks before each retry, and reports each success:
///
/// ```
/// use antiphon_resilience::{RetryBudget, RetryPolicy, Verdict};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), &'static str> {
/// # let mut answers = [Err("down"), Err("down"), Ok("here you are")].into_iter();
/// # let mut call = async || answers.next().unwrap();
/// let (budget, mut pauses) = (RetryBudget::default(), RetryPolicy::default().pauses());
/// let answer = loop {
///     let err = match call().await {
///         Ok(answer) => {
///             budget.deposit();
///             break answer;
///         }
///         Err(err) => err,
///     };
///     match pauses.after(Verdict::Retry) {
///         Some(pause) if budget.withdraw(Verdict::Retry) => tokio::time::sleep(pause).await,
///         _ => return Err(err), // the retries of this call, or of all calls, are used up
///     }
/// };
/// assert_eq!((answer, budget.available()), ("here you are", 500 - 2 * 14 + 1));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct RetryBudget {
    shared: Arc<Points>,
}

/// The points behind all handles.
#[derive(Debug)]
struct Points {
    capacity: u32,
    available: Mutex<u32>,
}

/// The points that a retry costs.
const RETRY_COST: u32 = 14;
/// The points that a retry after a [`Verdict::Throttled`] costs.
const THROTTLED_COST: u32 = 5;
/// The points that a call adds if it succeeds.
const SUCCESS_PAYS: u32 = 1;

impl Default for RetryBudget {
    fn default() -> Self {
        Self::new(500)
    }
}

impl RetryBudget {
    /// Creates a full budget of `capacity` points; a retry costs 14 or 5 of them.
    #[must_use]
    pub fn new(capacity: u32) -> Self {
        Self { shared: Arc::new(Points { capacity, available: Mutex::new(capacity) }) }
    }

    /// Returns the number of points that are left.
    #[must_use]
    pub fn available(&self) -> u32 {
        *self.lock()
    }

    /// Takes the points of a retry after `verdict`: 5 after [`Verdict::Throttled`], otherwise 14.
    ///
    /// Returns `false`, and takes nothing, if too few are left: the call must not be retried. [`Retry`](crate::Retry) calls it;
    /// a loop of the caller does so once before each retry, but not before the first attempt.
    #[must_use]
    pub fn withdraw(&self, verdict: Verdict) -> bool {
        let cost = match verdict {
            Verdict::Throttled { .. } => THROTTLED_COST,
            _ => RETRY_COST,
        };
        let mut available = self.lock();
        let left = available.checked_sub(cost);
        *available = left.unwrap_or(*available);
        left.is_some()
    }

    /// Adds the point of a call that succeeded, up to the capacity.
    pub fn deposit(&self) {
        let mut available = self.lock();
        *available = available.saturating_add(SUCCESS_PAYS).min(self.shared.capacity);
    }

    fn lock(&self) -> MutexGuard<'_, u32> {
        self.shared.available.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
