//! Limits of zero, and limits that are not numbers.

use std::time::Duration;

use antiphon_resilience::{AdaptivePolicy, Cost, Deadline, LimiterRegistry, Rate, RateLimiter, RateLimits};
use futures_util::FutureExt;
use tokio::time::sleep;

/// Returns the number of calls that a limiter admits at once.
fn admitted_at_once(limiter: &RateLimiter) -> usize {
    (0..10).map_while(|_| limiter.try_acquire(Cost::request())).count()
}

/// Returns the number of calls that a limiter admits in a year of seconds, one attempt a month.
async fn admitted_in_a_year(rate: Rate) -> usize {
    let limiter = RateLimiter::new(RateLimits::default().requests(rate));
    let mut admitted = admitted_at_once(&limiter);
    for _ in 0..12 {
        sleep(Duration::from_secs(30 * 24 * 60 * 60)).await;
        admitted += admitted_at_once(&limiter);
    }
    admitted
}

#[tokio::test(start_paused = true)]
async fn a_rate_of_zero_admits_the_burst_and_nothing_after_it() {
    assert_eq!(admitted_in_a_year(Rate::per_second(0)).await, 1);
    assert_eq!(admitted_in_a_year(Rate::per_minute(0).burst(3)).await, 3);
}

#[tokio::test(start_paused = true)]
async fn a_rate_that_is_zero_negative_or_not_a_number_refills_nothing() {
    for per_second in [0.0, -0.0, -1.0, f64::NAN, f64::NEG_INFINITY] {
        let mut rate = Rate::per_second(1);
        rate.per_second = per_second;
        assert_eq!(admitted_in_a_year(rate).await, 1, "{per_second}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_burst_below_one_counts_as_one() {
    for burst in [0.0, 0.5, -7.0, f64::NAN] {
        let mut rate = Rate::per_second(1);
        rate.burst = burst;
        let limiter = RateLimiter::new(RateLimits::default().requests(rate));
        assert_eq!(admitted_at_once(&limiter), 1, "{burst}");
        sleep(Duration::from_millis(999)).await;
        assert_eq!(admitted_at_once(&limiter), 0, "{burst}");
        sleep(Duration::from_millis(2)).await;
        assert_eq!(admitted_at_once(&limiter), 1, "{burst}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_concurrency_limit_of_zero_counts_as_one() {
    for limiter in
        [RateLimiter::new(RateLimits::default().max_concurrency(0)), RateLimiter::simple(0, Duration::ZERO)]
    {
        let permit = limiter.acquire(Cost::request()).now_or_never().unwrap();
        assert!(limiter.try_acquire(Cost::request()).is_none());
        drop(permit);
        assert!(limiter.try_acquire(Cost::request()).is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn an_adaptive_concurrency_limit_of_zero_counts_as_one() {
    for policy in [
        AdaptivePolicy::default().max_concurrency(0),
        AdaptivePolicy::default().start_concurrency(0),
        AdaptivePolicy::default().start_concurrency(0).max_concurrency(0),
    ] {
        let limiter = LimiterRegistry::new(policy).limiter("api.example.org", "small");
        let part = limiter.share();
        for share in [1.0, 0.0, f64::NAN] {
            part.set(share, None);
            let permit = limiter.acquire(Cost::request(), Deadline::none()).now_or_never();
            permit.expect("one call is always admitted").unwrap().refund();
            assert_eq!(limiter.snapshot().concurrency, 1, "{policy:?}, {share}");
        }
    }
}
