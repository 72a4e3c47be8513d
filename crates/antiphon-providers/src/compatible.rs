//! A provider for any server that speaks OpenAI's chat completions, and descriptions of some vendors.
//!
//! Built in are LM Studio, vLLM, Hugging Face and OpenRouter, each as a TOML file. A further server needs only
//! such a file, or the same options in a configuration: no code, unless it speaks another format.

#[cfg(feature = "compatible")]
mod config;
mod kind;
#[cfg(feature = "compatible")]
mod known_modes;
#[cfg(feature = "compatible")]
mod metrics;
#[cfg(feature = "compatible")]
mod vendor;

#[cfg(feature = "compatible")]
pub use config::Compatible;
#[cfg(feature = "compatible")]
pub use vendor::{ParamField, Vendor};

pub(crate) use kind::KIND;
