//! A loopback server that simulates the APIs of language model vendors, for tests and measurements.
//!
//! A [`Scenario`] defines the latency, the rate limits (token buckets) and the faults. A [`ClientVerdict`] reports
//! whether the clients' retries were correct.
//!
//! The server accepts HTTP/1.1 and HTTP/2 (with prior knowledge) on one port. The formats are those of OpenAI (chat
//! completions and Responses), Anthropic, Gemini, Ollama and llama.cpp, each at its usual path. Answers are complete or
//! streamed (server-sent events, NDJSON). A request for structured output gets a random value that fits its JSON
//! schema.
//!
//! | format | path of prompts | streams |
//! |---|---|---|
//! | OpenAI, chat completions | `…/chat/completions` | server-sent events, then `[DONE]` |
//! | OpenAI, Responses | `…/responses` | named server-sent events |
//! | Anthropic, Messages | `…/messages` | named server-sent events |
//! | Gemini | `…:generateContent`, `…:streamGenerateContent` | server-sent events |
//! | Ollama | `/api/chat`, `/api/generate` | NDJSON |
//! | llama.cpp | `/completion`, `/completions` | server-sent events |
//!
//! Beside prompts, the server answers what clients ask of such servers first: model lists, health checks, versions,
//! embeddings, and Ollama's pulls.
//!
//! # Statistics and verdict
//! `GET /_sim/stats` returns the [`Stats`], `GET /_sim/verdict` the [`ClientVerdict`]; `POST /_sim/reset` resets both.
//! In Rust, [`Server::stats`], [`Server::verdict`] and [`Server::reset`] do the same without a request.
//!
//! # Tokens and billing
//! The server has no tokenizer. A prompt has a quarter as many tokens as its request has bytes, and each word of an
//! answer is one token. The usage that complete answers report is what the [`Stats`] count, so that a client's bill can
//! be compared exactly.
//!
//! # Determinism
//! Latencies, faults and values are drawn from one generator with the seed of the [`Scenario`]: a client that sends one
//! request after another sees the same in each run. The section on determinism of [`Scenario`] has the details.
//!
//! # Examples
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
mod faults;
mod file;
mod latency;
mod limit;
mod limit_headers;
mod scenario;
mod server;
mod service;
mod shared;
mod stats;
mod verdict;
mod wire;

pub use faults::Faults;
pub use file::ScenarioError;
pub use latency::Latency;
pub use limit::{Limit, LimitSignal};
pub use scenario::Scenario;
pub use server::Server;
pub use stats::Stats;
pub use verdict::ClientVerdict;

/// The README's code.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
