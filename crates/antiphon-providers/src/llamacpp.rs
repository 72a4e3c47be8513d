//! llama.cpp's server.
//!
//! Facts from <https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md>.
//!
//! | method and path | used for |
//! |---|---|
//! | `POST /v1/chat/completions` | answers, by default |
//! | `POST /apply-template`, `POST /completion` | answers on the native route |
//! | `POST /v1/embeddings`, `GET /v1/models` | embeddings, the list of models |
//! | `GET /health`, `GET /props`, `GET /slots` | health, properties, slots |
//!
//! The server has no rate limits. Calls beyond its slots wait in its own queue.

#[cfg(feature = "llamacpp")]
mod config;
#[cfg(feature = "llamacpp")]
mod errors;
mod kind;
#[cfg(feature = "llamacpp")]
mod stream;
#[cfg(feature = "llamacpp")]
mod wire;

#[cfg(feature = "llamacpp")]
pub use config::{LlamaCpp, Props, Slot};

pub(crate) use kind::KIND;

#[cfg(feature = "_fuzz")]
pub(crate) use stream::NativeDecoder;
