//! Bulk generation of content from data with language models: the whole pipeline behind one dependency.
//!
//! ```
//! use antiphon::operations::{RunRequest, Watch, Workspace};
//! use antiphon::pipeline::PersonaRecipe;
//! use antiphon::runtime::Environment;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = antiphon::fs::temp_dir()?;
//! # let (input, out) = (folder.path().join("p1.txt"), folder.path().join("out"));
//! # antiphon::fs::write(&input, "P1: I want to sleep through the night for once. I hate the noise in this street.\n").await?;
//! let workspace = Workspace::new(Environment::default(), Vec::new(), out);
//! let recipe = PersonaRecipe::parse("recipe.toml", "count = 1")?;
//! let request = RunRequest::personas(input, &recipe)?.provider("offline");
//! let outcome = workspace.start(&request, Watch::default()).await?;
//! assert_eq!(outcome.personas()[0].goals, ["I want to sleep through the night for once."]);
//! workspace.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! Start with [`operations`], or with [`blocking`] in code that is not async. The crates below are re-exported: [`runtime`],
//! [`stream`], [`fs`], [`resilience`], [`http`], [`text`], [`llm`], [`data`], [`store`], [`providers`], [`engine`],
//! [`pipeline`] and [`render`].
#![cfg_attr(docsrs, feature(doc_cfg))]

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

/// The README's code.
#[cfg(all(doctest, feature = "offline"))]
#[doc = include_str!("../README.md")]
struct Readme;
