//! A provider for any server that speaks OpenAI's chat completions, and descriptions of some vendors.

#[cfg(feature = "compatible")]
mod config;
mod kind;
#[cfg(feature = "compatible")]
mod vendor;

#[cfg(feature = "compatible")]
pub use config::Compatible;
#[cfg(feature = "compatible")]
pub use vendor::Vendor;

pub(crate) use kind::KIND;
