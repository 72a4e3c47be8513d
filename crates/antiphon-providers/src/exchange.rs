//! What all vendors' formats have in common: where a server is and how one is let in, what can go wrong on the way, and
//! how an answer is read piece by piece.

#![cfg_attr(
    not(all(
        feature = "anthropic",
        feature = "compatible",
        feature = "gemini",
        feature = "llamacpp",
        feature = "ollama",
        feature = "openai"
    )),
    allow(
        dead_code,
        unused_imports,
        reason = "which of its parts are needed depends on the vendors that are built"
    )
)]

mod answer;
mod construct;
mod endpoint;
mod fault;
mod forms;
mod framing;
mod link;
mod reader;
mod settings;
mod text;

pub(crate) use answer::{Answer, Decode};
pub(crate) use construct::{at_address, cloud, key_of, own_server, route_of};
pub(crate) use endpoint::{Auth, Endpoint, checked_base_url, encoded};
pub(crate) use fault::{Fault, cleaned, is_about, kind_of_status};
pub(crate) use forms::{Form, Forms, grammar_dialect, system_of, turns, weakened};
pub(crate) use framing::Framing;
pub(crate) use link::{Asked, Link};
pub(crate) use settings::connection_settings;
pub(crate) use text::Text;
