use std::sync::Mutex;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use super::{AdaptiveLimiter, AdaptivePolicy, Cost, Deadline, LimitHints, LimiterError, Reply, Saturated};
use crate::Allowance;

mod faults;
mod limits;

/// The form in which a server reports its limit.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Reports {
    /// Limit, remaining requests and reset in headers; the limit may be larger than the burst.
    Headers { limit: u64 },
    /// The same headers, with 60 requests refilled at the end of each second instead of evenly.
    Window,
    /// Time until the next request is admitted, to the millisecond or in whole seconds.
    RetryAfter { whole_seconds: bool },
    /// No report but the refusal.
    Bare,
}

/// A server with a limit, on the paused clock: 100 requests each second, with a burst of 10.
struct Server {
    reports: Reports,
    latency: Duration,
    level: f64,
    at: Instant,
    refused: u32,
}

const RATE: f64 = 100.0;
const BURST: f64 = 10.0;

impl Server {
    fn new(reports: Reports, latency: u64) -> Mutex<Self> {
        let latency = Duration::from_millis(latency);
        Mutex::new(Self { reports, latency, level: BURST, at: Instant::now(), refused: 0 })
    }

    fn request(&mut self) -> (bool, LimitHints) {
        let elapsed = self.at.elapsed().as_secs_f64();
        if self.reports != Reports::Window {
            (self.level, self.at) = ((self.level + elapsed * RATE).min(BURST), Instant::now());
        } else if elapsed >= 1.0 {
            (self.level, self.at) = (60.0, self.at + Duration::from_secs(self.at.elapsed().as_secs()));
        }
        let passes = self.level >= 1.0;
        if passes {
            self.level -= 1.0;
        }
        self.refused += u32::from(!passes);
        let mut hints = LimitHints::default();
        match self.reports {
            Reports::Headers { limit } => {
                let full = Duration::from_secs_f64((BURST - self.level) / RATE);
                let left = (0..=10_u32).rev().find(|left| f64::from(*left) <= self.level).unwrap_or(0);
                hints.requests = Allowance::new(limit, u64::from(left), full);
            }
            Reports::Window => {
                let left = (0..=60_u32).rev().find(|left| f64::from(*left) <= self.level).unwrap_or(0);
                let full = Duration::from_secs(1).saturating_sub(self.at.elapsed());
                hints.requests = Allowance::new(60, u64::from(left), full);
            }
            Reports::RetryAfter { whole_seconds } if !passes => {
                let wait = (1.0 - self.level) / RATE;
                hints.retry_after =
                    Some(Duration::from_secs_f64(if whole_seconds { wait.ceil() } else { wait }));
            }
            _ => {}
        }
        (passes, hints)
    }
}

/// Starts 500 calls at once; returns the share of the limit that was used, and the share of the calls that was refused.
async fn utilisation(reports: Reports, latency: u64) -> (f64, f64) {
    let (server, limiter) = (Server::new(reports, latency), AdaptiveLimiter::new(AdaptivePolicy::default()));
    let start = Instant::now();
    let call = || async {
        let (passes, hints) = server.lock().unwrap().request();
        let latency = server.lock().unwrap().latency;
        // A refusal needs no processing time.
        sleep(if passes { latency } else { Duration::from_millis(1) }).await;
        if passes {
            Reply::Answered { value: (), usage: None, hints }
        } else {
            Reply::Throttled { error: (), hints }
        }
    };
    let calls = join_all((0..500).map(|_| limiter.call(Cost::request(), Deadline::none(), call))).await;
    assert!(calls.iter().all(Result::is_ok), "every request is answered");
    let wall = start.elapsed().as_secs_f64() - server.lock().unwrap().latency.as_secs_f64();
    let refused = f64::from(server.lock().unwrap().refused);
    ((500.0 - BURST) / (RATE * wall), refused / (500.0 + refused))
}

#[track_caller]
fn check(latency: u64, (reached, refused): (f64, f64), least: f64, most_refused: f64) {
    let good = reached >= least && refused <= most_refused;
    assert!(good, "{latency} ms: {reached:.3} of the limit, {refused:.3} refused");
}

/// The latency of a slow server: its reports are old, and the first of them comes late.
const SLOW: u64 = 2_000;

#[tokio::test(start_paused = true)]
async fn with_headers_calls_stay_just_under_the_limit() {
    for latency in [1, 20, 300] {
        check(latency, utilisation(Reports::Headers { limit: 10 }, latency).await, 0.95, 0.01);
        // The limit in the headers is that of a minute, so that the reported rate is wrong.
        check(latency, utilisation(Reports::Headers { limit: 6_000 }, latency).await, 0.85, 0.05);
    }
    check(SLOW, utilisation(Reports::Headers { limit: 10 }, SLOW).await, 0.85, 0.02);
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_is_refilled_at_once_is_waited_for() {
    let (reached, refused) = utilisation(Reports::Window, 1).await;
    // 10 at first and 60 in each second after that are at most 0.6 of the limit that the formula assumes.
    check(1, (reached / 0.6, refused), 0.85, 0.05);
}

#[tokio::test(start_paused = true)]
async fn with_retry_after_alone_the_limit_is_found() {
    for latency in [1, 20, 300] {
        check(latency, utilisation(Reports::RetryAfter { whole_seconds: false }, latency).await, 0.9, 0.1);
        // Each refusal stops all calls for a second, in which a hundred requests could have been answered.
        check(latency, utilisation(Reports::RetryAfter { whole_seconds: true }, latency).await, 0.35, 0.05);
    }
    check(SLOW, utilisation(Reports::RetryAfter { whole_seconds: false }, SLOW).await, 0.7, 0.02);
}

#[tokio::test(start_paused = true)]
async fn with_refusals_alone_the_limit_is_found() {
    for latency in [1, 20, 300] {
        check(latency, utilisation(Reports::Bare, latency).await, 0.85, 0.05);
    }
    check(SLOW, utilisation(Reports::Bare, SLOW).await, 0.7, 0.02);
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_pauses_all_calls() {
    let limiter = AdaptiveLimiter::new(AdaptivePolicy::default());
    let (one, other) = (acquire(&limiter).await, acquire(&limiter).await);
    one.throttled(&retry_after(7));
    let start = Instant::now();
    acquire(&limiter).await.failed(&LimitHints::default());
    assert_eq!(start.elapsed().as_secs(), 7);
    drop(other);
}

#[tokio::test(start_paused = true)]
async fn a_long_retry_after_or_a_near_deadline_ends_in_saturated() {
    let limiter = AdaptiveLimiter::new(AdaptivePolicy::default());
    acquire(&limiter).await.throttled(&retry_after(121));
    let saturated = limiter.acquire(Cost::request(), Deadline::none()).await.unwrap_err();
    assert_eq!(saturated, Saturated { retry_after: Duration::from_secs(121) });
    sleep(Duration::from_secs(2)).await;
    let start = Instant::now();
    let soon = Deadline::after(Duration::from_secs(5));
    assert!(limiter.acquire(Cost::request(), soon).await.is_err());
    assert_eq!(start.elapsed(), Duration::ZERO, "a permit that cannot come in time is not waited for");
    assert!(limiter.acquire(Cost::request(), Deadline::none()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_only_refuses_becomes_saturated() {
    let limiter = AdaptiveLimiter::new(AdaptivePolicy::default());
    let mut calls = 0;
    let start = Instant::now();
    let refused = limiter.call(Cost::request(), Deadline::none(), || {
        calls += 1;
        async { Reply::<(), _>::Throttled { error: "429", hints: LimitHints::default() } }
    });
    let Err(LimiterError::Saturated(_, Some("429"))) = refused.await else {
        panic!("the outcome is not `Saturated`")
    };
    assert!(
        calls < 40 && start.elapsed() < Duration::from_secs(90),
        "{calls} calls in {:?}",
        start.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn without_a_limit_concurrency_grows_with_the_throughput() {
    let limiter = AdaptiveLimiter::new(AdaptivePolicy::default());
    let most = Mutex::new((0_i32, 0_i32));
    let count = |more| {
        let mut most = most.lock().unwrap();
        most.0 += more;
        most.1 = most.1.max(most.0);
    };
    let call = || async {
        count(1);
        sleep(Duration::from_millis(100)).await;
        count(-1);
        Reply::<(), ()>::Answered { value: (), usage: None, hints: LimitHints::default() }
    };
    join_all((0..2_000).map(|_| limiter.call(Cost::request(), Deadline::none(), call))).await;
    assert!(most.lock().unwrap().1 > 300, "{most:?}");
}

#[tokio::test(start_paused = true)]
async fn an_engine_with_four_slots_is_not_overloaded() {
    let (limiter, slots) = (AdaptiveLimiter::new(AdaptivePolicy::default()), tokio::sync::Semaphore::new(4));
    let call = || async {
        let _slot = slots.acquire().await;
        sleep(Duration::from_millis(100)).await;
        Reply::<(), ()>::Answered { value: (), usage: None, hints: LimitHints::default() }
    };
    // For more than three minutes, since the limiter tries a higher concurrency again and again.
    join_all((0..8_000).map(|_| limiter.call(Cost::request(), Deadline::none(), call))).await;
    assert!(limiter.snapshot().concurrency <= 120, "{:?}", limiter.snapshot());
}

/// A token bucket on the paused clock.
struct Bucket {
    rate: f64,
    burst: f64,
    level: f64,
    at: Instant,
}

impl Bucket {
    fn new(rate: f64, burst: f64) -> Self {
        Self { rate, burst, level: burst, at: Instant::now() }
    }

    fn takes(&mut self, cost: f64) -> bool {
        let elapsed = self.at.elapsed().as_secs_f64();
        (self.level, self.at) = ((self.level + elapsed * self.rate).min(self.burst), Instant::now());
        let passes = self.level >= cost;
        if passes {
            self.level -= cost;
        }
        passes
    }

    fn allowance(&self) -> Allowance {
        let [limit, left] =
            [self.burst, self.level].map(|value| format!("{:.0}", value.floor()).parse().unwrap());
        Allowance::new(limit, left, Duration::from_secs_f64((self.burst - self.level) / self.rate))
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_tokens_is_kept_for_any_estimate() {
    for (estimate, actual) in [(2_000, 1_999_u32), (2_000, 1_900), (4_000, 500), (60_000, 60_000)] {
        let limiter = AdaptiveLimiter::new(AdaptivePolicy::default());
        let bucket = Mutex::new((Bucket::new(2_500.0, 150_000.0), 0_u32, 0_u32));
        let call = || async {
            let (passes, hints) = {
                let mut server = bucket.lock().unwrap();
                let passes = server.0.takes(f64::from(actual));
                server.1 += u32::from(!passes);
                server.2 += 1;
                // The limit of requests is never reached.
                let requests = Allowance::new(10_000, 9_999, Duration::from_millis(6));
                (passes, LimitHints { requests, tokens: server.0.allowance(), ..LimitHints::default() })
            };
            sleep(Duration::from_millis(200)).await;
            let usage = Some(Cost::request().input_tokens(u64::from(actual)));
            if passes {
                Reply::Answered { value: (), usage, hints }
            } else {
                Reply::Throttled { error: (), hints }
            }
        };
        let start = Instant::now();
        let cost = Cost::request().input_tokens(estimate);
        let calls = 600_000 / u64::from(actual);
        join_all((0..calls).map(|_| limiter.call(cost, Deadline::none(), call))).await;
        let reached = (600_000.0 - 150_000.0) / (2_500.0 * start.elapsed().as_secs_f64());
        let (_, refused, asked) = *bucket.lock().unwrap();
        // The initial probe of eight calls goes before a limit is known.
        let few = refused <= 8 + asked / 20;
        assert!(reached > 0.8 && few, "{estimate} for {actual}: {reached:.3}, {refused} of {asked} refused");
    }
}

/// Calls `server` 200 times through a limiter; returns the share that was refused, and the duration in seconds.
async fn against(server: impl FnMut() -> (bool, LimitHints)) -> (f64, f64) {
    let (limiter, server) = (AdaptiveLimiter::new(AdaptivePolicy::default()), Mutex::new((server, 0_u32)));
    let start = Instant::now();
    let call = || async {
        let (passes, hints) = {
            let mut server = server.lock().unwrap();
            server.1 += 1;
            (server.0)()
        };
        sleep(Duration::from_millis(if passes { 300 } else { 1 })).await;
        if passes {
            Reply::Answered { value: (), usage: None, hints }
        } else {
            Reply::Throttled { error: (), hints }
        }
    };
    let calls = join_all((0..200).map(|_| async {
        loop {
            match limiter.call(Cost::request(), Deadline::none(), call).await {
                Err(LimiterError::Saturated(saturated, _)) => sleep(saturated.retry_after).await,
                done => return done,
            }
        }
    }));
    assert!(calls.await.iter().all(Result::is_ok));
    let asked = f64::from(server.lock().unwrap().1);
    ((asked - 200.0) / asked, start.elapsed().as_secs_f64())
}

#[tokio::test(start_paused = true)]
async fn headers_about_another_limit_do_not_hide_the_one_that_counts() {
    // The headers report a daily limit, of which enough is left; the limit that counts is half a request a second.
    let day = Allowance::new(14_400, 14_000, Duration::from_secs(80_000));
    let hints = LimitHints { requests: day, ..LimitHints::default() };
    let mut bucket = Bucket::new(0.5, 30.0);
    let (refused, seconds) = against(move || (bucket.takes(1.0), hints)).await;
    assert!(refused < 0.75 && seconds < 800.0, "{refused:.3} refused in {seconds:.0} s instead of 340 s");
}

#[tokio::test(start_paused = true)]
async fn headers_without_a_reset_are_used_and_headers_that_vanish_are_forgotten() {
    let mut bucket = Bucket::new(100.0, 10.0);
    let (refused, seconds) = against(move || {
        let passes = bucket.takes(1.0);
        let requests = Allowance { resets_in: None, ..bucket.allowance() };
        (passes, LimitHints { requests, ..LimitHints::default() })
    })
    .await;
    assert!(refused < 0.3 && seconds < 6.0, "{refused:.3} refused in {seconds:.1} s");
    let mut answers = 0;
    let (_, seconds) = against(move || {
        answers += 1;
        let slow = Allowance::new(10, 1, Duration::from_secs(9));
        (
            true,
            if answers < 10 {
                LimitHints { requests: slow, ..LimitHints::default() }
            } else {
                LimitHints::default()
            },
        )
    })
    .await;
    assert!(seconds < 60.0, "a limit that is no longer reported is dropped: {seconds:.0} s");
}

#[tokio::test(start_paused = true)]
async fn after_an_outage_of_hours_calls_resume_within_minutes() {
    let start = Instant::now();
    let (_, seconds) =
        against(move || (start.elapsed() > Duration::from_secs(4 * 3_600), LimitHints::default())).await;
    assert!(seconds < 4.0 * 3_600.0 + 900.0, "{:.0} s after the outage", seconds - 4.0 * 3_600.0);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_answers_slowly_and_refuses_other_calls_is_not_saturated() {
    let (limiter, slots) = (AdaptiveLimiter::new(AdaptivePolicy::default()), tokio::sync::Semaphore::new(50));
    let call = || async {
        match slots.try_acquire() {
            Ok(_slot) => {
                sleep(Duration::from_secs(30)).await;
                Reply::Answered { value: (), usage: None, hints: LimitHints::default() }
            }
            Err(_) => Reply::Throttled { error: (), hints: LimitHints::default() },
        }
    };
    let start = Instant::now();
    let calls = join_all((0..500).map(|_| limiter.call(Cost::request(), Deadline::none(), call))).await;
    let done = calls.iter().filter(|call| call.is_ok()).count();
    assert_eq!(done, 500);
    assert!(start.elapsed().as_secs() < 900, "{:?} instead of 300 s", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_passed_deadline_admits_no_call_and_no_caller_is_asked_to_retry_at_once() {
    let limiter = AdaptiveLimiter::new(AdaptivePolicy::default().max_concurrency(1).start_concurrency(1));
    let past = Deadline::after(Duration::ZERO);
    assert!(limiter.acquire(Cost::request(), past).await.is_err());
    let held = acquire(&limiter).await;
    let soon = || Deadline::after(Duration::from_millis(300));
    let (one, other) =
        tokio::join!(limiter.acquire(Cost::request(), soon()), limiter.acquire(Cost::request(), soon()));
    for late in [one, other] {
        assert!(late.unwrap_err().retry_after >= Duration::from_secs(1));
    }
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn a_failure_with_a_retry_after_pauses_calls_and_no_wait_overflows_the_clock() {
    let limiter = AdaptiveLimiter::new(
        AdaptivePolicy::default().max_wait(Duration::MAX).saturated_after(Duration::ZERO),
    );
    acquire(&limiter).await.failed(&retry_after(7));
    let start = Instant::now();
    acquire(&limiter).await.observe_headers(&LimitHints::default());
    assert_eq!(start.elapsed().as_secs(), 7);
    for _ in 0..3 {
        acquire(&limiter).await.throttled(&LimitHints::default());
    }
    assert!(limiter.snapshot().paused_for.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_dropped_waiter_or_permit_holds_no_slot() {
    let limiter = AdaptiveLimiter::new(AdaptivePolicy::default().max_concurrency(1).start_concurrency(1));
    let held = acquire(&limiter).await;
    let mut waiting = Box::pin(limiter.acquire(Cost::request(), Deadline::none()));
    assert!((&mut waiting).now_or_never().is_none());
    assert_eq!((limiter.snapshot().waiting, limiter.snapshot().in_flight), (1, 1));
    drop(waiting);
    drop(held);
    assert_eq!((limiter.snapshot().waiting, limiter.snapshot().in_flight), (0, 0));
    assert!(limiter.acquire(Cost::request(), Deadline::none()).now_or_never().is_some());
}

async fn acquire(limiter: &AdaptiveLimiter) -> super::Permit {
    limiter.acquire(Cost::request(), Deadline::none()).await.unwrap()
}

fn retry_after(seconds: u64) -> LimitHints {
    LimitHints { retry_after: Some(Duration::from_secs(seconds)), ..LimitHints::default() }
}

#[tokio::test(start_paused = true)]
async fn waiters_are_admitted_by_priority_and_then_by_arrival() {
    let limiter = AdaptiveLimiter::new(AdaptivePolicy::default().max_concurrency(1).start_concurrency(1));
    let held = limiter.acquire(Cost::request(), Deadline::none()).await.unwrap();
    let order = Mutex::new(Vec::new());
    let call = async |name: &'static str, priority: u8| {
        let permit = limiter.acquire_at(priority, Cost::request(), Deadline::none()).await.unwrap();
        order.lock().unwrap().push(name);
        sleep(Duration::from_millis(10)).await;
        permit.settle(None, &LimitHints::default());
    };
    let given_up = async {
        let waits = limiter.acquire_at(0, Cost::request(), Deadline::none());
        assert!(tokio::time::timeout(Duration::from_millis(5), waits).await.is_err());
    };
    let freed = async {
        sleep(Duration::from_millis(20)).await;
        held.settle(None, &LimitHints::default());
    };
    let late = async {
        // This call arrives when `normal` is already first and no waiter has been admitted.
        sleep(Duration::from_millis(10)).await;
        call("critical", 0).await;
    };
    let (normal, low, second, high) = (call("normal", 2), call("low", 3), call("second", 2), call("high", 1));
    tokio::join!(low, normal, second, given_up, freed, late, high);
    assert_eq!(*order.lock().unwrap(), ["critical", "high", "normal", "second", "low"]);
}

#[tokio::test(start_paused = true)]
async fn an_idle_time_does_not_look_like_a_low_limit() {
    let (server, limiter) = (Server::new(Reports::Bare, 1), AdaptiveLimiter::new(AdaptivePolicy::default()));
    let call = || async {
        let (passes, hints) = server.lock().unwrap().request();
        sleep(Duration::from_millis(1)).await;
        if passes {
            Reply::Answered { value: (), usage: None, hints }
        } else {
            Reply::Throttled { error: (), hints }
        }
    };
    let mut took = Vec::new();
    for _ in 0..2 {
        let start = Instant::now();
        let calls = (0..500).map(|_| limiter.call(Cost::request(), Deadline::none(), call));
        assert!(join_all(calls).await.iter().all(Result::is_ok));
        took.push(start.elapsed());
        sleep(Duration::from_secs(600)).await;
    }
    assert!(took[1] < took[0] * 3 / 2, "{took:?}");
}
