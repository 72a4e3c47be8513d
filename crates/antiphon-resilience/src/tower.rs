//! Layers for tower: retries, circuit breaker, rate limiter and adaptive limiter around any [`Service`](tower_service::Service).
//!
//! | layer | error | request | service |
//! |---|---|---|---|
//! | [`RetryLayer`] | that of the service | `Clone` | `Clone` |
//! | [`BreakerLayer`] | [`BoxError`]: that of the service, or [`CircuitOpen`](crate::CircuitOpen) | any | any |
//! | [`RateLimitLayer`] | that of the service | any | `Clone` |
//! | [`AdaptiveLimitLayer`] | [`BoxError`]: that of the service, or [`Saturated`](crate::Saturated) | any | `Clone` |
//!
//! In tower, a response with the status 503 is no error. All closures therefore see the whole `Result` of the inner service.
//!
//! `poll_ready` reports that the inner service is ready, and nothing else. A call takes that ready service into its future and
//! leaves a clone in its place; a retry waits until the service is ready again. Limits are waited for in the future of the
//! call, which owns its permit: to drop the future is to leave the queue, and a service that is ready but unused occupies
//! nothing of a limit. The number of waiting calls is that of the futures which the caller holds; to bound it, put a
//! concurrency limit or load shedding of tower outside.
//!
//! From the outside inwards, the order is: retries, limiter, breaker. Each attempt then takes a permit of its own, and no trial
//! of the breaker is held by a call that waits.
//!
//! ```
//! use std::time::Duration;
//! use antiphon_resilience::tower::{BoxError, BreakerLayer, RateLimitLayer, RetryLayer};
//! use antiphon_resilience::{CircuitBreaker, Cost, RateLimiter, RetryPolicy, Verdict};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), BoxError> {
//! let classify = |answer: &Result<u16, BoxError>| match answer {
//!     Ok(429 | 503) => Verdict::Throttled { retry_after: None },
//!     Ok(_) => Verdict::Stop,
//!     Err(_) => Verdict::Retry,
//! };
//! let is_failure = |answer: &Result<u16, BoxError>| answer.as_ref().map_or(true, |status| *status >= 500);
//! # let statuses = std::sync::Arc::new(std::sync::Mutex::new([503, 429, 200].into_iter()));
//! # let call = move |_: &str| std::future::ready(Ok::<u16, BoxError>(statuses.lock().unwrap().next().unwrap()));
//! let service = ServiceBuilder::new()
//!     .layer(RetryLayer::new(RetryPolicy::default(), classify))
//!     .layer(RateLimitLayer::new(RateLimiter::simple(8, Duration::ZERO), |_: &&str| Cost::request()))
//!     .layer(BreakerLayer::new(CircuitBreaker::simple(5, Duration::from_secs(60)), is_failure))
//!     .service(service_fn(call)); // answers 503, 429, and then 200
//! assert_eq!(service.oneshot("a request").await?, 200);
//! # Ok(())
//! # }
//! ```
//!
//! # In axum
//!
//! An axum router accepts only services that cannot fail (`Infallible`). [`BreakerLayer`] and [`AdaptiveLimitLayer`] can: put
//! axum's `HandleErrorLayer` outside of them, which turns their error into a response. [`RateLimitLayer`] needs none around a
//! handler. A limiter or a breaker is shared by all requests through its clones, since axum clones the service for each.
//!
//! ```text
//! use antiphon_resilience::tower::{BoxError, BreakerLayer, RateLimitLayer};
//! use antiphon_resilience::{CircuitBreaker, CircuitOpen, Cost, RateLimiter};
//! use axum::error_handling::HandleErrorLayer;
//! use axum::extract::Request;
//! use axum::http::{StatusCode, header::RETRY_AFTER};
//! use axum::response::{IntoResponse, Response};
//!
//! async fn refused(err: BoxError) -> Response {
//!     match err.downcast_ref::<CircuitOpen>() {
//!         Some(open) => {
//!             let seconds = open.retry_after.unwrap_or_default().as_secs() + 1;
//!             (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, seconds.to_string())]).into_response()
//!         }
//!         None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
//!     }
//! }
//!
//! let is_failure = |answer: &Result<Response, _>| answer.as_ref().is_ok_and(|answer| answer.status().is_server_error());
//! let router = axum::Router::new().route("/report", axum::routing::get(report)).layer(
//!     tower::ServiceBuilder::new()
//!         .layer(HandleErrorLayer::new(refused)) // outside of the layers that can fail
//!         .layer(RateLimitLayer::new(RateLimiter::simple(8, Duration::ZERO), |_: &Request| Cost::request()))
//!         .layer(BreakerLayer::new(CircuitBreaker::simple(5, Duration::from_secs(60)), is_failure)),
//! );
//! ```
//!
//! A [`RetryLayer`] needs requests that are `Clone`, which those of axum are not: retry on the side of the client.

mod adaptive_limit;
mod admission;
mod breaker;
mod rate_limit;
mod retry;

pub use adaptive_limit::{AdaptiveLimitFuture, AdaptiveLimitLayer, AdaptiveLimitService, LimitFeedback};
pub use admission::BoxError;
pub use breaker::{BreakerFuture, BreakerLayer, BreakerService};
pub use rate_limit::{RateLimitFuture, RateLimitLayer, RateLimitService};
pub use retry::{RetryFuture, RetryLayer, RetryService};
