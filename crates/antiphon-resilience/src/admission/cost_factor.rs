use std::time::{Duration, Instant};

use super::bursts;

/// The true cost of an estimated unit: a server counts tokens in its own way, and by what an answer may have.
///
/// The headers of two answers show what was taken between them: what came back, less what is left more.
#[derive(Debug)]
pub(super) struct CostFactor {
    per_unit: f64,
    /// The latest calls: their true cost, and the estimated one.
    taken: f64,
    estimated: f64,
    /// When the first call was sent whose answer tells, the point from which is measured, and the last point.
    first: Option<Instant>,
    anchor: Option<CostSample>,
    last: Option<CostSample>,
}

/// A point of measurement: when the request of an answer was sent, what was left and missing then, and how much had been counted.
#[derive(Debug, Clone, Copy)]
pub(super) struct CostSample {
    pub(super) at: Instant,
    pub(super) remaining: f64,
    pub(super) missing: f64,
    pub(super) counted: f64,
}

/// A measurement takes so long, since requests do not arrive at the pace at which they were sent.
const MEASURE_TIME: Duration = Duration::from_secs(1);

/// The mean of about the last ten times counts.
const DECAY: f64 = 0.9;

/// Before anything is known, what is missing was taken by the first burst, unless that is so many times what it was estimated at:
/// then others use up the limit, too. It may be more by this part, which came back while the burst arrived.
const MAX_MULTIPLE: f64 = 4.0;
const ARRIVAL_MARGIN: f64 = 1.1;

impl CostFactor {
    pub(super) fn new() -> Self {
        Self { per_unit: 1.0, taken: 0.0, estimated: 0.0, first: None, anchor: None, last: None }
    }

    /// Returns the true cost of what was estimated at `cost`.
    pub(super) fn apply(&self, cost: f64) -> f64 {
        cost * self.per_unit
    }

    /// Learns from an answer, while `rate` comes back each second.
    pub(super) fn learn(&mut self, point: CostSample, rate: f64) {
        let since = |then: Instant| point.at.saturating_duration_since(then);
        let (last, anchor) = (self.last.replace(point), self.anchor);
        let first = *self.first.get_or_insert(point.at);
        let (Some(last), Some(anchor), false) = (last, anchor, since(first) < bursts::MAX_LENGTH) else {
            self.anchor = Some(point);
            return self.learn_first(point);
        };
        // A bucket that may have been full meanwhile has lost some of what came back.
        let is_lost = rate * since(last.at).as_secs_f64() > last.missing;
        if !is_lost && since(anchor.at) < MEASURE_TIME {
            return;
        }
        self.anchor = Some(point);
        let back = rate * since(anchor.at).as_secs_f64();
        let (taken, estimated) = (back + anchor.remaining - point.remaining, point.counted - anchor.counted);
        if !is_lost && rate > 0.0 && taken > 0.0 && estimated > 0.0 {
            // What was never believed is no part of a mean.
            let before = if self.estimated > 0.0 { DECAY } else { 0.0 };
            self.set(self.taken * before + taken, self.estimated * before + estimated);
        }
    }

    /// Learns from an answer to the first burst. Whichever of it was counted last has all of it missing.
    fn learn_first(&mut self, point: CostSample) {
        self.taken = self.taken.max(point.missing * ARRIVAL_MARGIN);
        if self.taken > 0.0 && self.taken <= MAX_MULTIPLE * point.counted {
            self.set(self.taken, point.counted);
        }
    }

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

    /// An answer to the call sent at that millisecond, with so much left of 8,000 and so much counted.
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
    fn the_first_burst_shows_what_calls_take_whichever_answer_comes_first() {
        // 80 for each call that was estimated at 60.
        check(&[(0, 7_920.0, 60.0)], 80.0 / 60.0, 1.1 * 80.0 / 60.0 + 1e-9);
        check(
            &[(0, 7_760.0, 60.0), (0, 7_920.0, 120.0), (0, 7_840.0, 180.0)],
            80.0 / 60.0,
            1.1 * 80.0 / 60.0 + 1e-9,
        );
    }

    #[test]
    fn what_others_have_taken_is_no_weight() {
        check(&[(0, 1_000.0, 60.0)], 1.0, 1.0);
    }

    #[test]
    fn later_calls_are_measured_over_a_second() {
        // A hundred calls in a second take 8,000, as much as comes back.
        check(
            &[(0, 1_000.0, 60.0), (500, 1_000.0, 9_000.0), (1_000, 1_000.0, 6_060.0)],
            80.0 / 60.0,
            80.0 / 60.0,
        );
    }

    #[test]
    fn a_bucket_that_may_have_been_full_shows_nothing() {
        check(&[(0, 7_920.0, 80.0), (1_000, 7_920.0, 160.0)], 1.0, 1.1 + 1e-9);
    }
}
