//! Anthropic's Messages API.
//!
//! Facts from <https://platform.claude.com/docs/en/api/messages/create>,
//! <https://platform.claude.com/docs/en/build-with-claude/streaming>,
//! <https://platform.claude.com/docs/en/build-with-claude/structured-outputs>,
//! <https://platform.claude.com/docs/en/api/errors> and <https://platform.claude.com/docs/en/api/rate-limits>.

#[cfg(feature = "anthropic")]
mod config;
#[cfg(feature = "anthropic")]
mod errors;
mod kind;
#[cfg(feature = "anthropic")]
mod stream;
#[cfg(feature = "anthropic")]
mod wire;

#[cfg(feature = "anthropic")]
pub use config::Anthropic;

pub(crate) use kind::KIND;

#[cfg(feature = "_fuzz")]
pub(crate) use stream::MessagesDecoder;
