//! Google's Gemini API.
//!
//! Facts from <https://ai.google.dev/api/generate-content>, <https://ai.google.dev/gemini-api/docs/structured-output>,
//! <https://ai.google.dev/gemini-api/docs/generate-content/api-errors> and
//! <https://ai.google.dev/gemini-api/docs/rate-limits>.
//!
//! | method and path | used for |
//! |---|---|
//! | `POST /v1beta/models/NAME:streamGenerateContent?alt=sse` | answers |
//! | `POST /v1beta/models/NAME:batchEmbedContents` | embeddings, up to 100 texts a call |
//! | `GET /v1beta/models?pageSize=1000` | the list of models, page by page with `pageToken` |
//!
//! Gemini reports no rate limits in headers. An error suggests a wait in the field `retryDelay` of its details,
//! in seconds with a fraction, such as `"34.07s"`.

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
