use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use antiphon_resilience::tower::{
    AdaptiveLimitLayer, BoxError, BreakerLayer, LimitFeedback, RateLimitLayer, RetryLayer,
};
use antiphon_resilience::{
    BreakerState, CircuitBreaker, CircuitOpen, Cost, LimitHints, LimiterRegistry, RateLimiter, RetryPolicy,
    Verdict,
};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Request, Response, server::conn::http1};
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};

type Body = Full<Bytes>;
type Answer = Result<Response<Incoming>, BoxError>;

/// Counts requests: all, those in progress, and the most that were in progress together.
#[derive(Debug, Default)]
struct Gauge {
    all: AtomicUsize,
    now: AtomicUsize,
    most: AtomicUsize,
}

/// Starts a server on loopback, which ends with the returned set; `service` is cloned for each connection.
async fn serve<S>(service: S) -> (SocketAddr, JoinSet<()>)
where
    S: Service<Request<Incoming>, Response = Response<Body>, Error: Into<BoxError>> + Clone + Send + 'static,
    S::Future: Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, mut server) = (listener.local_addr().unwrap(), JoinSet::new());
    server.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let service = TowerToHyperService::new(service.clone());
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            connections.spawn(async move { drop(connection.await) });
        }
    });
    (address, server)
}

fn get(address: SocketAddr) -> Request<Body> {
    Request::get(format!("http://{address}/")).body(Body::default()).unwrap()
}

fn status(answer: &Answer) -> Option<u16> {
    answer.as_ref().ok().map(|response| response.status().as_u16())
}

#[tokio::test]
async fn a_client_with_retries_limiter_and_breaker_reaches_a_server_that_fails_twice() {
    let calls = Arc::new(AtomicUsize::new(0));
    let seen = calls.clone();
    let flaky = service_fn(move |_: Request<Incoming>| {
        let status = if seen.fetch_add(1, Ordering::Relaxed) < 2 { 503 } else { 200 };
        let response = Response::builder().status(status).body(Body::from(format!("status {status}")));
        std::future::ready(response)
    });
    let (address, _server) = serve(flaky).await;
    let classify = |answer: &Answer| match status(answer) {
        Some(503) | None => Verdict::Retry,
        Some(_) => Verdict::Stop,
    };
    let feedback = |answer: &Answer| match answer {
        Ok(_) => LimitFeedback::Answered { usage: None, hints: LimitHints::default() },
        Err(_) => LimitFeedback::Failed(LimitHints::default()),
    };
    let breaker = CircuitBreaker::simple(9, Duration::from_secs(60));
    let limiter = LimiterRegistry::default().limiter("loopback", "any");
    let client: Client<_, Body> = Client::builder(TokioExecutor::new()).build_http();
    let client = ServiceBuilder::new()
        .layer(RetryLayer::new(RetryPolicy::default().base(Duration::ZERO, Duration::ZERO), classify))
        .layer(AdaptiveLimitLayer::new(limiter.clone(), |_: &Request<Body>| Cost::request(), feedback))
        .layer(BreakerLayer::new(breaker.clone(), |answer: &Result<Response<Incoming>, ClientError>| {
            answer.as_ref().map_or(true, |response| response.status().is_server_error())
        }))
        .service(client);
    let response = client.oneshot(get(address)).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "status 200");
    assert_eq!((calls.load(Ordering::Relaxed), limiter.snapshot().answered), (3, 3));
    assert_eq!((breaker.status().calls, breaker.status().failures), (3, 2));
}

#[tokio::test]
async fn a_server_behind_a_limiter_works_on_two_requests_at_a_time() {
    let gauge = Arc::new(Gauge::default());
    let (counted, pairs) = (gauge.clone(), Arc::new(Barrier::new(2)));
    let slow = service_fn(move |_: Request<Incoming>| {
        let (gauge, pair) = (counted.clone(), pairs.clone());
        async move {
            gauge.all.fetch_add(1, Ordering::Relaxed);
            gauge.most.fetch_max(gauge.now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
            // Two have to be in progress together, or none gets an answer.
            pair.wait().await;
            gauge.now.fetch_sub(1, Ordering::Relaxed);
            Ok::<_, Infallible>(Response::new(Body::from("done")))
        }
    });
    let limiter = RateLimiter::simple(2, Duration::ZERO);
    let layer = RateLimitLayer::new(limiter.clone(), |_: &Request<Incoming>| Cost::request());
    let (address, _server) = serve(ServiceBuilder::new().layer(layer).service(slow)).await;
    let client: Client<_, Body> = Client::builder(TokioExecutor::new()).build_http();
    let calls = (0..12).map(|_| client.request(get(address)));
    for response in futures_util::future::join_all(calls).await {
        assert_eq!(response.unwrap().status(), 200);
    }
    assert_eq!((gauge.all.load(Ordering::Relaxed), gauge.most.load(Ordering::Relaxed)), (12, 2));
}

#[tokio::test]
async fn a_server_answers_503_while_its_breaker_is_open() {
    let broken =
        service_fn(async |_: Request<Incoming>| Err::<Response<Body>, BoxError>("the disk is full".into()));
    let breaker = CircuitBreaker::simple(1, Duration::from_secs(60));
    // What axum's `HandleErrorLayer` does: errors become responses.
    let answer = async |answer: Result<Response<Body>, BoxError>| {
        let response = answer.or_else(|err| {
            let status = if err.is::<CircuitOpen>() { 503 } else { 500 };
            Response::builder().status(status).body(Body::from(err.to_string()))
        });
        response.map_err(BoxError::from)
    };
    let layer = BreakerLayer::new(breaker.clone(), Result::is_err);
    let service = ServiceBuilder::new().then(answer).layer(layer).service(broken);
    let (address, _server) = serve(service).await;
    let client: Client<_, Body> = Client::builder(TokioExecutor::new()).build_http();
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(client.request(get(address)).await.unwrap().status().as_u16());
    }
    assert_eq!((statuses, breaker.status().state), (vec![500, 503, 503], BreakerState::Open));
}
