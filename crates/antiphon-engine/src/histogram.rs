//! A histogram of constant size, for the tokens and times of any number of calls.
//!
//! Bucket `b` has the integers above 2^((b − 1) / 8), up to 2^(b / 8): eight buckets for each doubling. So the relative
//! error of a quantile is at most 2^(1/8) − 1, about 9 %, whatever the size of the values. The 320 buckets reach nearly
//! 2^40; larger values are in the last one. Mean and standard deviation do not depend on the buckets: they come from
//! sums beside them.

/// A histogram of integers with logarithmic buckets, each 9 % wide.
#[derive(Debug, Clone)]
pub(crate) struct Histogram {
    /// The number of values in each bucket.
    counts: Vec<u32>,
    /// The number of all values.
    total: u64,
    /// The sum of the values.
    sum: f64,
    /// The sum of their squares.
    squares: f64,
}

/// The number of buckets for each doubling.
const STEPS: f64 = 8.0;
/// The number of buckets: 40 doublings.
const BUCKETS: usize = 40 * 8;

impl Histogram {
    /// Creates a histogram without values.
    pub(crate) fn new() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0, sum: 0.0, squares: 0.0 }
    }

    /// Adds a value; 0 counts as 1 in quantiles.
    pub(crate) fn record(&mut self, value: u64) {
        self.counts[bucket(value)] += 1;
        self.total += 1;
        let value = value as f64;
        self.sum += value;
        self.squares += value * value;
    }

    /// Returns the mean and the standard deviation of the recorded values; 0 while there are none.
    pub(crate) fn mean(&self) -> (f64, f64) {
        let count = self.total.max(1) as f64;
        let mean = self.sum / count;
        (mean, (self.squares / count - mean * mean).max(0.0).sqrt())
    }

    /// Returns the number of recorded values.
    pub(crate) fn seen(&self) -> u64 {
        self.total
    }

    /// Returns an upper bound of a quantile of the recorded values (0 to 1), at most 9 % too large; 0 while there are none.
    pub(crate) fn quantile(&self, quantile: f64) -> u64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a count"
        )]
        let wanted = (self.total as f64 * quantile).ceil() as u64;
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += u64::from(*count);
            if seen >= wanted.max(1) {
                return upper(bucket);
            }
        }
        0
    }

    /// Returns the mean and the variance of the recorded values that are at least `value`; `None` if there are none.
    pub(crate) fn at_least(&self, value: f64) -> Option<(f64, f64)> {
        let counts = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        let values = counts.map(|(bucket, count)| (middle(bucket), f64::from(*count)));
        // The values in the same bucket as `value` may be above or below it: they count as above.
        let above: Vec<_> = values
            .filter(|(middle, _)| *middle >= value / WIDTH)
            .map(|(middle, count)| (middle.max(value), count))
            .collect();
        let total: f64 = above.iter().map(|(_, count)| count).sum();
        if total == 0.0 {
            return None;
        }
        let mean = above.iter().map(|(value, count)| value * count).sum::<f64>() / total;
        let spread = above.iter().map(|(value, count)| (value - mean).powi(2) * count).sum::<f64>();
        Some((mean, spread / total))
    }
}

/// The ratio of a bucket's edges.
const WIDTH: f64 = 1.090_507_732_665_257_7;

/// Returns the geometric middle of a bucket.
#[expect(clippy::cast_precision_loss, reason = "at most 320")]
fn middle(bucket: usize) -> f64 {
    ((bucket as f64 - 0.5) / STEPS).exp2()
}

/// Returns the bucket of a value.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a bucket's number"
)]
fn bucket(value: u64) -> usize {
    (((value.max(1) as f64).log2() * STEPS).ceil() as usize).min(BUCKETS - 1)
}

/// Returns the largest value of a bucket.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "at most 2^40"
)]
fn upper(bucket: usize) -> u64 {
    (bucket as f64 / STEPS).exp2().floor() as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Histogram;

    #[test]
    fn an_empty_histogram_returns_zero() {
        assert_eq!((Histogram::new().quantile(0.99), Histogram::new().seen()), (0, 0));
    }

    #[test]
    fn the_mean_above_a_value_leaves_out_smaller_values() {
        let mut learned = Histogram::new();
        assert_eq!(learned.at_least(0.0), None);
        [10, 10, 1_000, 1_000].into_iter().for_each(|value| learned.record(value));
        let near = |found: f64, expected: f64| (found / expected - 1.0).abs() < 0.05;
        let (mean, variance) = learned.at_least(0.0).unwrap();
        assert!(near(mean, 505.0) && near(variance.sqrt(), 495.0), "{mean}, {variance}");
        let (mean, variance) = learned.at_least(500.0).unwrap();
        assert!(near(mean, 1_000.0) && variance < 1.0, "{mean}, {variance}");
        assert_eq!(learned.at_least(2_000.0), None);
    }

    proptest! {
        #[test]
        fn a_quantile_is_never_too_small_nor_much_too_large(values in prop::collection::vec(1_u64..1_000_000, 1..200), part in 0.5..1.0_f64) {
            let mut learned = Histogram::new();
            values.iter().for_each(|value| learned.record(*value));
            let mut sorted = values.clone();
            sorted.sort_unstable();
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a small index")]
            let exact = sorted[((sorted.len() as f64 * part).ceil() as usize).max(1) - 1];
            let found = learned.quantile(part);
            prop_assert!(found >= exact.min(found + 1) && found as f64 <= exact as f64 * 1.1 + 1.0, "{found} for {exact}");
        }
    }
}
