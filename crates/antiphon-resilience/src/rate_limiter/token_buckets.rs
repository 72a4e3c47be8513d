use std::time::{Duration, Instant};

use crate::cost::Cost;

/// The refill rate and the capacity (burst) of a token bucket.
///
/// The unit is that of the limit it is used for: requests or tokens.
///
/// ```
/// use antiphon_resilience::Rate;
/// let rate = Rate::per_minute(90_000).burst(10_000);
/// assert_eq!((rate.per_second, rate.burst), (1_500.0, 10_000.0));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Rate {
    /// Amount refilled per second. 0, a negative number and NaN mean no refill: the burst can be used once.
    pub per_second: f64,
    /// Capacity of the bucket: the amount that can be used at once after a pause. A number below 1 and NaN count as 1. Default:
    /// `per_second`, at least 1.
    pub burst: f64,
}

impl Rate {
    /// Creates a rate of `amount` per `period`, with a burst of one second's amount.
    ///
    /// An amount of 0 means no refill: the burst is admitted, which is 1 unless [set](Self::burst), and later calls wait
    /// forever. A period of zero means no limit.
    ///
    /// ```
    /// use antiphon_resilience::{Cost, Rate, RateLimiter, RateLimits};
    /// let three = RateLimiter::new(RateLimits::default().requests(Rate::per_second(0).burst(3)));
    /// assert_eq!((0..9).filter(|_| three.try_acquire(Cost::request()).is_some()).count(), 3);
    /// ```
    #[must_use]
    pub fn per(amount: u64, period: Duration) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "limits are far below 2^52")]
        let per_second = amount as f64 / period.as_secs_f64();
        let per_second = if per_second.is_finite() { per_second.max(f64::MIN_POSITIVE) } else { f64::MAX };
        Self { per_second, burst: per_second.max(1.0) }
    }

    /// Creates a rate of `amount` per second, with a burst of the same amount.
    #[must_use]
    pub fn per_second(amount: u64) -> Self {
        Self::per(amount, Duration::from_secs(1))
    }

    /// Creates a rate of `amount` per minute, with a burst of one second's amount (a sixtieth, at least 1).
    ///
    /// Calls are thus spread over the minute. For a service that allows the whole amount at once, set
    /// [`burst`](Self::burst).
    #[must_use]
    pub fn per_minute(amount: u64) -> Self {
        Self::per(amount, Duration::from_secs(60))
    }

    /// Sets the capacity of the bucket; 0 counts as 1.
    #[must_use]
    pub fn burst(mut self, burst: u64) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "limits are far below 2^52")]
        {
            self.burst = burst.max(1) as f64;
        }
        self
    }
}

/// The limits of a [`RateLimiter`](crate::RateLimiter). A call is admitted when all of them allow it; `None` means no limit.
///
/// ```
/// use std::time::Duration;
/// use antiphon_resilience::{Cost, Rate, RateLimiter, RateLimits};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let limits = RateLimits::default()
///     .requests(Rate::per_second(10))
///     .min_spacing(Duration::from_millis(50))
///     .max_concurrency(2);
/// let (limiter, start) = (RateLimiter::new(limits), tokio::time::Instant::now());
/// let first = limiter.acquire(Cost::request()).await;
/// let _second = limiter.acquire(Cost::request()).await;
/// assert_eq!(start.elapsed(), Duration::from_millis(50));
/// assert!(limiter.try_acquire(Cost::request()).is_none(), "two are in progress");
/// drop(first);
/// limiter.acquire(Cost::request()).await;
/// assert_eq!(start.elapsed(), Duration::from_millis(100));
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub struct RateLimits {
    /// Rate limit of requests. Default `None`.
    pub requests: Option<Rate>,
    /// Rate limit of tokens, input and output together. Default `None`.
    pub tokens: Option<Rate>,
    /// Rate limit of input tokens. Default `None`.
    pub input_tokens: Option<Rate>,
    /// Rate limit of output tokens. Default `None`.
    pub output_tokens: Option<Rate>,
    /// Minimum time between the starts of two calls. Default zero.
    pub min_spacing: Duration,
    /// Maximum number of calls in flight (concurrency limit); 0 counts as 1. Default `None`.
    pub max_concurrency: Option<usize>,
}

impl RateLimits {
    /// Sets the rate limit of requests. Default: no limit.
    #[must_use]
    pub fn requests(mut self, rate: Rate) -> Self {
        self.requests = Some(rate);
        self
    }

    /// Sets the rate limit of tokens, input and output together. Default: no limit.
    #[must_use]
    pub fn tokens(mut self, rate: Rate) -> Self {
        self.tokens = Some(rate);
        self
    }

    /// Sets the rate limit of input tokens. Default: no limit.
    #[must_use]
    pub fn input_tokens(mut self, rate: Rate) -> Self {
        self.input_tokens = Some(rate);
        self
    }

    /// Sets the rate limit of output tokens. Default: no limit.
    #[must_use]
    pub fn output_tokens(mut self, rate: Rate) -> Self {
        self.output_tokens = Some(rate);
        self
    }

    /// Sets the minimum time between the starts of two calls. Default zero.
    #[must_use]
    pub fn min_spacing(mut self, spacing: Duration) -> Self {
        self.min_spacing = spacing;
        self
    }

    /// Sets the maximum number of calls in flight (concurrency limit); 0 counts as 1. Default: no limit.
    #[must_use]
    pub fn max_concurrency(mut self, calls: usize) -> Self {
        self.max_concurrency = Some(calls);
        self
    }
}

/// The token buckets of a [`RateLimiter`](crate::RateLimiter), without lock, clock or queue, for custom drivers.
///
/// A bucket refills continuously up to its capacity. A call is admitted when every bucket holds its cost. A call that costs
/// more than the capacity is admitted when the bucket is full, and makes its level negative: later calls wait until that debt is
/// refilled, and no call waits forever.
///
/// ```
/// use std::time::Instant;
/// use antiphon_resilience::{Cost, Rate, RateLimits, TokenBuckets};
/// let (limits, start) = (RateLimits::default().requests(Rate::per_second(10).burst(1)), Instant::now());
/// let mut buckets = TokenBuckets::new(limits, start);
/// assert_eq!(buckets.take(Cost::request(), start), Ok(()));
/// let wait = buckets.take(Cost::request(), start).unwrap_err();
/// assert_eq!(wait.as_millis(), 100);
/// ```
#[derive(Debug, Clone)]
pub struct TokenBuckets {
    /// Buckets of requests, tokens, input tokens and output tokens.
    buckets: [Option<Bucket>; 4],
    /// Time of the last refill.
    filled_at: Instant,
    min_spacing: Duration,
    /// Time at which the last call was admitted; kept only if there is a minimum spacing.
    last: Option<Instant>,
}

/// A token bucket: refilled at its rate, up to its burst.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    rate: Rate,
    /// The amount in it; negative after a call that cost more than the capacity, or more than was estimated.
    level: f64,
}

impl Bucket {
    /// Creates a full bucket. The fields of a rate are public, so that they may hold anything; `max` also replaces a NaN.
    fn full(rate: Rate) -> Self {
        let (per_second, burst) = (rate.per_second.max(f64::MIN_POSITIVE), rate.burst.max(1.0));
        Self { rate: Rate { per_second, burst }, level: burst }
    }
}

impl TokenBuckets {
    /// Creates full buckets. `max_concurrency` is ignored: the driver has to count the calls in flight.
    #[must_use]
    pub fn new(limits: RateLimits, now: Instant) -> Self {
        let RateLimits { requests, tokens, input_tokens, output_tokens, min_spacing, .. } = limits;
        let full = |rate: Option<Rate>| rate.map(Bucket::full);
        let buckets = [full(requests), full(tokens), full(input_tokens), full(output_tokens)];
        Self { buckets, filled_at: now, min_spacing, last: None }
    }

    /// Takes `cost` from the buckets, or changes nothing if one of them holds too little or `min_spacing` has not passed.
    ///
    /// # Errors
    /// The time to wait before the next attempt, which succeeds if nothing else is taken in the meantime. The wait for a bucket
    /// is reported as at most a day, even if it is longer.
    pub fn take(&mut self, cost: Cost, now: Instant) -> Result<(), Duration> {
        self.fill(now);
        let amounts = cost.amounts();
        let wait = self.wait_for(amounts, now);
        if !wait.is_zero() {
            return Err(wait);
        }
        if !self.min_spacing.is_zero() {
            self.last = Some(now);
        }
        for (bucket, amount) in self.buckets.iter_mut().zip(amounts) {
            if let Some(bucket) = bucket {
                bucket.level -= amount;
            }
        }
        Ok(())
    }

    /// Replaces the `estimated` cost of a call by its `actual` cost.
    ///
    /// The difference in tokens is returned to the buckets or taken from them. The request itself stays counted, whatever
    /// `actual` says.
    pub fn settle(&mut self, estimated: Cost, actual: Cost) {
        let actual = Cost { requests: estimated.requests, ..actual };
        let differences = estimated.amounts().into_iter().zip(actual.amounts());
        for (bucket, (estimated, actual)) in self.buckets.iter_mut().zip(differences) {
            if let Some(bucket) = bucket {
                bucket.level = (bucket.level + estimated - actual).min(bucket.rate.burst);
            }
        }
    }

    /// Returns the time until each bucket holds its amount, or is full, and `min_spacing` has passed; zero if they do
    /// now.
    fn wait_for(&self, amounts: [f64; 4], now: Instant) -> Duration {
        let mut wait = Duration::ZERO;
        if let Some(last) = self.last {
            wait = self.min_spacing.saturating_sub(now.saturating_duration_since(last));
        }
        for (bucket, amount) in self.buckets.iter().zip(amounts) {
            if let Some(Bucket { rate, level }) = bucket
                && *level < amount.min(rate.burst)
            {
                wait = wait.max(seconds((amount.min(rate.burst) - level) / rate.per_second));
            }
        }
        wait
    }

    /// Refills all buckets for the time since the last refill. A time before that changes nothing.
    fn fill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.filled_at);
        if elapsed.is_zero() {
            return;
        }
        self.filled_at = now;
        let seconds = elapsed.as_secs_f64();
        for bucket in self.buckets.iter_mut().flatten() {
            bucket.level = (bucket.level + bucket.rate.per_second * seconds).min(bucket.rate.burst);
        }
    }
}

/// Converts seconds, rounded up by a nanosecond, so that the bucket certainly holds enough after the wait; at most a day.
fn seconds(seconds: f64) -> Duration {
    let day = Duration::from_secs(24 * 60 * 60);
    Duration::try_from_secs_f64(seconds).map_or(day, |wait| (wait + Duration::from_nanos(1)).min(day))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Cost, Duration, Rate, RateLimits, TokenBuckets};
    use crate::deadline::now;

    #[test]
    fn a_call_takes_from_all_buckets_or_from_none() {
        let start = now();
        let limits = RateLimits::default()
            .requests(Rate::per_second(100))
            .input_tokens(Rate::per_second(1_000).burst(1_000))
            .output_tokens(Rate::per_second(50).burst(100));
        let mut buckets = TokenBuckets::new(limits, start);
        let call = Cost::request().input_tokens(10).output_tokens(100);
        assert_eq!(buckets.take(call, start), Ok(()));
        let wait = buckets.take(call, start).unwrap_err();
        assert!(wait >= Duration::from_secs(2) && wait < Duration::from_millis(2_001), "{wait:?}");
        assert_eq!(buckets.take(Cost::request(), start), Ok(()), "the rejected call took nothing");
        assert_eq!(buckets.take(call, start + wait), Ok(()));
    }

    #[test]
    fn a_cost_larger_than_the_bucket_is_taken_when_it_is_full_and_leaves_a_debt() {
        let start = now();
        let mut buckets =
            TokenBuckets::new(RateLimits::default().tokens(Rate::per_second(10).burst(10)), start);
        let large = Cost::request().input_tokens(50);
        assert_eq!(buckets.take(large, start), Ok(()));
        let wait = buckets.take(large, start).unwrap_err();
        assert_eq!(wait.as_secs(), 5, "a debt of 40, and 10 to be full");
    }

    #[test]
    fn settling_returns_tokens_or_takes_more() {
        let start = now();
        let mut buckets =
            TokenBuckets::new(RateLimits::default().output_tokens(Rate::per_second(10).burst(100)), start);
        let (estimate, less, more) =
            (Cost::request().output_tokens(100), Cost::request().output_tokens(40), Cost::request());
        assert_eq!(buckets.take(estimate, start), Ok(()));
        buckets.settle(estimate, less);
        assert_eq!(buckets.take(more.output_tokens(60), start), Ok(()));
        buckets.settle(more.output_tokens(60), more.output_tokens(100));
        assert_eq!(buckets.take(more.output_tokens(10), start).unwrap_err().as_secs(), 5);
    }

    proptest! {
        /// For any calls at any times, no more is taken than the burst and the refill.
        #[test]
        fn no_more_is_taken_from_a_bucket_than_it_held(
            calls in proptest::collection::vec((0_u64..500, 0_u64..20), 1..200),
            rate in 1_u64..200,
            burst in 1_u64..50,
        ) {
            let start = now();
            let limits = RateLimits::default().requests(Rate::per_second(rate).burst(burst))
                .input_tokens(Rate::per_second(rate).burst(burst));
            let mut buckets = TokenBuckets::new(limits, start);
            let (mut now, mut requests, mut tokens) = (start, 0, 0);
            for (millis, amount) in calls {
                now += Duration::from_millis(millis);
                let amount = amount.min(burst);
                if buckets.take(Cost::request().input_tokens(amount), now).is_ok() {
                    (requests, tokens) = (requests + 1, tokens + amount);
                }
                let most = burst as f64 + rate as f64 * (now - start).as_secs_f64() + 1e-6;
                prop_assert!(requests as f64 <= most && tokens as f64 <= most);
            }
        }
    }
}
