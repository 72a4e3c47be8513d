//! Rendering for people: personas as Markdown and as one HTML page, reports of runs, tables, and portfolio sites in themes.
//!
//! Every page is one self-contained file: all text is escaped, and its Content-Security-Policy forbids the browser to load or
//! send anything.
//!
//! ```
//! use antiphon_pipeline::Persona;
//! let mut persona = Persona::default();
//! persona.name = "The early riser".to_owned();
//! persona.goals = vec!["Sleep".to_owned()];
//! let text = antiphon_render::markdown(&persona);
//! assert!(text.starts_with("# The early riser\n") && text.contains("## Goals\n\n- Sleep\n"));
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]

mod blocking;
mod error;
mod export;
mod link;
mod markdown;
mod page;
mod personas;
mod report;
mod site;
mod theme;
mod transcript;

pub use error::{RenderError, RenderErrorKind};
pub use export::{Table, persona_row, personas_markdown};
pub use link::safe_link;
pub use markdown::{file_name, markdown};
pub use page::page;
pub use personas::write_personas;
pub use report::{RunCause, RunPage, RunRow};
pub use site::{SiteBuilder, build_portfolio};
pub use theme::{Theme, ThemeSource, ThemeText};

/// The README's code.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
