use std::time::{Duration, Instant};

use super::registry::AdaptivePolicy;

/// An adaptive concurrency limit, found by probing.
///
/// The limit grows while at least four fifths of it are used: by one per answer until the first decrease, as in the slow start of
/// TCP, and by one per round of answers after that. It decreases by 30 % once per episode of refusals. It stops growing where
/// more concurrency does not increase the throughput, as with an inference engine whose slots are all in use, or a server that
/// fails calls when it is overloaded. Failures that do not depend on the concurrency do not lower the limit.
#[derive(Debug)]
pub(super) struct ConcurrencyLimit {
    /// Current limit, from 1 to `max`; a fraction, since it grows by `1 / limit` with each answer after the first decrease.
    /// Before that it grows by 1.
    limit: f64,
    max: f64,
    /// Whether a refusal has lowered the limit, or there is no slow start: growth is slow from then on.
    has_decreased: bool,
    /// Time until which the limit does not grow, since more concurrency was found to be of no use.
    hold_until: Option<Instant>,
    /// Round that is being measured; `None` before the first call, and after a decrease, a rescale or an
    /// outage until the next call.
    round: Option<Round>,
    /// Round with the best throughput so far.
    best: Option<RoundResult>,
    /// Smoothed latency of answers, in seconds.
    mean_latency: f64,
    last_answer: Option<Instant>,
    /// Limit before it was last lowered because of failures; restored if they turn out to have been an outage.
    before_failures: Option<f64>,
}

/// A measuring round: as many ended calls as the limit was when it started, over at least the latency of an answer.
#[derive(Debug)]
struct Round {
    /// Limit when the round started.
    limit: f64,
    since: Instant,
    /// Number of calls that were answered.
    answers: f64,
    /// Number of calls that failed for another reason than a limit.
    failures: f64,
    /// Total duration of both, in seconds.
    seconds: f64,
    /// Most calls in flight.
    peak: usize,
}

/// The throughput of a round, by Little's law: concurrency divided by latency.
#[derive(Debug)]
struct RoundResult {
    /// Limit of the round.
    limit: f64,
    /// Answers each second.
    per_second: f64,
    /// Uncertainty of the throughput due to random failures: two standard deviations, as a share of it.
    spread: f64,
}

/// The initial probe: until the first answer, or for this time, only these calls are admitted, since the answer may report a
/// limit.
const PROBE_CALLS: usize = 8;
const PROBE_TIME: Duration = Duration::from_millis(500);

/// The factor by which a refusal lowers the limit.
const DECREASE: f64 = 0.7;
/// The time without growth after a limit that was too high.
const HOLD: Duration = Duration::from_secs(30);
/// The weight of the newest answer in the smoothed latency.
const SMOOTHING: f64 = 0.1;

impl ConcurrencyLimit {
    pub(super) fn new(policy: &AdaptivePolicy) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "no one has 2^52 calls in flight")]
        let (start, max) = (policy.start_concurrency.max(1) as f64, policy.max_concurrency.max(1) as f64);
        Self {
            limit: start.min(max),
            max,
            has_decreased: !policy.slow_start,
            hold_until: None,
            round: None,
            best: None,
            mean_latency: 0.0,
            last_answer: None,
            before_failures: None,
        }
    }

    /// Returns the maximum number of calls in flight.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is between 1 and the maximum"
    )]
    pub(super) fn limit(&self) -> usize {
        self.limit as usize
    }

    /// Returns the limit while no answer has come, and when it changes by itself.
    pub(super) fn initial_probe(
        &self,
        started_at: Option<Instant>,
        now: Instant,
    ) -> (usize, Option<Instant>) {
        let until = started_at.map(|started_at| started_at + PROBE_TIME);
        if until.is_some_and(|until| until <= now) {
            (self.limit(), None)
        } else {
            (self.limit().min(PROBE_CALLS), until)
        }
    }

    /// Records a call that was sent; `in_flight` includes it.
    pub(super) fn sent(&mut self, in_flight: usize, now: Instant) {
        let round = self.round.get_or_insert_with(|| Round::new(self.limit, in_flight, now));
        round.peak = round.peak.max(in_flight);
    }

    /// Records an answer after `took`; `in_flight` includes its call.
    pub(super) fn answered(&mut self, in_flight: usize, took: Duration, now: Instant) {
        let seconds = took.as_secs_f64();
        self.restore_after_outage(now);
        self.last_answer = Some(now);
        self.mean_latency +=
            if self.mean_latency == 0.0 { seconds } else { (seconds - self.mean_latency) * SMOOTHING };
        let Some(round) = &mut self.round else { return };
        round.answers += 1.0;
        round.seconds += seconds;
        let is_used = round.is_used();
        self.evaluate(in_flight, now);
        if is_used && self.hold_until.is_none_or(|until| until <= now) {
            let step = if self.has_decreased { 1.0 / self.limit } else { 1.0 };
            self.limit = (self.limit + step).min(self.max);
        }
    }

    /// Restores the limit that failures lowered, if no call was answered in the meantime: it was an outage, of which
    /// the concurrency was not the cause.
    fn restore_after_outage(&mut self, now: Instant) {
        if let Some(limit) = self.before_failures
            && self.was_unresponsive(now)
        {
            self.limit = self.limit.max(limit);
            (self.hold_until, self.round, self.best, self.before_failures) = (None, None, None, None);
        }
    }

    /// Records a call that failed after `took` for another reason than a limit; `in_flight` includes it.
    pub(super) fn failed(&mut self, in_flight: usize, took: Duration, now: Instant) {
        let Some(round) = &mut self.round else { return };
        round.failures += 1.0;
        round.seconds += took.as_secs_f64();
        self.evaluate(in_flight, now);
    }

    /// Evaluates the round if it is complete.
    fn evaluate(&mut self, in_flight: usize, now: Instant) {
        let mean_latency = Duration::try_from_secs_f64(self.mean_latency).unwrap_or_default();
        // Quick failures would fill a short round before any answer.
        let is_long = |round: &Round| {
            round.failures == 0.0 || now.saturating_duration_since(round.since) >= mean_latency
        };
        let is_over = |round: &mut Round| round.answers + round.failures >= round.limit && is_long(round);
        let Some(round) = self.round.take_if(is_over) else { return };
        if round.is_used()
            && let Some(done) = round.result()
        {
            self.compare(done, now);
        }
        self.round = Some(Round::new(self.limit, in_flight, now));
    }

    /// Returns whether the time since the last answer is longer than twice the latency.
    fn was_unresponsive(&self, now: Instant) -> bool {
        let gap = self.last_answer.map(|last| now.saturating_duration_since(last).as_secs_f64());
        gap.is_some_and(|gap| gap > 2.0 * self.mean_latency)
    }

    /// Lowers the limit after a refusal.
    pub(super) fn decrease(&mut self) {
        self.limit = (self.limit * DECREASE).max(1.0);
        self.has_decreased = true;
        (self.round, self.best) = (None, None);
    }

    /// Resumes growth after a rate limit that was found by refusals no longer exists: the decreases by those refusals do not
    /// count any more. `in_flight` is the concurrency under that limit.
    pub(super) fn resume(&mut self, in_flight: usize) {
        #[expect(clippy::cast_precision_loss, reason = "no one has 2^52 calls in flight")]
        let in_flight = in_flight as f64;
        self.limit = self.limit.max(in_flight).min(self.max);
        self.has_decreased = false;
    }

    /// Scales the limit by `ratio`, since this process's part of the server's limits has changed; `max` is the new maximum.
    /// The limit grows at most twofold, or to `start`: more has to be found by probing.
    pub(super) fn rescale(&mut self, ratio: f64, start: f64, max: f64) {
        self.limit = (self.limit * ratio.min(2.0)).max(start).clamp(1.0, max.max(1.0));
        self.max = max.max(1.0);
        (self.round, self.best, self.before_failures) = (None, None, None);
    }

    /// Returns to a lower limit if it had about the same throughput.
    fn compare(&mut self, round: RoundResult, now: Instant) {
        match &self.best {
            Some(best) if round.limit < 1.3 * best.limit => {}
            Some(best) if round.per_second * (1.0 + round.spread) < 1.1 * best.per_second => {
                self.before_failures = (round.spread > 0.0).then_some(self.limit);
                self.limit = best.limit;
                self.hold_until = self.hold_until.max(Some(now + HOLD));
            }
            // The difference may be chance: a larger limit will show.
            Some(best) if round.per_second < 1.1 * best.per_second => {}
            _ => self.best = Some(round),
        }
    }
}

impl Round {
    fn new(limit: f64, peak: usize, since: Instant) -> Self {
        Self { limit, since, answers: 0.0, failures: 0.0, seconds: 0.0, peak }
    }

    /// Returns whether at least four fifths of the limit were used.
    fn is_used(&self) -> bool {
        self.peak() >= 0.8 * self.limit.floor()
    }

    #[expect(clippy::cast_precision_loss, reason = "no one has 2^52 calls in flight")]
    fn peak(&self) -> f64 {
        self.peak as f64
    }

    /// Returns the throughput; `None` for a round without an answer, in which the server was down.
    fn result(&self) -> Option<RoundResult> {
        let per_second = self.peak() * self.answers / self.seconds;
        let spread = 2.0 * (self.failures / (self.answers * (self.answers + self.failures))).sqrt();
        (per_second.is_finite() && spread.is_finite()).then_some(RoundResult {
            limit: self.limit,
            per_second,
            spread,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{AdaptivePolicy, ConcurrencyLimit};

    /// Sends calls to an engine with slots, whose calls take 100 ms and wait for a slot; returns the most in flight and the limit
    /// after 200 answers.
    fn probed(slots: usize) -> (usize, usize) {
        let policy = AdaptivePolicy::default().start_concurrency(2).without_slow_start();
        let mut limit = ConcurrencyLimit::new(&policy);
        let mut now = tokio::time::Instant::now().into_std();
        let (mut free, mut in_flight, mut most) = (vec![now; slots], Vec::new(), 0);
        for _ in 0..200 {
            while in_flight.len() < limit.limit() {
                let slot = free.iter_mut().min().unwrap();
                *slot = (*slot).max(now) + Duration::from_millis(100);
                in_flight.push((*slot, now));
                limit.sent(in_flight.len(), now);
            }
            most = most.max(in_flight.len());
            in_flight.sort();
            let (ended, sent) = in_flight.remove(0);
            now = ended;
            limit.answered(in_flight.len() + 1, ended - sent, now);
        }
        (most, limit.limit())
    }

    #[test]
    fn the_slots_of_an_engine_are_found_without_flooding_it() {
        for (slots, least, bound) in [(1, 1, 5), (2, 2, 6), (4, 4, 9), (8, 7, 16)] {
            let (most, found) = probed(slots);
            assert!(most <= bound && (least..=bound).contains(&found), "{slots}: {most}, {found}");
        }
    }
}
