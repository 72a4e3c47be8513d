//! The state machine of the circuit breaker, as plain data: events in, decisions out.
//!
//! ```text
//!             too many failed or slow                    open_for has passed
//!   Closed ──────────────────────────────> Open ──────────────────────────────> HalfOpen
//!      ^                                     ^                                      │
//!      │                                     └── a trial failed, or did not end ────┤
//!      └───────────────────────────────────────────────── enough trials succeeded ──┘
//! ```
//!
//! A ticket has the generation of the state in which its call was admitted. Each change of state begins another
//! generation, so that a call that ends late does not count for a state that it shows nothing about. Time only moves
//! the machine when a call asks for admission: an open breaker without calls stays open.
//!
//! Three more states are entered by the operator alone, and left by a reset: `ForcedOpen`, which may also end by time as
//! `Open` does, `MetricsOnly` and `Disabled`.

use std::time::{Duration, Instant};

use super::policy::{BreakerPolicy, BreakerWindow};
use super::window::{Calls, Outcome, Tally};

/// The state of a [`CircuitBreaker`](crate::CircuitBreaker).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BreakerState {
    /// All calls are admitted.
    Closed,
    /// All calls are rejected.
    Open,
    /// Only a few calls are admitted, as trials.
    HalfOpen,
    /// All calls are rejected, since the operator [forced it](crate::CircuitBreaker::force_open); failures play no part.
    ForcedOpen,
    /// All calls are admitted and counted, and no number of failures opens the breaker; see
    /// [`metrics_only`](crate::CircuitBreaker::metrics_only).
    MetricsOnly,
    /// All calls are admitted and none is counted; see [`disable`](crate::CircuitBreaker::disable).
    Disabled,
}

/// A snapshot of a [`CircuitBreaker`](crate::CircuitBreaker): its state and its counts.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct BreakerStatus {
    /// Current state.
    pub state: BreakerState,
    /// Number of results: those in the window while closed or metrics only, successful trials while half-open, 0 in the
    /// other states.
    pub calls: u32,
    /// Number of failures among `calls`; 0 unless the breaker is closed or metrics only.
    pub failures: u32,
    /// Number of slow calls among `calls`; 0 unless the breaker is closed or metrics only.
    pub slow: u32,
    /// Number of calls rejected since the breaker was created.
    pub rejected: u64,
    /// Time until the next trial while the breaker is open, by itself or [forced for a
    /// time](crate::CircuitBreaker::force_open_for); zero once the next call is a trial. `None` in the other states, and while it
    /// is forced open without an end.
    pub next_trial_in: Option<Duration>,
    /// Whether a [metrics-only](crate::CircuitBreaker::metrics_only) breaker would open if it were closed, by the results in
    /// its window; `false` in the other states.
    pub would_open: bool,
}

/// The state machine of a [`CircuitBreaker`](crate::CircuitBreaker), without lock, clock or I/O, for custom drivers.
///
/// Events are methods, and the time is an argument. The closure `now` is called only if the time matters, since a breaker with a
/// count window that is closed needs no clock. For a breaker that can be used as it is, see
/// [`CircuitBreaker`](crate::CircuitBreaker).
///
/// ```
/// use std::time::Instant;
/// use antiphon_resilience::{BreakerMachine, BreakerPolicy, BreakerState, CallResult};
/// let mut breaker = BreakerMachine::new(BreakerPolicy::default());
/// for _ in 0..10 {
///     let ticket = breaker.admit(Instant::now).expect("it is closed");
///     breaker.report(ticket, CallResult::Failure, None, Instant::now);
/// }
/// assert_eq!(breaker.state(), BreakerState::Open);
/// ```
#[derive(Debug)]
pub struct BreakerMachine {
    policy: BreakerPolicy,
    state: State,
    /// Number of changes of state, to recognise results of an earlier state.
    generation: u64,
    /// Times in a row that trials reopened the breaker.
    reopened: u32,
    /// Number of calls that were rejected, over all states.
    rejected: u64,
}

/// The state with its counts.
#[derive(Debug)]
enum State {
    /// Closed, with the calls of the window.
    Closed(Calls),
    /// Open until this time.
    Open(Instant),
    /// Forced open until this time, or until a reset.
    ForcedOpen(Option<Instant>),
    /// Counting the calls of the window, and rejecting none.
    MetricsOnly(Calls),
    /// Counting and rejecting nothing.
    Disabled,
    /// Half-open: trials are made.
    HalfOpen {
        /// The time at which trials that are still in flight reopen the breaker.
        until: Instant,
        /// Number of trials in flight.
        out: u32,
        /// Number of trials that succeeded.
        succeeded: u32,
        /// Number of trials that failed or were slow, up to the spare ones.
        failed: u32,
    },
}

/// A ticket for one call that a [`BreakerMachine`] has admitted.
///
/// [Report](BreakerMachine::report) or [release](BreakerMachine::release) each ticket: both take it, so that no call is counted
/// twice. After a change of state, the result of an older ticket is ignored.
///
/// A ticket that is dropped instead is never counted, and its call stays in flight until the next change of state, as a call
/// that has not failed: while closed it makes the share of failures smaller, and a trial that is dropped reopens the breaker
/// after [`max_half_open`](BreakerPolicy::max_half_open). For tickets that release themselves, use the
/// [`BreakerPermit`](crate::BreakerPermit) of a [`CircuitBreaker`](crate::CircuitBreaker).
///
/// ```compile_fail,E0382
/// use std::time::Instant;
/// use antiphon_resilience::{BreakerMachine, BreakerPolicy, CallResult};
/// let mut breaker = BreakerMachine::new(BreakerPolicy::default());
/// let ticket = breaker.admit(Instant::now).expect("it is closed");
/// breaker.report(ticket, CallResult::Failure, None, Instant::now);
/// breaker.report(ticket, CallResult::Failure, None, Instant::now); // the ticket is gone
/// ```
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a ticket that is dropped keeps its call in flight: report or release it"]
pub struct BreakerTicket {
    generation: u64,
    slice: u64,
}

/// The result of a call, as a breaker counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallResult {
    /// The service answered.
    Success,
    /// The service failed.
    Failure,
}

impl BreakerMachine {
    /// Creates a closed breaker.
    #[must_use]
    pub fn new(policy: BreakerPolicy) -> Self {
        let state = State::Closed(Calls::new(policy.window));
        Self { policy, state, generation: 0, reopened: 0, rejected: 0 }
    }

    pub(super) fn policy(&self) -> BreakerPolicy {
        self.policy
    }

    /// Returns the current state.
    #[must_use]
    pub fn state(&self) -> BreakerState {
        match self.state {
            State::Closed(_) => BreakerState::Closed,
            State::Open(_) => BreakerState::Open,
            State::HalfOpen { .. } => BreakerState::HalfOpen,
            State::ForcedOpen(_) => BreakerState::ForcedOpen,
            State::MetricsOnly(_) => BreakerState::MetricsOnly,
            State::Disabled => BreakerState::Disabled,
        }
    }

    /// Admits a call and returns its ticket.
    ///
    /// # Errors
    /// The time until the next trial if the call is rejected; `None` while trials are in flight, since their end cannot be
    /// predicted, and after [`force_open`](Self::force_open).
    pub fn admit(&mut self, now: impl FnOnce() -> Instant) -> Result<BreakerTicket, Option<Duration>> {
        let generation = self.generation;
        match &mut self.state {
            State::Closed(calls) | State::MetricsOnly(calls) => {
                let now = calls.needs_time().then(now);
                return Ok(BreakerTicket { generation, slice: calls.begin(now) });
            }
            State::Disabled => return Ok(BreakerTicket { generation, slice: 0 }),
            State::Open(_) | State::ForcedOpen(_) | State::HalfOpen { .. } => {}
        }
        let now = now();
        self.advance(now);
        if let Some(ticket) = self.begin_trial() {
            return Ok(ticket);
        }
        self.rejected += 1;
        let until = self.next_trial();
        Err(until.map(|until| until.saturating_duration_since(now)))
    }

    /// Makes the change of state that is due at `now`: an open breaker becomes half-open, and trials that were in
    /// flight for too long reopen it.
    fn advance(&mut self, now: Instant) {
        match self.state {
            State::Open(until) | State::ForcedOpen(Some(until)) if until <= now => {
                let until = later(now, self.policy.max_half_open);
                self.enter(State::HalfOpen { until, out: 0, succeeded: 0, failed: 0 });
            }
            // Trials that do not end show that the service does not work; a time without calls shows nothing.
            State::HalfOpen { until, out: 1.., .. } if until <= now => self.open(now),
            State::HalfOpen { until, out: 0, succeeded, failed } if until <= now => {
                let until = later(now, self.policy.max_half_open);
                self.state = State::HalfOpen { until, out: 0, succeeded, failed };
            }
            _ => {}
        }
    }

    /// Returns when an open breaker makes its next trial; `None` if that is not known, since the end of a trial cannot be
    /// predicted, and neither can a reset.
    fn next_trial(&self) -> Option<Instant> {
        match self.state {
            State::Open(until) => Some(until),
            State::ForcedOpen(until) => until,
            _ => None,
        }
    }

    /// Begins a trial, if the breaker is half-open and not all trials have been made.
    fn begin_trial(&mut self) -> Option<BreakerTicket> {
        let trials = self.policy.trials.max(1).saturating_add(self.policy.spare_trials);
        match &mut self.state {
            State::HalfOpen { out, succeeded, failed, .. } if *out + *succeeded + *failed < trials => {
                *out += 1;
                Some(BreakerTicket { generation: self.generation, slice: 0 })
            }
            _ => None,
        }
    }

    /// Reports the result of a call, with its duration if it was measured.
    ///
    /// `took` is compared with the policy's [`slow_calls`](BreakerPolicy::slow_calls); without it, no call is slow. Ignored if
    /// the state has changed since the ticket was issued.
    pub fn report(
        &mut self,
        ticket: BreakerTicket,
        result: CallResult,
        took: Option<Duration>,
        now: impl FnOnce() -> Instant,
    ) {
        if ticket.generation != self.generation {
            return;
        }
        let outcome = self.outcome(result, took);
        match &mut self.state {
            State::Closed(_) => self.end_call(ticket.slice, outcome, now),
            State::MetricsOnly(calls) => calls.end(ticket.slice, outcome),
            State::HalfOpen { .. } if outcome.failed || outcome.slow => self.fail_trial(now),
            State::HalfOpen { .. } => self.succeed_trial(),
            State::Open(_) | State::ForcedOpen(_) | State::Disabled => {}
        }
    }

    /// Returns the result of a call as it is counted: failed, slow, both or neither.
    fn outcome(&self, result: CallResult, took: Option<Duration>) -> Outcome {
        let slow = self.policy.slow_calls.zip(took).is_some_and(|(slow, took)| took >= slow.after);
        Outcome { failed: result == CallResult::Failure, slow }
    }

    /// Counts the end of a call while closed, and opens the breaker if too many calls failed or were slow.
    fn end_call(&mut self, slice: u64, outcome: Outcome, now: impl FnOnce() -> Instant) {
        let State::Closed(calls) = &mut self.state else { return };
        calls.end(slice, outcome);
        // In the window that ends with this call, and in the newest one, since calls may end out of order.
        let windows = [calls.up_to(slice), calls.up_to(calls.newest())];
        if windows.into_iter().any(|tally| trips(&self.policy, tally)) {
            self.open(now());
        }
    }

    /// Counts a failed or slow trial, and reopens the breaker for twice as long unless it was a spare one.
    fn fail_trial(&mut self, now: impl FnOnce() -> Instant) {
        let State::HalfOpen { out, failed, .. } = &mut self.state else { return };
        *out = out.saturating_sub(1);
        *failed += 1;
        if *failed > self.policy.spare_trials {
            self.reopened = self.reopened.saturating_add(1);
            self.open(now());
        }
    }

    /// Counts a trial that succeeded, and closes the breaker with the last one that is needed.
    fn succeed_trial(&mut self) {
        let State::HalfOpen { out, succeeded, .. } = &mut self.state else { return };
        *out = out.saturating_sub(1);
        *succeeded += 1;
        if *succeeded >= self.policy.trials.max(1) {
            self.reset();
        }
    }

    /// Reports that the first part of the answer has arrived, with the time to it if it was measured.
    ///
    /// This is the result of a trial: it succeeds unless it was slow, and its ticket is used up. The ticket of any other call is
    /// returned, to be reported at its end.
    pub fn answered(
        &mut self,
        ticket: BreakerTicket,
        took: Option<Duration>,
        now: impl FnOnce() -> Instant,
    ) -> Option<BreakerTicket> {
        if ticket.generation == self.generation && matches!(self.state, State::HalfOpen { .. }) {
            self.report(ticket, CallResult::Success, took, now);
            return None;
        }
        Some(ticket)
    }

    /// Releases the ticket of a call that was dropped, or whose result shows nothing about the service.
    ///
    /// The call is not counted. If it was a trial, another call may make it.
    pub fn release(&mut self, ticket: BreakerTicket) {
        if ticket.generation != self.generation {
            return;
        }
        match &mut self.state {
            State::Closed(calls) | State::MetricsOnly(calls) => calls.release(ticket.slice),
            State::HalfOpen { out, .. } => *out = out.saturating_sub(1),
            State::Open(_) | State::ForcedOpen(_) | State::Disabled => {}
        }
    }

    /// Closes the breaker and clears its counts, whatever its state.
    pub fn reset(&mut self) {
        self.reopened = 0;
        self.enter(State::Closed(Calls::new(self.policy.window)));
    }

    /// Opens the breaker until it is [reset](Self::reset).
    pub fn force_open(&mut self) {
        self.enter(State::ForcedOpen(None));
    }

    /// Opens the breaker for `duration` from `now`; the first call after it is a trial, as after any other opening.
    pub fn force_open_for(&mut self, duration: Duration, now: Instant) {
        self.enter(State::ForcedOpen(Some(later(now, duration))));
    }

    /// Admits and counts all calls, and never opens, until the breaker is [reset](Self::reset). The counts begin at 0.
    pub fn metrics_only(&mut self) {
        self.enter(State::MetricsOnly(Calls::new(self.policy.window)));
    }

    /// Admits all calls and counts none, until the breaker is [reset](Self::reset).
    pub fn disable(&mut self) {
        self.enter(State::Disabled);
    }

    /// Returns a snapshot of the state and the counts at `now`.
    pub fn status(&self, now: Instant) -> BreakerStatus {
        let tally = match &self.state {
            State::Closed(calls) | State::MetricsOnly(calls) => calls.at(now),
            State::HalfOpen { succeeded, .. } => Tally { ended: *succeeded, ..Tally::default() },
            State::Open(_) | State::ForcedOpen(_) | State::Disabled => Tally::default(),
        };
        let Tally { ended: calls, failed: failures, slow, .. } = tally;
        let next_trial_in = self.next_trial().map(|until| until.saturating_duration_since(now));
        let would_open = matches!(self.state, State::MetricsOnly(_)) && trips(&self.policy, tally);
        let (state, rejected) = (self.state(), self.rejected);
        BreakerStatus { state, calls, failures, slow, rejected, next_trial_in, would_open }
    }

    /// Opens the breaker for the policy's time, which doubles each time that a failed trial reopened it, up to the
    /// maximum.
    fn open(&mut self, now: Instant) {
        let doubled =
            2_u32.checked_pow(self.reopened).and_then(|times| self.policy.open_for.checked_mul(times));
        let most = self.policy.max_open.max(self.policy.open_for);
        self.enter(State::Open(later(now, doubled.unwrap_or(most).min(most))));
    }

    /// Changes the state. Tickets of the state before are recognised by their generation, and their results ignored.
    fn enter(&mut self, state: State) {
        self.state = state;
        self.generation += 1;
    }
}

/// Returns whether the failures or slow calls in `tally` open a breaker.
fn trips(policy: &BreakerPolicy, tally: Tally) -> bool {
    let min_calls = match policy.window {
        BreakerWindow::Count(size) => policy.min_calls.min(size.max(1)),
        BreakerWindow::Time(_) => policy.min_calls,
    };
    let too_many = |count: u32, rate: f64| count > 0 && f64::from(count) >= rate * f64::from(tally.started);
    tally.ended >= min_calls
        && (too_many(tally.failed, policy.failure_rate)
            || policy.slow_calls.is_some_and(|slow| too_many(tally.slow, slow.rate)))
}

/// Adds a duration, which is cut to a century, so that it does not overflow the clock.
fn later(now: Instant, duration: Duration) -> Instant {
    now + duration.min(Duration::from_secs(100 * 365 * 24 * 60 * 60))
}

#[cfg(test)]
mod tests;
