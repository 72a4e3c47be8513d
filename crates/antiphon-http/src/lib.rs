//! A resilient HTTP client: timeouts by phase, bodies of bounded size, optional retries with jitter, circuit breaker and rate
//! limiter, server-sent events and newline-delimited JSON (NDJSON), and errors that name the phase that failed and never
//! contain a secret.
//!
//! TLS is rustls with ring. The platform's verifier checks certificates; it is created when the first request to an `https`
//! address is sent. A connection pool keeps idle connections alive (keep-alive). Proxies are read from `HTTPS_PROXY`,
//! `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`; requests to loopback addresses never use a proxy. Redirects are not followed by
//! default; with [`max_redirects`](ClientBuilder::max_redirects), headers that were set for one host are not sent to another,
//! so that a key cannot leak. [`NetworkPolicy::Public`] protects against SSRF.
//!
//! ```
//! use antiphon_http::{Client, ErrorKind, RetryPolicy};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let client = Client::builder().retry(RetryPolicy::default().max_retries(2)).build();
//! let err = client.get("ftp://example.org/").await.unwrap_err();
//! assert_eq!(err.kind(), ErrorKind::InvalidRequest);
//! # }
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]

mod attempt;
mod body;
mod client;
mod connecting;
mod decoded;
mod endpoint;
mod error;
mod hosts;
mod invalid;
pub mod ndjson;
mod network_policy;
mod options;
mod request;
mod response;
mod retry;
mod reused;
pub mod sse;
mod tls;
#[cfg(feature = "transfer")]
mod transfer;
mod transport;

pub use antiphon_resilience::{
    BreakerPolicy, BreakerState, CircuitBreaker, Deadline, LimitHints, Rate, RateLimiter, RateLimits,
    RetryBudget, RetryPolicy,
};
pub use body::{BodyChunks, StreamEnd};
pub use client::Client;
pub use decoded::{BodyLines, Events};
pub use error::{Error, ErrorKind, RequestPhase};
pub use hosts::is_loopback;
pub use network_policy::NetworkPolicy;
pub use options::ClientBuilder;
pub use request::Request;
pub use response::Response;
pub use retry::HttpRetry;
pub use secrecy::SecretString;
#[cfg(feature = "transfer")]
pub use transfer::{
    BufferedResponse, Download, Downloaded, FetchError, FetchRequest, Fetched, FetchedFile, Upload, fetch,
    safe_file_name, without_secrets,
};

/// The README's code.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
