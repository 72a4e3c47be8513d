//! Retries, deadlines, circuit breakers, rate limits and adaptive concurrency for calls of any kind. The crate depends on no
//! HTTP client.
//!
//! | to | use |
//! |---|---|
//! | retry after a failure, with exponential backoff and jitter | [`RetryPolicy`], [`Pauses`], [`Backoff`] |
//! | log failed attempts, or limit the retries of many calls | [`Attempts`], [`RetryBudget`] |
//! | limit the total time of a call, including its retries | [`Deadline`] |
//! | stop calling a service that fails | [`CircuitBreaker`], [`BreakerRegistry`] |
//! | stay within a known limit (token bucket) | [`RateLimiter`] |
//! | find an unknown limit and stay just below it (admission control) | [`LimiterRegistry`], [`AdaptiveLimiter`] |
//! | use retries, breakers and limiters as layers of tower | the module `tower` (feature `tower`, off by default) |
//! | read limits from a server's headers | [`LimitHints`], [`parse_retry_after`], [`parse_reset`], [`parse_retry_info`] |
//!
//! ```
//! use antiphon_resilience::{RetryPolicy, Verdict};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! let policy = RetryPolicy::default().max_retries(2);
//! let answer = policy
//!     .run(|_err: &&str| Verdict::Retry, |attempt| async move {
//!         if attempt.number < 3 { Err("not yet") } else { Ok(attempt.number) }
//!     })
//!     .await;
//! assert_eq!(answer, Ok(3));
//! # }
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]

mod admission;
mod attempts;
mod backoff;
mod breaker;
mod budget;
mod cost;
mod deadline;
mod fair_queue;
mod hints;
mod pauses;
mod rate_limiter;
mod retry;
mod rounded;
#[cfg(feature = "tower")]
pub mod tower;

pub use admission::{
    AdaptiveLimiter, AdaptivePolicy, LimitPart, LimiterError, LimiterRegistry, LimiterSnapshot, Permit,
    Reply, Saturated,
};
pub use attempts::{Attempts, FailedAttempt};
pub use backoff::{Backoff, Jitter};
pub use breaker::{
    BreakerError, BreakerEvent, BreakerEvents, BreakerMachine, BreakerPermit, BreakerPolicy, BreakerRegistry,
    BreakerState, BreakerStatus, BreakerTicket, BreakerWindow, CallResult, CircuitBreaker, CircuitOpen,
    PolicyConflict, SlowCalls, TripsOn,
};
pub use budget::RetryBudget;
pub use cost::Cost;
pub use deadline::Deadline;
pub use hints::{
    Allowance, LimitHints, parse_reset, parse_retry_after, parse_retry_info, parse_wait_in_message,
};
pub use pauses::Pauses;
pub use rate_limiter::{Rate, RateLimiter, RateLimits, RatePermit, TokenBuckets};
pub use retry::{Attempt, Retry, RetryPolicy, Verdict};

/// The README's code.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
