//! The parts that all vendors' formats share: address and authentication, the mapping of errors, time limits, and a reader
//! of streamed answers (server-sent events or NDJSON).

mod answer;
#[cfg(feature = "_cloud")]
mod cloud;
mod conversation;
mod endpoint;
mod fault;
mod framing;
#[cfg(any(feature = "llamacpp", feature = "ollama"))]
mod grammar;
mod link;
#[cfg(feature = "_own")]
mod local_server;
mod reader;
mod sendable;
mod settings;
mod structured_mode;
mod text;
mod watchdog;

pub(crate) use answer::{Answer, Decode};
#[cfg(feature = "_cloud")]
pub(crate) use cloud::{at_address, cloud, key_of};
pub(crate) use conversation::{system_of, turns};
#[cfg(feature = "_cloud")]
pub(crate) use endpoint::CLOUD_TIMEOUT;
#[cfg(feature = "_own")]
pub(crate) use endpoint::OWN_TIMEOUT;
pub(crate) use endpoint::{Auth, Endpoint, checked_base_url};
pub(crate) use fault::{Fault, is_about, kind_of_status};
pub(crate) use framing::Framing;
#[cfg(any(feature = "llamacpp", feature = "ollama"))]
pub(crate) use grammar::grammar_dialect;
pub(crate) use link::{CallRequest, Link, Page};
#[cfg(feature = "_own")]
pub(crate) use local_server::local_server;
pub(crate) use settings::connection_settings;
pub(crate) use structured_mode::{ModeFallback, StructuredMode, weakened};
pub(crate) use text::{Text, size_of};
