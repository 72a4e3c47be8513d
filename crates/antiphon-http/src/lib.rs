//! HTTP for calls that may go wrong: time-outs by phase, bodies of bounded size, retries, circuit breaker and rate limits
//! when asked for, server-sent events and newline-delimited JSON, and errors that say what happened without a word of what
//! was secret.
//!
//! Connections are encrypted by rustls with ring and checked by the platform's verifier, which is built when the first
//! `https` address is asked for. Proxies are taken from `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, never
//! for loopback addresses. Redirects are not followed unless that is asked for, and then without what was meant for
//! another host: a key must not travel.
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

mod attempt;
mod body;
mod client;
mod decoded;
mod endpoint;
mod error;
mod hosts;
pub mod ndjson;
mod network_policy;
mod options;
mod request;
mod response;
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
pub use network_policy::NetworkPolicy;
pub use options::ClientBuilder;
pub use request::Request;
pub use response::Response;
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
