use std::time::{Duration, Instant};

use super::policy::{BreakerPolicy, BreakerWindow};
use super::window::{Calls, Outcome, Tally};

/// What a [`CircuitBreaker`](crate::CircuitBreaker) does with calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BreakerState {
    /// They go through.
    Closed,
    /// They are rejected.
    Open,
    /// A few trials go through.
    HalfOpen,
}

/// What a [`CircuitBreaker`](crate::CircuitBreaker) has seen and what it does about it.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct BreakerStatus {
    /// What it does with calls now.
    pub state: BreakerState,
    /// Results in the window, or of trials while it is half-open.
    pub calls: u32,
    /// Failures among them.
    pub failures: u32,
    /// Slow calls among them.
    pub slow: u32,
    /// Calls that it has rejected since it was made.
    pub rejected: u64,
    /// The time until the next trial, while it is open; `None` if it waits for [`reset`](crate::CircuitBreaker::reset).
    pub next_trial_in: Option<Duration>,
}

/// A [`CircuitBreaker`](crate::CircuitBreaker) without lock, clock or I/O, for those who drive their own: what happens,
/// and when, comes in as arguments. `now` is only asked for where it matters.
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
    /// Grows with each change of state, so that results of an earlier one can be told.
    generation: u64,
    /// How often in a row a trial failed.
    reopened: u32,
    rejected: u64,
}

#[derive(Debug)]
enum State {
    Closed(Calls),
    /// Until then; for ever if it was forced.
    Open(Option<Instant>),
    HalfOpen {
        until: Instant,
        out: u32,
        succeeded: u32,
        failed: u32,
    },
}

/// Permission to call, in one period of one state, with its place in the order of calls. Each is
/// [reported](BreakerMachine::report) or [released](BreakerMachine::release) once: until then its call is in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerTicket {
    generation: u64,
    slice: u64,
}

/// How a call ended, as far as a breaker minds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallResult {
    /// The service works.
    Success,
    /// The service is to blame.
    Failure,
}

impl BreakerMachine {
    /// A closed breaker.
    #[must_use]
    pub fn new(policy: BreakerPolicy) -> Self {
        let state = State::Closed(Calls::new(policy.window));
        Self { policy, state, generation: 0, reopened: 0, rejected: 0 }
    }

    pub(super) fn policy(&self) -> BreakerPolicy {
        self.policy
    }

    /// What it does with calls.
    #[must_use]
    pub fn state(&self) -> BreakerState {
        match self.state {
            State::Closed(_) => BreakerState::Closed,
            State::Open(_) => BreakerState::Open,
            State::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// Admits a call.
    ///
    /// # Errors
    /// The time until the next trial, as far as it is known.
    pub fn admit(&mut self, now: impl FnOnce() -> Instant) -> Result<BreakerTicket, Option<Duration>> {
        let generation = self.generation;
        if let State::Closed(calls) = &mut self.state {
            let now = calls.needs_time().then(now);
            return Ok(BreakerTicket { generation, slice: calls.begin(now) });
        }
        let now = now();
        match self.state {
            State::Open(Some(until)) if until <= now => {
                let until = later(now, self.policy.max_half_open);
                self.enter(State::HalfOpen { until, out: 0, succeeded: 0, failed: 0 });
            }
            // Trials that neither end nor are given up prove nothing good; that nobody called proves nothing bad.
            State::HalfOpen { until, out: 1.., .. } if until <= now => self.open(now),
            State::HalfOpen { until, out: 0, succeeded, failed } if until <= now => {
                let until = later(now, self.policy.max_half_open);
                self.state = State::HalfOpen { until, out: 0, succeeded, failed };
            }
            _ => {}
        }
        let trials = self.policy.trials.max(1).saturating_add(self.policy.spare_trials);
        let until = match &mut self.state {
            State::HalfOpen { out, succeeded, failed, .. } if *out + *succeeded + *failed < trials => {
                *out += 1;
                return Ok(BreakerTicket { generation: self.generation, slice: 0 });
            }
            State::Open(until) => *until,
            // When a trial ends nobody knows.
            State::HalfOpen { .. } | State::Closed(_) => None,
        };
        self.rejected += 1;
        Err(until.map(|until| until.saturating_duration_since(now)))
    }

    /// The call of `ticket` ended, after `took` if somebody has measured that. Results of an earlier state count for
    /// nothing.
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
        let slow = self.policy.slow_calls.zip(took).is_some_and(|(slow, took)| took >= slow.after);
        let outcome = Outcome { failed: result == CallResult::Failure, slow };
        let trials = self.policy.trials.max(1);
        match &mut self.state {
            State::Closed(calls) => {
                calls.end(ticket.slice, outcome);
                // Among those before it, and among the newest where calls end in another order than they began.
                let windows = [calls.up_to(ticket.slice), calls.up_to(calls.newest())];
                if windows.into_iter().any(|tally| trips(&self.policy, tally)) {
                    self.open(now());
                }
            }
            State::HalfOpen { out, failed, .. } if outcome.failed || outcome.slow => {
                *out = out.saturating_sub(1);
                *failed += 1;
                if *failed > self.policy.spare_trials {
                    self.reopened = self.reopened.saturating_add(1);
                    self.open(now());
                }
            }
            State::HalfOpen { out, succeeded, .. } => {
                *out = out.saturating_sub(1);
                *succeeded += 1;
                if *succeeded >= trials {
                    self.reset();
                }
            }
            State::Open(_) => {}
        }
    }

    /// The first of the answer to the call of `ticket` is there. A trial has succeeded with that, unless it was slow; of
    /// other calls the end decides. Whether this was the result of the call: then there is nothing more to report.
    pub fn answered(
        &mut self,
        ticket: BreakerTicket,
        took: Option<Duration>,
        now: impl FnOnce() -> Instant,
    ) -> bool {
        let is_trial = ticket.generation == self.generation && matches!(self.state, State::HalfOpen { .. });
        if is_trial {
            self.report(ticket, CallResult::Success, took, now);
        }
        is_trial
    }

    /// Releases the call of `ticket`, which was given up or ended in a way that shows nothing: a trial may be made anew.
    pub fn release(&mut self, ticket: BreakerTicket) {
        if ticket.generation != self.generation {
            return;
        }
        match &mut self.state {
            State::Closed(calls) => calls.release(ticket.slice),
            State::HalfOpen { out, .. } => *out = out.saturating_sub(1),
            State::Open(_) => {}
        }
    }

    /// Closes it and forgets what it has seen.
    pub fn reset(&mut self) {
        self.reopened = 0;
        self.enter(State::Closed(Calls::new(self.policy.window)));
    }

    /// Opens it until it is reset.
    pub fn force_open(&mut self) {
        self.enter(State::Open(None));
    }

    /// What it has seen and what it does about it.
    pub fn status(&self, now: Instant) -> BreakerStatus {
        let (tally, next_trial_in) = match &self.state {
            State::Closed(calls) => (calls.at(now), None),
            State::HalfOpen { succeeded, .. } => (Tally { ended: *succeeded, ..Tally::default() }, None),
            State::Open(until) => (Tally::default(), until.map(|until| until.saturating_duration_since(now))),
        };
        let Tally { ended: calls, failed: failures, slow, .. } = tally;
        BreakerStatus { state: self.state(), calls, failures, slow, rejected: self.rejected, next_trial_in }
    }

    fn open(&mut self, now: Instant) {
        let doubled =
            2_u32.checked_pow(self.reopened).and_then(|times| self.policy.open_for.checked_mul(times));
        let most = self.policy.max_open.max(self.policy.open_for);
        self.enter(State::Open(Some(later(now, doubled.unwrap_or(most).min(most)))));
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.generation += 1;
    }
}

/// Whether so many failures, or slow calls, of so many open a breaker.
fn trips(policy: &BreakerPolicy, tally: Tally) -> bool {
    let min_calls = match policy.window {
        BreakerWindow::Count(size) => policy.min_calls.min(size),
        BreakerWindow::Time(_) => policy.min_calls,
    };
    let too_many = |count: u32, rate: f64| count > 0 && f64::from(count) >= rate * f64::from(tally.started);
    tally.ended >= min_calls
        && (too_many(tally.failed, policy.failure_rate)
            || policy.slow_calls.is_some_and(|slow| too_many(tally.slow, slow.rate)))
}

/// A time that no clock can show is one that never comes; a century stands for it.
fn later(now: Instant, duration: Duration) -> Instant {
    now + duration.min(Duration::from_secs(100 * 365 * 24 * 60 * 60))
}

#[cfg(test)]
mod tests;
