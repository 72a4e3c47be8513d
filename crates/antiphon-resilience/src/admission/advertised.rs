use std::time::{Duration, Instant};

use super::cost_factor::{CostFactor, CostSample};
use crate::hints::Allowance;

/// One limit as a server's headers tell it: how much is left, and how fast it comes back.
///
/// What is left is only told with each answer, as of the time when the server counted that answer's request. In between,
/// it is reckoned on: plus what has come back since, minus what was sent since.
#[derive(Debug, Default)]
pub(super) struct Dimension {
    advertised: Option<AdvertisedLimit>,
    /// The true cost of a unit, where costs are estimates.
    factor: Option<CostFactor>,
    /// What has been sent in all, and what of it the server refused.
    sent: f64,
    refunded: f64,
    /// Whether other processes take from the limit, too.
    is_shared: bool,
}

#[derive(Debug)]
struct AdvertisedLimit {
    /// The limit as it is told, and the most that was ever left: the limit may be that of a minute, of which far less can
    /// be had at once.
    limit: f64,
    max_level: f64,
    /// What is left, as of `at`.
    level: f64,
    at: Instant,
    /// What comes back each second.
    rate: f64,
    /// How often in a row the headers were found wrong about that; none of it is believed from three on.
    contradictions: u32,
    /// What was missing when it was told, less what has come back; all of it has by `full_at`, if that was told.
    owed: f64,
    full_at: Option<Instant>,
    /// The most that is reckoned on without an answer that tells: others take what this process leaves.
    reckoned: f64,
    /// When last something was heard, or sent to hear something.
    observed_at: Instant,
    /// Answers in a row that told nothing.
    silent: u32,
    /// The request whose answer told last, and the point from which the rate is measured.
    number: u64,
    anchor: RateSample,
}

/// A point from which to measure: what was left, and had been let through by then.
#[derive(Debug, Clone, Copy)]
struct RateSample {
    at: Instant,
    remaining: f64,
    through: f64,
}

/// Which request an answer belongs to: its number, when it was sent, what had been sent by then, itself included, what of all the
/// server has counted, whether it was refused, and the part of the limit that is this process's.
#[derive(Debug, Clone, Copy)]
pub(super) struct SentRequest {
    pub(super) number: u64,
    pub(super) at: Instant,
    pub(super) total: f64,
    pub(super) counted: f64,
    pub(super) refused: bool,
    pub(super) part: f64,
}

/// A rate is measured over at least so much that came back, or so long: what is left is told in whole numbers.
const MIN_RETURNED: f64 = 20.0;
const MIN_ELAPSED: Duration = Duration::from_secs(2);

/// So many contradictions in a row are no accident of timing.
const MAX_CONTRADICTIONS: u32 = 3;

/// After so many answers that tell nothing, what was told no longer holds: another server answers, or the limit is gone.
const MAX_SILENT: u32 = 20;

/// While it is not known when something comes back, it is looked at so often.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

impl Dimension {
    /// A limit of what is only estimated before a call is made.
    pub(super) fn of_estimates() -> Self {
        Self { factor: Some(CostFactor::new()), ..Self::default() }
    }

    pub(super) fn is_advertised(&self) -> bool {
        self.advertised.is_some()
    }

    pub(super) fn rate(&self) -> Option<f64> {
        self.advertised.as_ref().map(|advertised| advertised.rate)
    }

    pub(super) fn total(&self) -> f64 {
        self.sent
    }

    /// Returns the true cost of what was estimated at `cost`, as far as that is known.
    fn true_cost(&self, cost: f64) -> f64 {
        self.factor.as_ref().map_or(cost, |factor| factor.apply(cost))
    }

    /// When `cost` may be sent: at once if that is not after `now`.
    pub(super) fn ready_at(&mut self, cost: f64, now: Instant) -> Instant {
        let cost = self.true_cost(cost);
        let Some(advertised) = &mut self.advertised else { return now };
        if cost <= 0.0 {
            return now;
        }
        // What is larger than anything that was ever left has to be waited for all the same.
        advertised.max_level = advertised.max_level.max(cost.min(advertised.limit));
        // Up to two calls more would fit, since the server's clock and ours do not tick together.
        let spare = (advertised.max_level * 0.2).min(2.0 * cost);
        let is_even = self.is_shared && advertised.rate > 0.0;
        advertised.reckoned = if is_even { advertised.rate.max(cost + spare) } else { f64::INFINITY };
        advertised.advance(now);
        let missing = (cost + spare).min(advertised.max_level) - advertised.level;
        if missing <= 0.0 {
            return now;
        }
        let by_rate = Duration::try_from_secs_f64(missing / advertised.rate)
            .ok()
            .and_then(|wait| now.checked_add(wait));
        // A server that gives all back at once, at the end of a minute, has no rate; the end of the minute it has.
        let by_reset = advertised.full_at.filter(|_| advertised.owed > 0.0);
        by_rate.into_iter().chain(by_reset).min().unwrap_or(advertised.observed_at + PROBE_INTERVAL)
    }

    pub(super) fn send(&mut self, cost: f64, now: Instant) {
        self.sent += cost;
        let cost = self.true_cost(cost);
        if let Some(advertised) = &mut self.advertised {
            advertised.advance(now);
            (advertised.level, advertised.observed_at) = (advertised.level - cost, now);
        }
    }

    /// What was sent as `request` for `estimated` was `actual` in truth.
    pub(super) fn correct(&mut self, request: u64, estimated: f64, actual: f64) {
        let estimated = self.true_cost(estimated);
        // What is told since then counts that request already.
        if let Some(advertised) = self.advertised.as_mut().filter(|advertised| request > advertised.number) {
            advertised.level = (advertised.level + estimated - actual).min(advertised.max_level);
        }
    }

    /// The server did not take what was sent.
    pub(super) fn refund(&mut self, request: u64, cost: f64) {
        self.refunded += cost;
        self.correct(request, cost, 0.0);
    }

    /// Whether too little for `cost` is left in `allowance`. The estimate of a call that was refused may be far too low.
    pub(super) fn is_short(&self, allowance: Allowance, cost: f64) -> bool {
        let needed = if self.factor.is_some() { 3.0 * self.true_cost(cost) } else { cost };
        #[expect(clippy::cast_precision_loss, reason = "limits are far below 2^52")]
        let is_short = |remaining: u64| (remaining as f64) < needed;
        allowance.remaining.is_some_and(is_short)
    }

    /// An answer to `request` came, and told `allowance`.
    pub(super) fn observe(&mut self, allowance: Allowance, request: SentRequest, now: Instant) {
        let Some(remaining) = allowance.remaining else {
            self.observe_silence();
            return;
        };
        let missing = allowance.limit.unwrap_or(remaining).saturating_sub(remaining);
        #[expect(clippy::cast_precision_loss, reason = "limits are far below 2^52")]
        let (left, missing) = (remaining as f64, missing as f64 * request.part);
        let (remaining, rate) = (left * request.part, allowance.rate().map(|rate| rate * request.part));
        // A refusal is quick, and comes before the heads of answers that were counted before it.
        if let Some(factor) = self.factor.as_mut().filter(|_| !request.refused) {
            let counted = request.counted - self.refunded;
            let point = CostSample { at: request.at, remaining, missing, counted };
            factor.learn(point, rate.unwrap_or_default());
        }
        if self.advertised.as_ref().is_some_and(|advertised| request.number < advertised.number) {
            return;
        }
        let total = if request.refused { request.total } else { request.total.min(request.counted) };
        let sample = RateSample { at: request.at, remaining, through: total - self.refunded };
        let sent_since = self.true_cost(self.sent - total);
        let advertised = self.advertised.get_or_insert(AdvertisedLimit {
            limit: 1.0,
            max_level: 1.0,
            level: 0.0,
            at: now,
            rate: rate.unwrap_or(0.0),
            contradictions: 0,
            owed: 0.0,
            full_at: None,
            reckoned: f64::INFINITY,
            observed_at: now,
            silent: 0,
            number: request.number,
            anchor: sample,
        });
        (advertised.number, advertised.observed_at, advertised.silent) = (request.number, now, 0);
        (advertised.limit, advertised.max_level) = (remaining + missing, advertised.max_level.max(remaining));
        if allowance.limit.is_some() {
            // It may have been more once.
            advertised.max_level = advertised.max_level.min(advertised.limit);
        }
        // Others may have taken what should have come back.
        let is_contradicted = request.refused && left < 1.0 && !self.is_shared;
        advertised.learn(sample, missing, rate, is_contradicted);
        let back = advertised.rate * now.saturating_duration_since(request.at).as_secs_f64();
        (advertised.level, advertised.at) = ((remaining + back - sent_since).min(advertised.max_level), now);
        (advertised.owed, advertised.full_at) =
            (missing, allowance.resets_in.and_then(|wait| now.checked_add(wait)));
    }

    /// The part of the limit that is this process's is now this, and has changed by this ratio.
    pub(super) fn rescale(&mut self, part: f64, ratio: f64) {
        self.is_shared = part < 1.0;
        let Some(advertised) = &mut self.advertised else { return };
        for amount in [
            &mut advertised.limit,
            &mut advertised.max_level,
            &mut advertised.level,
            &mut advertised.rate,
            &mut advertised.owed,
        ] {
            *amount *= ratio;
        }
        advertised.anchor.remaining *= ratio;
    }

    /// An answer told nothing.
    fn observe_silence(&mut self) {
        if let Some(advertised) = &mut self.advertised {
            advertised.silent += 1;
            if advertised.silent >= MAX_SILENT {
                self.advertised = None;
            }
        }
    }
}

impl AdvertisedLimit {
    /// Adds what has come back by `now`.
    fn advance(&mut self, now: Instant) {
        let mut back = self.rate * now.saturating_duration_since(self.at).as_secs_f64();
        if self.full_at.is_some_and(|at| now >= at) {
            back = back.max(self.owed);
        }
        self.owed = (self.owed - back).max(0.0);
        let full = self.max_level.min(self.reckoned.max(self.level));
        (self.level, self.at) = ((self.level + back).min(full), now);
    }

    /// Learns the rate: from what the headers tell; from what came back between two answers, which is the least that the
    /// rate can be (what came back while the bucket was full is not seen); and from finding nothing where there should be
    /// something, again and again, which shows that the headers tell something else.
    fn learn(&mut self, sample: RateSample, missing: f64, advertised: Option<f64>, contradicted: bool) {
        let elapsed = sample.at.saturating_duration_since(self.anchor.at);
        let back = (sample.remaining - self.anchor.remaining + sample.through - self.anchor.through).max(0.0);
        let seen = back / elapsed.as_secs_f64().max(1e-6);
        if contradicted && !elapsed.is_zero() {
            self.contradictions = self.contradictions.saturating_add(1);
            self.rate = if self.contradictions >= MAX_CONTRADICTIONS {
                self.rate.min(seen)
            } else {
                self.rate * 0.95
            };
        }
        let trusted = advertised.filter(|_| self.contradictions < MAX_CONTRADICTIONS);
        if let Some(advertised) = trusted {
            // What is left is told in whole numbers, rounded down: half of one is missing less, and the more is missing in
            // all, the less that matters.
            let advertised = advertised * (1.0 - 0.5 / missing.max(1.0));
            let weight = if self.rate > 0.0 { missing / (missing + 20.0) } else { 1.0 };
            self.rate += weight * (advertised - self.rate);
        }
        if back >= MIN_RETURNED || elapsed >= MIN_ELAPSED || sample.remaining >= self.max_level {
            // Costs are estimates, so that what is seen is only a help where nothing is told.
            if trusted.is_none() && !elapsed.is_zero() {
                self.rate = self.rate.max(seen);
            }
            if !contradicted && advertised.is_some_and(|advertised| (0.7..1.4).contains(&(advertised / seen)))
            {
                self.contradictions = 0;
            }
            self.anchor = sample;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use tokio::time::Instant as Clock;

    use super::{Dimension, SentRequest};
    use crate::hints::Allowance;

    fn sent(number: u64, at: Instant, total: f64) -> SentRequest {
        SentRequest { number, at, total, counted: total, refused: false, part: 1.0 }
    }

    #[test]
    fn calls_take_what_the_headers_show() {
        let (start, mut dimension) = (Clock::now().into_std(), Dimension::of_estimates());
        // Estimated at 60, and counted as 80, of 8,000 that come back at 8,000 each second.
        dimension.send(60.0, start);
        dimension.observe(
            Allowance::new(8_000, 7_920, Duration::from_millis(10)),
            sent(1, start, 60.0),
            start,
        );
        let mut calls = 0;
        while dimension.ready_at(60.0, start) == start {
            dimension.send(60.0, start);
            calls += 1;
        }
        // 7,920 are 99 calls, of which two stay unspent, and a tenth while it is not known better.
        assert!((85..=97).contains(&calls), "{calls}");
    }

    #[test]
    fn no_more_is_waited_for_than_a_smaller_limit_can_hold() {
        let (start, mut dimension) = (Clock::now().into_std(), Dimension::default());
        let (later, soon) = (start + Duration::from_secs(1), Duration::from_millis(10));
        dimension.send(1.0, start);
        dimension.observe(Allowance::new(10, 9, soon), sent(1, start, 1.0), start);
        dimension.send(1.0, later);
        dimension.observe(Allowance::new(2, 1, soon), sent(2, later, 2.0), later);
        assert_eq!(dimension.ready_at(1.0, later + soon), later + soon);
    }
}
