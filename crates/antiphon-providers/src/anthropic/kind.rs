//! Anthropic's entry in the registry, which is compiled in whether the feature is on or not.

use crate::registry::{Kind, if_built};

/// The address of the API, with the path of its only version.
pub(super) const BASE_URL: &str = "https://api.anthropic.com/v1";
/// The model for a caller that names none; the shipped table of prices has it.
pub(super) const DEFAULT_MODEL: &str = "claude-haiku-5-5";

/// Anthropic as the registry lists it.
pub(crate) static KIND: Kind = Kind {
    name: "anthropic",
    help: "Anthropic's Messages",
    key_env: &["ANTHROPIC_API_KEY"],
    base_url: Some(BASE_URL),
    default_model: Some(DEFAULT_MODEL),
    price_vendor: Some("anthropic"),
    build: if_built!("anthropic", super::config::build),
    ..Kind::EMPTY
};
