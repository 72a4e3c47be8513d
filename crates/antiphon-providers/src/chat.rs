//! OpenAI's chat completions format, as OpenAI and those compatible with it speak it.
//!
//! Facts from <https://developers.openai.com/api/reference/resources/chat> and the OpenAPI description it is made of
//! (<https://github.com/openai/openai-openapi>); what other servers do differently stands where it is dealt with.

mod config;
mod errors;
mod stream;
mod wire;

pub(crate) use config::{Chat, Quirks};
pub(crate) use errors::fault;

#[cfg(feature = "_fuzz")]
pub(crate) use stream::ChatDecoder;
