//! OpenAI: chat completions, and Responses.
//!
//! Facts from <https://developers.openai.com/api/reference/resources/responses>,
//! <https://developers.openai.com/api/reference/resources/responses/streaming-events> and
//! <https://developers.openai.com/api/docs/guides/structured-outputs>.

#[cfg(feature = "openai")]
mod config;
#[cfg(feature = "openai")]
mod errors;
mod kind;
#[cfg(feature = "openai")]
mod stream;
#[cfg(feature = "openai")]
mod wire;

#[cfg(feature = "openai")]
pub use config::OpenAi;

pub(crate) use kind::KIND;

#[cfg(feature = "_fuzz")]
pub(crate) use stream::ResponsesDecoder;
