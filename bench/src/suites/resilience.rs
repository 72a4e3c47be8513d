use std::convert::Infallible;
use std::hint::black_box;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use antiphon_http::{Client, Request};
use antiphon_resilience::{
    BreakerMachine, BreakerPolicy, CallResult, CircuitBreaker, Cost, Deadline, LimitHints, LimiterRegistry,
    Rate, RateLimits, Reply, RetryPolicy, TokenBuckets, Verdict,
};
use antiphon_sim::{Limit, LimitSignal, Scenario, Server};
use backon::{ExponentialBuilder, Retryable};
use failsafe::CircuitBreaker as _;
use futures::future::join_all;
use serde_json::json;
use tokio::runtime::Builder;

use super::two_threads;
use crate::harness::{Measured, Row, wall};

const CALLS: u64 = 2_000_000;
const REQUESTS: usize = 500;
const LIMIT: Limit = Limit::per_second(100.0, 10);

pub(super) fn rows() -> Vec<Measured> {
    let row = |row, baseline, target| Row { suite: "resilience", row, baseline, ops: CALLS, target };
    let limit =
        |name, target| Row { suite: "resilience", row: name, baseline: "the limit itself", ops: 1, target };
    vec![
        row("breaker: a call", "failsafe", 1.0).measure(our_breaker, their_breaker),
        row("breaker: its machine, given now", "failsafe", 0.3).measure(our_machine, their_breaker),
        row("retry: a call that succeeds", "backon", 1.5).measure(our_retry, their_retry),
        row("limiter: three dimensions, given now", "governor in one", 3.0)
            .measure(our_buckets, their_limiter),
        limit("500 at 100/s, x-ratelimit headers", 0.95).reach(5, || reached(LimitSignal::Headers, 0.01)),
        limit("500 at 100/s, Retry-After alone", 0.9).reach(5, || reached(LimitSignal::RetryAfter, 1.0)),
        limit("500 at 100/s, bare 429s", 0.85).reach(5, || reached(LimitSignal::None, 1.0)),
    ]
}

fn our_breaker() -> Duration {
    let breaker = CircuitBreaker::new(BreakerPolicy::default());
    wall(|| {
        for _ in 0..CALLS {
            let permit = breaker.permit().expect("it is closed");
            black_box(permit).success();
        }
    })
}

fn our_machine() -> Duration {
    let (mut breaker, now) = (BreakerMachine::new(BreakerPolicy::default()), Instant::now());
    wall(|| {
        for _ in 0..CALLS {
            let ticket = breaker.admit(|| black_box(now)).expect("it is closed");
            breaker.report(black_box(ticket), CallResult::Success, None, || black_box(now));
        }
    })
}

fn their_breaker() -> Duration {
    let breaker = failsafe::Config::new().build();
    wall(|| {
        for _ in 0..CALLS {
            black_box(breaker.call(|| Ok::<u64, Infallible>(black_box(1))).expect("it is closed"));
        }
    })
}

fn our_retry() -> Duration {
    let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
    let policy = RetryPolicy::default();
    runtime.block_on(async {
        let start = Instant::now();
        for _ in 0..CALLS {
            let call = policy.run(|_: &Infallible| Verdict::Retry, |_| async { Ok(black_box(7_u64)) });
            black_box(call.await.expect("it succeeds"));
        }
        start.elapsed()
    })
}

fn their_retry() -> Duration {
    let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(async {
        let start = Instant::now();
        for _ in 0..CALLS {
            let call =
                (|| async { Ok::<u64, Infallible>(black_box(7)) }).retry(ExponentialBuilder::default());
            black_box(call.await.expect("it succeeds"));
        }
        start.elapsed()
    })
}

fn our_buckets() -> Duration {
    let (many, now) = (Rate::per_second(1 << 40), Instant::now());
    let limits = RateLimits::default().requests(many).input_tokens(many).output_tokens(many);
    let (mut buckets, cost) =
        (TokenBuckets::new(limits, now), Cost::request().input_tokens(9).output_tokens(9));
    wall(|| {
        for number in 0..CALLS {
            let now = black_box(now + Duration::from_nanos(number));
            buckets.take(black_box(cost), now).expect("there is enough");
        }
    })
}

fn their_limiter() -> Duration {
    let quota = governor::Quota::per_second(NonZeroU32::new(1_000_000_000).expect("it is not zero"));
    let limiter = governor::DefaultDirectRateLimiter::direct(quota);
    wall(|| {
        for _ in 0..CALLS {
            limiter.check().expect("there is enough");
        }
    })
}

/// Returns the part of a server's limit that was used, by the server's log; 0 if it refused more than the part `most` of the
/// calls.
fn reached(signal: LimitSignal, most: f64) -> f64 {
    let runtime = two_threads();
    runtime.block_on(async {
        let scenario = Scenario::default().requests(LIMIT).limit_signal(signal);
        let server = Server::start(scenario, 0).await.expect("a server");
        let (client, limiter) =
            (Client::default(), LimiterRegistry::default().limiter(&server.url(), "sim-1"));
        let url = format!("{}/v1/chat/completions", server.url());
        let ask = |number: usize| {
            let (client, limiter, url) = (client.clone(), limiter.clone(), url.clone());
            async move {
                let call = || async {
                    let request = Request::post(&url).json(&json!({ "user": number }));
                    let answer = client.send(request).await.expect("an answer");
                    let (status, hints) = (answer.status(), answer.limits());
                    let body = answer.bytes().await.expect("a body");
                    match status {
                        200 => Reply::<_, LimitHints>::Answered { value: body.len(), usage: None, hints },
                        _ => Reply::Throttled { error: hints, hints },
                    }
                };
                limiter
                    .call(Cost::request(), Deadline::none(), call)
                    .await
                    .expect("every request is answered")
            }
        };
        join_all((0..REQUESTS).map(ask)).await;
        let (stats, verdict) = (server.stats(), server.verdict());
        assert_eq!((stats.answered, verdict.too_early), (REQUESTS as u64, 0));
        if verdict.throttled > most { 0.0 } else { stats.limit_reached.expect("it has a limit") }
    })
}
