//! Providers of language models that implement [`Provider`](antiphon_llm::Provider): OpenAI, Anthropic, Gemini, Ollama,
//! llama.cpp, any server that speaks OpenAI's format, and drafts without a model.
//!
//! A provider sends each call once. For retries, rate limits and fallbacks wrap it with a [`Stack`](antiphon_llm::Stack).
//! [`registry`] lists all providers by name, [`local`] discovers engines on this machine, [`checkup`] examines providers, and
//! [`prices`] has the prices and limits of models.
//!
//! ```
//! use antiphon_llm::Provider;
//! # #[cfg(feature = "compatible")] {
//! let provider = antiphon_providers::Compatible::new("http://localhost:8080")?;
//! assert_eq!(provider.scope().base_url.as_deref(), Some("http://localhost:8080/v1"));
//! # }
//! # Ok::<(), antiphon_llm::Error>(())
//! ```
//!
//! | cargo feature | provider | answers by |
//! |---|---|---|
//! | `openai` | `OpenAi` | chat completions or Responses, as server-sent events |
//! | `anthropic` | `Anthropic` | the Messages API, as server-sent events |
//! | `gemini` | `Gemini` | `streamGenerateContent`, as server-sent events |
//! | `ollama` | `Ollama` | `/api/chat` or `/api/generate`, as NDJSON |
//! | `llamacpp` | `LlamaCpp` | chat completions or `/completion`, as server-sent events |
//! | `compatible` | `Compatible` | chat completions, as server-sent events |
//! | `offline` | `Offline` | text statistics, without a server |
//!
//! The feature `schema` adds the schemas of antiphon-llm to them, for structured output. All features but the internal ones,
//! which begin with `_`, are on by default.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod anthropic;
#[cfg(feature = "_chat")]
mod chat;
pub mod checkup;
mod compatible;
#[cfg(test)]
#[cfg(all(feature = "_fuzz", feature = "compatible"))]
mod ended_calls_tests;
#[cfg(feature = "_http")]
mod exchange;
#[cfg(feature = "_fuzz")]
pub mod fuzzing;
mod gemini;
pub mod limits;
mod llamacpp;
pub mod local;
mod offline;
mod ollama;
mod openai;
pub mod prices;
pub mod registry;

#[cfg(feature = "anthropic")]
pub use anthropic::Anthropic;
#[cfg(feature = "compatible")]
pub use compatible::{Compatible, ParamField, Vendor};
#[cfg(feature = "gemini")]
pub use gemini::Gemini;
#[cfg(feature = "llamacpp")]
pub use llamacpp::{LlamaCpp, Props, Slot};
#[cfg(feature = "offline")]
pub use offline::Offline;
#[cfg(feature = "ollama")]
pub use ollama::{LoadedModel, Ollama};
#[cfg(feature = "openai")]
pub use openai::OpenAi;
pub use registry::PullProgress;
pub use secrecy::SecretString;

/// The README's code.
#[cfg(all(doctest, feature = "compatible", feature = "offline"))]
#[doc = include_str!("../README.md")]
struct Readme;
