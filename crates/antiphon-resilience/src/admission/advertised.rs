//! Pacing by the headers of a server: the remaining amount of each limit is followed between reports.
//!
//! A report is old when it arrives: it counts the call that it answers, but not those sent since. So the level after a
//! report is the reported amount, plus the refill since the request was sent, minus the cost of the calls sent since.
//! Headers are trusted only as far as they agree with what happens: a rate that refusals contradict repeatedly is
//! replaced by a measured one.

use std::time::{Duration, Instant};

use super::cost_factor::{CostFactor, CostSample};
use crate::hints::Allowance;

/// One limit as reported by the headers of a server: the remaining amount and the refill rate.
///
/// The server reports the remaining amount with each answer, as of the time at which it counted the request. Between reports the
/// amount is estimated: the last report, plus the refill since then, minus the cost of the calls sent since then.
#[derive(Debug, Default)]
pub(super) struct Dimension {
    advertised: Option<AdvertisedLimit>,
    /// Actual cost of an estimated unit, where costs are estimates.
    factor: Option<CostFactor>,
    /// Total cost of the calls that were sent, and of those that the server refused.
    sent: f64,
    refunded: f64,
    /// Whether other processes take from the limit as well.
    is_shared: bool,
}

/// The state of a limit since its first report.
#[derive(Debug)]
struct AdvertisedLimit {
    /// Reported limit, and the highest remaining amount so far: the limit may be that of a minute, of which a burst can use
    /// far less.
    limit: f64,
    max_level: f64,
    /// Estimated remaining amount, as of `at`.
    level: f64,
    at: Instant,
    /// Refill each second.
    rate: f64,
    /// Times in a row that the reported rate was contradicted; from `MAX_CONTRADICTIONS` on, it is not trusted.
    contradictions: u32,
    /// Amount that was missing when it was reported, less the refill; all of it is refilled by `full_at`, if reported.
    owed: f64,
    full_at: Option<Instant>,
    /// Highest level that is assumed without a new report: other processes take what this one leaves.
    reckoned: f64,
    /// Time of the last report, or of the last call sent to get one.
    observed_at: Instant,
    /// Answers in a row without a report.
    silent: u32,
    /// Request with the latest report, and the sample from which the rate is measured.
    number: u64,
    anchor: RateSample,
}

/// A sample of the remaining amount, and of the total that the server had admitted by then.
#[derive(Debug, Clone, Copy)]
struct RateSample {
    at: Instant,
    remaining: f64,
    through: f64,
}

/// One limit in the headers of an answer, scaled to this process's part of it.
#[derive(Debug, Clone, Copy)]
struct LimitReport {
    /// The remaining amount for all processes together.
    whole: f64,
    /// The remaining amount.
    remaining: f64,
    /// The amount that is missing to the limit; 0 if the limit is not reported.
    missing: f64,
    /// The refill each second, if the headers show one.
    rate: Option<f64>,
    /// Whether the limit itself is reported.
    has_limit: bool,
    /// The time until nothing is missing.
    resets_in: Option<Duration>,
}

/// The request to which an answer belongs.
#[derive(Debug, Clone, Copy)]
pub(super) struct SentRequest {
    /// Position among the requests, from 1.
    pub(super) number: u64,
    /// Time at which it was sent.
    pub(super) at: Instant,
    /// Cost of all requests sent up to and including this one.
    pub(super) total: f64,
    /// Part of `total` that the server had counted by then.
    pub(super) counted: f64,
    /// Whether the server refused the request.
    pub(super) refused: bool,
    /// This process's part of the limit.
    pub(super) part: f64,
}

/// A rate is measured over at least this refill or this time, since remaining amounts are reported as whole numbers.
const MIN_RETURNED: f64 = 20.0;
const MIN_ELAPSED: Duration = Duration::from_secs(2);

/// Contradictions in a row that are not due to timing alone.
const MAX_CONTRADICTIONS: u32 = 3;

/// Answers without a report after which a limit is dropped: another server answers, or the limit no longer exists.
const MAX_SILENT: u32 = 20;

/// Interval of calls while the time of the refill is not known.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

impl Dimension {
    /// Creates a limit of costs that are only estimates before the call is made.
    pub(super) fn of_estimates() -> Self {
        Self { factor: Some(CostFactor::new()), ..Self::default() }
    }

    /// Returns whether the headers of recent answers reported the limit.
    pub(super) fn is_advertised(&self) -> bool {
        self.advertised.is_some()
    }

    /// Returns the refill each second: 0 for a limit whose rate is not known yet, `None` for one that is not reported.
    pub(super) fn rate(&self) -> Option<f64> {
        self.advertised.as_ref().map(|advertised| advertised.rate)
    }

    /// Returns the total estimated cost of the calls that were sent.
    pub(super) fn total(&self) -> f64 {
        self.sent
    }

    /// Returns the actual cost of a call that was estimated at `cost`, as far as that is known.
    fn true_cost(&self, cost: f64) -> f64 {
        self.factor.as_ref().map_or(cost, |factor| factor.apply(cost))
    }

    /// Returns when `cost` may be sent: `now` or earlier if nothing has to be waited for.
    pub(super) fn ready_at(&mut self, cost: f64, now: Instant) -> Instant {
        let cost = self.true_cost(cost);
        let Some(advertised) = &mut self.advertised else { return now };
        if cost <= 0.0 {
            return now;
        }
        // A cost above the highest level so far has to be waited for as well.
        advertised.max_level = advertised.max_level.max(cost.min(advertised.limit));
        // Room for up to two more calls is kept, since the server's clock and ours are not synchronised.
        let spare = (advertised.max_level * 0.2).min(2.0 * cost);
        let is_even = self.is_shared && advertised.rate > 0.0;
        advertised.reckoned = if is_even { advertised.rate.max(cost + spare) } else { f64::INFINITY };
        advertised.advance(now);
        let missing = (cost + spare).min(advertised.max_level) - advertised.level;
        advertised.refilled_at(missing, now)
    }

    /// Takes the estimated cost of a call that is sent.
    pub(super) fn send(&mut self, cost: f64, now: Instant) {
        self.sent += cost;
        let cost = self.true_cost(cost);
        if let Some(advertised) = &mut self.advertised {
            advertised.advance(now);
            (advertised.level, advertised.observed_at) = (advertised.level - cost, now);
        }
    }

    /// Replaces the `estimated` cost of `request` by the `actual` one.
    pub(super) fn correct(&mut self, request: u64, estimated: f64, actual: f64) {
        let estimated = self.true_cost(estimated);
        // A report since then includes that request already.
        if let Some(advertised) = self.advertised.as_mut().filter(|advertised| request > advertised.number) {
            advertised.level = (advertised.level + estimated - actual).min(advertised.max_level);
        }
    }

    /// Returns the cost of a request that the server refused.
    pub(super) fn refund(&mut self, request: u64, cost: f64) {
        self.refunded += cost;
        self.correct(request, cost, 0.0);
    }

    /// Returns whether `allowance` is too small for `cost`. The estimate of a call that was refused may be far too low.
    pub(super) fn is_short(&self, allowance: Allowance, cost: f64) -> bool {
        let needed = if self.factor.is_some() { 3.0 * self.true_cost(cost) } else { cost };
        #[expect(clippy::cast_precision_loss, reason = "limits are far below 2^52")]
        let is_short = |remaining: u64| (remaining as f64) < needed;
        allowance.remaining.is_some_and(is_short)
    }

    /// Learns from the `allowance` that the answer to `request` reported.
    pub(super) fn observe(&mut self, allowance: Allowance, request: SentRequest, now: Instant) {
        let Some(report) = LimitReport::of(allowance, request.part) else { return self.observe_silence() };
        self.learn_cost(&report, &request);
        if self.advertised.as_ref().is_some_and(|advertised| request.number < advertised.number) {
            return;
        }
        let total = if request.refused { request.total } else { request.total.min(request.counted) };
        let sample =
            RateSample { at: request.at, remaining: report.remaining, through: total - self.refunded };
        let sent_since = self.true_cost(self.sent - total);
        // Other processes may have taken the refill.
        let is_contradicted = request.refused && report.whole < 1.0 && !self.is_shared;
        let new = AdvertisedLimit::new(request.number, sample, report.rate.unwrap_or(0.0), now);
        let advertised = self.advertised.get_or_insert(new);
        advertised.update(&report, request.number, now);
        advertised.learn(sample, report.missing, report.rate, is_contradicted);
        advertised.set_level(&report, request.at, sent_since, now);
    }

    /// Learns the actual cost of estimated units from a report, where costs are estimates. A refusal is quick, and
    /// arrives before the headers of answers that were counted before it: nothing is learned from it.
    fn learn_cost(&mut self, report: &LimitReport, request: &SentRequest) {
        if let Some(factor) = self.factor.as_mut().filter(|_| !request.refused) {
            let LimitReport { remaining, missing, .. } = *report;
            let counted = request.counted - self.refunded;
            factor.learn(
                CostSample { at: request.at, remaining, missing, counted },
                report.rate.unwrap_or_default(),
            );
        }
    }

    /// Scales the amounts by `ratio`, since this process's part of the limit has changed to `part`.
    pub(super) fn rescale(&mut self, part: f64, ratio: f64) {
        self.is_shared = part < 1.0;
        if let Some(factor) = &mut self.factor {
            factor.rescale(ratio);
        }
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

    /// Counts an answer without a report.
    fn observe_silence(&mut self) {
        if let Some(advertised) = &mut self.advertised {
            advertised.silent += 1;
            if advertised.silent >= MAX_SILENT {
                self.advertised = None;
            }
        }
    }
}

impl LimitReport {
    /// Reads an allowance, scaled to this process's `part` of the limit; `None` if it has no remaining amount.
    fn of(allowance: Allowance, part: f64) -> Option<Self> {
        let remaining = allowance.remaining?;
        let missing = allowance.limit.unwrap_or(remaining).saturating_sub(remaining);
        #[expect(clippy::cast_precision_loss, reason = "limits are far below 2^52")]
        let (whole, missing) = (remaining as f64, missing as f64 * part);
        Some(Self {
            whole,
            remaining: whole * part,
            missing,
            rate: allowance.rate().map(|rate| rate * part),
            has_limit: allowance.limit.is_some(),
            resets_in: allowance.resets_in,
        })
    }
}

impl AdvertisedLimit {
    /// Creates a limit with its first sample, before the amounts of the report are taken over.
    fn new(number: u64, anchor: RateSample, rate: f64, now: Instant) -> Self {
        Self {
            limit: 1.0,
            max_level: 1.0,
            level: 0.0,
            at: now,
            rate,
            contradictions: 0,
            owed: 0.0,
            full_at: None,
            reckoned: f64::INFINITY,
            observed_at: now,
            silent: 0,
            number,
            anchor,
        }
    }

    /// Takes over the limit and the highest level from the report to a request.
    fn update(&mut self, report: &LimitReport, number: u64, now: Instant) {
        (self.number, self.observed_at, self.silent) = (number, now, 0);
        (self.limit, self.max_level) =
            (report.remaining + report.missing, self.max_level.max(report.remaining));
        if report.has_limit {
            // The limit may have been higher before.
            self.max_level = self.max_level.min(self.limit);
        }
    }

    /// Sets the level to the reported amount, plus the refill since the request was sent at `at`, minus the cost of the
    /// calls sent since then.
    fn set_level(&mut self, report: &LimitReport, at: Instant, sent_since: f64, now: Instant) {
        let back = self.rate * now.saturating_duration_since(at).as_secs_f64();
        (self.level, self.at) = ((report.remaining + back - sent_since).min(self.max_level), now);
        (self.owed, self.full_at) = (report.missing, report.resets_in.and_then(|wait| now.checked_add(wait)));
    }

    /// Returns when the `missing` amount is refilled: `now` if nothing is missing. Without a rate and a time of the
    /// reset, a call is sent each second to get another report.
    fn refilled_at(&self, missing: f64, now: Instant) -> Instant {
        if missing <= 0.0 {
            return now;
        }
        let by_rate =
            Duration::try_from_secs_f64(missing / self.rate).ok().and_then(|wait| now.checked_add(wait));
        // A server that refills all at once, at the end of a minute, has no rate, but it reports the end of the minute.
        let by_reset = self.full_at.filter(|_| self.owed > 0.0);
        by_rate.into_iter().chain(by_reset).min().unwrap_or(self.observed_at + PROBE_INTERVAL)
    }

    /// Adds the refill until `now`.
    fn advance(&mut self, now: Instant) {
        let mut back = self.rate * now.saturating_duration_since(self.at).as_secs_f64();
        if self.full_at.is_some_and(|at| now >= at) {
            back = back.max(self.owed);
        }
        self.owed = (self.owed - back).max(0.0);
        let full = self.max_level.min(self.reckoned.max(self.level));
        (self.level, self.at) = ((self.level + back).min(full), now);
    }

    /// Learns the rate from three sources: the rate that the headers report; the refill between two answers, which is a
    /// lower bound of the rate (a refill of a full bucket is not seen); and repeated refusals where something should be left,
    /// which show that the headers describe another limit.
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
            // Remaining amounts are rounded down to whole numbers, so on average half a unit less is missing; the more is
            // missing in total, the less that matters.
            let advertised = advertised * (1.0 - 0.5 / missing.max(1.0));
            let weight = if self.rate > 0.0 { missing / (missing + 20.0) } else { 1.0 };
            self.rate += weight * (advertised - self.rate);
        }
        if back >= MIN_RETURNED || elapsed >= MIN_ELAPSED || sample.remaining >= self.max_level {
            // Costs are estimates, so the measured rate is used only where no rate is reported.
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
    fn the_cost_of_calls_is_learned_from_the_headers() {
        let (start, mut dimension) = (Clock::now().into_std(), Dimension::of_estimates());
        // Estimated at 60 and counted as 80, from 8,000 with a refill of 8,000 each second.
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
        // 7,920 are 99 calls: two are kept as a reserve, and a tenth while the factor is uncertain.
        assert!((85..=97).contains(&calls), "{calls}");
    }

    #[test]
    fn the_wait_is_bounded_by_a_limit_that_has_shrunk() {
        let (start, mut dimension) = (Clock::now().into_std(), Dimension::default());
        let (later, soon) = (start + Duration::from_secs(1), Duration::from_millis(10));
        dimension.send(1.0, start);
        dimension.observe(Allowance::new(10, 9, soon), sent(1, start, 1.0), start);
        dimension.send(1.0, later);
        dimension.observe(Allowance::new(2, 1, soon), sent(2, later, 2.0), later);
        assert_eq!(dimension.ready_at(1.0, later + soon), later + soon);
    }
}
