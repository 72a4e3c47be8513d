//! OpenAI's entry in the registry, which is compiled in whether the feature is on or not.

use crate::registry::{Kind, Variable, if_built};

/// The address of the API, with the path of its only version.
pub(super) const BASE_URL: &str = "https://api.openai.com/v1";
/// The model for a caller that names none; the shipped table of prices has it.
pub(super) const DEFAULT_MODEL: &str = "gpt-6-luna";

/// OpenAI as the registry lists it.
pub(crate) static KIND: Kind = Kind {
    name: "openai",
    help: "OpenAI: chat completions, or Responses with route = \"responses\"",
    key_env: &["OPENAI_API_KEY"],
    base_url_env: Some(Variable { name: "OPENAI_BASE_URL", help: "Another address for OpenAI's interface" }),
    base_url: Some(BASE_URL),
    default_model: Some(DEFAULT_MODEL),
    routes: &["chat", "responses"],
    options: &["route"],
    price_vendor: Some("openai"),
    build: if_built!("openai", super::config::build),
    ..Kind::EMPTY
};
