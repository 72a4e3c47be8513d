//! The state machine of the adaptive limiter: which call may be sent when, and what each result shows.
//!
//! Three estimators each know one kind of limit, and a call is sent when all that apply allow it:
//!
//! | estimator | learns from | applies |
//! |---|---|---|
//! | `Dimension`, one for each of four limits | the remaining amounts in headers | once headers report the limit |
//! | `DeliveryRate` | the number of calls admitted between two refusals | unless the headers suffice (they report requests, and no hidden limit is known) |
//! | `ConcurrencyLimit` | throughput at different concurrencies | unless the headers suffice or `DeliveryRate` has a pace |
//!
//! Every method takes the time as an argument and changes plain data, so that whole traffic patterns are tested as
//! tables. The driver, with the lock, the queue and the clock, is `AdaptiveLimiter`.

use std::fmt;
use std::time::{Duration, Instant};

use super::advertised::{Dimension, SentRequest};
use super::bursts::Bursts;
use super::concurrency_limit::ConcurrencyLimit;
use super::delivery_rate::{DeliveryRate, Refusal};
use super::registry::AdaptivePolicy;
use crate::cost::Cost;
use crate::hints::LimitHints;
use crate::rounded::RoundedUp;

/// The error of a limiter whose server accepts no calls for longer than the caller may wait (backpressure).
///
/// The call was not made. Retry the job later, after `retry_after`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Saturated {
    /// Estimated time after which a call may be admitted.
    pub retry_after: Duration,
}

impl fmt::Display for Saturated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server takes no more calls for {}", RoundedUp(self.retry_after))
    }
}

impl std::error::Error for Saturated {}

/// A snapshot of an [`AdaptiveLimiter`](crate::AdaptiveLimiter): the limits found so far, and the counts of calls.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct LimiterSnapshot {
    /// Rate limit in requests per second, from headers or measured between refusals; `None` while none is known.
    pub requests_per_second: Option<f64>,
    /// Rate limit in tokens per second, from headers; `None` while none is known.
    pub tokens_per_second: Option<f64>,
    /// Current concurrency limit.
    pub concurrency: usize,
    /// Number of calls in flight.
    pub in_flight: usize,
    /// Number of callers that wait for a permit.
    pub waiting: usize,
    /// Time left of the pause after a refusal or a `retry_after`; `None` if calls are not paused.
    pub paused_for: Option<Duration>,
    /// Number of calls that were answered, since the limiter was created.
    pub answered: u64,
    /// Number of calls that were refused because of a limit (429).
    pub throttled: u64,
    /// Number of calls that failed for another reason.
    pub failed: u64,
    /// Part of the server's limits that this process may use, from 0.01 to 1; see
    /// [`AdaptiveLimiter::share`](crate::AdaptiveLimiter::share). Rates and concurrency above are those of this part.
    pub part: f64,
}

/// The state machine of the limiter, without lock, clock or I/O.
#[derive(Debug)]
pub(super) struct LimiterState {
    policy: AdaptivePolicy,
    /// Limits of requests, tokens, input tokens and output tokens.
    dimensions: [Dimension; 4],
    /// Order in which the server may have counted the calls.
    bursts: Bursts,
    /// Rate of requests that is measured between refusals.
    delivery: DeliveryRate,
    /// Concurrency limit that is used where no rate is known.
    concurrency: ConcurrencyLimit,
    /// Number of callers in the queue, which the driver counts.
    pub(super) waiting: usize,
    in_flight: usize,
    /// Time of the first call.
    started_at: Option<Instant>,
    /// Numbers of calls: all that were sent, and those that ended in each way. A call without a result is in none of
    /// the others.
    sent: u64,
    answered: u64,
    throttled: u64,
    refunded: u64,
    failed: u64,
    paused_until: Option<Instant>,
    episode: ThrottleEpisode,
    /// Whether a call was refused although requests were left: then a limit exists that the headers do not report.
    has_hidden_limit: bool,
    /// This process's part of the server's limits, from `LEAST_PART` to 1.
    part: f64,
}

/// The smallest part of a limit: an occasional call shows whether the limit still exists.
const LEAST_PART: f64 = 0.01;
/// The relative change of a part up to which the part is kept.
const NOISE: f64 = 0.05;

/// An episode of refusals in a row. Refusals of calls that were sent before the first of them was known count as one.
#[derive(Debug, Default)]
struct ThrottleEpisode {
    /// Number of refusals.
    refusals: u32,
    /// Number of the last call that was sent before the last refusal was known.
    last_sent: u64,
    /// Time since which the server has refused all calls.
    refusing_since: Option<Instant>,
}

impl ThrottleEpisode {
    /// Records an answer. `refusals` ends with the answer to a call that was sent after the last of them was known, and
    /// `refusing_since` with the answer to a call that was sent when the first refusal was known, or later.
    fn answered(&mut self, ticket: &Ticket) {
        if ticket.number > self.last_sent {
            self.refusals = 0;
        }
        if self.refusing_since.is_some_and(|since| ticket.at >= since) {
            self.refusing_since = None;
        }
    }
}

/// The pause for each refusal in a row, up to four, that the headers explain: the headers may be wrong.
const EXPLAINED_PAUSE: Duration = Duration::from_millis(100);

/// The shortest estimated wait, so that no caller retries at once.
const MIN_RETRY_AFTER: Duration = Duration::from_secs(1);

/// The record of a call in flight.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ticket {
    /// Estimated cost.
    cost: Cost,
    /// Position among the calls that were sent, from 1.
    number: u64,
    /// Time at which the call was admitted.
    at: Instant,
    /// Total cost of all calls up to and including this one, by dimension.
    totals: [f64; 4],
    /// Number of the burst in which the call was sent.
    burst: u64,
}

/// The reason why a call is not admitted yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotReady {
    /// Not before this time.
    Until(Instant),
    /// Not before the state changes, or before this time.
    OnChange(Option<Instant>),
    /// Not within the time that callers may wait.
    Saturated(Saturated),
}

impl LimiterState {
    pub(super) fn new(policy: AdaptivePolicy) -> Self {
        let estimated = Dimension::of_estimates;
        Self {
            policy,
            dimensions: [Dimension::default(), estimated(), estimated(), estimated()],
            bursts: Bursts::default(),
            delivery: DeliveryRate::default(),
            concurrency: ConcurrencyLimit::new(&policy),
            waiting: 0,
            in_flight: 0,
            started_at: None,
            sent: 0,
            answered: 0,
            throttled: 0,
            refunded: 0,
            failed: 0,
            paused_until: None,
            episode: ThrottleEpisode::default(),
            has_hidden_limit: false,
            part: 1.0,
        }
    }

    /// Admits a call of the estimated `cost`, or returns when to decide again. The reasons are checked in this order: a
    /// pause, the concurrency limit, the rate of requests, and the amounts that the headers reported.
    ///
    /// # Errors
    /// [`NotReady::Saturated`] if the wait is longer than the policy's `max_wait`; the other kinds of [`NotReady`]
    /// otherwise.
    pub(super) fn admit(&mut self, cost: Cost, now: Instant) -> Result<Ticket, NotReady> {
        self.paused_until = self.paused_until.filter(|until| *until > now);
        if let Some(until) = self.paused_until {
            return Err(self.defer_until(until, now));
        }
        let (limit, changes_at) = self.concurrency(now);
        if self.in_flight >= limit {
            return Err(NotReady::OnChange(changes_at));
        }
        let mut ready = if self.headers_suffice() { now } else { self.delivery.ready_at(now) };
        for (dimension, amount) in self.dimensions.iter_mut().zip(cost.amounts()) {
            ready = ready.max(dimension.ready_at(amount, now));
        }
        if ready > now {
            return Err(self.defer_until(ready, now));
        }
        Ok(self.send(cost, now))
    }

    /// Returns the concurrency limit, and when it changes by itself. Where a rate is known, the concurrency follows from the
    /// latency and is limited only by the maximum.
    fn concurrency(&self, now: Instant) -> (usize, Option<Instant>) {
        if self.headers_suffice() || self.delivery.rate().is_some() {
            (self.max_concurrency(), None)
        } else if self.answered + self.throttled + self.failed == 0 {
            self.concurrency.initial_probe(self.started_at, now)
        } else {
            (self.concurrency.limit(), None)
        }
    }

    /// Returns this process's part of the policy's maximum.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "no one has 2^52 calls in flight"
    )]
    fn max_concurrency(&self) -> usize {
        (self.policy.max_concurrency as f64 * self.part).ceil().max(1.0) as usize
    }

    /// Sets this process's part of the server's limits. Until this process has measured a rate, `rate` is used as the whole limit
    /// in requests per second, as other processes measured it.
    pub(super) fn set_part(&mut self, part: f64, rate: Option<f64>, now: Instant) {
        let part = part.clamp(LEAST_PART, 1.0);
        let ratio = part / self.part;
        // Small changes are ignored: parts follow estimates of demand, and each change restarts the search for the best
        // concurrency.
        let is_whole = part.total_cmp(&1.0).is_eq() && ratio > 1.0;
        let rate = rate.filter(|rate| rate.is_finite() && *rate > 0.0);
        if (ratio - 1.0).abs() > NOISE || is_whole {
            self.rescale(part, ratio, rate, now);
        }
        if let Some(rate) = rate.filter(|_| !self.headers_suffice()) {
            self.delivery.adopt(rate * self.part);
        }
    }

    /// Scales all limits by `ratio` to this process's new `part`. `rate` is the whole limit that all processes
    /// measured, if any.
    fn rescale(&mut self, part: f64, ratio: f64, rate: Option<f64>, now: Instant) {
        self.part = part;
        let through = self.through(self.sent);
        self.dimensions.iter_mut().for_each(|dimension| dimension.rescale(part, ratio));
        self.delivery.rescale(ratio, rate.map(|rate| rate * part), through, now);
        #[expect(clippy::cast_precision_loss, reason = "no one has 2^52 calls in flight")]
        let (start, max) = (self.policy.start_concurrency as f64, self.max_concurrency() as f64);
        self.concurrency.rescale(ratio, start * part, max);
    }

    /// Returns how many of the first `sent` calls the server has admitted.
    #[expect(clippy::cast_precision_loss, reason = "no one makes 2^52 calls")]
    fn through(&self, sent: u64) -> f64 {
        sent.saturating_sub(self.throttled + self.refunded) as f64
    }

    /// Returns whether the headers report the limit of requests, and no other limit is known to exist.
    fn headers_suffice(&self) -> bool {
        self.dimensions[0].is_advertised() && !self.has_hidden_limit
    }

    /// Returns the error for a call that has to wait until `at`.
    fn defer_until(&self, at: Instant, now: Instant) -> NotReady {
        let wait = at.saturating_duration_since(now);
        if wait > self.policy.max_wait {
            NotReady::Saturated(Saturated { retry_after: wait })
        } else {
            NotReady::Until(at)
        }
    }

    /// Takes the estimated cost of a call from all limits, and returns its ticket.
    fn send(&mut self, cost: Cost, now: Instant) -> Ticket {
        self.started_at.get_or_insert(now);
        self.sent += 1;
        self.in_flight += 1;
        self.concurrency.sent(self.in_flight, now);
        let was_paced = self.delivery.rate().is_some();
        self.delivery.send(now);
        if was_paced && self.delivery.rate().is_none() {
            self.concurrency.resume(self.in_flight);
        }
        let burst = self.bursts.send(self.totals(), now);
        for (dimension, amount) in self.dimensions.iter_mut().zip(cost.amounts()) {
            dimension.send(amount, now);
        }
        Ticket { cost, number: self.sent, at: now, totals: self.totals(), burst }
    }

    /// Returns the total cost of all calls that were sent.
    fn totals(&self) -> [f64; 4] {
        self.dimensions.each_ref().map(Dimension::total)
    }

    /// Ends a call that was answered. `usage` is its actual cost, if known; `hints` are its headers, unless they were
    /// observed at the start of a streamed answer.
    pub(super) fn answered(
        &mut self,
        ticket: Ticket,
        usage: Option<Cost>,
        hints: Option<&LimitHints>,
        now: Instant,
    ) {
        self.answered += 1;
        self.episode.answered(&ticket);
        self.concurrency.answered(self.in_flight, now.saturating_duration_since(ticket.at), now);
        self.in_flight -= 1;
        if let Some(usage) = usage {
            self.correct_cost(&ticket, usage);
        }
        if let Some(hints) = hints {
            self.learn(ticket, hints, false, now);
        }
    }

    /// Replaces the estimated cost of a call by its actual `usage`. The request itself stays counted.
    fn correct_cost(&mut self, ticket: &Ticket, usage: Cost) {
        let usage = Cost { requests: ticket.cost.requests, ..usage };
        let amounts = ticket.cost.amounts().into_iter().zip(usage.amounts());
        for (dimension, (estimated, actual)) in self.dimensions.iter_mut().zip(amounts) {
            dimension.correct(ticket.number, estimated, actual);
        }
    }

    /// Ends a call that the server refused because of a limit, and pauses all calls.
    ///
    /// Only the first refusal of calls that were sent together lowers a rate or the concurrency: the others had been
    /// sent before it was known, and show nothing more.
    pub(super) fn throttled(&mut self, ticket: Ticket, hints: &LimitHints, now: Instant) {
        self.in_flight -= 1;
        let refusal = Refusal::new(ticket.number, ticket.at, self.through(ticket.number - 1));
        let is_explained = self.record_refusal(ticket, hints, now);
        if ticket.number <= self.episode.last_sent {
            self.delivery.refused_too(ticket.number);
            return self.pause(hints.retry_after.unwrap_or_default(), now);
        }
        self.episode.last_sent = self.sent;
        let pause = if is_explained && self.delivery.rate().is_none() {
            // The headers report when enough is available again; the number of requests that were admitted shows no rate.
            hints.retry_after.unwrap_or_default().max(EXPLAINED_PAUSE * self.episode.refusals.min(4))
        } else {
            self.measured_pause(refusal, hints.retry_after, now)
        };
        self.extend_episode(pause, now);
    }

    /// Counts a refusal, returns its cost to the limits and learns from its headers. Returns whether a limit in the
    /// headers explains it.
    fn record_refusal(&mut self, ticket: Ticket, hints: &LimitHints, now: Instant) -> bool {
        self.throttled += 1;
        self.refund_cost(&ticket);
        self.learn(ticket, hints, true, now);
        let is_explained = self.is_explained(hints, ticket.cost);
        self.has_hidden_limit |= hints.requests.remaining.is_some() && !is_explained;
        is_explained
    }

    /// Lowers the concurrency, measures the rate, and returns the pause that follows from it.
    fn measured_pause(&mut self, refusal: Refusal, retry_after: Option<Duration>, now: Instant) -> Duration {
        self.concurrency.decrease();
        let pause = self.delivery.refused(refusal, retry_after, self.episode.refusals);
        self.delivery.pause(pause, now);
        pause
    }

    /// Adds a refusal to the episode, and pauses all calls. A server that has refused all of them for the policy's
    /// `saturated_after` is paused for longer than callers may wait, so that they get [`Saturated`].
    fn extend_episode(&mut self, pause: Duration, now: Instant) {
        self.episode.refusals = self.episode.refusals.saturating_add(1);
        self.pause(pause, now);
        let since = *self.episode.refusing_since.get_or_insert(now);
        if self.episode.refusals >= 3 && now.saturating_duration_since(since) >= self.policy.saturated_after {
            self.pause(self.policy.max_wait.saturating_add(self.policy.saturated_after), now);
        }
    }

    /// Ends a call that failed for another reason than a limit. All calls pause for the `retry_after` in `hints`, if
    /// any.
    pub(super) fn failed(&mut self, ticket: Ticket, hints: &LimitHints, now: Instant) {
        self.failed += 1;
        self.concurrency.failed(self.in_flight, now.saturating_duration_since(ticket.at), now);
        self.in_flight -= 1;
        // A failed connection has no headers, which does not mean that the server has stopped reporting its limits.
        if *hints != LimitHints::default() {
            self.learn(ticket, hints, false, now);
        }
        self.pause(hints.retry_after.unwrap_or_default(), now);
    }

    /// Returns the cost of a call that was never made.
    pub(super) fn refund(&mut self, ticket: Ticket) {
        self.in_flight -= 1;
        self.refunded += 1;
        self.refund_cost(&ticket);
        self.delivery.refund();
    }

    /// Returns the estimated cost of a call to the limits.
    fn refund_cost(&mut self, ticket: &Ticket) {
        for (dimension, amount) in self.dimensions.iter_mut().zip(ticket.cost.amounts()) {
            dimension.refund(ticket.number, amount);
        }
    }

    /// Learns from the headers of an answer that has not ended yet.
    pub(super) fn observe_headers(&mut self, ticket: Ticket, hints: &LimitHints, now: Instant) {
        self.learn(ticket, hints, false, now);
    }

    /// Returns the estimated wait of a caller that arrives now: the longer of the rest of a pause and the time in
    /// which the rate admits all callers that wait already; at least a second.
    pub(super) fn estimated_wait(&self, now: Instant) -> Duration {
        let paused = self.paused_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
        let rate = self.dimensions[0].rate().or(self.delivery.rate()).filter(|rate| *rate > 0.0);
        let line = u32::try_from(self.waiting).unwrap_or(u32::MAX);
        let turn = rate.and_then(|rate| Duration::try_from_secs_f64(f64::from(line) / rate).ok());
        paused.max(turn.unwrap_or_default()).max(MIN_RETRY_AFTER)
    }

    /// Ends a call whose result is not reported; its cost stays spent.
    pub(super) fn abandoned(&mut self) {
        self.in_flight -= 1;
    }

    pub(super) fn snapshot(&self, now: Instant) -> LimiterSnapshot {
        let [requests, tokens, input, _] = &self.dimensions;
        LimiterSnapshot {
            requests_per_second: requests.rate().filter(|rate| *rate > 0.0).or(self.delivery.rate()),
            tokens_per_second: tokens.rate().or(input.rate()),
            concurrency: self.concurrency(now).0,
            in_flight: self.in_flight,
            waiting: self.waiting,
            paused_for: self
                .paused_until
                .map(|until| until.saturating_duration_since(now))
                .filter(|left| !left.is_zero()),
            answered: self.answered,
            throttled: self.throttled,
            failed: self.failed,
            part: self.part,
        }
    }

    /// Learns from the headers of an answer or a refusal.
    fn learn(&mut self, ticket: Ticket, hints: &LimitHints, refused: bool, now: Instant) {
        let allowances = [hints.requests, hints.tokens, hints.input_tokens, hints.output_tokens];
        let counted = self.bursts.observe(ticket.burst, ticket.cost.amounts()).unwrap_or(ticket.totals);
        let Ticket { number, at, totals, .. } = ticket;
        for (index, (dimension, allowance)) in self.dimensions.iter_mut().zip(allowances).enumerate() {
            let (total, counted) = (totals[index], counted[index]);
            dimension.observe(
                allowance,
                SentRequest { number, at, total, counted, refused, part: self.part },
                now,
            );
        }
    }

    /// Returns whether a limit in the headers explains the refusal of `cost`.
    fn is_explained(&self, hints: &LimitHints, cost: Cost) -> bool {
        let allowances = [hints.requests, hints.tokens, hints.input_tokens, hints.output_tokens];
        let mut each = self.dimensions.iter().zip(allowances).zip(cost.amounts());
        each.any(|((dimension, allowance), amount)| dimension.is_short(allowance, amount))
    }

    /// Pauses all calls; a pause in progress is extended, but never shortened.
    fn pause(&mut self, pause: Duration, now: Instant) {
        if !pause.is_zero() {
            // A pause that overflows the clock is a day, after which it is checked again.
            let until = now.checked_add(pause).unwrap_or(now + Duration::from_secs(24 * 60 * 60));
            self.paused_until = self.paused_until.max(Some(until));
        }
    }
}
