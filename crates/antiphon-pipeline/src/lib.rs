//! Persona generation with verified citations, portfolio texts, and the runs that they are stored in.
//!
//! [`Pipeline`] loads documents, asks a provider for structured output, verifies every quote against what participants said
//! (grounding), and reports calls, cost and time. It runs on [`antiphon_engine`], depends on no vendor and writes no file:
//! [`runs`] writes result folders, and antiphon-render pages for people. [`evidence`] verifies citations alone, [`content`]
//! generates the copy of sites, and [`experiment`] keeps the data, settings and runs of a study in one folder.
//!
//! ```
//! # use std::sync::Arc;
//! # use antiphon_llm::{async_trait, CallContext, Capabilities, Error, Health, Model, Prompt, Provider, Scope, Streaming};
//! # #[derive(Debug)] struct Yours;
//! # #[async_trait] impl Provider for Yours {
//! #     fn scope(&self) -> Scope { Scope::new("yours", None) }
//! #     async fn stream(&self, _: &Prompt, _: &CallContext) -> Result<Streaming, Error> { unreachable!() }
//! #     async fn models(&self, _: &CallContext) -> Result<Vec<Model>, Error> { Ok(Vec::new()) }
//! #     async fn health(&self, _: &CallContext) -> Result<Health, Error> { unreachable!() }
//! #     async fn capabilities(&self, _: &str, _: &CallContext) -> Capabilities { Capabilities::default() }
//! # }
//! use antiphon_pipeline::{ErrorKind, GenerationConfig, Pipeline};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let pipeline = Pipeline::new(Arc::new(Yours));
//! let config = GenerationConfig::new("no-such-folder", "some-model").count(4);
//! let err = pipeline.generate(&config).await.unwrap_err();
//! assert_eq!(err.kind(), ErrorKind::Input);
//! # }
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]

mod anonymised;
mod blocking;
mod call_summary;
mod config;
pub mod content;
mod distilling;
mod error;
pub mod evidence;
pub mod experiment;
mod finishing;
mod generator;
mod json_schema;
mod persona;
mod persona_work;
mod pipeline;
mod prepare;
mod report;
mod reporting;
mod run;
mod run_locks;
pub mod runs;
mod voices;

pub use antiphon_engine::{Check, ErrorKind, near_name, read_toml};
pub use config::{Complexity, Detail, Distil, GenerationConfig, Grounding};
pub use error::Error;
pub use generator::{GenerationEstimate, PersonaGenerator};
pub use persona::{
    Count, Coverage, DocumentCoverage, Duplicate, Evidence, Finding, Level, Match, NoCount, Persona,
    PersonaCoverage, PersonaRecipe, Personas, Quote, Rule, SourcePlace, Unverified, Validation,
};
pub use pipeline::{Generation, Outcome, Pipeline, Prepared};
pub use report::{
    Anonymised, Distilled, DocumentReport, FailureReport, Report, ReportStatus, Timings, UsageReport,
};
pub use run_locks::{RunGuard, RunLocks};

/// The README's code.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
