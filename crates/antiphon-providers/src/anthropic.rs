//! Anthropic's Messages API.
//!
//! Facts from <https://platform.claude.com/docs/en/api/messages/create>,
//! <https://platform.claude.com/docs/en/build-with-claude/streaming>,
//! <https://platform.claude.com/docs/en/build-with-claude/structured-outputs>,
//! <https://platform.claude.com/docs/en/api/errors> and <https://platform.claude.com/docs/en/api/rate-limits>.
//!
//! | method and path | used for |
//! |---|---|
//! | `POST /v1/messages` | answers, always with `"stream": true` |
//! | `GET /v1/models?limit=1000` | the list of models, page by page with `after_id` |
//!
//! Rate limits arrive in headers with each response:
//! `anthropic-ratelimit-{requests,tokens,input-tokens,output-tokens}-` with `limit`, `remaining` and `reset`
//! (an RFC 3339 time), and `retry-after` in seconds with an error.

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
