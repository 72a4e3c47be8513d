//! What people look at: each persona as Markdown, and all of them as one page that needs nothing else.
//!
//! ```
//! use antiphon_pipeline::Persona;
//! let mut persona = Persona::default();
//! persona.name = "The early riser".to_owned();
//! persona.goals = vec!["Sleep".to_owned()];
//! let text = antiphon_render::markdown(&persona);
//! assert!(text.starts_with("# The early riser\n") && text.contains("## Goals\n\n- Sleep\n"));
//! ```

mod markdown;
mod page;
mod transcript;

pub use markdown::{file_name, markdown};
pub use page::{RenderError, page};
