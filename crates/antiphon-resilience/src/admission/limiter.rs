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

/// Lets calls go as fast as a server takes them, by what its answers tell: its headers where it has some, its refusals
/// where it has none, and otherwise by trying how many at once do good.
///
/// A refusal pauses the gate and not one call. Whoever asks first goes first, unless [another priority](Self::acquire_at)
/// is named, and a call that was refused asks anew. Get one from [`LimiterRegistry`](crate::LimiterRegistry), so that all calls to one place
/// go through one gate; clones are handles to the same gate.
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

#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<LimiterState>,
    queue: FairQueue,
    pub(super) parts: Mutex<Parts>,
}

/// Leave to make one call, to be told how it ended. A plain drop gives the place back and keeps the estimated cost.
#[derive(Debug)]
#[must_use = "a permit that is dropped at once lets no call wait for its turn"]
pub struct Permit {
    shared: Arc<Shared>,
    ticket: Option<Ticket>,
}

/// How a call made by [`AdaptiveLimiter::call`] ended.
#[derive(Debug)]
pub enum Reply<T, E> {
    /// It was answered; what it took in truth, if that is known, and what the answer tells about limits.
    Answered {
        /// The result.
        value: T,
        /// What the call took, where the answer tells.
        usage: Option<Cost>,
        /// What the answer's headers say.
        hints: LimitHints,
    },
    /// The server refused it because of a limit, and surely did nothing: it is made again when the gate lets it.
    Throttled {
        /// The refusal.
        error: E,
        /// What its headers say.
        hints: LimitHints,
    },
    /// It failed otherwise, which ends it.
    Failed {
        /// The failure.
        error: E,
        /// What its headers say, if it has any.
        hints: LimitHints,
    },
}

/// Why [`AdaptiveLimiter::call`] has no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LimiterError<E> {
    /// The server takes no calls for too long, or until the deadline, and how it said so, if it was asked.
    Saturated(Saturated, Option<E>),
    /// The call failed.
    Failed(E),
}

impl AdaptiveLimiter {
    /// The priority of [`acquire`](Self::acquire).
    pub const ORDINARY: u8 = 2;

    pub(super) fn new(policy: AdaptivePolicy) -> Self {
        let state = Mutex::new(LimiterState::new(policy));
        Self { shared: Arc::new(Shared { state, queue: FairQueue::default(), parts: Mutex::default() }) }
    }

    /// Waits until a call of about `cost` may go.
    ///
    /// # Errors
    /// [`Saturated`] when that is longer than the policy's `max_wait`, or than `deadline` leaves.
    ///
    /// # Cancel safety
    /// A dropped call takes nothing and leaves its place to the next. One that is kept but not polled holds up those
    /// behind it, as in any fair line: do not wait for the gate inside a stream of calls that wait for it.
    pub async fn acquire(&self, cost: Cost, deadline: Deadline) -> Result<Permit, Saturated> {
        self.acquire_at(Self::ORDINARY, cost, deadline).await
    }

    /// As [`acquire`](Self::acquire), which has priority [`ORDINARY`](Self::ORDINARY): of those that wait, the lower priority goes first, and as long
    /// as one does, nobody behind it goes.
    ///
    /// # Errors
    /// As `acquire`.
    ///
    /// # Cancel safety
    /// As `acquire`.
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

    /// Makes a call when it may go, and makes it again when the server refused it for a limit, until `deadline`. Such a
    /// refusal cost nothing and uses up no retry; every other end is one.
    ///
    /// Use [`acquire`](Self::acquire) for calls that are more than a closure, such as those whose answers stream.
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
    /// Dropping it drops the call under way; its cost stays counted.
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

    /// Returns a handle by which to share the server's limits with other processes: what they have to agree on is the
    /// [part](LimitPart::set) of each. Once all handles are dropped, all of the limits is this process's again.
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

    /// What it believes and has seen.
    #[must_use]
    pub fn snapshot(&self) -> LimiterSnapshot {
        self.shared.lock().snapshot(now())
    }

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
    /// The call was answered; what it took in truth, if that is known, and what the answer tells about limits.
    pub fn settle(self, usage: Option<Cost>, hints: &LimitHints) {
        self.end(|state, ticket| state.answered(ticket, usage, Some(hints), now()));
    }

    /// The call's answer has ended whose head was [heard](Self::observe_headers) when it came: a head tells of its own moment, and is
    /// not heard twice.
    pub fn finish(self, usage: Option<Cost>) {
        self.end(|state, ticket| state.answered(ticket, usage, None, now()));
    }

    /// The server refused the call because of a limit, and did nothing.
    pub fn throttled(self, hints: &LimitHints) {
        self.end(|state, ticket| state.throttled(ticket, hints, now()));
    }

    /// The call failed otherwise, such as by a fault of the server, which may still have told how long to wait.
    pub fn failed(self, hints: &LimitHints) {
        self.end(|state, ticket| state.failed(ticket, hints, now()));
    }

    /// The call was not made after all: what it was to take is there again.
    pub fn refund(self) {
        self.end(LimiterState::refund);
    }

    /// What the answer's head tells about limits, while the answer itself is still on its way.
    pub fn observe_headers(&self, hints: &LimitHints) {
        if let Some(ticket) = self.ticket {
            self.shared.lock().observe_headers(ticket, hints, now());
            self.shared.queue.notify();
        }
    }

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
    /// Sets the part of the limits that is this process's.
    pub(super) fn set_part(&self, part: f64, rate: Option<f64>) {
        self.lock().set_part(part, rate, now());
        self.queue.notify();
    }

    fn lock(&self) -> MutexGuard<'_, LimiterState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A caller that waits, for the view.
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
