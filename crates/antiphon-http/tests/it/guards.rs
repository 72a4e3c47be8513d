use std::time::{Duration, Instant};

use antiphon_http::{
    BreakerState, CircuitBreaker, Client, ErrorKind, Rate, RateLimiter, RateLimits, Request, RetryPolicy,
};
use antiphon_tests::{Reply, Server};

#[tokio::test]
async fn an_open_breaker_rejects_requests_and_is_not_retried() {
    let server = Server::start([Reply::new(500, "text/plain", "")]);
    let breaker = CircuitBreaker::simple(2, Duration::from_secs(60)).named("api");
    let policy = RetryPolicy::default().base(Duration::ZERO, Duration::ZERO);
    let client = Client::builder().retry(policy).breaker(breaker.clone()).build();
    let err = client.get(&server.url("/")).await.unwrap_err();
    assert!(matches!(err.kind(), ErrorKind::CircuitOpen { retry_after: Some(_) }), "{err}");
    assert!(err.to_string().contains("api is not called for another"), "{err}");
    assert_eq!((server.requests().len(), breaker.status().state), (2, BreakerState::Open));
}

#[tokio::test]
async fn failures_that_are_not_the_servers_do_not_open_the_breaker() {
    let breaker = CircuitBreaker::simple(1, Duration::from_secs(60));
    let client = Client::builder().breaker(breaker.clone()).build();
    for status in [404, 429, 400, 529, 302] {
        let server = Server::start([Reply::new(status, "text/plain", "")]);
        client.send(Request::get(&server.url("/"))).await.unwrap();
    }
    client.get("nonsense").await.unwrap_err();
    let silent = crate::raw::Raw::start(async |_stream| crate::raw::stall().await).await;
    let soon = antiphon_http::Deadline::after(Duration::from_millis(50));
    client.send(Request::get(&silent.url()).deadline(soon)).await.unwrap_err();
    assert_eq!(breaker.status().state, BreakerState::Closed);
    client.get(&antiphon_tests::refusing_url("/")).await.unwrap_err();
    assert_eq!(breaker.status().state, BreakerState::Open);
}

#[tokio::test]
async fn each_attempt_takes_a_rate_limit_permit_until_the_body_is_read() {
    let server = Server::start([Reply::new(500, "text/plain", ""), Reply::new(200, "text/plain", "ok")]);
    let limits = RateLimits::default().requests(Rate::per_second(10).burst(1)).max_concurrency(1);
    let policy = RetryPolicy::default().base(Duration::ZERO, Duration::ZERO);
    let client = Client::builder().retry(policy).rate_limiter(RateLimiter::new(limits)).build();
    let begun = Instant::now();
    let first = client.get(&server.url("/")).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(100), "two attempts, ten a second");
    let second = tokio::time::timeout(Duration::from_millis(300), client.get(&server.url("/"))).await;
    assert!(second.is_err(), "the first body is still being read");
    first.text().await.unwrap();
    client.get(&server.url("/")).await.unwrap();
}
