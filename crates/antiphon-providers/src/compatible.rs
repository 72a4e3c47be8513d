//! Any server that speaks OpenAI's chat completions, and what is known of some of them.

mod config;
mod vendor;

pub use config::Compatible;
pub use vendor::Vendor;
