//! Extraction of JSON from a model's answer, without guesses.
//!
//! Models put JSON into code fences, between sentences, and after their reasoning. A value is accepted only when it is
//! complete and unique: a cut answer is reported as `Truncated`, and two different values are reported as `Ambiguous`.
//! [`salvage`] returns the complete elements of a truncated answer.

mod extract;
mod repair;
mod salvage;

pub use extract::{Extracted, JsonError, JsonErrorKind, Repair, Strictness, extract, extract_with};
pub use salvage::{Salvaged, salvage};
