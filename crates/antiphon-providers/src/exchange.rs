//! The parts that all vendors' formats share: address and authentication, the mapping of errors, time limits,
//! and a reader of streamed answers (server-sent events or NDJSON).
//!
//! A vendor's module is the difference: it builds a request body and decodes the pieces of an answer, both
//! without I/O. A call passes through the modules here in this order:
//!
//! | step | module | does |
//! |---|---|---|
//! | reject | `sendable`, `parameters`, `prompt_size` | rejects a prompt that no format of this crate can express, parameters that this one does not have, and a prompt that is too long for an engine |
//! | build | `conversation`, `structured_mode` | turns, system instructions, the structured output mode |
//! | add | `additions` | merges the fields that the user adds to each body |
//! | send | `endpoint`, `link`, `exhaustion` | address, key, headers, connection pool; errors with a status |
//! | frame | `framing` | splits the body into events or lines |
//! | decode | `answer`, `text`, `content`, `reasoning`, `repaired`, `ending` | the trait that a vendor's decoder implements; fields, read leniently; words for the end |
//! | read | `reader`, `thoughts`, `watchdog` | deltas for the caller without reasoning, time limits, the end of the answer |
//! | check | `schema_watch`, `context_window` | warnings: a schema that was ignored, a prompt that was cut |
//! | fail | `error_body`, `rejected`, `fault` | the kind of an error in any shape, and whether the call may be billed |
//!
//! Nothing here retries a failed call, except in a weaker structured output mode (`structured_mode`), or without a field that the
//! server refuses and that does not change the answer (`refused_field`): retries are the task of `antiphon_llm::Stack`.

mod additions;
mod answer;
mod calls;
#[cfg(feature = "_cloud")]
mod cloud;
#[cfg(any(feature = "_chat", feature = "ollama"))]
mod content;
mod context_window;
mod conversation;
mod ending;
mod endpoint;
mod error_body;
mod exhaustion;
mod fault;
#[cfg(any(feature = "_chat", feature = "gemini", feature = "ollama"))]
mod first;
mod framing;
#[cfg(any(feature = "llamacpp", feature = "ollama"))]
mod grammar;
mod link;
mod lists;
#[cfg(feature = "_own")]
mod local_server;
mod own_fields;
mod parameters;
#[cfg(feature = "_own")]
mod prompt_size;
mod reader;
#[cfg(any(feature = "anthropic", feature = "_chat", feature = "ollama"))]
mod reasoning;
#[cfg(feature = "_chat")]
mod refused_field;
mod rejected;
mod repaired;
mod schema_watch;
mod sendable;
mod settings;
mod structured_mode;
mod text;
mod thoughts;
mod watchdog;

#[cfg(feature = "compatible")]
pub(crate) use additions::Additions;
pub(crate) use answer::{Answer, Decode};
#[cfg(feature = "_cloud")]
pub(crate) use cloud::{at_address, cloud, key_of};
#[cfg(any(feature = "_chat", feature = "ollama"))]
pub(crate) use content::Content;
pub(crate) use conversation::{system_of, turns};
#[cfg(feature = "gemini")]
pub(crate) use ending::{Ending, ending};
#[cfg(any(feature = "_cloud", feature = "compatible"))]
pub(crate) use endpoint::Auth;
#[cfg(feature = "_cloud")]
pub(crate) use endpoint::CLOUD_TIMEOUT;
#[cfg(feature = "_own")]
pub(crate) use endpoint::OWN_TIMEOUT;
pub(crate) use endpoint::{Endpoint, checked_base_url};
#[cfg(feature = "_chat")]
pub(crate) use error_body::is_error;
pub(crate) use error_body::read_fault;
pub(crate) use fault::{Fault, is_about, kind_of_status};
#[cfg(feature = "gemini")]
pub(crate) use first::MAX_PARTS;
#[cfg(any(feature = "_chat", feature = "gemini"))]
pub(crate) use first::{MAX_CHOICES, first};
pub(crate) use framing::Framing;
#[cfg(any(feature = "llamacpp", feature = "ollama"))]
pub(crate) use grammar::grammar_dialect;
pub(crate) use link::{CallRequest, Link};
pub(crate) use lists::Page;
#[cfg(feature = "_own")]
pub(crate) use local_server::local_server;
pub(crate) use own_fields::unpriced_field;
pub(crate) use parameters::{Budget, ParamTable, SentEffort, field};
#[cfg(feature = "_own")]
pub(crate) use prompt_size::{check_fits, least_tokens};
#[cfg(any(feature = "anthropic", feature = "_chat", feature = "ollama"))]
pub(crate) use reasoning::reasoning_of;
#[cfg(any(feature = "anthropic", feature = "_chat"))]
pub(crate) use reasoning::texts_in;
#[cfg(feature = "_chat")]
pub(crate) use refused_field::RefusedFields;
#[cfg(feature = "gemini")]
pub(crate) use repaired::repaired;
pub(crate) use settings::connection_settings;
pub(crate) use structured_mode::{ModeFallback, StructuredMode};
#[cfg(feature = "_cloud")]
pub(crate) use text::Text;
#[cfg(feature = "_chat")]
pub(crate) use text::count_in;
#[cfg(any(feature = "_chat", feature = "gemini"))]
pub(crate) use text::index_of;
#[cfg(any(feature = "gemini", feature = "llamacpp", feature = "ollama"))]
pub(crate) use text::is_true;
#[cfg(any(feature = "_chat", feature = "gemini", feature = "ollama"))]
pub(crate) use text::word_of;
pub(crate) use text::{Label, count_at, size_of, value_of};
