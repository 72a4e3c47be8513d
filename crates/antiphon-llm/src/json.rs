//! Extraction of JSON from a model's answer, without guessing.
//!
//! Models put JSON into code fences, between sentences, and after their reasoning. A value is accepted only if it is complete
//! and unique: a truncated answer is a `Truncated` error, and an answer with two different values, or with an object that has
//! a key twice, is an `Ambiguous` error. Small errors of form are repaired where only one value can be meant; each [`Repair`]
//! is reported. Numbers keep all their digits. [`extract_for`] chooses by a schema. [`salvage`] returns the complete elements
//! of a list in a truncated answer. To check a value against a schema as well, use
//! [`SchemaRetryPolicy::read`](crate::SchemaRetryPolicy::read).

mod extract;
mod parse;
mod salvage;
mod scalar;

pub(crate) use extract::is_alone;
pub use extract::{
    Extracted, JsonError, JsonErrorKind, Repair, Strictness, extract, extract_for, extract_with,
};
pub use salvage::{Salvaged, salvage};
