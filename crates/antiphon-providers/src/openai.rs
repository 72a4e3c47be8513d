//! OpenAI: chat completions, and Responses.
//!
//! Facts from <https://developers.openai.com/api/reference/resources/responses>,
//! <https://developers.openai.com/api/reference/resources/responses/streaming-events> and
//! <https://developers.openai.com/api/docs/guides/structured-outputs>.
//!
//! | method and path | used for |
//! |---|---|
//! | `POST /v1/chat/completions` | answers, by default |
//! | `POST /v1/responses` | answers, after `OpenAi::responses` |
//! | `POST /v1/embeddings` | embeddings |
//! | `GET /v1/models` | the list of models, in one page |
//!
//! Rate limits arrive in headers with each response: `x-ratelimit-{limit,remaining,reset}-{requests,tokens}`,
//! with resets such as `6m0s`; an error may have `retry-after-ms` beside `retry-after`.

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
