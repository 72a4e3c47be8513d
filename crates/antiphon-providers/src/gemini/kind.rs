//! Gemini's entry in the registry, which is compiled in whether the feature is on or not.

use crate::registry::{Kind, if_built};

/// The address of the API, with the path of the version that has structured output by JSON schema.
pub(super) const BASE_URL: &str = "https://generativelanguage.googleapis.com/v1beta";
/// The model for a caller that names none; the shipped table of prices has it.
pub(super) const DEFAULT_MODEL: &str = "gemini-3.5-flash-lite";

/// Gemini as the registry lists it.
pub(crate) static KIND: Kind = Kind {
    name: "gemini",
    help: "Google's Gemini API",
    key_env: &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
    base_url: Some(BASE_URL),
    default_model: Some(DEFAULT_MODEL),
    price_vendor: Some("gemini"),
    build: if_built!("gemini", super::config::build),
    ..Kind::EMPTY
};
