//! Google's Gemini API.
//!
//! Facts from <https://ai.google.dev/api/generate-content>, <https://ai.google.dev/gemini-api/docs/structured-output>,
//! <https://ai.google.dev/gemini-api/docs/generate-content/api-errors> and
//! <https://ai.google.dev/gemini-api/docs/rate-limits>.

#[cfg(feature = "gemini")]
mod config;
#[cfg(feature = "gemini")]
mod errors;
mod kind;
#[cfg(feature = "gemini")]
mod stream;
#[cfg(feature = "gemini")]
mod wire;

#[cfg(feature = "gemini")]
pub use config::Gemini;

pub(crate) use kind::KIND;

#[cfg(feature = "_fuzz")]
pub(crate) use stream::GenerateDecoder;
