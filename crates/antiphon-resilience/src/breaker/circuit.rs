use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::Span;
use tracing::field::Empty;

use super::call::{BreakerError, TripsOn};
use super::events::{BreakerEvents, Observers};
use super::machine::{BreakerMachine, BreakerState, BreakerStatus, BreakerTicket, CallResult};
use super::policy::{BreakerPolicy, BreakerWindow};
use crate::deadline::now;
use crate::rounded::RoundedUp;

/// A circuit breaker: rejects calls to a service that fails, and probes from time to time whether it has recovered.
///
/// A breaker is in one of three states:
/// - closed: all calls are admitted and their results counted. Too many failures (or slow calls) open the breaker;
/// - open: all calls are rejected with [`CircuitOpen`], by default for 30 s;
/// - half-open: a few calls are admitted as trials. If they succeed, the breaker closes; if one fails, it opens again, for
///   twice as long.
///
/// An operator can also [force it open](CircuitBreaker::force_open), for [a time](CircuitBreaker::force_open_for) or until a
/// [`reset`](CircuitBreaker::reset), let it count and report [without rejecting](CircuitBreaker::metrics_only) calls, or
/// [disable](CircuitBreaker::disable) it.
///
/// The caller decides which errors are failures, with [`trips_on`](CircuitBreaker::trips_on): an invalid argument, a throttled
/// call (429) or a cancelled call shows nothing about the health of the service.
///
/// A breaker stops calls to a service that is down. For a service that is up but has a limit, use a
/// [`RateLimiter`](crate::RateLimiter) or an [`AdaptiveLimiter`](crate::AdaptiveLimiter). Clones are handles to the same
/// breaker.
///
/// ```
/// use std::time::Duration;
/// use antiphon_resilience::{BreakerState, CircuitBreaker};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let breaker = CircuitBreaker::simple(2, Duration::from_secs(60)).named("search");
/// for _ in 0..2 {
///     breaker.call(async { Err::<(), _>("down") }).await.unwrap_err();
/// }
/// assert_eq!(breaker.status().state, BreakerState::Open);
/// let err = breaker.call(async { Ok::<_, &str>("not even tried") }).await.unwrap_err();
/// assert_eq!(err.to_string(), "search is not called for another 60 s: too many calls failed");
/// # }
/// ```
#[derive(Clone)]
pub struct CircuitBreaker {
    shared: Arc<Shared>,
}

/// The breaker behind all handles.
struct Shared {
    name: Option<Arc<str>>,
    /// Whether durations matter: without a rule for slow calls, no clock is read for them.
    times_calls: bool,
    core: Mutex<Core>,
}

/// The parts under the lock, so that events are in the order of the changes.
struct Core {
    machine: BreakerMachine,
    observers: Observers,
}

/// A rejection by a [`CircuitBreaker`]: the call was not made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CircuitOpen {
    /// [Name](CircuitBreaker::named) of the breaker.
    pub name: Option<Arc<str>>,
    /// Time until the next trial; `None` while the breaker waits for a trial to end, or for
    /// [`reset`](CircuitBreaker::reset).
    pub retry_after: Option<Duration>,
    /// State of the breaker when it rejected the call: open, forced open or half-open.
    pub state: BreakerState,
}

impl CircuitBreaker {
    /// Creates a closed breaker.
    #[must_use]
    pub fn new(policy: BreakerPolicy) -> Self {
        let shared = Shared {
            name: None,
            times_calls: policy.slow_calls.is_some(),
            core: Mutex::new(Core { machine: BreakerMachine::new(policy), observers: Observers::default() }),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Creates a breaker that opens after `failure_threshold` failures in a row and admits one trial after `recovery_timeout`.
    ///
    /// The trial closes the breaker if it succeeds; if it fails, the breaker is open for `recovery_timeout` again. A call in
    /// flight counts as one that has not failed, so concurrent calls may delay the opening. A `failure_threshold` of 0 counts
    /// as 1.
    #[must_use]
    pub fn simple(failure_threshold: u32, recovery_timeout: Duration) -> Self {
        let policy = BreakerPolicy::default()
            .window(BreakerWindow::Count(failure_threshold.max(1)))
            .min_calls(failure_threshold)
            .failure_rate(1.0)
            .open_for(recovery_timeout, recovery_timeout)
            .trials(1);
        Self::new(policy)
    }

    /// Sets the name that is shown in errors and events.
    ///
    /// Returns a new, closed breaker with the same policy. It shares no state with this one or its clones: set the name before
    /// cloning.
    #[must_use]
    pub fn named(self, name: impl Into<Arc<str>>) -> Self {
        let mut named = Self::new(self.policy());
        if let Some(shared) = Arc::get_mut(&mut named.shared) {
            shared.name = Some(name.into());
        }
        named
    }

    pub(super) fn policy(&self) -> BreakerPolicy {
        self.lock().machine.policy()
    }

    /// Returns the name, if one is set.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.shared.name.as_deref()
    }

    /// Admits one call and returns a permit; report the result of the call to the permit.
    ///
    /// Use it for a call that is not a single future, such as one whose answer is streamed. For other calls,
    /// [`call`](CircuitBreaker::call) is shorter. Never waits.
    ///
    /// ```
    /// use antiphon_resilience::{BreakerState, CircuitBreaker};
    /// let breaker = CircuitBreaker::simple(1, std::time::Duration::from_secs(60));
    /// let given_up = breaker.permit()?;
    /// drop(given_up); // counts for nothing
    /// breaker.permit()?.failure();
    /// assert_eq!(breaker.status().state, BreakerState::Open);
    /// assert!(breaker.permit().is_err());
    /// # Ok::<(), antiphon_resilience::CircuitOpen>(())
    /// ```
    ///
    /// # Errors
    /// [`CircuitOpen`] while the breaker is open or forced open, or half-open with all trials in flight.
    pub fn permit(&self) -> Result<BreakerPermit, CircuitOpen> {
        let span = tracing::debug_span!("circuit_breaker", name = self.name(), outcome = Empty);
        let ticket = self.change(|machine| {
            let ticket = machine.admit(now);
            ticket.map_err(|retry_after| (retry_after, machine.state()))
        });
        let ticket = ticket.map_err(|(retry_after, state)| {
            span.record("outcome", "rejected");
            CircuitOpen { name: self.shared.name.clone(), retry_after, state }
        })?;
        let started = self.shared.times_calls.then(now);
        Ok(BreakerPermit { breaker: self.clone(), ticket: Some(ticket), started, took: None, span })
    }

    /// Makes a call if the breaker admits it. Every error counts as a failure; to count only some, use
    /// [`trips_on`](CircuitBreaker::trips_on).
    ///
    /// # Errors
    /// [`BreakerError::CircuitOpen`], or the call's own error as [`BreakerError::Failed`].
    ///
    /// # Cancel safety
    /// Dropping the future drops the call, which the breaker then does not count. If it was a trial, another call may make it.
    pub async fn call<T, E>(&self, call: impl Future<Output = Result<T, E>>) -> Result<T, BreakerError<E>> {
        self.trips_on(|_: &E| true).call(call).await
    }

    /// Returns a view of this breaker that counts an error as a failure only if `is_failure` returns `true`. Other errors
    /// release the permit and are not counted.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use antiphon_resilience::{BreakerState, CircuitBreaker};
    /// let breaker = CircuitBreaker::simple(1, std::time::Duration::from_secs(60));
    /// let guarded = breaker.trips_on(|status: &u16| *status >= 500);
    /// guarded.call(async { Err::<(), u16>(404) }).await.unwrap_err();
    /// assert_eq!(breaker.status().state, BreakerState::Closed);
    /// # }
    /// ```
    pub fn trips_on<F>(&self, is_failure: F) -> TripsOn<'_, F> {
        TripsOn { breaker: self, is_failure }
    }

    /// Returns a snapshot of the state and the counts. A breaker changes its state only with a call: once the time of an open or
    /// [forced open](Self::force_open_for) breaker has passed, it is reported as that, with a `next_trial_in` of zero, until the next
    /// call makes it half-open.
    #[must_use]
    pub fn status(&self) -> BreakerStatus {
        self.lock().machine.status(now())
    }

    /// Closes the breaker and clears its counts, whatever its state. The results of calls that are in flight now are ignored.
    ///
    /// The way back from [`force_open`](Self::force_open), [`metrics_only`](Self::metrics_only) and
    /// [`disable`](Self::disable).
    pub fn reset(&self) {
        self.change(BreakerMachine::reset);
    }

    /// Opens the breaker until it is [reset](CircuitBreaker::reset): for a service that must not be called.
    ///
    /// ```
    /// use std::time::Duration;
    /// use antiphon_resilience::{BreakerState, CircuitBreaker};
    /// let breaker = CircuitBreaker::simple(5, Duration::from_secs(60)).named("search");
    /// breaker.force_open();
    /// let err = breaker.permit().unwrap_err();
    /// assert_eq!((err.state, err.retry_after), (BreakerState::ForcedOpen, None));
    /// breaker.reset();
    /// assert!(breaker.permit().is_ok());
    /// ```
    pub fn force_open(&self) {
        self.change(BreakerMachine::force_open);
    }

    /// Opens the breaker for `duration`, for example while a service is maintained; trials follow, as after any other opening.
    ///
    /// ```
    /// use std::time::Duration;
    /// use antiphon_resilience::{BreakerState, CircuitBreaker};
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), antiphon_resilience::CircuitOpen> {
    /// let (breaker, hour) = (CircuitBreaker::simple(5, Duration::from_secs(60)), Duration::from_secs(3600));
    /// breaker.force_open_for(hour);
    /// assert_eq!(breaker.permit().unwrap_err().retry_after, Some(hour));
    /// tokio::time::sleep(hour).await;
    /// let status = breaker.status(); // no call has asked yet
    /// assert_eq!((status.state, status.next_trial_in), (BreakerState::ForcedOpen, Some(Duration::ZERO)));
    /// breaker.permit()?.success(); // the trial
    /// assert_eq!(breaker.status().state, BreakerState::Closed);
    /// # Ok(())
    /// # }
    /// ```
    pub fn force_open_for(&self, duration: Duration) {
        self.change(|machine| machine.force_open_for(duration, now()));
    }

    /// Admits and counts all calls without ever opening, until the breaker is [reset](CircuitBreaker::reset).
    ///
    /// Use it to try a policy on real traffic: [`status`](Self::status) reports the counts, and whether the breaker
    /// [would open](BreakerStatus::would_open). The counts begin at 0, and calls in flight now are not counted.
    ///
    /// ```
    /// use antiphon_resilience::{BreakerState, CircuitBreaker};
    /// let breaker = CircuitBreaker::simple(2, std::time::Duration::from_secs(60));
    /// breaker.metrics_only();
    /// for _ in 0..9 {
    ///     breaker.permit()?.failure();
    /// }
    /// let status = breaker.status();
    /// assert_eq!((status.state, status.failures, status.would_open), (BreakerState::MetricsOnly, 2, true));
    /// # Ok::<(), antiphon_resilience::CircuitOpen>(())
    /// ```
    pub fn metrics_only(&self) {
        self.change(BreakerMachine::metrics_only);
    }

    /// Admits all calls and counts none, until the breaker is [reset](CircuitBreaker::reset).
    ///
    /// To count them all the same, use [`metrics_only`](Self::metrics_only).
    pub fn disable(&self) {
        self.change(BreakerMachine::disable);
    }

    /// Subscribes to the changes of state after this call.
    #[must_use]
    pub fn events(&self) -> BreakerEvents {
        self.lock().observers.subscribe()
    }

    /// Applies `act` to the machine, and reports a change of state under the lock, so that events are in order.
    fn change<R>(&self, act: impl FnOnce(&mut BreakerMachine) -> R) -> R {
        let mut core = self.lock();
        let before = core.machine.state();
        let result = act(&mut core.machine);
        let after = core.machine.state();
        if before != after {
            core.observers.notify(self.shared.name.as_ref(), before, after);
            drop(core);
            tracing::info!(name = self.name(), ?before, ?after, "a circuit breaker has changed its state");
        }
        result
    }

    fn lock(&self) -> MutexGuard<'_, Core> {
        self.shared.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for CircuitBreaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreaker").field("name", &self.name()).finish_non_exhaustive()
    }
}

/// A permit of a [`CircuitBreaker`] to make one call.
///
/// Report the result with [`success`](Self::success) or [`failure`](Self::failure). Dropping the permit without a result
/// releases it: the call is not counted, and if it was a trial, another call may make it.
#[derive(Debug)]
#[must_use = "a permit that is dropped at once guards nothing"]
pub struct BreakerPermit {
    breaker: CircuitBreaker,
    /// Ticket; `None` once its result is reported.
    ticket: Option<BreakerTicket>,
    /// Start of the call; `None` if durations do not matter.
    started: Option<Instant>,
    /// Duration of the call, or of the time to its first token.
    took: Option<Duration>,
    /// Span of the call, from its admission to its result.
    pub(super) span: Span,
}

impl BreakerPermit {
    /// Reports that the first part of a streamed answer (the first token) has arrived.
    ///
    /// The time to the first token, and not to the end of the answer, then decides whether the call was
    /// [slow](crate::SlowCalls). A trial succeeds at this point unless it was slow, since the rest of the answer may take
    /// longer than the policy's `max_half_open`. Any other call still needs a result at its end.
    pub fn answered(&mut self) {
        self.stop_the_clock();
        let (Some(ticket), took) = (self.ticket.take(), self.took) else { return };
        self.ticket = self.breaker.change(|machine| machine.answered(ticket, took, now));
    }

    /// Reports that the call succeeded.
    pub fn success(self) {
        self.end(CallResult::Success);
    }

    /// Reports that the call failed because of the service. For an error of the caller, drop the permit instead.
    pub fn failure(self) {
        self.end(CallResult::Failure);
    }

    /// Takes the duration of the call, unless the first part of its answer has set it already.
    fn stop_the_clock(&mut self) {
        self.took =
            self.took.or_else(|| self.started.map(|started| now().saturating_duration_since(started)));
    }

    /// Reports the result, unless the first part of the answer was the result of a trial.
    fn end(mut self, result: CallResult) {
        self.stop_the_clock();
        self.span.record("outcome", if result == CallResult::Success { "success" } else { "failure" });
        let Some(ticket) = self.ticket.take() else { return };
        let took = self.took;
        self.breaker.change(|machine| machine.report(ticket, result, took, now));
    }
}

impl Drop for BreakerPermit {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.span.record("outcome", "released");
            self.breaker.lock().machine.release(ticket);
        }
    }
}

impl fmt::Display for CircuitOpen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.as_deref().unwrap_or("the service");
        let why = match self.state {
            BreakerState::ForcedOpen => "its circuit breaker was forced open",
            _ => "too many calls failed",
        };
        match self.retry_after.map(RoundedUp) {
            Some(wait) => write!(f, "{name} is not called for another {wait}: {why}"),
            None if self.state == BreakerState::ForcedOpen => {
                write!(f, "{name} is not called until its circuit breaker is reset: it was forced open")
            }
            None => write!(f, "{name} is not called until a trial ends: {why}"),
        }
    }
}

impl std::error::Error for CircuitOpen {}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use futures_util::FutureExt;
    use tokio::time::sleep;

    use super::CircuitBreaker;
    use crate::{BreakerError, BreakerPolicy, BreakerRegistry, BreakerState};

    const RECOVERY: Duration = Duration::from_secs(60);

    /// Returns a breaker that has opened and whose trial is due.
    async fn due() -> CircuitBreaker {
        let breaker = CircuitBreaker::simple(2, RECOVERY).named("db");
        for _ in 0..2 {
            breaker.call(async { Err::<(), _>("down") }).await.unwrap_err();
        }
        assert_eq!(breaker.status().next_trial_in, Some(RECOVERY));
        sleep(RECOVERY).await;
        breaker
    }

    #[tokio::test(start_paused = true)]
    async fn a_trial_that_is_dropped_or_ends_with_another_error_is_released() {
        let breaker = due().await;
        let mut dropped = Box::pin(breaker.call(std::future::pending::<Result<(), &str>>()));
        assert!((&mut dropped).now_or_never().is_none());
        assert!(breaker.permit().is_err(), "one trial and no more");
        drop(dropped);
        drop(breaker.permit().unwrap());
        let other =
            breaker.trips_on(|err: &&str| *err == "down").call(async { Err::<(), _>("bad argument") }).await;
        assert_eq!(other, Err(BreakerError::Failed("bad argument")));
        breaker.call(async { Ok::<_, &str>(()) }).await.unwrap();
        assert_eq!(breaker.status().state, BreakerState::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn a_half_open_breaker_admits_one_of_fifty_concurrent_calls() {
        let breaker = due().await;
        let permits: Vec<_> = (0..50).filter_map(|_| breaker.permit().ok()).collect();
        assert_eq!(permits.len(), 1);
        assert_eq!(breaker.status().rejected, 49);
    }

    #[tokio::test(start_paused = true)]
    async fn changes_are_reported_in_order() {
        let breaker = CircuitBreaker::new(BreakerPolicy::default().min_calls(1)).named("db");
        let mut events = breaker.events();
        breaker.permit().unwrap().failure();
        sleep(Duration::from_secs(30)).await;
        let trial = breaker.permit().unwrap();
        breaker.reset();
        trial.failure();
        drop(breaker);
        let mut changes = Vec::new();
        while let Some(event) = events.next().await {
            assert_eq!(event.name, Some(Arc::from("db")));
            changes.push((event.from, event.to));
        }
        let [closed, open, half_open] = [BreakerState::Closed, BreakerState::Open, BreakerState::HalfOpen];
        assert_eq!(changes, [(closed, open), (open, half_open), (half_open, closed)]);
    }

    #[tokio::test(start_paused = true)]
    async fn each_key_has_its_own_breaker() {
        let breakers = BreakerRegistry::new(BreakerPolicy::default());
        breakers.register(CircuitBreaker::simple(1, RECOVERY).named("b")).unwrap();
        breakers.get("b").permit().unwrap().failure();
        breakers.get("a").permit().unwrap().failure();
        let states: Vec<_> =
            breakers.statuses().into_iter().map(|(key, status)| (key, status.state)).collect();
        assert_eq!(states, [("a".to_owned(), BreakerState::Closed), ("b".to_owned(), BreakerState::Open)]);
        breakers.reset_all();
        assert!(breakers.get("b").permit().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_is_slow_by_the_time_to_its_first_token() {
        let slow = crate::SlowCalls::new(Duration::from_secs(5), 1.0);
        let breaker = CircuitBreaker::new(BreakerPolicy::default().min_calls(1).slow_calls(slow));
        let mut permit = breaker.permit().unwrap();
        sleep(Duration::from_secs(4)).await;
        permit.answered();
        sleep(Duration::from_secs(60)).await;
        permit.success();
        assert_eq!(breaker.status().slow, 0);
        let permit = breaker.permit().unwrap();
        sleep(Duration::from_secs(5)).await;
        permit.success();
        assert_eq!(breaker.status().slow, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_trial_ends_with_its_first_token() {
        let breaker = due().await;
        let mut trial = breaker.permit().unwrap();
        trial.answered();
        assert_eq!(breaker.status().state, BreakerState::Closed);
        // The result of the rest belongs to an earlier state.
        trial.failure();
        assert_eq!(breaker.status().failures, 0);
    }
}
