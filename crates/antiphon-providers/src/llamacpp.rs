//! llama.cpp's server.
//!
//! Facts from <https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md>.

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
