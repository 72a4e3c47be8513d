//! Language models behind one contract: OpenAI, any server that speaks its format, and drafts without a model.
//!
//! ```
//! use antiphon_llm::Provider;
//! # #[cfg(feature = "compatible")] {
//! let provider = antiphon_providers::Compatible::new("http://localhost:8080")?;
//! assert_eq!(provider.scope().base_url.as_deref(), Some("http://localhost:8080/v1"));
//! # }
//! # Ok::<(), antiphon_llm::Error>(())
//! ```

#[cfg(feature = "_chat")]
mod chat;
#[cfg(feature = "compatible")]
mod compatible;
#[cfg(feature = "compatible")]
pub mod local;
#[cfg(feature = "offline")]
mod offline;
#[cfg(feature = "openai")]
mod openai;
pub mod prices;

#[cfg(feature = "_chat")]
pub use antiphon_http::SecretString;
#[cfg(feature = "compatible")]
pub use compatible::Compatible;
#[cfg(feature = "offline")]
pub use offline::Offline;
#[cfg(feature = "openai")]
pub use openai::OpenAi;
