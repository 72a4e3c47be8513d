//! OpenAI's chat completions format, as OpenAI and those compatible with it speak it.
//!
//! Facts from <https://platform.openai.com/docs/api-reference/chat> and the OpenAPI description it is made of; what
//! other servers do differently stands where it is dealt with.

mod config;
mod errors;
mod provider;
mod stream;
mod wire;

pub(crate) use config::{Config, checked_base_url};
pub(crate) use provider::Chat;
