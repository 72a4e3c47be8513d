//! Data into content, in bulk, with language models: the whole pipeline behind one dependency.
//!
//! ```
//! use antiphon::operations::{GenerateRequest, Watch, generate};
//! use antiphon::runtime::{Environment, Flags, connect, resolve};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = antiphon::fs::temp_dir()?;
//! # let (input, out) = (folder.path().join("p1.txt"), folder.path().join("out"));
//! # antiphon::fs::write(&input, "P1: I want to sleep through the night for once. I hate the noise in this street.\n").await?;
//! let settings = resolve(&Flags::default().offline(), &Environment::default(), &[])?;
//! let session = connect(&settings).await?;
//! let request = GenerateRequest::new([input], out).count(1);
//! let report = generate(&session, &request, Watch::default()).await;
//! let done = report.runs[0].result.as_ref().map_err(ToString::to_string)?;
//! assert_eq!(done.personas[0].goals, ["I want to sleep through the night for once."]);
//! # Ok(())
//! # }
//! ```
//!
//! The crates are there one by one, too: [`runtime`], [`stream`], [`fs`], [`resilience`], [`http`], [`text`], [`llm`],
//! [`data`], [`store`], [`providers`], [`engine`], [`pipeline`] and [`render`].

pub mod blocking;
#[cfg(feature = "cli")]
pub mod commands;
pub mod operations;
pub mod runtime;

pub use antiphon_data as data;
pub use antiphon_engine as engine;
pub use antiphon_fs as fs;
pub use antiphon_http as http;
pub use antiphon_llm as llm;
pub use antiphon_pipeline as pipeline;
pub use antiphon_providers as providers;
pub use antiphon_render as render;
pub use antiphon_resilience as resilience;
pub use antiphon_store as store;
pub use antiphon_stream as stream;
pub use antiphon_text as text;
