//! Ollama.
//!
//! Facts from <https://docs.ollama.com/api>, <https://docs.ollama.com/api/errors>,
//! <https://docs.ollama.com/context-length> and its source (<https://github.com/ollama/ollama>).

mod config;
mod errors;
mod stream;
mod wire;

pub use config::{Loaded, Ollama, PullProgress};

#[cfg(feature = "_fuzz")]
pub(crate) use stream::OllamaDecoder;
