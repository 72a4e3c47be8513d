//! llama.cpp's server.
//!
//! Facts from <https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md>.

mod config;
mod errors;
mod stream;
mod wire;

pub use config::{LlamaCpp, Props, Slot};

#[cfg(feature = "_fuzz")]
pub(crate) use stream::NativeDecoder;
