use crate::registry::{Kind, Variable, if_built};

pub(super) const BASE_URL: &str = "https://api.openai.com/v1";
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
