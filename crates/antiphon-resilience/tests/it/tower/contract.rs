use std::collections::VecDeque;
use std::future::{Ready, ready};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use antiphon_resilience::tower::{
    AdaptiveLimitLayer, BoxError, BreakerLayer, LimitFeedback, RateLimitLayer, RetryLayer,
};
use antiphon_resilience::{
    BreakerState, CircuitBreaker, CircuitOpen, Cost, LimitHints, LimiterRegistry, RateLimiter, RetryBudget,
    RetryPolicy, Saturated, Verdict,
};
use futures_util::FutureExt;
use tokio::time::{Instant, sleep};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

/// The result of a request: a status, or an error.
type Answer = Result<u16, &'static str>;

/// A service that enforces tower's contract: it panics if it is called without having been ready, and a clone is never ready. It
/// is ready only when polled for the second time. Once its answers are used up, it answers 200.
#[derive(Debug)]
struct Strict {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    calls: Arc<AtomicUsize>,
    polls: usize,
}

impl Strict {
    fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
        let answers = Arc::new(Mutex::new(answers.into_iter().collect()));
        Self { answers, calls: Arc::default(), polls: 0 }
    }
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        Self { answers: self.answers.clone(), calls: self.calls.clone(), polls: 0 }
    }
}

impl Service<()> for Strict {
    type Response = u16;
    type Error = &'static str;
    type Future = Ready<Answer>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        self.polls += 1;
        if self.polls < 2 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        assert!(self.polls >= 2, "called without being ready");
        self.polls = 0;
        self.calls.fetch_add(1, Ordering::Relaxed);
        ready(self.answers.lock().unwrap().pop_front().unwrap_or(Ok(200)))
    }
}

fn classify(answer: &Answer) -> Verdict {
    match answer {
        Ok(503) => Verdict::Throttled { retry_after: Some(Duration::from_secs(7)) },
        Ok(_) => Verdict::Stop,
        Err("bad") => Verdict::Stop,
        Err(_) => Verdict::Retry,
    }
}

fn feedback(answer: &Answer) -> LimitFeedback {
    match answer {
        Ok(429) => LimitFeedback::Throttled(LimitHints::default()),
        Ok(_) => LimitFeedback::Answered { usage: None, hints: LimitHints::default() },
        Err("unsent") => LimitFeedback::Unsent,
        Err(_) => LimitFeedback::Failed(LimitHints::default()),
    }
}

fn request<R>(_: &R) -> Cost {
    Cost::request()
}

#[tokio::test(start_paused = true)]
async fn a_retry_waits_until_the_service_is_ready_again() {
    let inner = Strict::new([Err("down"), Ok(503), Err("bad")]);
    let (calls, start) = (inner.calls.clone(), Instant::now());
    let mut service = RetryLayer::new(RetryPolicy::default(), classify).layer(inner);
    assert_eq!(service.ready().await.unwrap().call(()).await, Err("bad"), "the third is final");
    assert_eq!(calls.load(Ordering::Relaxed), 3);
    assert!(start.elapsed() >= Duration::from_secs(7), "the 503 asked for seven seconds");
    assert_eq!(service.ready().await.unwrap().call(()).await, Ok(200), "the service is usable again");
}

#[tokio::test(start_paused = true)]
async fn the_last_result_of_a_retry_is_returned_as_it_is_and_a_budget_is_shared() {
    let budget = RetryBudget::new(14 + 5);
    let layer = RetryLayer::new(RetryPolicy::default().max_retries(1), classify).budget(budget.clone());
    let statuses = [Ok(503), Ok(503), Err("down"), Err("still down"), Err("no points left")];
    let inner = Strict::new(statuses);
    let (first, second) = (layer.layer(inner.clone()), layer.layer(inner.clone()));
    assert_eq!(first.clone().oneshot(()).await, Ok(503));
    assert_eq!(second.oneshot(()).await, Err("still down"));
    assert_eq!(budget.available(), 0);
    assert_eq!(first.clone().oneshot(()).await, Err("no points left"));
    assert_eq!(first.oneshot(()).await, Ok(200));
    assert_eq!((budget.available(), inner.calls.load(Ordering::Relaxed)), (1, 6));
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_is_dropped_in_its_pause_makes_no_further_call() {
    let inner = Strict::new([Err("down"), Err("down")]);
    let calls = inner.calls.clone();
    let mut service = RetryLayer::new(RetryPolicy::default(), classify).layer(inner);
    let call = service.ready().await.unwrap().call(());
    assert!(call.now_or_never().is_none());
    sleep(Duration::from_secs(60)).await;
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_rejects_in_the_call_and_stays_ready() {
    let inner = Strict::new([Err("bad"), Err("down"), Ok(500)]);
    let calls = inner.calls.clone();
    let inner = inner.map_err(BoxError::from);
    let breaker = CircuitBreaker::simple(2, Duration::from_secs(60));
    let is_failure = |answer: &Result<u16, BoxError>| match answer {
        Ok(status) => *status >= 500,
        Err(err) => err.to_string() != "bad",
    };
    let mut service = BreakerLayer::new(breaker.clone(), is_failure).layer(inner);
    assert_eq!(service.ready().await.unwrap().call(()).await.unwrap_err().to_string(), "bad");
    assert_eq!(breaker.status().calls, 0, "an error that is no failure is not counted");
    assert_eq!(service.ready().await.unwrap().call(()).await.unwrap_err().to_string(), "down");
    assert_eq!(service.ready().await.unwrap().call(()).await.unwrap(), 500);
    assert_eq!(breaker.status().state, BreakerState::Open);
    let rejected = service.ready().await.unwrap().call(()).await.unwrap_err();
    let rejected = rejected.downcast::<CircuitOpen>().unwrap();
    assert_eq!((rejected.retry_after, calls.load(Ordering::Relaxed)), (Some(Duration::from_secs(60)), 3));
    sleep(Duration::from_secs(60)).await;
    assert_eq!(service.ready().await.unwrap().call(()).await.unwrap(), 200);
    assert_eq!(breaker.status().state, BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_guarded_call_that_is_dropped_releases_its_trial() {
    let breaker = CircuitBreaker::simple(1, Duration::from_secs(60));
    breaker.force_open_for(Duration::ZERO);
    let never = service_fn(|()| std::future::pending::<Result<u16, BoxError>>());
    let mut service = BreakerLayer::new(breaker.clone(), Result::is_err).layer(never);
    let mut trial = Box::pin(service.ready().await.unwrap().call(()));
    assert!((&mut trial).now_or_never().is_none());
    assert!(breaker.permit().is_err(), "one trial and no more");
    drop(trial);
    assert!(breaker.permit().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_permit_is_held_for_the_call_and_not_for_readiness() {
    let limiter = RateLimiter::simple(1, Duration::ZERO);
    let layer = RateLimitLayer::new(limiter.clone(), request);
    let slow = service_fn(async |()| {
        sleep(Duration::from_secs(1)).await;
        Ok::<_, &str>(Instant::now())
    });
    let (mut idle, start) = (layer.layer(slow), Instant::now());
    ServiceExt::<()>::ready(&mut idle).await.unwrap();
    let busy = layer.layer(slow);
    let [mut first, mut dropped, second] = [(); 3].map(|()| Box::pin(busy.clone().oneshot(())));
    assert!((&mut first).now_or_never().is_none() && (&mut dropped).now_or_never().is_none());
    drop(dropped);
    let (first, second) = tokio::join!(first, second);
    let seconds = [first, second].map(|end| (end.unwrap() - start).as_secs());
    assert_eq!(seconds, [1, 2]);
    assert!(limiter.try_acquire(Cost::request()).is_some(), "the idle service holds nothing");
}

#[tokio::test(start_paused = true)]
async fn limited_calls_use_the_service_that_was_ready() {
    let limiter = RateLimiter::simple(1, Duration::ZERO);
    let inner = Strict::new([]);
    let mut service = RateLimitLayer::new(limiter.clone(), request).layer(inner);
    assert_eq!(service.ready().await.unwrap().call(()).await, Ok(200), "admitted at once");
    let held = limiter.acquire(Cost::request()).await;
    let mut queued = Box::pin(service.ready().await.unwrap().call(()));
    assert!((&mut queued).now_or_never().is_none());
    drop(held);
    assert_eq!(queued.await, Ok(200), "admitted from the queue");
    assert_eq!(service.ready().await.unwrap().call(()).await, Ok(200));
}

#[tokio::test(start_paused = true)]
async fn an_adaptive_limiter_learns_from_the_results() {
    let limiter = LimiterRegistry::default().limiter("api.example.org", "small");
    let inner = Strict::new([Ok(200), Err("down"), Err("unsent"), Ok(429)]);
    let mut service = AdaptiveLimitLayer::new(limiter.clone(), request, feedback)
        .max_queue(Duration::from_millis(1))
        .layer(inner);
    assert_eq!(service.ready().await.unwrap().call(()).await.unwrap(), 200);
    assert_eq!(service.ready().await.unwrap().call(()).await.unwrap_err().to_string(), "down");
    assert_eq!(service.ready().await.unwrap().call(()).await.unwrap_err().to_string(), "unsent");
    assert_eq!(service.ready().await.unwrap().call(()).await.unwrap(), 429, "returned, not repeated");
    let seen = limiter.snapshot();
    assert_eq!((seen.answered, seen.failed, seen.throttled, seen.in_flight), (1, 1, 1, 0));
    let saturated = service.ready().await.unwrap().call(()).await.unwrap_err();
    assert!(saturated.is::<Saturated>(), "the calls pause for longer than a millisecond");
}

#[tokio::test(start_paused = true)]
async fn the_layers_compose() {
    let inner = Strict::new([Err("down"), Ok(503)]);
    let (limiter, breaker) =
        (RateLimiter::simple(1, Duration::ZERO), CircuitBreaker::simple(9, Duration::ZERO));
    let adaptive = LimiterRegistry::default().limiter("api.example.org", "small");
    let classify = |answer: &Result<u16, BoxError>| match answer {
        Ok(200) => Verdict::Stop,
        _ => Verdict::Retry,
    };
    let learn = |answer: &Result<u16, BoxError>| feedback(&answer.as_ref().map_or(Err("down"), |n| Ok(*n)));
    let service = ServiceBuilder::new()
        .layer(RetryLayer::new(RetryPolicy::default(), classify))
        .layer(RateLimitLayer::new(limiter, request))
        .layer(AdaptiveLimitLayer::new(adaptive, request, learn))
        .layer(BreakerLayer::new(breaker.clone(), Result::is_err))
        .service(inner);
    assert_eq!(service.oneshot(()).await.unwrap(), 200);
    assert_eq!((breaker.status().calls, breaker.status().failures), (3, 1));
}
