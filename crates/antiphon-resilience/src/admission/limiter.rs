//! The driver of the adaptive limiter: lock, queue and clock around the state machine in `state`.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::part::{LimitPart, Parts};
use super::registry::AdaptivePolicy;
use super::state::{LimiterSnapshot, LimiterState, NotReady, Saturated, Ticket};
use crate::cost::Cost;
use crate::deadline::{Deadline, now};
use crate::fair_queue::{Decision, FairQueue};
use crate::hints::LimitHints;

/// An adaptive limiter (admission control): admits calls as fast as a server accepts them, without a configured limit.
///
/// The limiter learns from three sources:
/// - headers: if the server reports its limits ([`LimitHints`]), calls are paced to stay within them;
/// - refusals (429): if it does not, the number of calls admitted between two refusals shows the rate;
/// - throughput: if there is neither, the concurrency limit grows for as long as more concurrency increases the throughput
///   (adaptive concurrency).
///
/// If the limits are known, use a [`RateLimiter`](crate::RateLimiter).
///
/// After a refusal all calls pause, not only the refused one. The queue is fair: callers are admitted in the order of arrival
/// within a [priority](Self::acquire_at). A call that was refused joins the end of the queue again.
///
/// Limiters come from a [`LimiterRegistry`](crate::LimiterRegistry), so that all calls to one server share one. Clones are
/// handles to the same limiter.
///
/// ```
/// use antiphon_resilience::{Cost, Deadline, LimiterRegistry, LimitHints, Reply};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let limiter = LimiterRegistry::default().limiter("https://api.example.org", "small-model");
/// let answer = limiter
///     .call(Cost::request(), Deadline::none(), || async {
///         Reply::<_, &str>::Answered { value: "hello", usage: None, hints: LimitHints::default() }
///     })
///     .await;
/// assert_eq!(answer, Ok("hello"));
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct AdaptiveLimiter {
    shared: Arc<Shared>,
}

/// The limiter behind all handles. No lock is held over an await.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<LimiterState>,
    queue: FairQueue,
    /// Parts that the handles of `share` have set. Locked before `state`, where both are.
    pub(super) parts: Mutex<Parts>,
}

/// A permit of an [`AdaptiveLimiter`] to make one call. Report the result of the call to it, since the limiter learns from it.
///
/// | result of the call | report |
/// |---|---|
/// | an answer, with its headers | [`settle`](Self::settle) |
/// | a streamed answer | [`observe_headers`](Self::observe_headers) at its start, [`finish`](Self::finish) at its end |
/// | refused because of a limit (429) | [`throttled`](Self::throttled) |
/// | another failure | [`failed`](Self::failed) |
/// | not sent | [`refund`](Self::refund) |
///
/// Dropping the permit without a result frees its slot; its estimated cost stays spent.
#[derive(Debug)]
#[must_use = "a permit that is dropped at once lets no call wait for its turn"]
pub struct Permit {
    shared: Arc<Shared>,
    ticket: Option<Ticket>,
}

/// The result of a call, as returned by the operation of [`AdaptiveLimiter::call`].
#[derive(Debug)]
pub enum Reply<T, E> {
    /// An answer.
    Answered {
        /// Result of the call.
        value: T,
        /// Actual cost of the call; `None` if the answer does not report it, and the estimate then stays.
        usage: Option<Cost>,
        /// Limits in the headers of the answer; the default if it has none.
        hints: LimitHints,
    },
    /// A refusal because of a limit (429): the server did nothing, and the call is made again once it is admitted.
    Throttled {
        /// Error of the refusal.
        error: E,
        /// Limits in the headers of the refusal.
        hints: LimitHints,
    },
    /// A failure for another reason. Ends the call; the limiter does not retry it.
    Failed {
        /// Error of the failure.
        error: E,
        /// Limits in the headers of the failure, if it has any.
        hints: LimitHints,
    },
}

/// An error of [`AdaptiveLimiter::call`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LimiterError<E> {
    /// No call was admitted in time: the server accepts no calls for longer than `max_wait`, or until after the deadline.
    /// Contains the error of the last refusal, if there was one.
    Saturated(Saturated, Option<E>),
    /// Error of the call itself, from [`Reply::Failed`].
    Failed(E),
}

impl AdaptiveLimiter {
    /// The priority of [`acquire`](Self::acquire). Lower numbers are admitted first.
    pub const ORDINARY: u8 = 2;

    pub(super) fn new(policy: AdaptivePolicy) -> Self {
        let state = Mutex::new(LimiterState::new(policy));
        Self { shared: Arc::new(Shared { state, queue: FairQueue::default(), parts: Mutex::default() }) }
    }

    /// Waits until a call of the estimated `cost` is admitted.
    ///
    /// # Errors
    /// [`Saturated`] if a pause or a rate limit admits no call within the policy's `max_wait`, or before `deadline`. `max_wait`
    /// does not limit the time in the queue behind other callers, or the wait for a free slot: only `deadline` does.
    ///
    /// # Cancel safety
    /// Dropping the future takes nothing and gives its place in the queue to the next waiter. A future that is neither dropped
    /// nor polled blocks the waiters behind it, as in any fair queue: do not wait for another permit while such a future is
    /// kept unpolled.
    pub async fn acquire(&self, cost: Cost, deadline: Deadline) -> Result<Permit, Saturated> {
        self.acquire_at(Self::ORDINARY, cost, deadline).await
    }

    /// Waits like [`acquire`](Self::acquire), with a priority other than [`ORDINARY`](Self::ORDINARY).
    ///
    /// The waiter with the lowest number is admitted first; waiters with equal numbers are admitted in the order of arrival.
    /// There is no aging: a steady flow of waiters with low numbers can starve those with higher ones.
    ///
    /// # Errors
    /// Those of [`acquire`](Self::acquire).
    ///
    /// # Cancel safety
    /// As for [`acquire`](Self::acquire).
    pub async fn acquire_at(
        &self,
        priority: u8,
        cost: Cost,
        deadline: Deadline,
    ) -> Result<Permit, Saturated> {
        let decide = || self.decide(cost, deadline);
        if let Some(result) = self.shared.queue.try_now(priority, decide) {
            return result;
        }
        let _waiting = Waiting::new(&self.shared);
        tokio::select! {
            biased;
            result = self.shared.queue.wait(priority, decide) => result,
            () = deadline.passed() => Err(Saturated { retry_after: self.shared.lock().estimated_wait(now()) }),
        }
    }

    /// Makes a call once it is admitted, and repeats it after each refusal because of a limit, until `deadline`.
    ///
    /// A refusal ([`Reply::Throttled`]) is not billed and does not count as a retry. Any other result ends the call: to retry
    /// failures as well, wrap this call in a [`RetryPolicy`](crate::RetryPolicy).
    ///
    /// Use [`acquire`](Self::acquire) for a call that is more than a closure, such as one whose answer is streamed.
    ///
    /// ```
    /// use std::time::Duration;
    /// use antiphon_resilience::{Cost, Deadline, LimiterError, LimiterRegistry, LimitHints, Reply};
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() {
    /// let limiter = LimiterRegistry::default().limiter("https://api.example.org", "small-model");
    /// let start = tokio::time::Instant::now();
    /// let mut calls = 0;
    /// let answer = limiter.call(Cost::request(), Deadline::after(Duration::from_secs(60)), || {
    ///     calls += 1;
    ///     let mut hints = LimitHints::default();
    ///     let reply = match calls {
    ///         1 => {
    ///             hints.retry_after = Some(Duration::from_secs(5));
    ///             Reply::Throttled { error: "429", hints }
    ///         }
    ///         _ => Reply::Answered { value: "hello", usage: None, hints },
    ///     };
    ///     async move { reply }
    /// });
    /// assert_eq!(answer.await, Ok("hello"));
    /// assert!(calls == 2 && start.elapsed() >= Duration::from_secs(5));
    ///
    /// let failed = || async { Reply::Failed::<(), _> { error: "500", hints: LimitHints::default() } };
    /// assert_eq!(limiter.call(Cost::request(), Deadline::none(), failed).await, Err(LimiterError::Failed("500")));
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`LimiterError::Saturated`], or the call's own error as [`LimiterError::Failed`].
    ///
    /// # Cancel safety
    /// Dropping the future drops the call in flight; its estimated cost stays spent.
    pub async fn call<T, E, Op, Fut>(
        &self,
        cost: Cost,
        deadline: Deadline,
        mut op: Op,
    ) -> Result<T, LimiterError<E>>
    where
        Op: FnMut() -> Fut,
        Fut: Future<Output = Reply<T, E>>,
    {
        let mut refusal = None;
        loop {
            let permit = match self.acquire(cost, deadline).await {
                Ok(permit) => permit,
                Err(saturated) => return Err(LimiterError::Saturated(saturated, refusal)),
            };
            match op().await {
                Reply::Answered { value, usage, hints } => {
                    permit.settle(usage, &hints);
                    return Ok(value);
                }
                Reply::Throttled { error, hints } => {
                    permit.throttled(&hints);
                    refusal = Some(error);
                }
                Reply::Failed { error, hints } => {
                    permit.failed(&hints);
                    return Err(LimiterError::Failed(error));
                }
            }
        }
    }

    /// Returns a handle for sharing the server's limits with other processes that call with the same key.
    ///
    /// The processes have to agree on the part of each, which is set with [`LimitPart::set`]: the limiter does not communicate
    /// with other processes. Once all handles are dropped, this process uses the whole limits again.
    ///
    /// ```
    /// use antiphon_resilience::LimiterRegistry;
    /// let limiter = LimiterRegistry::default().limiter("https://api.example.org", "small-model");
    /// let part = limiter.share();
    /// part.set(0.25, None); // three other processes call with the same key
    /// assert_eq!(limiter.snapshot().part, 0.25);
    /// drop(part);
    /// assert_eq!(limiter.snapshot().part, 1.0);
    /// ```
    #[must_use]
    pub fn share(&self) -> LimitPart {
        LimitPart::new(self.shared.clone())
    }

    /// Returns a snapshot of the limits found so far and of the counts of calls.
    #[must_use]
    pub fn snapshot(&self) -> LimiterSnapshot {
        self.shared.lock().snapshot(now())
    }

    /// Decides on the first caller in the queue: a permit, an error, or the time of the next decision.
    fn decide(&self, cost: Cost, deadline: Deadline) -> Decision<Result<Permit, Saturated>> {
        let now = now();
        let mut state = self.shared.lock();
        let too_late = |wait: Duration| !deadline.allows(wait, now);
        if too_late(Duration::ZERO) {
            return Decision::Admit(Err(Saturated { retry_after: state.estimated_wait(now) }));
        }
        match state.admit(cost, now) {
            Ok(ticket) => Decision::Admit(Ok(Permit { shared: self.shared.clone(), ticket: Some(ticket) })),
            Err(NotReady::Saturated(saturated)) => Decision::Admit(Err(saturated)),
            Err(NotReady::Until(at)) if too_late(at.saturating_duration_since(now)) => {
                Decision::Admit(Err(Saturated { retry_after: at.saturating_duration_since(now) }))
            }
            Err(NotReady::Until(at)) => Decision::Wait(Some(at)),
            Err(NotReady::OnChange(at)) => Decision::Wait(at),
        }
    }
}

impl Permit {
    /// Reports that the call was answered, with the limits in the headers of the answer.
    ///
    /// `usage` is the actual cost, which replaces the estimate; `None` keeps the estimate.
    pub fn settle(self, usage: Option<Cost>, hints: &LimitHints) {
        self.end(|state, ticket| state.answered(ticket, usage, Some(hints), now()));
    }

    /// Reports the end of a streamed answer whose headers were [observed](Self::observe_headers) at its start.
    ///
    /// `usage` is the actual cost, which replaces the estimate; `None` keeps the estimate. Takes no headers: they describe the
    /// limits at the start of the answer, and would be out of date at its end.
    pub fn finish(self, usage: Option<Cost>) {
        self.end(|state, ticket| state.answered(ticket, usage, None, now()));
    }

    /// Reports that the server refused the call because of a limit (429). Its cost is returned, and all calls pause.
    pub fn throttled(self, hints: &LimitHints) {
        self.end(|state, ticket| state.throttled(ticket, hints, now()));
    }

    /// Reports that the call failed for another reason, such as a 500. All calls pause for the `retry_after` in `hints`, if any.
    pub fn failed(self, hints: &LimitHints) {
        self.end(|state, ticket| state.failed(ticket, hints, now()));
    }

    /// Reports that the call was not sent, which returns its estimated cost to the limits.
    pub fn refund(self) {
        self.end(LimiterState::refund);
    }

    /// Reports the headers of a streamed answer, as soon as they arrive; report its end with [`finish`](Self::finish).
    ///
    /// Call it at most once for each permit.
    pub fn observe_headers(&self, hints: &LimitHints) {
        if let Some(ticket) = self.ticket {
            self.shared.lock().observe_headers(ticket, hints, now());
            self.shared.queue.notify();
        }
    }

    /// Ends the call with a report, and lets the first waiter decide again.
    fn end(mut self, report: impl FnOnce(&mut LimiterState, Ticket)) {
        if let Some(ticket) = self.ticket.take() {
            report(&mut self.shared.lock(), ticket);
            self.shared.queue.notify();
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.ticket.take().is_some() {
            self.shared.lock().abandoned();
            self.shared.queue.notify();
        }
    }
}

impl Shared {
    /// Sets this process's part of the limits.
    pub(super) fn set_part(&self, part: f64, rate: Option<f64>) {
        self.lock().set_part(part, rate, now());
        self.queue.notify();
    }

    fn lock(&self) -> MutexGuard<'_, LimiterState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A waiting caller, counted for the snapshot.
struct Waiting<'a>(&'a Shared);

impl<'a> Waiting<'a> {
    fn new(shared: &'a Shared) -> Self {
        shared.lock().waiting += 1;
        Self(shared)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.lock().waiting -= 1;
    }
}

impl<E: fmt::Display> fmt::Display for LimiterError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Saturated(saturated, _) => saturated.fmt(f),
            Self::Failed(err) => err.fmt(f),
        }
    }
}

impl<E: std::error::Error + 'static> std::error::Error for LimiterError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Saturated(_, refusal) => refusal.as_ref().map(|err| err as _),
            Self::Failed(err) => err.source(),
        }
    }
}

#[cfg(test)]
mod tests;
