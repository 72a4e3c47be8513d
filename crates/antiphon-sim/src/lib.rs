//! A server for tests and measurements, on this machine alone: it answers as a vendor of language models does, as slowly,
//! with limits and faults as the [`Scenario`] says, and judges its clients' manners.
//!
//! It speaks HTTP/1.1 and HTTP/2 (by prior knowledge) on one port, and the formats of OpenAI (chat completions and
//! Responses), Anthropic, Gemini, Ollama and llama.cpp, whole and streamed, each below its usual path: `/v1/…`,
//! `/v1beta/…`, `/api/…`, `/completion`. Asked for a JSON schema, it answers with a value that fits. What it saw is under
//! `/_sim/stats`, what it thinks of it under `/_sim/verdict`; a `POST` to `/_sim/reset` begins anew.
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
