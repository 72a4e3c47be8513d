//! OpenAI's chat completions format, as OpenAI and compatible servers speak it.
//!
//! Facts from <https://developers.openai.com/api/reference/resources/chat> and the OpenAPI description it is made of
//! (<https://github.com/openai/openai-openapi>); differences of other servers are noted where they are handled.
//!
//! | provider | differs in |
//! |---|---|
//! | OpenAI | `max_completion_tokens`, strict mode of schemas |
//! | llama.cpp | the dialect of grammars, numbers as error codes |
//! | compatible servers | the vendor's description, and the shapes of errors and content noted below |

mod config;
mod errors;
mod stream;
mod usage;
mod wire;

pub(crate) use config::{Chat, Quirks};
#[cfg(feature = "openai")]
pub(crate) use usage::usage_of;
pub(crate) use wire::PARAMS;

#[cfg(any(test, feature = "compatible"))]
pub(crate) use errors::fault;
#[cfg(any(test, feature = "_fuzz"))]
pub(crate) use stream::ChatDecoder;
