//! Failures among calls that are still in flight.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use super::{BreakerPolicy, BreakerState, BreakerWindow, FAILED, OK, Timeline};
use crate::CircuitBreaker;

/// The duration of a call in milliseconds, and whether it fails.
type Course = (u64, bool);

const GOOD: Course = (400, false);

/// Keeps 500 calls in flight for five seconds. Returns the millisecond at which the breaker opened, and the calls that had
/// failed by then. `course` decides on a call by its number and its start in milliseconds.
async fn opens(policy: BreakerPolicy, course: impl Fn(u64, u64) -> Course + Sync) -> Option<(u64, u64)> {
    let (breaker, start) = (CircuitBreaker::new(policy), Instant::now());
    let (number, failures) = (AtomicU64::new(0), AtomicU64::new(0));
    let opened = OnceLock::new();
    let millis = || u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    let caller = || async {
        while millis() < 5_000 && opened.get().is_none() {
            let Ok(permit) = breaker.permit() else {
                opened.get_or_init(|| (millis(), failures.load(Relaxed)));
                return;
            };
            let (takes, fails) = course(number.fetch_add(1, Relaxed) + 1, millis());
            sleep(Duration::from_millis(takes)).await;
            if fails {
                failures.fetch_add(1, Relaxed);
                permit.failure();
            } else {
                permit.success();
            }
        }
    };
    join_all((0..500).map(|_| caller())).await;
    opened.into_inner()
}

/// Count windows of fewer calls than are in flight; the second is the program's.
fn counting() -> [BreakerPolicy; 2] {
    let policy = BreakerPolicy::default();
    [policy, policy.window(BreakerWindow::Count(100)).min_calls(20)]
}

fn policies() -> impl Iterator<Item = BreakerPolicy> {
    let time = BreakerWindow::Time(Duration::from_secs(2));
    counting().into_iter().chain([BreakerPolicy::default().window(time)])
}

/// Returns whether the call of this number belongs to a pseudo-random share `part` of all calls.
fn is_hit(number: u64, part: f64) -> bool {
    // SplitMix64.
    let mut bits = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    #[expect(clippy::cast_precision_loss, reason = "31 bits")]
    let at = ((bits ^ (bits >> 31)) >> 33) as f64;
    at < part * 2_f64.powi(31)
}

#[tokio::test(start_paused = true)]
async fn a_steady_share_of_quick_failures_among_slow_successes_does_not_open_the_breaker() {
    for policy in policies() {
        for part in [0.01, 0.05, 0.3, 0.4] {
            for takes in [0, 50] {
                let opened =
                    opens(policy, |number, _| if is_hit(number, part) { (takes, true) } else { GOOD }).await;
                assert_eq!(opened, None, "{part} of {takes} ms, {policy:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn failures_in_a_row_among_many_calls_in_flight_do_not_open_the_breaker() {
    for policy in policies() {
        for first in [501, 2_000] {
            // Forty failures in a row: more than the minimum that can open the breaker.
            let opened = opens(
                policy,
                |number, _| if (first..first + 40).contains(&number) { (0, true) } else { GOOD },
            );
            assert_eq!(opened.await, None, "{first}, {policy:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_opens_the_breaker_within_the_latency_of_an_answer() {
    for policy in counting() {
        for takes in [0, 5, 400] {
            let opened = opens(policy, |_, now| if now >= 1_000 { (takes, true) } else { GOOD }).await;
            let (at, _) = opened.expect("all calls fail");
            // Calls that are in flight when the outage begins succeed.
            assert!(at <= 1_000 + 400 + takes + 10, "{takes} ms: opened after {at} ms, {policy:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_fails_from_the_first_call_opens_the_breaker_after_few_failures() {
    for takes in [0, 5, 400] {
        for policy in counting() {
            let (at, failures) = opens(policy, |_, _| (takes, true)).await.expect("all calls fail");
            // Half of the calls that started at the same time have to fail as well.
            assert!(failures <= 260, "{takes} ms: {failures} failures until {at} ms, {policy:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_large_share_of_failures_opens_the_breaker_whichever_calls_end_first() {
    for policy in policies() {
        for (fails, succeeds) in [(0, 400), (400, 0), (400, 400)] {
            let opened =
                opens(
                    policy,
                    |number, _| if is_hit(number, 0.7) { (fails, true) } else { (succeeds.max(1), false) },
                );
            assert!(opened.await.is_some(), "failures after {fails} ms, {policy:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn refused_connections_and_timeouts_together_open_the_breaker() {
    for policy in policies() {
        let opened = opens(policy, |number, _| (if number % 20 < 9 { 0 } else { 2_000 }, true)).await;
        let (at, _) = opened.expect("all calls fail");
        assert!(at <= 2_010, "{at} ms, {policy:?}");
    }
}

#[test]
fn calls_that_end_in_reverse_order_are_judged_together() {
    let mut breaker = Timeline::new(BreakerPolicy::default());
    let tickets: Vec<_> = (0..10).map(|_| breaker.admit().unwrap()).collect();
    for ticket in tickets.into_iter().rev() {
        assert!(breaker.is(BreakerState::Closed));
        breaker.report(ticket, FAILED);
    }
    assert!(breaker.is(BreakerState::Open), "10 of 10");
}

#[test]
fn a_released_call_is_not_counted() {
    let mut breaker = Timeline::new(BreakerPolicy::default());
    let in_flight: Vec<_> = (0..100).map(|_| breaker.admit().unwrap()).collect();
    breaker.calls(10, FAILED);
    assert!(breaker.is(BreakerState::Closed), "a hundred calls may still succeed");
    in_flight.into_iter().for_each(|ticket| breaker.machine.release(ticket));
    breaker.calls(1, OK);
    assert!(breaker.is(BreakerState::Open), "10 of 11");
}
