//! Configuration from flags, environment and files, and the connection to a language model that it describes: with retries,
//! adaptive concurrency limits, a circuit breaker, prices and fallbacks.
//!
//! [`resolve`] merges the configuration into [`Settings`]; [`connect`](fn@connect) makes a [`Session`] of them. The crate reads
//! the environment only in [`Environment::read`].
//!
//! ```
//! use antiphon_connect::{ConfigFile, Environment, Flags, connect, resolve};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let file = ConfigFile::parse(
//!     "antiphon.toml",
//!     "[defaults]\nprovider = \"lab\"\nmodel = \"small\"\n\
//!      [providers.lab]\nkind = \"compatible\"\nbase_url = \"http://127.0.0.1:8080/v1\"\n",
//! )?;
//! // A flag overrides the environment, which overrides files, which override the defaults.
//! let settings = resolve(&Flags::default().model("large"), &Environment::default(), &[file])?;
//! let session = connect(&settings).await?;
//! assert_eq!((session.name.as_str(), session.model.as_str()), ("lab", "large"));
//! # Ok(())
//! # }
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]

mod build;
mod cassette;
mod check;
mod config_file;
mod connect;
mod edit;
mod entry;
mod environment;
mod error;
mod examination;
mod fallback;
mod flags;
mod lines;
mod listing;
mod origin;
mod pool;
mod provider;
mod replay;
mod secrets;
mod session;
mod setting_key;
mod settings;
mod survey;
mod target;

pub use antiphon_providers::registry::Kind;
pub use cassette::Cassette;
pub use config_file::{ConfigFile, ConfigPlace};
pub use connect::{ConnectError, ConnectErrorKind, connect, http_client, known_providers};
pub use edit::{CONFIG_TEMPLATE, ConfigEdit};
pub use environment::{Environment, SettingVariable, UnknownVariable, VARIABLES};
pub use error::ConfigError;
pub use examination::{Examination, ExaminedStep, StepState, examine};
pub use fallback::FallbackSettings;
pub use flags::Flags;
pub use listing::{ListedSetting, list_settings};
pub use origin::{Origin, Sourced};
pub use pool::FewConnections;
pub use provider::ProviderSettings;
pub use session::Session;
pub use setting_key::SettingKey;
pub use settings::{Settings, resolve};
pub use survey::{doctor, local_engines, models, near_models, pull};

/// The README's code.
#[cfg(all(doctest, feature = "compatible"))]
#[doc = include_str!("../README.md")]
struct Readme;
