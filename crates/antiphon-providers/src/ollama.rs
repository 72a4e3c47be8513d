//! Ollama.
//!
//! Facts from <https://docs.ollama.com/api>, <https://docs.ollama.com/api/errors>,
//! <https://docs.ollama.com/context-length> and its source (<https://github.com/ollama/ollama>).
//!
//! | method and path | used for |
//! |---|---|
//! | `POST /api/chat`, `POST /api/generate` | answers, streamed as NDJSON |
//! | `POST /api/embed` | embeddings |
//! | `GET /api/tags`, `GET /api/ps`, `POST /api/show` | installed models, loaded models, one model |
//! | `POST /api/pull` | the download of a model |
//! | `GET /api/version` | health |
//!
//! The server has no rate limits: calls beyond its parallel ones wait in its queue, of 512 by default
//! (<https://docs.ollama.com/faq>), and further ones fail with status 503.

#[cfg(feature = "ollama")]
mod config;
#[cfg(feature = "ollama")]
mod context_length;
#[cfg(feature = "ollama")]
mod errors;
mod host;
mod kind;
#[cfg(feature = "ollama")]
mod stream;
#[cfg(feature = "ollama")]
mod wire;

#[cfg(feature = "ollama")]
pub use config::{LoadedModel, Ollama};

pub(crate) use kind::KIND;

#[cfg(feature = "_fuzz")]
pub(crate) use stream::OllamaDecoder;
