use std::time::{Duration, Instant};

use super::bursts;

/// The ratio of actual to estimated cost: a server counts tokens with its own tokenizer, and may count an answer at `max_tokens`.
///
/// The headers of two answers show the cost of the calls between them: the refill, less the increase of the remaining amount.
#[derive(Debug)]
pub(super) struct CostFactor {
    /// The ratio, from 0.01 to 100; 1 at first.
    per_unit: f64,
    /// Actual and estimated cost of the latest calls.
    taken: f64,
    estimated: f64,
    /// Time of the first call with a report, the sample from which is measured, and the last sample.
    first: Option<Instant>,
    anchor: Option<CostSample>,
    last: Option<CostSample>,
}

/// A sample: when the request of an answer was sent, the remaining and missing amounts then, and the estimated total counted.
#[derive(Debug, Clone, Copy)]
pub(super) struct CostSample {
    /// Time at which the request was sent.
    pub(super) at: Instant,
    /// Remaining amount that its answer reported.
    pub(super) remaining: f64,
    /// Amount that was missing to the limit.
    pub(super) missing: f64,
    /// Estimated cost of all requests that the server had counted, less the refused ones.
    pub(super) counted: f64,
}

/// The time of a measurement: over a shorter one, requests do not arrive at the pace at which they were sent.
const MEASURE_TIME: Duration = Duration::from_secs(1);

/// The weight of earlier measurements: the mean covers about the last ten.
const DECAY: f64 = 0.9;

/// At first, the missing amount is taken as the cost of the first burst, unless it is more than this multiple of the estimate:
/// then other clients use the limit as well. The margin is for the refill while the burst arrived.
const MAX_MULTIPLE: f64 = 4.0;
const ARRIVAL_MARGIN: f64 = 1.1;

impl CostFactor {
    pub(super) fn new() -> Self {
        Self { per_unit: 1.0, taken: 0.0, estimated: 0.0, first: None, anchor: None, last: None }
    }

    /// Returns the actual cost of a call that was estimated at `cost`.
    pub(super) fn apply(&self, cost: f64) -> f64 {
        cost * self.per_unit
    }

    /// Scales the samples by `ratio`, since this process's part of the limit has changed.
    pub(super) fn rescale(&mut self, ratio: f64) {
        for point in [&mut self.anchor, &mut self.last].into_iter().flatten() {
            point.remaining *= ratio;
            point.missing *= ratio;
        }
    }

    /// Learns from an answer, with a refill of `rate` each second.
    ///
    /// A measurement spans at least `MEASURE_TIME`; a shorter one is continued with the next answer. After the first
    /// burst, nothing is measured without a rate, since the refill is then not known.
    pub(super) fn learn(&mut self, point: CostSample, rate: f64) {
        let since = |then: Instant| point.at.saturating_duration_since(then);
        let (last, anchor) = (self.last.replace(point), self.anchor);
        let first = *self.first.get_or_insert(point.at);
        let (Some(last), Some(anchor), false) = (last, anchor, since(first) < bursts::MAX_LENGTH) else {
            self.anchor = Some(point);
            return self.learn_first(point);
        };
        // A bucket that may have been full in between has lost some of the refill.
        let is_lost = rate * since(last.at).as_secs_f64() > last.missing;
        if !is_lost && since(anchor.at) < MEASURE_TIME {
            return;
        }
        self.anchor = Some(point);
        let back = rate * since(anchor.at).as_secs_f64();
        let (taken, estimated) = (back + anchor.remaining - point.remaining, point.counted - anchor.counted);
        if !is_lost && rate > 0.0 && taken > 0.0 && estimated > 0.0 {
            // The initial factor was not measured and is no part of the mean.
            let before = if self.estimated > 0.0 { DECAY } else { 0.0 };
            self.set(self.taken * before + taken, self.estimated * before + estimated);
        }
    }

    /// Learns from an answer to the first burst; the call that the server counted last reports the whole burst as missing.
    fn learn_first(&mut self, point: CostSample) {
        self.taken = self.taken.max(point.missing * ARRIVAL_MARGIN);
        if self.taken > 0.0 && self.taken <= MAX_MULTIPLE * point.counted {
            self.set(self.taken, point.counted);
        }
    }

    /// Sets the ratio from sums of actual and estimated cost.
    fn set(&mut self, taken: f64, estimated: f64) {
        (self.taken, self.estimated) = (taken, estimated);
        self.per_unit = (taken / estimated).clamp(0.01, 100.0);
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use tokio::time::Instant as Clock;

    use super::{CostFactor, CostSample};

    /// Returns the sample of a call sent at this millisecond, with these amounts remaining of 8,000 and counted.
    fn point(start: Instant, millis: u64, remaining: f64, counted: f64) -> CostSample {
        let at = start + Duration::from_millis(millis);
        CostSample { at, remaining, missing: 8_000.0 - remaining, counted }
    }

    #[track_caller]
    fn check(answers: &[(u64, f64, f64)], least: f64, most: f64) {
        let (start, mut factor) = (Clock::now().into_std(), CostFactor::new());
        for (millis, remaining, counted) in answers {
            factor.learn(point(start, *millis, *remaining, *counted), 8_000.0);
        }
        let per_unit = factor.apply(1.0);
        assert!((least..=most).contains(&per_unit), "{per_unit}");
    }

    #[test]
    fn the_first_burst_shows_the_cost_of_calls_whichever_answer_comes_first() {
        // 80 for each call that was estimated at 60.
        check(&[(0, 7_920.0, 60.0)], 80.0 / 60.0, 1.1 * 80.0 / 60.0 + 1e-9);
        check(
            &[(0, 7_760.0, 60.0), (0, 7_920.0, 120.0), (0, 7_840.0, 180.0)],
            80.0 / 60.0,
            1.1 * 80.0 / 60.0 + 1e-9,
        );
    }

    #[test]
    fn usage_by_other_clients_does_not_change_the_factor() {
        check(&[(0, 1_000.0, 60.0)], 1.0, 1.0);
    }

    #[test]
    fn later_calls_are_measured_over_a_second() {
        // A hundred calls in a second cost 8,000, which equals the refill.
        check(
            &[(0, 1_000.0, 60.0), (500, 1_000.0, 9_000.0), (1_000, 1_000.0, 6_060.0)],
            80.0 / 60.0,
            80.0 / 60.0,
        );
    }

    #[test]
    fn a_bucket_that_may_have_been_full_is_not_measured() {
        check(&[(0, 7_920.0, 80.0), (1_000, 7_920.0, 160.0)], 1.0, 1.1 + 1e-9);
    }
}
