//! Invariants that must hold for any input.

mod checks;
mod files;

pub use checks::{answer, limits, ndjson, sse, waits};
pub use files::{document, docx, recipe, rows, schema};
