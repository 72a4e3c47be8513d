//! Anthropic's Messages.
//!
//! Facts from <https://platform.claude.com/docs/en/api/messages/create>,
//! <https://platform.claude.com/docs/en/build-with-claude/streaming>,
//! <https://platform.claude.com/docs/en/build-with-claude/structured-outputs>,
//! <https://platform.claude.com/docs/en/api/errors> and <https://platform.claude.com/docs/en/api/rate-limits>.

mod config;
mod errors;
mod stream;
mod wire;

pub use config::Anthropic;

#[cfg(feature = "_fuzz")]
pub(crate) use stream::MessagesDecoder;
