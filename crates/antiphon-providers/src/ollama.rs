//! Ollama.
//!
//! Facts from <https://docs.ollama.com/api>, <https://docs.ollama.com/api/errors>,
//! <https://docs.ollama.com/context-length> and its source (<https://github.com/ollama/ollama>).

#[cfg(feature = "ollama")]
mod config;
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
