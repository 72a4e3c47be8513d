//! A loopback server that simulates the APIs of language model vendors, for tests and measurements.
//!
//! A [`Scenario`] defines the latency, the rate limits (token buckets) and the faults. A [`ClientVerdict`] reports whether the
//! clients' retries were correct.
//!
//! The server accepts HTTP/1.1 and HTTP/2 (with prior knowledge) on one port. The formats are those of OpenAI (chat completions
//! and Responses), Anthropic, Gemini, Ollama and llama.cpp, each at its usual path: `/v1/…`, `/v1beta/…`, `/api/…`,
//! `/completion`. Answers are complete or streamed (server-sent events, NDJSON). A request for structured output gets a random
//! value that fits its JSON schema.
//!
//! `GET /_sim/stats` returns the [`Stats`], `GET /_sim/verdict` the [`ClientVerdict`]; `POST /_sim/reset` resets both.
//!
//! ```
//! use std::time::Duration;
//! use antiphon_sim::{Latency, Limit, Scenario, Server};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let scenario = Scenario::default()
//!     .latency(Latency::Fixed(Duration::from_millis(50)))
//!     .requests(Limit::per_second(100.0, 10));
//! let server = Server::start(scenario, 0).await?;
//! assert!(server.url().starts_with("http://127.0.0.1:"));
//! assert_eq!(server.stats().requests, 0);
//! # Ok(())
//! # }
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]

mod answer;
mod bucket;
mod example;
mod file;
mod limit_headers;
mod scenario;
mod server;
mod service;
mod stats;
mod verdict;
mod wire;

pub use file::ScenarioError;
pub use scenario::{Faults, Latency, Limit, LimitSignal, Scenario};
pub use server::Server;
pub use stats::Stats;
pub use verdict::ClientVerdict;

/// The README's code.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
