//! Rendering for people: personas as Markdown and as one HTML page, reports of runs, tables, and portfolio sites in
//! themes.
//!
//! Every page is one self-contained file: all text is escaped, and its Content-Security-Policy forbids the browser to
//! load or send anything. The texts of answers and inputs are not trusted anywhere: each output has its own escaping.
//!
//! | output | functions | a text cannot |
//! |---|---|---|
//! | Markdown | [`markdown()`], [`personas_markdown`], [`Table`] | begin a heading, a link, a tag or a cell |
//! | CSV (RFC 4180) | [`Table`] | be run by a spreadsheet as a formula |
//! | HTML | [`page()`], [`RunPage`], [`SiteBuilder`] | be markup, or a link to a script |
//! | files | [`write_personas`], [`SiteBuilder::write`], [`build_portfolio`] | leave its folder by its name |
//!
//! Rendering itself is synchronous and CPU-bound; the async functions run it on tokio's blocking pool and write files
//! atomically.
//!
//! # Examples
//! ```
//! use antiphon_pipeline::Persona;
//! let mut persona = Persona::default();
//! persona.name = "The early riser".to_owned();
//! persona.goals = vec!["Sleep".to_owned()];
//! let text = antiphon_render::markdown(&persona);
//! assert!(text.starts_with("# The early riser\n") && text.contains("## Goals\n\n- Sleep *(no evidence)*\n"));
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]

mod blocking;
mod breakable;
mod error;
mod export;
mod link;
mod markdown;
mod page;
mod personas;
mod policy;
mod report;
mod site;
mod support;
mod theme;
mod transcript;
mod visible;

pub use error::{RenderError, RenderErrorKind};
pub use export::{Table, persona_row, personas_markdown};
pub use link::safe_link;
pub use markdown::{file_name, markdown};
pub use page::page;
pub use personas::write_personas;
pub use report::{RunCause, RunPage, RunPageParts, RunRow};
pub use site::{PageName, SiteBuilder, build_portfolio, check_site_folder};
pub use theme::{Theme, ThemeSource, ThemeText};
pub use visible::{visible, visible_json};

/// The README's code.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
