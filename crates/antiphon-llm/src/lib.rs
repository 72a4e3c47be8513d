//! One contract for language models: what is asked, what comes back, and what can go wrong.
//!
//! A [`Provider`] answers a [`Prompt`] with a stream that ends in exactly one [`Completion`] or an [`Error`]; a stream
//! that just stops is an error with its partial text. This crate knows no HTTP and no vendor.
//!
//! ```
//! let answer = "Sure! ```json\n{\"name\": \"Ada\"}\n```";
//! let found = antiphon_llm::json::extract(answer)?;
//! assert_eq!(found.value["name"], "Ada");
//! # Ok::<(), antiphon_llm::json::JsonError>(())
//! ```

mod completion;
mod context;
mod error;
pub mod json;
mod price;
mod prompt;
mod provider;
mod retrying;
mod schema;
mod streaming;
mod structured;

pub use antiphon_resilience::{Deadline, RetryPolicy, Verdict};
pub use async_trait::async_trait;
pub use completion::{Completion, FinishReason, Head, Timing, Usage};
pub use context::CallContext;
pub use error::{Billed, Cut, Error, ErrorKind, Phase};
pub use price::Price;
pub use prompt::{Document, Message, Output, Parameters, Part, Prompt, Role, Side, Turn};
pub use provider::{Capabilities, Model, Provider, ProviderExt, Scope};
pub use retrying::Retrying;
pub use schema::{Schema, Violation, Weakened};
pub use streaming::{Delta, Streaming};
pub use structured::Structured;
pub use tokio_util::sync::CancellationToken;

#[cfg(test)]
mod scripted;
