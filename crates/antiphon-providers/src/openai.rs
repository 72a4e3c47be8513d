//! OpenAI: chat completions, and Responses.
//!
//! Facts from <https://developers.openai.com/api/reference/resources/responses>,
//! <https://developers.openai.com/api/reference/resources/responses/streaming-events> and
//! <https://developers.openai.com/api/docs/guides/structured-outputs>.

mod config;
mod errors;
mod stream;
mod wire;

pub use config::OpenAi;

#[cfg(feature = "_fuzz")]
pub(crate) use stream::ResponsesDecoder;
