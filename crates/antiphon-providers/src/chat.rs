//! OpenAI's chat completions format, as OpenAI and compatible servers speak it.
//!
//! Facts from <https://developers.openai.com/api/reference/resources/chat> and the OpenAPI description it is made of
//! (<https://github.com/openai/openai-openapi>); differences of other servers are noted where they are handled.

mod config;
mod errors;
mod stream;
mod wire;

pub(crate) use config::{Chat, Quirks};
pub(crate) use errors::fault;

#[cfg(feature = "_fuzz")]
pub(crate) use stream::ChatDecoder;
