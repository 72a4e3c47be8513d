//! Google's Gemini API.
//!
//! Facts from <https://ai.google.dev/api/generate-content>, <https://ai.google.dev/gemini-api/docs/structured-output>,
//! <https://ai.google.dev/gemini-api/docs/generate-content/api-errors> and
//! <https://ai.google.dev/gemini-api/docs/rate-limits>.

mod config;
mod errors;
mod stream;
mod wire;

pub use config::Gemini;

#[cfg(feature = "_fuzz")]
pub(crate) use stream::GenerateDecoder;
