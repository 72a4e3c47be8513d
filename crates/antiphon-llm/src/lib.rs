//! A vendor-neutral interface to language models: prompts, streamed answers, errors, and structured output.
//!
//! A [`Provider`] answers a [`Prompt`] with a stream that ends with exactly one [`Completion`] or one [`Error`]. A stream that
//! stops early is an error, which has the partial answer. This crate contains no HTTP client and no vendor code. [`Stack`] adds
//! retries, admission control, a circuit breaker, a cache and fallbacks to a provider. The feature `schema`, on by default, adds
//! structured output.
//!
//! ```
//! let answer = "Sure! ```json\n{\"name\": \"Ada\"}\n```";
//! let found = antiphon_llm::json::extract(answer)?;
//! assert_eq!(found.value["name"], "Ada");
//! # Ok::<(), antiphon_llm::json::JsonError>(())
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]

mod addresses;
mod answer_limits;
mod blocking;
mod cache_key;
mod cached;
mod calls;
mod cassette;
mod completion;
mod context;
mod dialect;
mod error;
mod fallback;
mod finish;
mod forward;
pub mod genai;
mod guarded;
pub mod json;
mod limited;
mod observed;
mod price;
mod prompt;
mod prompt_bytes;
mod provider;
mod redact;
mod redactor;
mod retrying;
mod sampling;
mod schema;
mod schema_refs;
mod shortened;
mod single_flight;
mod spent;
mod stack;
mod streaming;
#[cfg(feature = "schema")]
mod structured;
mod warning;

pub use addresses::addresses;
pub use answer_limits::AnswerLimits;
pub use antiphon_resilience::{
    AdaptiveLimiter, Allowance, CircuitBreaker, Deadline, LimitHints, LimitPart, LimiterRegistry,
    LimiterSnapshot, RetryBudget, RetryPolicy, Verdict, parse_reset, parse_retry_info, parse_wait_in_message,
};
pub use async_trait::async_trait;
pub use blocking::{BlockingProvider, FnProvider, SyncProvider};
pub use cache_key::CacheKey;
pub use cached::{AnswerCache, Cached, MemoryCache};
pub use calls::Calls;
pub use cassette::{Recorded, Replayed};
pub use completion::{Completion, Head, Timing, Usage};
pub use context::CallContext;
pub use dialect::{Compiled, Dialect};
pub use error::{Billed, Error, ErrorKind, TimeoutPhase, TruncationCause};
pub use fallback::Fallback;
pub use finish::{AnswerMark, FinishReason};
pub use guarded::Guarded;
pub use limited::Limited;
pub use observed::Observed;
pub use price::Price;
pub use prompt::{DocumentPart, Message, Output, Part, Prompt, Role, Side, SpeakerTurn};
pub use prompt_bytes::PromptBytes;
pub use provider::{Capabilities, Embedder, Embeddings, Health, Model, Provider, ProviderExt, Scope};
pub use redact::redact;
pub use redactor::{RedactedText, Redactor};
pub use retrying::Retrying;
pub use sampling::{InvalidParam, ReasoningEffort, SamplingParams};
pub use schema::Schema;
#[cfg(feature = "schema")]
pub use schema::Violation;
pub use shortened::shortened;
pub use single_flight::SingleFlight;
pub use spent::Spent;
pub use stack::Stack;
pub use streaming::{Delta, Streaming};
#[cfg(feature = "schema")]
pub use structured::{InvalidAnswer, SchemaRetryPolicy, Structured};
pub use tokio_util::sync::CancellationToken;
pub use warning::{CallWarning, CallWarningKind};

/// The README's code.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(test)]
mod scripted;
#[cfg(test)]
mod serialised_tests;
